//! Every way to say which pictures validate.

use std::collections::BTreeSet;

use tagpoint::train::dataset::{DataOptions, Dataset, DatasetError, Needed, TaskKind, findings::Kind, inspect, read};

use crate::helpers::{files, folder, labelled, pictures, problems, read_table, the, write};

#[test]
fn an_empty_split_is_refused_and_a_drawn_one_needs_a_fraction() {
    for (is_valid, named) in [("False", "validation split is empty"), ("True", "training split is empty")] {
        let table = format!("fname,labels,is_valid\n0.png,a,{is_valid}\n1.png,,{is_valid}\n");
        let error = read_table(&table, 2, TaskKind::MultiLabel).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    let table = "fname,labels\n0.png,a\n1.png,b\n2.png,a\n3.png,\n";
    let error = read_table(table, 4, TaskKind::MultiLabel).unwrap_err();
    assert!(matches!(&error, DatasetError::Split(text) if text.contains("--valid-pct")), "{error}");
    let (_folder, csv) = folder(table, 4);
    let options = DataOptions { valid_pct: Some(0.25), seed: 7, ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (3, 1));
    assert_eq!(dataset.fingerprint, read(&options).unwrap().fingerprint);
}

#[test]
fn a_set_that_only_judges_needs_no_other_split_and_nothing_to_learn() {
    let of = |table: &str, task, needed| {
        let (_folder, csv) = folder(table, 3);
        read(&DataOptions { needed, ..DataOptions::new(csv, task) })
    };
    let plain = "fname,label\n0.png,cat\n1.png,cat\n2.png,cat\n";
    let dataset = of(plain, TaskKind::SingleLabel, Needed::Any).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (0, 3));
    let error = of(plain, TaskKind::SingleLabel, Needed::Valid).unwrap_err().to_string();
    assert!(error.contains("--split all"), "{error}");
    let judged = |is_valid, needed| {
        let rows: String = (0..3).map(|i| format!("{i}.png,7,{is_valid}\n")).collect();
        of(&format!("fname,age,is_valid\n{rows}"), TaskKind::Values, needed)
    };
    assert_eq!(judged("True", Needed::Valid).unwrap().valid.len(), 3);
    assert_eq!(judged("False", Needed::Train).unwrap().train.len(), 3);
    for (is_valid, needed, named) in [
        ("True", Needed::Train, "the training split is empty"),
        ("False", Needed::Valid, "the validation split is empty"),
    ] {
        let error = judged(is_valid, needed).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

/// 60 pictures of 12 persons; the person is in a column and in the file's name.
fn persons() -> (tempfile::TempDir, DataOptions) {
    let folder = tempfile::tempdir().unwrap();
    let mut table = "fname,labels,person\n".to_owned();
    for i in 0..60 {
        let file = format!("p{}_{i}.png", i % 12);
        crate::helpers::picture(&folder.path().join(&file), i);
        table += &format!("{file},{},p{}\n", ["glasses", "beard glasses", ""][i % 12 % 3], i % 12);
    }
    let csv = write(folder.path(), "train.csv", &table);
    let options = DataOptions { valid_pct: Some(0.25), seed: 3, ..DataOptions::new(csv, TaskKind::MultiLabel) };
    (folder, options)
}

fn persons_of(dataset: &Dataset) -> [BTreeSet<String>; 2] {
    let person = |example: &tagpoint::train::dataset::Example| {
        example.file.to_str().unwrap().split('_').next().unwrap().to_owned()
    };
    [&dataset.train, &dataset.valid].map(|split| split.iter().map(person).collect())
}

#[test]
fn no_group_is_drawn_into_both_splits() {
    let (_folder, options) = persons();
    for options in [
        DataOptions { group_column: Some("person".into()), ..options.clone() },
        DataOptions { group_column: Some("person".into()), seed: 4, ..options.clone() },
    ] {
        let dataset = read(&options).unwrap();
        let [train, valid] = persons_of(&dataset);
        assert!(train.is_disjoint(&valid), "{train:?} {valid:?}");
        assert_eq!((train.len(), valid.len(), dataset.valid.len()), (9, 3, 15));
        // One person of each of the three kinds.
        assert_eq!(dataset.targets.counts(&dataset.valid), [5, 10]);
    }
}

#[test]
fn groups_come_from_file_names_too() {
    let folder = pictures(&["ann_1.png", "ann_2.png", "bob_1.png", "bob_2.png", "cleo_1.png", "cleo_2.png"]);
    let rows =
        ["ann_1", "ann_2", "bob_1", "bob_2", "cleo_1", "cleo_2"].map(|name| format!("{name}.png,1,2\n")).concat();
    let csv = write(folder.path(), "points.csv", &format!("fname,x0,y0\n{rows}"));
    let options = DataOptions {
        valid_pct: Some(0.34),
        group_pattern: Some("^(.+)_[0-9]".into()),
        ..DataOptions::new(csv, TaskKind::Points)
    };
    let [train, valid] = persons_of(&read(&options).unwrap());
    assert_eq!((train.len(), valid.len()), (2, 1));
    let error = |pattern: &str| read(&DataOptions { group_pattern: Some(pattern.into()), ..options.clone() });
    assert!(error("^.+_").unwrap_err().to_string().contains("parentheses"));
    assert!(error("^(z.+)_").unwrap_err().to_string().contains("fits no file, such as \"ann_1.png\""));
    let options = DataOptions { group_pattern: Some("^(a.+)_".into()), ..options.clone() };
    let findings = inspect(&options).unwrap().findings;
    let note = &the(&findings, Kind::LeftOut).message;
    assert!(note.contains("does not fit 4 pictures, such as \"bob_1.png\": each stands alone"), "{note}");
}

#[test]
fn a_group_in_both_splits_of_the_table_is_reported() {
    let table = "fname,labels,person,is_valid\n0.png,a,ann,0\n1.png,,bob,0\n2.png,a,ann,1\n3.png,,cleo,1\n";
    let (_folder, csv) = folder(table, 4);
    let options = DataOptions { group_column: Some("person".into()), ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let inspection = inspect(&options).unwrap();
    let finding = the(&inspection.findings, Kind::GroupAcross);
    assert!(finding.message.contains("1 group is in both splits (ann)"), "{}", finding.message);
    assert_eq!(files(finding), ["2.png"]);
    assert!(inspection.dataset.is_ok(), "leakage is said, not forbidden");
}

#[test]
fn a_group_that_is_not_given_is_a_problem() {
    let (_folder, csv) = folder("fname,labels,person\n0.png,a,ann\n1.png,a,\n", 2);
    let options = DataOptions {
        valid_pct: Some(0.5),
        group_column: Some("person".into()),
        ..DataOptions::new(&csv, TaskKind::MultiLabel)
    };
    assert!(problems(read(&options))[0].to_string().contains("row 3, column person"));
    let unknown = read(&DataOptions { group_column: Some("who".into()), ..options }).unwrap_err();
    assert!(unknown.to_string().contains("no column \"who\""), "{unknown}");
}

#[test]
fn a_second_table_validates() {
    let (folder, csv) = folder("fname,labels\n0.png,a\n1.png,b\n", 4);
    let valid = write(folder.path(), "valid.csv", "fname,labels\n2.png,a\n3.png,c\n");
    let options = DataOptions { valid_data: Some(valid), ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!(labelled(&dataset)[2], ("2.png".to_owned(), vec!["a"]));
    assert_eq!((dataset.train.len(), dataset.valid.len(), dataset.targets.len()), (2, 2, 3));
    write(folder.path(), "valid.csv", "fname,labels\n1.png,b\n3.png,c\n");
    let found = problems(read(&options));
    assert!(found[0].problem.contains("the same file is in the training split"), "{found:?}");
}

#[test]
fn a_second_table_that_says_itself_which_pictures_train_is_refused() {
    let (folder, csv) = folder("fname,labels\n0.png,a\n1.png,b\n", 4);
    let valid = write(folder.path(), "all.csv", "fname,labels,is_valid\n2.png,a,False\n3.png,b,True\n");
    let options = DataOptions { valid_data: Some(valid), ..DataOptions::new(csv, TaskKind::MultiLabel) };
    let error = read(&options).unwrap_err().to_string();
    assert!(error.contains("all.csv") && error.contains("--data without --valid-data"), "{error}");
    write(folder.path(), "all.csv", "fname,labels,is_valid\n2.png,a,True\n3.png,b,True\n");
    assert_eq!(read(&options).unwrap().valid.len(), 2);
}

#[test]
fn a_share_of_many_labels_with_few_pictures_each_is_drawn() {
    let rows: String = (0..80).map(|i| format!("{i}.png,label{}\n", i / 4)).collect();
    let (_folder, csv) = folder(&format!("fname,label\n{rows}"), 80);
    let options = DataOptions { valid_pct: Some(0.1), ..DataOptions::new(csv, TaskKind::SingleLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!((dataset.train.len(), dataset.valid.len()), (72, 8));
    assert!(dataset.targets.counts(&dataset.valid).iter().all(|&count| count <= 1));
}

#[test]
fn a_second_table_in_another_folder_may_name_its_files_from_the_root_on() {
    let photos = pictures(&["0.png", "1.png"]);
    let path = |file: &str| photos.path().join(file).display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let train = write(folder.path(), "train/train.csv", &format!("fname,labels\n{},a\n", path("0.png")));
    let valid = write(folder.path(), "valid/valid.csv", &format!("fname,labels\n{},b\n", path("1.png")));
    let options = DataOptions { valid_data: Some(valid), ..DataOptions::new(train, TaskKind::MultiLabel) };
    let dataset = read(&options).unwrap();
    assert_eq!(dataset.path(&dataset.valid[0]), photos.path().join("1.png"));
    assert_eq!(labelled(&dataset)[0], (path("0.png"), vec!["a"]));
}

#[test]
fn rare_labels_are_in_both_splits_of_a_drawn_one() {
    let label = |i: usize| ["common", "common rare"][usize::from(i.is_multiple_of(10))];
    let rows: String = (0..50).map(|i| format!("{i}.png,{}\n", label(i))).collect();
    let (_folder, csv) = folder(&format!("fname,labels\n{rows}"), 50);
    for seed in 0..5 {
        let options = DataOptions { valid_pct: Some(0.2), seed, ..DataOptions::new(&csv, TaskKind::MultiLabel) };
        let dataset = read(&options);
        // Every picture is common: only "rare" can be learnt.
        let dataset = dataset.unwrap();
        assert_eq!(dataset.targets.counts(&dataset.valid), [10, 1], "seed {seed}");
    }
}
