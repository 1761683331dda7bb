//! Rules for the sources that no lint knows.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::helpers::{root, run};

/// Where unsafe code may be: one reviewed file, the first line of `main` that its contract speaks of, and one test.
const UNSAFE: [&str; 3] = ["src/bin/tagpoint.rs", "src/raw.rs", "tests/storage.rs"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `unsafe_code = "deny"` in Cargo.toml refuses it everywhere; this holds the list of what may allow it.
#[test]
fn unsafe_code_is_allowed_in_one_reviewed_place_only() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        rust_files(&root().join(folder), &mut files);
    }
    let allowing = files.iter().filter(|path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().any(|line| line.trim_start().starts_with("#") && line.contains("allow(unsafe_code"))
    });
    let mut allowing: Vec<&str> = allowing.map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap()).collect();
    allowing.sort_unstable();
    assert_eq!(allowing, UNSAFE);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[lints.rust]\nunsafe_code = \"deny\"\n"));
}

#[test]
fn every_wheel_and_package_is_named_with_its_hash() {
    let wheels = fs::read_to_string(root().join("scripts/wheels.txt")).unwrap();
    for line in wheels.lines().filter(|line| !line.starts_with('#')) {
        let [requirement, file, digest] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(requirement.contains("==") && file.ends_with(".whl"), "{line}");
        assert!(digest.len() == 64 && digest.bytes().all(|digit| digit.is_ascii_hexdigit()), "{line}");
    }
    let requirements = fs::read_to_string(root().join("scripts/test-requirements.txt")).unwrap();
    for package in requirements.split("\n").filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic())) {
        assert!(package.contains("==") && package.ends_with('\\'), "{package} has no hash");
    }
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for package in lock.split("[[package]]").filter(|package| package.contains("\nsource = ")) {
        assert!(
            package.contains("\nchecksum = ")
                && package.contains("registry+https://github.com/rust-lang/crates.io-index")
        );
    }
}

#[test]
fn what_is_fetched_is_pinned_for_each_kind_of_machine() {
    let program = "import runpy\n\
        fetch = runpy.run_path('scripts/fetch')\n\
        for name, machines in (('onnxruntime', 2), ('libtorch', 2), ('onnxruntime-cuda', 1)):\n\
        \x20   for machine in ('x86_64', 'aarch64')[:machines]:\n\
        \x20       wheels = fetch['pinned_wheels'](machine)\n\
        \x20       assert fetch['contents'](name, machine).keys() <= wheels.keys(), (name, machine)\n\
        \x20       assert all(file.endswith(machine + '.whl') for _, file, _ in wheels.values()), wheels";
    run(Command::new("python3").args(["-c", program]).current_dir(root()));
}

#[test]
fn a_machine_without_pinned_wheels_is_told_so_unless_it_has_a_library_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    for file in ["fetch", "wheels.txt"] {
        fs::copy(root().join("scripts").join(file), scripts.join(file)).unwrap();
    }
    // As this machine's kernel answers a program of 32 bits.
    let mut command = Command::new("setarch");
    command.args(["linux32", "python3"]).arg(scripts.join("fetch")).args(["onnxruntime", "libtorch"]);
    command.env_remove("ORT_DYLIB_PATH").env("LIBTORCH", "/opt/libtorch");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("there is no pinned onnxruntime for Linux"), "{said}");
    assert!(said.contains("ORT_DYLIB_PATH"), "{said}");
    run(command.env("ORT_DYLIB_PATH", "/opt/libonnxruntime.so"));
    assert!(!folder.path().join(".deps").exists());
}

#[test]
fn a_wheel_with_another_hash_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    fs::copy(root().join("scripts/fetch"), scripts.join("fetch")).unwrap();
    let wheels = fs::read_to_string(root().join("scripts/wheels.txt")).unwrap();
    let line = wheels.lines().find(|line| line.starts_with("onnxruntime==")).unwrap();
    let (named, _) = line.rsplit_once(' ').unwrap();
    fs::write(scripts.join("wheels.txt"), format!("{named} {}\n", "0".repeat(64))).unwrap();
    let output = Command::new("python3").arg(scripts.join("fetch")).arg("onnxruntime").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("it is not used"), "{said}");
    assert!(!folder.path().join(".deps/onnxruntime").exists());
}
