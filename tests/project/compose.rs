//! deploy/compose.yaml.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::Value;

use crate::helpers::{installed, root, run, tagpoint, text, yaml};

fn compose() -> Value {
    yaml("deploy/compose.yaml").remove(0)
}

#[test]
fn it_is_what_the_compose_specification_allows() {
    let path = root().join("deploy/compose.yaml");
    run(Command::new(installed("check-jsonschema")).args(["--builtin-schema", "vendor.compose-spec"]).arg(path));
}

#[test]
fn the_server_knows_every_variable_that_it_is_given() {
    let compose = compose();
    let variables = compose["services"]["tagpoint"]["environment"].as_object().unwrap();
    let ours = variables.iter().filter(|(name, _)| name.starts_with("TAGPOINT_"));
    let said = run(tagpoint().arg("config").envs(ours.clone().map(|(name, value)| (name, text(value)))));
    for (name, _) in ours {
        assert!(said.contains(&format!("# environment {name}")), "{name} is no setting: {said}");
    }
}

/// The volumes keep the passwords that they were made with.
#[test]
fn the_documented_passwords_are_made_once_and_for_their_owner_only() {
    let document = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    let line = document.lines().find(|line| line.contains("POSTGRES_PASSWORD=")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("deploy")).unwrap();
    let file = folder.path().join("deploy/.env");
    let made = || {
        run(Command::new("bash").args(["-e", "-c", line]).current_dir(folder.path()));
        fs::read_to_string(&file).unwrap()
    };
    let first = made();
    assert!(first.contains("POSTGRES_PASSWORD=") && first.contains("\nGRAFANA_PASSWORD="), "{first}");
    assert_eq!(made(), first);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// A limit of memory is for so many threads.
#[test]
fn where_memory_is_limited_processors_are() {
    let compose = compose();
    for service in compose["services"].as_object().unwrap().values() {
        assert_eq!(service.get("mem_limit").is_some(), service.get("cpus").is_some(), "{service}");
    }
    let document = fs::read_to_string(root().join("docs/deploy.md")).unwrap();
    for line in document.lines().filter(|line| line.starts_with("docker run") && line.contains("--memory")) {
        assert!(line.contains("--cpus"), "{line}");
    }
}

#[test]
fn every_file_that_is_mounted_is_there_and_every_volume_declared() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        for volume in service["volumes"].as_array().unwrap() {
            let (from, to) = text(volume).split_once(':').unwrap();
            assert!(to.starts_with('/'), "{name}: {volume}");
            if from.starts_with('.') {
                assert!(root().join("deploy").join(from).exists(), "{name}: {volume}");
            } else {
                assert!(compose["volumes"].get(from).is_some(), "{name}: {volume}");
            }
        }
    }
}

#[test]
fn grafana_finds_the_dashboard_and_prometheus_the_server_that_it_shows() {
    let (compose, source) = (compose(), yaml("deploy/grafana/provisioning/datasources/prometheus.yaml").remove(0));
    let provider = yaml("deploy/grafana/provisioning/dashboards/tagpoint.yaml").remove(0);
    let folder = text(&provider["providers"][0]["options"]["path"]);
    let volumes = compose["services"]["grafana"]["volumes"].to_string();
    assert!(volumes.contains(&format!("./grafana/tagpoint.json:{folder}/tagpoint.json")), "{volumes}");
    let home = &compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert_eq!(text(home), format!("{folder}/tagpoint.json"));
    assert_eq!(source["datasources"][0]["url"], "http://prometheus:9090");
    let scraped = &yaml("deploy/prometheus/prometheus.yml").remove(0)["scrape_configs"][0]["dns_sd_configs"][0];
    assert!(compose["services"].get(text(&scraped["names"][0])).is_some());
    assert_eq!(
        (&scraped["port"], &compose["services"]["tagpoint"]["ports"][0]),
        (&8000.into(), &"127.0.0.1:8000:8000".into())
    );
}
