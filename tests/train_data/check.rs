//! What a look at a data set finds.

use tagpoint::train::dataset::{
    DataOptions, DatasetError, TaskKind,
    findings::{Kind, Severity},
    inspect,
};

use crate::helpers::{files, findings_of, folder, picture, read_table, the};

const HEADER: &str = "fname,labels,is_valid\n";

#[test]
fn a_label_in_one_split_only_is_reported_and_training_goes_on() {
    let table = format!("{HEADER}0.png,cat dog,0\n1.png,,0\n2.png,dog,1\n3.png,bird,1\n");
    let findings = findings_of(&table, 4, TaskKind::MultiLabel);
    let found: Vec<_> = findings.of_kind(Kind::LabelInOneSplit).collect();
    assert!(found[0].message.contains("\"bird\" is in the validation split only"));
    assert!(found[1].message.contains("\"cat\" is in the training split only"));
    assert_eq!((files(found[0]), files(found[1])), (vec!["3.png"], vec!["0.png"]));
    assert!(found.iter().all(|finding| finding.severity == Severity::Warning));
    assert!(read_table(&table, 4, TaskKind::MultiLabel).is_ok());
}

#[test]
fn a_one_label_data_set_needs_pictures_without_it() {
    let binary = format!("{HEADER}0.png,cat,0\n1.png,,0\n2.png,cat,1\n3.png,,1\n");
    assert_eq!(read_table(&binary, 4, TaskKind::MultiLabel).unwrap().targets.len(), 1);
    let error = |table: &str, task| match read_table(&format!("{HEADER}{table}"), 4, task) {
        Err(DatasetError::Unusable(reasons)) => reasons.join("; "),
        other => panic!("{other:?}"),
    };
    let all = "0.png,cat,0\n1.png,cat,0\n2.png,cat,1\n3.png,cat,1\n";
    assert!(error(all, TaskKind::MultiLabel).contains("every training picture has the label \"cat\""));
    assert!(error(all, TaskKind::SingleLabel).contains("needs two labels or more"));
    let none = "0.png,,0\n1.png,,0\n2.png,cat,1\n";
    assert!(error(none, TaskKind::MultiLabel).contains("no training picture has a label"));
    assert!(error("0.png,,0\n1.png,,1\n", TaskKind::MultiLabel).contains("no row has a label"));
}

#[test]
fn labels_that_say_nothing_are_warned_of() {
    let table = format!("{HEADER}0.png,a photo,0\n1.png,photo,0\n2.png,photo,1\n3.png,a,1\n");
    let findings = findings_of(&table, 4, TaskKind::MultiLabel);
    assert!(the(&findings, Kind::Constant).message.contains("\"photo\" is on every training picture"));
    let table = format!("{HEADER}0.png,a,0\n1.png,b,0\n2.png,a,1\n3.png,b,1\n");
    let findings = findings_of(&table, 4, TaskKind::MultiLabel);
    assert!(the(&findings, Kind::OneLabelEach).message.contains("--task single-label"));
    let table = "fname,defect,is_valid\n0.png,1,0\n1.png,0,0\n2.png,1,1\n3.png,0,1\n";
    let findings = findings_of(table, 4, TaskKind::MultiLabel);
    assert!(the(&findings, Kind::OneLabelEach).message.contains("write its name in place of 1"));
}

#[test]
fn counts_and_pairs_are_tallied() {
    let table = format!("{HEADER}0.png,a b,0\n1.png,b,0\n2.png,a b,1\n3.png,,1\n");
    let findings = findings_of(&table, 4, TaskKind::MultiLabel);
    let counts: Vec<_> = findings.targets.iter().map(|count| (count.name.as_str(), count.train, count.valid)).collect();
    assert_eq!(counts, [("a", 1, 1), ("b", 2, 1)]);
    let [pair] = findings.together.as_slice() else { panic!("{:?}", findings.together) };
    assert_eq!((pair.labels.clone(), pair.count), (["a".to_owned(), "b".to_owned()], 2));
    assert_eq!(the(&findings, Kind::Unlabelled).severity, Severity::Note);
    let text = findings.to_string();
    assert!(text.contains("pictures: 2 to train, 2 to validate, 40 × 30 to 40 × 30 pixels, 0 turned"), "{text}");
    assert!(text.contains("errors: none"), "{text}");
}

