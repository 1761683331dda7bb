//! The program `tagpoint-train` on files.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use tagpoint::onnx::arch::normalisation_of;

use crate::shapes;

/// The program, to be started where the folders of runs may be made.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagpoint-train"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command
}

pub(crate) fn tagpoint_train(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A run of seconds: a small network on small pictures.
fn fit(csv: &Path, out: &Path, more: &[&str]) -> Output {
    let (csv, out) = (csv.to_str().unwrap(), out.to_str().unwrap());
    let mut arguments = vec!["fit", "--data", csv, "--out", out, "--arch", "resnet18", "--weights", "none"];
    arguments.extend(["--size", "64", "--freeze-epochs", "1", "--epochs", "1", "--batch-size", "16"]);
    arguments.extend(more);
    tagpoint_train(&arguments)
}

#[test]
fn each_run_writes_the_next_version_which_evaluate_judges_as_fit_did() {
    let folder = shapes(60);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    for version in ["1", "2"] {
        let output = fit(&csv, &out, &[]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(out.join(version).join("model.onnx").is_file(), "{}", text(&output.stdout));
    }
    let model = tagpoint::model::ModelFile::read(&out.join("1/model.onnx")).unwrap();
    let metrics = &model.manifest.metrics["fp32"];
    let output =
        tagpoint_train(&["evaluate", out.join("1/model.onnx").to_str().unwrap(), "--data", csv.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in ["loss", "map", "accuracy_multi"] {
        let line = format!("{name:<24} {:.6}", metrics[name]);
        assert!(text(&output.stdout).contains(&line), "{line:?} is not in {}", text(&output.stdout));
    }
}

#[test]
fn a_run_can_start_from_a_model_of_ones_own_head_included() {
    let folder = shapes(60);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    assert!(fit(&csv, &out, &["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]).status.success());
    let (first, run) = (out.join("1/model.onnx"), folder.path().join("run"));
    let recorded = tagpoint::model::ModelFile::read(&first).unwrap();
    // Steps this small change nothing but the running statistics.
    let output = tagpoint_train(&[
        "fit",
        "--data",
        csv.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--arch",
        "resnet18",
        "--weights",
        first.to_str().unwrap(),
        "--size",
        "64",
        "--freeze-epochs",
        "0",
        "--epochs",
        "1",
        "--lr",
        "1e-12",
        "--batch-size",
        "16",
        "--run-folder",
        run.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let note = "model.onnx: 3 labels kept; pixels are normalised as its own were, by mean [0.5, 0.5, 0.5] and deviation \
                [0.25, 0.25, 0.25]";
    let said = text(&output.stdout);
    assert_eq!(said.matches(&format!("note: {note}\n")).count(), 1, "{said}");
    assert!(std::fs::read_to_string(run.join("report.html")).unwrap().contains(note), "the report has other notes");
    let second = tagpoint::model::ModelFile::read(&out.join("2/model.onnx")).unwrap();
    assert_eq!(second.manifest.provenance.base_weights, Some(recorded.digest));
    let graph = |file: &tagpoint::model::ModelFile| {
        let model: tagpoint::onnx::ModelProto = prost::Message::decode(file.bytes.as_slice()).unwrap();
        model.graph.unwrap()
    };
    let (old, new) = (graph(&recorded), graph(&second));
    assert_eq!(normalisation_of(&new), normalisation_of(&old));
    assert_eq!(second.manifest.provenance.settings["normalisation"]["mean"][0], 0.5);
    let weights = |graph: &tagpoint::onnx::GraphProto| {
        let head = graph.initializer.iter().find(|tensor| tensor.name() == "head.linear2.weight").unwrap();
        head.to_f32().unwrap()
    };
    let pairs = weights(&old).into_iter().zip(weights(&new));
    assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-6, "the head started anew");
}

#[test]
fn the_table_has_a_line_for_each_epoch() {
    let folder = shapes(60);
    let output = fit(&folder.path().join("labels.csv"), &folder.path().join("m"), &[]);
    let mut lines: Vec<&str> = text(&output.stdout).lines().collect();
    // What is said of the data and the run comes before the table.
    let header = lines.iter().position(|line| line.trim_start().starts_with("epoch")).unwrap();
    lines.drain(..header);
    assert!(lines[0].contains("valid_loss") && lines[0].contains("map") && lines[0].contains("pictures/s"));
    assert!(lines[1].trim_start().starts_with("1/2") && lines[1].contains("head"));
    assert!(lines[2].trim_start().starts_with("2/2") && lines[2].contains("all"));
}

#[test]
fn every_bad_row_is_named_before_the_first_epoch_and_nothing_is_written() {
    let folder = shapes(20);
    let csv = folder.path().join("labels.csv");
    let mut table = std::fs::read_to_string(&csv).unwrap();
    table.push_str("absent.png,circle,False\n00001.png.txt,circle,perhaps\n");
    std::fs::write(&csv, table).unwrap();
    std::fs::write(folder.path().join("images/00003.png"), b"not a picture").unwrap();
    let out = folder.path().join("models/shapes");
    let output = fit(&csv, &out, &[]);
    assert!(!output.status.success());
    let message = text(&output.stderr);
    for part in ["row 5, picture \"00003.png\"", "row 22", "absent.png", "row 23, column is_valid", "perhaps"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert!(!text(&output.stdout).contains("valid_loss"), "no epoch ran");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "nothing was written");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_the_first_epoch() {
    let folder = shapes(20);
    let output = fit(&folder.path().join("labels.csv"), &folder.path().join("labels.csv"), &[]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("cannot write into"), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("valid_loss"));
}

#[test]
fn a_folder_that_is_no_place_for_a_model_is_refused_before_the_data_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, out) = (folder.path().join("absent.csv"), folder.path().join("m"));
    let refused = |output: Output| {
        assert!(!output.status.success());
        text(&output.stderr).to_owned()
    };
    let named = folder.path().join("my scenes");
    let message = refused(fit(&absent, &named, &[]));
    assert!(message.contains("--out: \"my scenes\" is not a model name"), "{message}");
    let scenes = crate::root().join("models/scenes/1/model.onnx");
    let [model, data, to] = [&scenes, &absent, &named].map(|path| path.to_str().unwrap());
    let message = refused(tagpoint_train(&["thresholds", model, "--data", data, "--out", to]));
    assert!(message.contains("--out: \"my scenes\" is not a model name"), "{message}");
    // Versions and runs are numbered folders both.
    for message in [
        refused(fit(&absent, &out, &["--run-folder", out.join("1").to_str().unwrap()])),
        refused(fit(&absent, Path::new("runs/m"), &[])),
    ] {
        assert!(message.contains("is where the folders of runs lie"), "{message}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn a_table_without_a_split_needs_valid_pct() {
    let folder = shapes(60);
    let csv = folder.path().join("no-split.csv");
    let table = std::fs::read_to_string(folder.path().join("labels.csv")).unwrap();
    let rows = table.lines().map(|line| line.rsplit_once(',').unwrap().0);
    std::fs::write(&csv, rows.collect::<Vec<_>>().join("\n")).unwrap();
    let refused = fit(&csv, &folder.path().join("m"), &[]);
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("--valid-pct"), "{}", text(&refused.stderr));
    let output = fit(&csv, &folder.path().join("m"), &["--valid-pct", "0.25", "--seed", "3"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("45 training and 15 validation"), "{}", text(&output.stdout));
    // The pictures that validated then are those that are judged later.
    let model = folder.path().join("m/1/model.onnx");
    let arguments =
        ["evaluate", model.to_str().unwrap(), "--data", csv.to_str().unwrap(), "--valid-pct", "0.25"].to_vec();
    let judged = text(&tagpoint_train(&arguments).stdout).to_owned();
    let loss = tagpoint::model::ModelFile::read(&model).unwrap().manifest.metrics["fp32"]["loss"];
    assert!(judged.contains(&format!("{:<24} {loss:.6}", "loss")) && !judged.contains("another split"), "{judged}");
    let other = text(&tagpoint_train(&[&arguments[..], &["--seed", "7"]].concat()).stdout).to_owned();
    assert!(other.contains("note: the model was trained on other data, or on another split"), "{other}");
}

#[test]
fn wrong_settings_and_wrong_weights_are_named_at_once() {
    let folder = shapes(20);
    let csv = folder.path().join("labels.csv");
    let output = fit(&csv, &folder.path().join("m"), &["--lr=-1", "--dropout", "2", "--keep-frozen", "3"]);
    let message = text(&output.stderr);
    for wrong in ["lr has to", "dropout has to", "keep-frozen has to be 0, 1 or 2"] {
        assert!(message.contains(wrong), "{message}");
    }
    let weights = folder.path().join("w.safetensors");
    std::fs::write(&weights, b"no weights").unwrap();
    let out = folder.path().join("m");
    let arguments = ["fit", "--data", csv.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = tagpoint_train(&[&arguments[..], &["--weights", weights.to_str().unwrap()]].concat());
    assert!(
        text(&output.stderr).contains("w.safetensors: neither a .safetensors file nor"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_run_whose_report_cannot_be_written_is_finished_all_the_same() {
    let folder = shapes(40);
    let (csv, out, run) = (folder.path().join("labels.csv"), folder.path().join("m"), folder.path().join("run"));
    std::fs::create_dir_all(run.join("report.html")).unwrap();
    let output = fit(&csv, &out, &["--run-folder", run.to_str().unwrap()]);
    let message = text(&output.stderr);
    assert!(!output.status.success() && message.contains("but its report is not"), "{message}");
    assert!(!message.contains("--resume") && out.join("1/model.onnx").is_file(), "{message}");
}

#[test]
fn a_run_goes_on_though_nobody_reads_what_it_says() {
    let folder = shapes(40);
    let (csv, out) = (folder.path().join("labels.csv"), folder.path().join("models/shapes"));
    let mut run = program();
    run.args(["fit", "--arch", "resnet18", "--weights", "none", "--size", "32", "--epochs", "1", "--batch-size", "16"]);
    run.arg("--data").arg(&csv).arg("--out").arg(&out).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    drop(run.stdout.take());
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(out.join("1/model.onnx").is_file(), "{}", text(&output.stderr));
}
