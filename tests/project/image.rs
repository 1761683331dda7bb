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
        "licences are there: LICENSE-APACHE, LICENSE-MIT, crates.txt, onnxruntime, rust.html",
        "the health check fails without a server",
        "the health check passes",
        "the server runs as user 65532",
        "the server has no capabilities",
        "is answered with cat",
        "a job of a ZIP archive is completed",
        "its results come as a Parquet table",
        "SIGTERM stops it",
    ] {
        assert!(said.contains(held), "{held} is not in {said}");
    }
}

#[test]
fn the_licences_are_those_of_what_is_linked_and_of_what_it_bundles() {
    let said = run(Command::new(root().join("scripts/licences")).current_dir(root()));
    for linked in ["serde 1.", "libjpeg-turbo/LICENSE.md", "jemalloc/COPYING"] {
        assert!(said.contains(linked), "{linked}");
    }
    for other in ["\nserde_derive 1.", "\ncriterion ", "\ntch 0."] {
        assert!(!said.contains(other), "{other} is no part of the program");
    }
    assert!(said.len() < 2 << 20, "{} bytes", said.len());
}

/// The stage that builds the program is run by `make image-check` only: it takes minutes. The compiler says what it read for
/// the library, in which everything but `main` is.
#[test]
fn every_file_that_the_program_is_built_of_is_in_the_images_context() {
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let files = what_the_library_was_compiled_of();
    assert!(
        files.iter().any(|file| file == "src/lib.rs") && files.iter().any(|file| file == "web/dist/page.js"),
        "{files:?}"
    );
    // Cargo looks for these, too, since the manifest names what lies in them.
    for file in files.iter().map(String::as_str).chain(["benches/micro.rs", "examples/fine_tune.rs"]) {
        assert!(!ignored.lines().any(|pattern| Path::new(file).starts_with(pattern)), "{file} is in .dockerignore");
    }
}

/// Of the last build. Cargo's own list beside the program is no help: `cargo test` does not write it.
fn what_the_library_was_compiled_of() -> Vec<String> {
    let outputs = Path::new(env!("CARGO_BIN_EXE_tagpoint")).with_file_name("deps");
    let lists = fs::read_dir(outputs).unwrap().map(|entry| entry.unwrap().path());
    let lists = lists.filter(|path| path.extension().is_some_and(|extension| extension == "d"));
    let of_the_library = lists.filter_map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.contains("/libtagpoint-") && line.contains(".rlib: "))?;
        let (_, files) = line.split_once(": ")?;
        Some((path.metadata().unwrap().modified().unwrap(), files.to_owned()))
    });
    let (_, files) = of_the_library.max_by_key(|(written, _)| *written).unwrap();
    let below_root = |file: &str| {
        let file = Path::new(file);
        let below = if file.is_absolute() { file.strip_prefix(root()).ok()? } else { file };
        // What the build itself makes is made there, too.
        (!below.starts_with("target")).then(|| below.display().to_string())
    };
    files.split_whitespace().filter_map(below_root).collect()
}
