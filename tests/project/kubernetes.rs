//! deploy/kubernetes.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::Value;

use crate::helpers::{Server, get, installed, root, run, tagpoint, text, yaml};

/// Kubernetes' versions from the oldest that knows everything used here (preStop's sleep) to the newest.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// The manifests' resources by kind.
fn resources() -> BTreeMap<String, Value> {
    let listed = yaml("deploy/kubernetes/kustomization.yaml").remove(0);
    let files = listed["resources"].as_array().unwrap().iter();
    let found = files.flat_map(|file| yaml(&format!("deploy/kubernetes/{}", text(file))));
    found.map(|resource| (text(&resource["kind"]).to_owned(), resource)).collect()
}

/// The server's container.
fn container(resources: &BTreeMap<String, Value>) -> Value {
    resources["Deployment"]["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn they_are_what_kubernetes_schemas_allow() {
    let files = fs::read_dir(root().join("deploy/kubernetes")).unwrap().map(|entry| entry.unwrap().path());
    // Kustomize's own file, and values for another chart.
    let others = ["kustomization.yaml", "prometheus-adapter.yaml"];
    let manifests: Vec<_> = files.filter(|path| !others.iter().any(|other| path.ends_with(other))).collect();
    assert_eq!(manifests.len(), yaml("deploy/kubernetes/kustomization.yaml")[0]["resources"].as_array().unwrap().len());
    for version in VERSIONS {
        let mut command = Command::new(installed("kubernetes-validate"));
        run(command.args(["--strict", "--quiet", "--kubernetes-version", version]).args(&manifests));
    }
}

#[test]
fn the_server_starts_with_these_arguments_and_settings_and_answers_the_probes() {
    let resources = resources();
    let container = container(&resources);
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("tagpoint.toml");
    fs::write(&settings, text(&resources["ConfigMap"]["data"]["tagpoint.toml"])).unwrap();

    // As the pod's, but for the file's place.
    let mounted = text(&container["volumeMounts"][0]["mountPath"]).to_owned() + "/tagpoint.toml";
    let arguments: Vec<&str> = container["args"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(arguments, ["serve", "--config", &mounted]);
    let said = run(tagpoint().args(["config", "--config"]).arg(&settings));
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
        line.split(" # ").next().unwrap().trim_matches('"').to_owned()
    };
    assert_eq!(value("model_cache"), text(&container["volumeMounts"][1]["mountPath"]));
    let port = &container["ports"][0];
    assert_eq!(value("listen"), format!("0.0.0.0:{}", port["containerPort"]));
    // Kubernetes waits longer than the server takes: preStop, requests, rows.
    let pod = &resources["Deployment"]["spec"]["template"]["spec"];
    let before = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(before + value("stop_timeout_s").parse::<u64>().unwrap() + 5 <= grace);
    assert_eq!(pod["enableServiceLinks"], false, "a Service's variables would read like settings");
    for variable in container["env"].as_array().unwrap() {
        let name = text(&variable["name"]);
        assert!(run(tagpoint().args(["serve", "--help"])).contains(&format!("[env: {name}")), "{name}");
    }

    // Models and database of this machine in place of the cluster's.
    let mut command = tagpoint();
    command.arg("serve").arg("--config").arg(&settings).args(["--models", "models", "--database", "none"]);
    command.arg("--model-cache").arg(folder.path());
    let server = Server::start(&mut command);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked["port"], port["name"]);
        assert_eq!(get(&format!("{}{}", server.url, text(&asked["path"]))).0, 200, "{probe}");
    }
}

#[test]
fn what_selects_the_pods_selects_them() {
    let resources = resources();
    let deployment = &resources["Deployment"];
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selectors = [
        &deployment["spec"]["selector"]["matchLabels"],
        &resources["Service"]["spec"]["selector"],
        &resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        &resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ];
    for selector in selectors {
        assert_eq!(selector, labels);
    }
    let scaled = &resources["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"];
    assert_eq!((&scaled["kind"], &scaled["name"]), (&deployment["kind"], &deployment["metadata"]["name"]));
    assert!(resources["HorizontalPodAutoscaler"]["spec"]["minReplicas"].as_u64() > Some(1));
    // The metric is the one that the adapter makes; monitoring.rs asks a real Prometheus for it.
    let metric = &resources["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"];
    let made = &yaml("deploy/kubernetes/prometheus-adapter.yaml")[0]["rules"]["custom"][0]["name"]["as"];
    assert_eq!(metric, made);
}

/// docs/deploy.md names what is another one for everybody, before it applies the rest.
#[test]
fn image_and_bucket_are_set_before_anything_is_applied() {
    let document = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let place = |command: &str| document.find(command).expect(command);
    let applied = place("kubectl apply -k deploy/kubernetes");
    assert!(place("kustomize edit set image tagpoint=") < applied);
    let bucket = "s3://tagpoint/";
    assert!(place(&format!("sed -i 's|{bucket}|")) < applied);
    let settings = fs::read_to_string(root().join("deploy/kubernetes/settings.yaml")).unwrap();
    assert_eq!(settings.matches("s3://").count(), settings.matches(bucket).count());
}

/// A read-only root and the image's user: what the image has for its state, and for temporary files, is mounted.
#[test]
fn the_images_temporary_folder_can_be_written() {
    let image = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let folder = image.lines().find_map(|line| line.trim().strip_prefix("TMPDIR=")).unwrap();
    let resources = resources();
    let mounts = container(&resources)["volumeMounts"].as_array().unwrap().clone();
    let mount = mounts.iter().find(|mount| mount["mountPath"] == folder).unwrap();
    let volumes = resources["Deployment"]["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    assert!(volume["emptyDir"].is_object() && mount["readOnly"] != true, "{mount} {volume}");
}

/// docs/deploy.md makes the Secrets that the pods ask for.
#[test]
fn the_documented_secrets_are_those_that_are_asked_for() {
    let document = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let container = container(&resources());
    let database = &container["env"][0]["valueFrom"]["secretKeyRef"];
    let made = format!("secret generic {} --from-literal={}=", text(&database["name"]), text(&database["key"]));
    assert!(document.contains(&made), "{made}");
    let store = text(&container["envFrom"][0]["secretRef"]["name"]);
    assert!(document.contains(&format!("secret generic {store} --from-literal=AWS_ACCESS_KEY_ID=")), "{store}");
}

#[test]
fn image_and_version_are_those_of_this_release() {
    let (resources, kustomization) = (resources(), yaml("deploy/kubernetes/kustomization.yaml").remove(0));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(container(&resources)["image"], format!("tagpoint:{version}"));
    assert_eq!(kustomization["images"][0]["name"], "tagpoint");
    assert_eq!(kustomization["images"][0]["newTag"], version);
}