#[test]
fn the_same_bytes_are_found_within_and_across_the_split() {
    let table = format!("{HEADER}0.png,a,0\n1.png,,0\n2.png,a,1\n3.png,,1\n4.png,a,0\n5.png,a,0\n5.png,a,0\n");
    let (folder, csv) = folder(&table, 6);
    let copy = |from: &str, to: &str| {
        std::fs::copy(folder.path().join("images").join(from), folder.path().join("images").join(to)).unwrap();
    };
    copy("0.png", "4.png");
    copy("1.png", "2.png");
    let inspection = inspect(&DataOptions::new(csv, TaskKind::MultiLabel)).unwrap();
    let findings = inspection.findings;
    let across = the(&findings, Kind::DuplicatesAcross);
    assert_eq!(files(across), ["1.png"]);
    assert_eq!(across.files[0].what.as_deref(), Some("(training) = 2.png (validation)"));
    let within = the(&findings, Kind::Duplicates);
    assert_eq!((files(within), within.files[0].what.as_deref()), (vec!["0.png"], Some("= 4.png")));
    assert_eq!(files(the(&findings, Kind::Contradictions)), ["1.png"], "no label, and \"a\"");
    assert_eq!(files(the(&findings, Kind::ListedTwice)), ["5.png"]);
    assert!(inspection.dataset.is_ok(), "duplicates are warnings");
}

#[test]
fn one_picture_with_two_labels_that_exclude_each_other_is_an_error() {
    let (folder, csv) = folder("fname,label,is_valid\n0.png,cat,0\n1.png,dog,0\n2.png,cat,1\n", 3);
    std::fs::copy(folder.path().join("images/0.png"), folder.path().join("images/1.png")).unwrap();
    let inspection = inspect(&DataOptions::new(csv, TaskKind::SingleLabel)).unwrap();
    let finding = the(&inspection.findings, Kind::Contradictions);
    assert_eq!((finding.severity, files(finding)), (Severity::Error, vec!["0.png"]));
    let error = inspection.dataset.unwrap_err().to_string();
    assert!(error.contains("0.png = 1.png"), "{error}");
}

#[test]
fn a_copy_in_another_size_is_found_across_the_split() {
    let (folder, csv) = folder(&format!("{HEADER}0.png,a,0\n1.png,,0\n2.png,a,1\n3.png,,1\n"), 4);
    let blob = |x: f32, y: f32| (255.0 * (-6.0 * ((x - 0.4).powi(2) + (y - 0.6).powi(2))).exp()) as u8;
    for (file, side) in [("0.png", 120), ("2.png", 70)] {
        let shade = |x, y| image::Rgb([blob(x as f32 / side as f32, y as f32 / side as f32); 3]);
        image::RgbImage::from_fn(side, side, shade).save(folder.path().join("images").join(file)).unwrap();
    }
    let findings = inspect(&DataOptions::new(csv, TaskKind::MultiLabel)).unwrap().findings;
    let alike = the(&findings, Kind::AlikeAcross);
    assert_eq!(alike.files[0].what.as_deref(), Some("(training) = 2.png (validation)"));
    assert_eq!(findings.of_kind(Kind::DuplicatesAcross).count(), 0);
}

#[test]
fn the_same_file_with_other_targets_is_an_error() {
    let table = format!("{HEADER}0.png,a,0\n0.png,b,0\n1.png,a b,1\n2.png,,0\n");
    let findings = findings_of(&table, 3, TaskKind::MultiLabel);
    let error = findings.of_severity(Severity::Error).next().unwrap();
    assert_eq!(error.kind, Kind::Row);
    assert!(error.message.contains("row 3, picture \"0.png\": the same file has other targets, row 2"));
}

