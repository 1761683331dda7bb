//! The real data sets, where they are there.

use std::path::PathBuf;

use tagpoint::train::dataset::points::ibug68;
use tagpoint::train::dataset::{DataOptions, Dataset, Target, TaskKind, findings::Severity, inspect};

use crate::helpers::{labels, shared};

/// Ordinary collections have oddities, which are said; none is in the way of training.
fn read(csv: PathBuf, task: TaskKind, label_delimiter: char) -> Dataset {
    let inspection = inspect(&DataOptions { label_delimiter, ..DataOptions::new(csv, task) }).unwrap();
    println!("{}", inspection.findings);
    assert_eq!(inspection.findings.of_severity(Severity::Error).count(), 0, "{}", inspection.findings);
    inspection.dataset.unwrap()
}

#[test]
fn the_real_data_sets_are_read_whole() {
    let Some(csv) = shared("scenes") else { return };
    let scenes = read(csv, TaskKind::MultiLabel, ' ');
    assert_eq!(labels(&scenes), ["bus", "car", "cat", "person", "train"]);
    assert_eq!((scenes.train.len(), scenes.valid.len()), (1225, 293));
    assert!(scenes.valid.iter().any(|example| example.target == Target::Labels(Vec::new())));
    let Some(csv) = shared("posters") else { return };
    let posters = read(csv, TaskKind::MultiLabel, ';');
    assert_eq!((posters.train.len(), posters.valid.len()), (2947, 719));
}

/// Mirrored and with its pairs swapped, the mean face is nearly itself; without the swap it is not.
#[test]
fn flip_pairs_fit_real_faces() {
    let Some(csv) = shared("faces") else { return };
    let faces = read(csv, TaskKind::Points, ' ');
    assert_eq!((faces.train.len(), faces.valid.len(), faces.targets.len()), (3090, 498, 68));
    let mean = mean_shape(&faces);
    let mut mirrored: Vec<(f64, f64)> = mean.iter().map(|&(x, y)| (-x, y)).collect();
    let distance = |shape: &[(f64, f64)]| {
        let sum: f64 = mean.iter().zip(shape).map(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1)).sum();
        sum / mean.len() as f64
    };
    assert!(distance(&mirrored) > 0.5, "{}", distance(&mirrored));
    ibug68::flip_pairs().into_iter().for_each(|(a, b)| mirrored.swap(a, b));
    assert!(distance(&mirrored) < 0.03, "{}", distance(&mirrored));
}

/// The faces' mean, each centred and scaled to a jaw two units wide.
fn mean_shape(faces: &Dataset) -> Vec<(f64, f64)> {
    let mut mean = vec![(0.0, 0.0); 68];
    for example in &faces.train {
        let Target::Points(points) = &example.target else { panic!("labels") };
        let points: Vec<(f64, f64)> = points.iter().map(|point| point.unwrap()).collect();
        let centre = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0 / 68.0, sum.1 + p.1 / 68.0));
        let scale = 2.0 / (points[16].0 - points[0].0).hypot(points[16].1 - points[0].1);
        for (mean, point) in mean.iter_mut().zip(&points) {
            mean.0 += (point.0 - centre.0) * scale / faces.train.len() as f64;
            mean.1 += (point.1 - centre.1) * scale / faces.train.len() as f64;
        }
    }
    mean
}
