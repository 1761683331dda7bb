//! Folders of .pts files.

use tagpoint::train::dataset::{DataOptions, Target, TaskKind, findings::Kind, inspect, read};

use crate::helpers::{pictures, problems, the, write};

fn pts(points: &str) -> String {
    format!("version: 1\nn_points:  {}\n{{\n{points}\n}}\n", points.lines().count())
}

/// The first pixel's middle is (1, 1) in iBUG's files and (0.5, 0.5) here.
#[test]
fn points_count_from_one_and_name_the_middles_of_pixels() {
    let folder = pictures(&["helen/trainset/1.png", "helen/trainset/2.png", "afw/3.jpg.png", "afw/unlabelled.png"]);
    write(folder.path(), "helen/trainset/1.pts", &pts("1 1\n40.000 30.000"));
    write(folder.path(), "helen/trainset/2.pts", &pts("2.5 3.5\nnan nan"));
    write(folder.path(), "afw/3.jpg.pts", &pts("-1 31\n10 10"));
    let list = write(folder.path(), "valid.txt", "afw/3.jpg.png\n");
    let options = DataOptions { valid_list: Some(list), ..DataOptions::new(folder.path(), TaskKind::Points) };
    let inspection = inspect(&options).unwrap();
    let dataset = inspection.dataset.unwrap();
    assert_eq!(dataset.targets.names(), ["0", "1"]);
    assert_eq!(dataset.train[0].target, Target::Points(vec![Some((0.5, 0.5)), Some((39.5, 29.5))]));
    assert_eq!(dataset.train[1].target, Target::Points(vec![Some((2.0, 3.0)), None]));
    assert_eq!(dataset.valid[0].target, Target::Points(vec![Some((-1.5, 30.5)), Some((9.5, 9.5))]));
    assert!(the(&inspection.findings, Kind::LeftOut).message.contains("left out: 1 picture without a .pts file"));
    let shifted = read(&DataOptions { point_shift: Some(0.0), ..options }).unwrap();
    assert_eq!(shifted.train[0].target, Target::Points(vec![Some((1.0, 1.0)), Some((40.0, 30.0))]));
}

#[test]
fn files_that_do_not_fit_each_other_or_have_no_picture_are_named() {
    let folder = pictures(&["train/1.png", "train/2.png", "train/4.png", "valid/5.png"]);
    write(folder.path(), "train/1.pts", &pts("1 1\n2 2"));
    write(folder.path(), "train/2.pts", &pts("1 1"));
    write(folder.path(), "train/3.pts", &pts("1 1\n2 2"));
    write(folder.path(), "train/4.pts", "version: 1\nn_points: 2\n{\n1 1\n");
    write(folder.path(), "valid/5.pts", &pts("1 1\n2 2"));
    let texts: Vec<String> =
        problems(read(&DataOptions::new(folder.path(), TaskKind::Points))).iter().map(ToString::to_string).collect();
    let expected = [
        "train/2.pts, picture \"train/2.png\": 1 points where the first file has 2",
        "train/3.pts, picture \"train/3\": there is no picture of this name",
        "train/4.pts, picture \"train/4.png\": there is no } after its points",
    ];
    assert_eq!(texts, expected);
    let error = read(&DataOptions::new(folder.path(), TaskKind::MultiLabel)).unwrap_err().to_string();
    assert!(error.contains("--task points"), "{error}");
}
