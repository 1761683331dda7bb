//! Runs of the program that are stopped, killed or find no room on the disk.

use std::{
    io::Read as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tagpoint::model::{Digest, ModelFile};

use crate::{
    program::{program, tagpoint_train, text},
    shapes,
};

/// The arguments of a run of some seconds, into `folder`/NAME and `folder`/run-NAME.
fn arguments(folder: &Path, name: &str) -> Vec<String> {
    let path = |file: &str| folder.join(file).display().to_string();
    let (data, out, run) = (path("labels.csv"), path(name), path(&format!("run-{name}")));
    ["fit", "--data", &data, "--out", &out, "--run-folder", &run, "--arch", "resnet18", "--weights", "none"]
        .into_iter()
        .chain(["--size", "64", "--freeze-epochs", "1", "--epochs", "5", "--batch-size", "16"])
        .map(str::to_owned)
        .collect()
}

fn run(folder: &Path, name: &str) -> Output {
    program().args(arguments(folder, name)).output().unwrap()
}

fn resume(folder: &Path, name: &str) -> Output {
    tagpoint_train(&["fit", "--resume", folder.join(format!("run-{name}")).to_str().unwrap()])
}

/// The digest of a finished run's graph: of all of its weights.
fn weights(folder: &Path, name: &str) -> Digest {
    ModelFile::read(&folder.join(name).join("1/model.onnx")).unwrap().manifest.graph_digest
}

/// Starts a run and sends it a signal as soon as it has a checkpoint; what it says and how it ends.
fn interrupt(folder: &Path, name: &str, signal: &str) -> (Child, String) {
    let mut child = program().args(arguments(folder, name)).stdout(Stdio::piped()).spawn().unwrap();
    let checkpoint = folder.join(format!("run-{name}/checkpoint.safetensors"));
    let start = Instant::now();
    while !checkpoint.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its first checkpoint");
        assert!(start.elapsed() < Duration::from_secs(300), "no checkpoint after five minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    (child, said)
}

#[test]
fn a_stopped_and_a_killed_run_come_to_the_weights_of_an_uninterrupted_one() {
    let data = shapes(60);
    let folder = data.path();
    let output = run(folder, "straight");
    assert!(output.status.success(), "{}", text(&output.stderr));

    let (mut stopped, said) = interrupt(folder, "stopped", "-INT");
    assert_eq!(stopped.wait().unwrap().code(), Some(130), "{said}");
    let line = format!("go on with: tagpoint-train fit --resume {}", folder.join("run-stopped").display());
    assert!(said.contains(&line), "{said}");
    let (mut killed, _) = interrupt(folder, "killed", "-KILL");
    assert_eq!(killed.wait().unwrap().code(), None);

    for name in ["stopped", "killed"] {
        assert!(!folder.join(name).join("1").exists(), "{name}: a model was written");
        let output = resume(folder, name);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(weights(folder, name), weights(folder, "straight"), "{name}");
        let again = resume(folder, name);
        assert!(again.status.success() && text(&again.stdout).contains("is finished"), "{}", text(&again.stdout));
    }
}

#[test]
fn a_run_without_a_checkpoint_does_not_start_again_on_other_data() {
    let data = shapes(60);
    let folder = data.path();
    interrupt(folder, "changed", "-INT");
    std::fs::remove_file(folder.join("run-changed/checkpoint.safetensors")).unwrap();
    let csv = folder.join("labels.csv");
    let table = std::fs::read_to_string(&csv).unwrap();
    std::fs::write(&csv, &table[..table.trim_end().rfind('\n').unwrap() + 1]).unwrap();
    let output = resume(folder, "changed");
    let message = text(&output.stderr);
    assert!(
        !output.status.success() && message.contains("the data set changed since the run was started"),
        "{message}"
    );
}

/// A limit on the size of files refuses a write half-way, as a full disk does.
#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_what_was_saved_stays() {
    let data = shapes(60);
    let folder = data.path();
    interrupt(folder, "full", "-INT");
    let checkpoint = folder.join("run-full/checkpoint.safetensors");
    let saved = std::fs::read(&checkpoint).unwrap();

    let program = program();
    let limited = "trap '' XFSZ; ulimit -f 1000; exec \"$@\"";
    let output = Command::new("bash")
        .args(["-c", limited, "bash", program.get_program().to_str().unwrap(), "fit", "--resume"])
        .arg(folder.join("run-full"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let message = text(&output.stderr);
    assert!(message.contains("checkpoint.safetensors: File too large"), "{message}");
    assert!(message.contains("go on with: tagpoint-train fit --resume"), "{message}");
    assert!(std::fs::read(&checkpoint).unwrap() == saved, "the checkpoint changed");
    let left = std::fs::read_dir(folder.join("run-full")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "half a file was left");

    let output = resume(folder, "full");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_folder_that_is_no_run_or_has_one_already_is_refused() {
    let data = shapes(20);
    let folder = data.path();
    let output = tagpoint_train(&["fit", "--resume", folder.to_str().unwrap()]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("not the folder of a run"), "{}", text(&output.stderr));
    std::fs::create_dir(folder.join("run-twice")).unwrap();
    std::fs::write(folder.join("run-twice/run.json"), "{}").unwrap();
    let output = run(folder, "twice");
    assert!(text(&output.stderr).contains("has a run already: go on with fit --resume"), "{}", text(&output.stderr));
    let output = tagpoint_train(&["fit", "--resume", folder.to_str().unwrap(), "--epochs", "3"]);
    assert!(text(&output.stderr).contains("cannot be used with"), "{}", text(&output.stderr));
}
