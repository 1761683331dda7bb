//! The real program: started, asked and stopped as an operator would.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Stdio},
};

use crate::helpers::{client, models, pictures, program::Program, put};

fn tagpoint() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
    command.env_remove("RUST_LOG");
    command
}

#[tokio::test]
async fn the_program_serves_says_how_to_ask_and_stops_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let mut server = tagpoint()
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .env("TAGPOINT_MODELS", folder.path())
        .env("XDG_STATE_HOME", folder.path())
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().last().expect("a line with an address");
    assert!(line.contains("curl --data-binary @photo.jpg") && url.ends_with("/v1/models/colours/predict"), "{line}");

    let request = client().post(url).header("content-type", "image/png");
    let response = request.body(pictures::plain(4, 4, [255, 0, 0])).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: serde_json::Value = response.json().await.unwrap();
    assert_eq!(answer["labels"][0]["label"], "red");

    let killed = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(server.wait().unwrap().success());
    let mut log = String::new();
    server.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let messages: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logged = |message: &str| messages.iter().find(|line| line["message"] == message);
    let id = answer["request_id"].as_str().unwrap();
    assert_eq!(logged("answered").expect("a line for the request")["span"]["request_id"], id, "{log}");
    assert!(logged("stopped").is_some(), "{log}");
}

#[test]
fn settings_that_are_not_valid_are_all_named() {
    let output =
        tagpoint().args(["serve", "--listen", "nowhere", "--max-batch", "0"]).env("TAGPOINT_QUEUE_LIMIT", "x").output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["listen", "max_batch", "queue_limit"] {
        assert!(said.contains(&format!("{name}:")), "{name} in {said}");
    }
}

#[test]
fn without_onnx_runtime_the_program_says_how_to_get_it() {
    let output = tagpoint().args(["serve", "--listen", "127.0.0.1:0", "--onnxruntime", "no/such/library.so"]).output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no/such/library.so") && said.contains("scripts/fetch onnxruntime"), "{said}");
}

/// `tagpoint health` with these variables: whether all is well, and what it said.
fn health(arguments: &[&str], variables: &[(&str, &str)]) -> (bool, String) {
    let output = tagpoint().arg("health").args(arguments).envs(variables.iter().copied()).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn health_asks_the_server_of_its_own_settings_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().to_str().unwrap();
    let empty = Program::serve(&["--models", models, "--database", "none"], &[]);
    let listen = empty.address.to_string();
    assert_eq!(health(&["--alive", "--listen", &listen], &[]), (true, String::new()));
    let (ready, said) = health(&[], &[("TAGPOINT_LISTEN", &listen)]);
    assert!(!ready && said.contains("503") && said.contains("no model"), "{said}");
    empty.stop();
    put(folder.path(), "colours", &models::colours());

    // With TLS, too, whose certificate is for another name.
    let made = rcgen::generate_simple_self_signed(["tagpoint.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let full = Program::serve(&[&["--models", models, "--database", "none"], &tls[..]].concat(), &[]);
    let listen = full.address.to_string();
    let arguments = [&["--listen", &listen], &tls[..]].concat();
    let begun = std::time::Instant::now();
    while health(&arguments, &[]) != (true, String::new()) {
        assert!(begun.elapsed().as_secs() < 30, "{:?} {}", health(&arguments, &[]), full.log());
    }
    full.stop();
    let (alive, said) = health(&["--alive", "--listen", &listen], &[]);
    assert!(!alive && said.contains("no answer"), "{said}");
}
