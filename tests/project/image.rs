//! The Dockerfile.

use std::{fs, path::Path, process::Command};

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

/// The stage that builds the program is run by `make image-check` only: it takes minutes. Cargo says what it read.
#[test]
fn every_file_that_the_program_is_built_of_is_in_the_images_context() {
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let read = fs::read_to_string(Path::new(env!("CARGO_BIN_EXE_tagpoint")).with_extension("d")).unwrap();
    let (_, files) = read.split_once(": ").unwrap();
    let below_root = |file| Path::new(file).strip_prefix(root()).ok();
    let mut files: Vec<&Path> = files.split_whitespace().filter_map(below_root).collect();
    // What the build itself makes is made there, too.
    files.retain(|file| !file.starts_with("target"));
    assert!(files.contains(&Path::new("src/lib.rs")) && files.contains(&Path::new("web/dist/page.js")), "{files:?}");
    // Cargo looks for these, too, since the manifest names what lies in them.
    for file in files.into_iter().chain([Path::new("benches/micro.rs"), Path::new("examples/fine_tune.rs")]) {
        assert!(!ignored.lines().any(|pattern| file.starts_with(pattern)), "{} is in .dockerignore", file.display());
    }
}
