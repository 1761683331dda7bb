//! The server does what `openapi.yaml` says, all of it and nothing else: schemathesis makes up requests that fit the
//! document, and requests that do not, and looks at every answer.

use std::{path::Path, process::Command};

use tagpoint::{picture::ResizeMethod, serve::openapi_document};

use crate::helpers::{clients::installed, models, program::Program, put, put_version};

/// `TAGPOINT_CONFORMANCE=3600` asks for so many seconds; `TAGPOINT_SEED=2` asks other things.
#[test]
fn every_answer_is_one_that_the_document_promises() {
    let folder = tempfile::tempdir().unwrap();
    // Under the names that the document's examples have.
    put_version(folder.path(), "scenes", 1, &models::colours());
    put_version(folder.path(), "scenes", 2, &models::shifted_colours(-3.0));
    put(folder.path(), "faces", &models::points(ResizeMethod::Pad));
    let database = folder.path().join("test.db");
    let program = Program::serve(
        &[
            "--models",
            folder.path().to_str().unwrap(),
            "--versions",
            "2",
            "--database",
            database.to_str().unwrap(),
            "--record-share",
            "1",
            "--keys",
            "tester:predict+admin:the-key-of-the-tester",
            "--protect-metrics",
            "true",
            "--wrong-key-rate",
            "off",
        ],
        &[],
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let output = Command::new(installed("python/bin/python"))
        .args(["-B", "-m", "schemathesis.cli", "--no-color", "--config-file"])
        .arg(root.join("tests/conformance/schemathesis.toml"))
        // Read from the server, the document's own address would be left out.
        .args(["run", root.join("openapi.yaml").to_str().unwrap(), "--url", &program.url("")])
        .args(["--continue-on-failure", "--max-examples", "20"])
        .args(["--max-time", &variable("TAGPOINT_CONFORMANCE", "45"), "--seed", &variable("TAGPOINT_SEED", "1")])
        // It keeps what it learnt where it is started.
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let paths = serde_json::to_value(openapi_document()).unwrap()["paths"].clone();
    let operations: usize = paths.as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert!(out.contains(&format!("Tested: {operations}\n")), "{out}");
    assert!(!program.log().contains("internal error"), "{}", program.log());
}
