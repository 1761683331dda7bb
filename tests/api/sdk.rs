//! Clients that others' generators make from openapi.yaml.

use std::{path::Path, process::Command};

use crate::helpers::{App, models, pictures};

/// Runs a program of the tests' Python environment, which has to succeed; what it said.
async fn python(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps/python/bin").join(program));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_python_client_predicts_reads_errors_and_changes_models() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("red.png"), pictures::plain(4, 4, [255, 0, 0])).unwrap();
    std::fs::write(path("broken.png"), "this is no picture").unwrap();
    let generate = ["generate", "--path", "openapi.yaml", "--output-path", &path("client"), "--meta", "none"];
    let said = python("openapi-python-client", &generate).await;
    assert!(!said.contains("will not be generated") && !said.contains("Unable to"), "{said}");
    let script =
        ["tests/sdk/client.py", &app.url(""), folder.path().to_str().unwrap(), &path("red.png"), &path("broken.png")];
    assert!(python("python", &script).await.ends_with("ok\n"));
}
