//! The Dockerfile.

use std::process::Command;

use crate::helpers::{installed, root, run};

#[test]
fn the_dockerfile_has_no_findings() {
    run(Command::new(installed("hadolint")).args(["--failure-threshold", "warning"]).arg(root().join("Dockerfile")));
}

/// Everything but the size, which is that of a release build: `make image-check` judges it. This program may be built with
/// the trainer, whose libtorch is no part of the image.
#[test]
fn the_dockerfiles_steps_make_an_image_that_serves_read_only_and_as_no_root() {
    if run(Command::new("id").arg("-u")).trim() != "0" {
        eprintln!("not tried: scripts/check-image needs root");
        return;
    }
    let mut command = Command::new(root().join("scripts/check-image"));
    command.args(["--program", env!("CARGO_BIN_EXE_tagpoint"), "--libraries"]).arg(root().join(".deps/libtorch/lib"));
    let said = run(&mut command);
    for held in [
        "the health check fails without a server",
        "the health check passes",
        "the server runs as user 65532",
        "the server has no capabilities",
        "is answered with cat",
        "SIGTERM stops it",
    ] {
        assert!(said.contains(held), "{held} is not in {said}");
    }
}
