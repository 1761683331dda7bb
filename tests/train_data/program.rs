//! `tagpoint-train check` as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

use crate::helpers::folder;

fn check(csv: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tagpoint-train"))
        .arg("check")
        .arg("--data")
        .arg(csv)
        .args(arguments)
        .env("XDG_CACHE_HOME", csv.parent().unwrap().join("cache"))
        .output()
        .unwrap()
}

#[test]
fn a_good_data_set_ends_with_0_and_a_bad_one_with_1_and_both_write_their_report() {
    let table = "fname,labels,is_valid\n0.png,cat,0\n1.png,,0\n2.png,cat dog,1\n3.png,,1\n";
    let (folder, csv) = folder(table, 4);
    let json = folder.path().join("report.json");
    let report = || -> serde_json::Value { serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap() };
    let output = check(&csv, &["--json", json.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("errors: none") && text.contains("\"dog\" is in the validation split only"), "{text}");
    let found = report();
    assert_eq!(found["targets"][0], serde_json::json!({ "name": "cat", "train": 1, "valid": 1 }));
    assert_eq!(found["list"][0]["kind"], "label-in-one-split");
    assert_eq!((found["format"].as_str(), found["task"].as_str()), (Some("csv"), Some("multi-label")));
    assert_eq!(found["fingerprint"].as_str().map(str::len), Some(64));

    std::fs::write(folder.path().join("images/1.png"), b"no picture").unwrap();
    let output = check(&csv, &["--json", json.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("errors: 1") && text.contains("row 3, picture \"1.png\""), "{text}");
    assert_eq!((report()["list"][0]["severity"].as_str(), report()["fingerprint"].as_str()), (Some("error"), None));
}

#[test]
fn a_data_set_that_is_not_there_is_said_in_a_sentence() {
    let output = check(Path::new("/nowhere/train.csv"), &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/nowhere/train.csv: No such file"), "{text}");
}
