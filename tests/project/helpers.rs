//! Programs that are run, and files that are read.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of scripts/test-environment.
pub(crate) fn installed(name: &str) -> PathBuf {
    root().join(".deps/python/bin").join(name)
}

/// `tagpoint` with only these variables of ours.
pub(crate) fn tagpoint() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAGPOINT_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").current_dir(root());
    command
}

/// Runs a command that has to succeed; what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("scripts/setup tests and scripts/test-environment install what tests need");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// The documents of a YAML file.
pub(crate) fn yaml(path: &str) -> Vec<Value> {
    let program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = run(Command::new(installed("python")).args(["-c", program]).arg(root().join(path)));
    serde_json::from_str(&json).unwrap()
}

/// Text of a value that must be one.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// Status and body of an address.
pub(crate) fn get(url: &str) -> (u16, String) {
    let said = Command::new("curl").args(["--silent", "--write-out", "\n%{http_code}", url]).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// `tagpoint serve`, until it is dropped.
pub(crate) struct Server {
    process: Child,
    /// Such as http://127.0.0.1:34567.
    pub(crate) url: String,
}

impl Server {
    /// Serves the shipped models on a free port; returns once they are loaded.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = Self { process: command.spawn().unwrap(), url: String::new() };
        let mut line = String::new();
        BufReader::new(server.process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().expect("a line with an address: it ended before it served");
        let end = url.find("/v1/").expect("the address of a model");
        url[..end].clone_into(&mut server.url);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