#[test]
fn missing_points_and_points_outside_the_frame_are_counted_by_name_and_file() {
    let table = "fname,nose_x,nose_y,ear_x,ear_y,is_valid\n0.png,1,2,41,5,0\n1.png,,,40,30,0\n2.png,-1,2,,,1\n\
                 3.png,,,,,0\n4.png,0,0,0,0,1\n";
    let findings = findings_of(table, 5, TaskKind::Points);
    let missing = the(&findings, Kind::Missing);
    assert!(missing.message.contains("4 points are not given, in 3 pictures: nose 2×, ear 2×"), "{}", missing.message);
    assert_eq!(files(missing), ["1.png", "2.png", "3.png"]);
    assert_eq!(missing.files[2].what.as_deref(), Some("nose, ear"));
    let outside = the(&findings, Kind::OutsideFrame);
    assert_eq!(files(outside), ["0.png", "2.png"], "the edge itself is inside");
    assert_eq!(files(the(&findings, Kind::Unlabelled)), ["3.png"]);
    assert_eq!(the(&findings, Kind::Unlabelled).severity, Severity::Warning);
    assert_eq!(files(the(&findings, Kind::Placeholder)), ["4.png"]);
    assert!(findings.of_severity(Severity::Error).next().is_none());
}

#[test]
fn values_that_are_missing_or_never_change_are_said() {
    let table = "fname,age,year,is_valid\n0.png,3,2020,0\n1.png,,2020,0\n2.png,5,2020,0\n3.png,1,2021,1\n";
    let findings = findings_of(table, 4, TaskKind::Values);
    assert_eq!(files(the(&findings, Kind::Missing)), ["1.png"]);
    let constant = the(&findings, Kind::Constant);
    assert!(constant.message.contains("\"year\" is 2020 in every training picture"), "{}", constant.message);
    let error = read_table("fname,year,is_valid\n0.png,7,0\n1.png,7,0\n2.png,8,1\n", 3, TaskKind::Values).unwrap_err();
    assert!(error.to_string().contains("nothing to learn"), "{error}");
}

#[test]
fn pictures_that_exif_turns_are_named_and_matter_for_points() {
    let bytes = std::fs::read("tests/fixtures/pictures/pictures/orientation-6.jpg").unwrap();
    for (task, table, severity) in [
        (TaskKind::MultiLabel, format!("{HEADER}0.png,a,0\n1.png,,0\nturned.jpg,a,1\n"), Severity::Note),
        (TaskKind::Points, "fname,x0,y0,is_valid\n0.png,1,2,0\nturned.jpg,1,2,1\n".to_owned(), Severity::Warning),
    ] {
        let (folder, csv) = folder(&table, 2);
        std::fs::write(folder.path().join("images/turned.jpg"), &bytes).unwrap();
        let findings = inspect(&DataOptions::new(csv, task)).unwrap().findings;
        let turned = the(&findings, Kind::Turned);
        assert_eq!((files(turned), turned.severity), (vec!["turned.jpg"], severity));
        assert_eq!(turned.files[0].what.as_deref(), Some("EXIF orientation 6"));
        assert_eq!(findings.pictures.turned, 1);
    }
}

#[test]
fn empty_and_broken_pictures_are_errors_and_the_rest_is_looked_at_all_the_same() {
    let (folder, csv) = folder(&format!("{HEADER}0.png,a,0\n1.png,b,0\n2.png,a,1\n3.png,b,1\ngone.png,a,0\n"), 4);
    std::fs::write(folder.path().join("images/1.png"), b"").unwrap();
    picture(&folder.path().join("images/3.png"), 2);
    let findings = inspect(&DataOptions::new(csv, TaskKind::MultiLabel)).unwrap().findings;
    let errors: Vec<&str> = findings.of_severity(Severity::Error).map(|finding| finding.message.as_str()).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("row 3") && errors[0].contains("empty"), "{errors:?}");
    assert!(errors[1].starts_with("row 6") && errors[1].contains("no such file"), "{errors:?}");
    assert_eq!(files(the(&findings, Kind::Duplicates)), ["2.png"]);
}
