//! deploy/prometheus and the Grafana dashboard, asked of a real Prometheus that scrapes a real server.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::helpers::{Server, get, root, run, tagpoint, text, yaml};

/// Panels that are empty as long as all is well, or since the shipped models do not say how their scores were distributed.
const QUIET: [&str; 4] = [
    "Sound pictures without an answer",
    "Errors that clients were told of, by type",
    "Drift of scores (PSI; above 0.25 much has changed)",
    "Label named: live less validation",
];

struct Prometheus {
    process: Child,
    url: String,
}

impl Prometheus {
    /// With deploy's rules, scraping one server each second as if it were a pod.
    fn start(folder: &Path, server: &Server) -> Self {
        let target = server.url.trim_start_matches("http://");
        let rules = root().join("deploy/prometheus/alerts.yml");
        let settings = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nscrape_configs:\n\
             - job_name: tagpoint\n  static_configs:\n  \
             - {{targets: [{target:?}], labels: {{namespace: default, pod: tagpoint-0}}}}\n"
        );
        fs::write(folder.join("prometheus.yml"), settings).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("prometheus")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/setup tests installs prometheus");
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }

    /// The series that a query gives now.
    fn ask(&self, query: &str) -> Vec<Value> {
        let url = format!("{}/api/v1/query", self.url);
        let said = run(Command::new("curl").args(["--silent", &url, "--data-urlencode", &format!("query={query}")]));
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {said}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The same, once there are any.
    fn wait_for(&self, query: &str) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let found = self.ask(query);
            if !found.is_empty() || begun.elapsed() > Duration::from_secs(30) {
                assert!(!found.is_empty(), "no series: {query}");
                return found;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn prometheus_takes_its_settings_and_rules() {
    let folder = root().join("deploy/prometheus");
    run(Command::new("promtool").args(["check", "config"]).arg(folder.join("prometheus.yml")));
    run(Command::new("promtool").args(["check", "rules"]).arg(folder.join("alerts.yml")));
}

#[test]
fn alerts_fire_for_what_they_say_and_not_for_less() {
    run(Command::new("promtool").args(["test", "rules"]).arg(root().join("tests/project/alerts.yml")));
}

/// The names of our metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tagpoint_")).collect()
}

/// Also those of panels and alerts that are empty here.
#[test]
fn every_metric_that_is_asked_for_is_documented() {
    let documented = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let documented = metrics(&documented);
    for file in ["grafana/tagpoint.json", "prometheus/alerts.yml", "kubernetes/prometheus-adapter.yaml"] {
        let text = fs::read_to_string(root().join("deploy").join(file)).unwrap();
        for name in metrics(&text).into_iter().filter(|name| *name != "tagpoint_waiting_pictures") {
            let parts = ["_bucket", "_sum", "_count"];
            let bare = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
            assert!(documented.contains(bare) || documented.contains(name), "{file}: {name}");
        }
    }
}

#[test]
fn dashboard_alerts_and_autoscaling_ask_for_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tagpoint();
    command.args(["serve", "--database", "none", "--model-cache"]).arg(folder.path());
    let server = Server::start(&mut command);
    let prometheus = Prometheus::start(folder.path(), &server);
    let begun = Instant::now();
    while get(&format!("{}/-/ready", prometheus.url)).0 != 200 {
        assert!(begun.elapsed() < Duration::from_secs(120), "Prometheus is not ready");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Over more than two scrapes.
    let predict = format!("{}/v1/models/scenes/predict", server.url);
    run(tagpoint().args(["bench", &predict, "samples/scenes.jpg", "--seconds", "6"]));

    let dashboard = fs::read_to_string(root().join("deploy/grafana/tagpoint.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = text(&target["expr"]).replace("$__rate_interval", "30s").replace("$model", ".*");
            if QUIET.contains(&text(&panel["title"])) {
                prometheus.ask(&query);
            } else {
                prometheus.wait_for(&query);
            }
        }
    }

    // What autoscaling goes by, as prometheus-adapter writes it out for one pod.
    let rule = &yaml("deploy/kubernetes/prometheus-adapter.yaml")[0]["rules"]["custom"][0];
    let query = text(&rule["metricsQuery"])
        .replace("<<.Series>>", "tagpoint_queue_length")
        .replace("<<.LabelMatchers>>", "namespace=\"default\",pod=~\"tagpoint-0\"")
        .replace("<<.GroupBy>>", "pod");
    assert!(!query.contains("<<"), "{query}");
    assert_eq!(prometheus.wait_for(text(&rule["seriesQuery"])).len(), 2, "one for each model");
    let found = prometheus.wait_for(&query);
    assert_eq!((found.len(), &found[0]["metric"]["pod"]), (1, &"tagpoint-0".into()), "{found:?}");

    // Nothing fires where all is well; then the server goes.
    for rule in yaml("deploy/prometheus/alerts.yml")[0]["groups"][0]["rules"].as_array().unwrap() {
        // A single scrape may come late on a busy machine.
        let begun = Instant::now();
        loop {
            let found = prometheus.ask(text(&rule["expr"]));
            if found.is_empty() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{}: {found:?}", text(&rule["alert"]));
            std::thread::sleep(Duration::from_millis(500));
        }
    }
    drop(server);
    prometheus.wait_for("ALERTS{alertname=\"TagpointDown\"}");
}
