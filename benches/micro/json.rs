//! From a model's outputs to the answer's JSON.

use criterion::{BenchmarkId, Criterion};
use tagpoint::{
    answer::{Selection, answer},
    model::{Label, Points, Task, YRange},
    picture::PictureSize,
};

use crate::photos::RULE;

const ORIGINAL: PictureSize = PictureSize { width: 4000, height: 3000 };

/// A thousand labels, of which one in a hundred reaches its threshold; all of them; and 68 points.
pub(crate) fn json(criterion: &mut Criterion) {
    let cases = [
        ("labels", labels(1000), Selection::default()),
        ("all labels", labels(1000), Selection { all: true, ..Selection::default() }),
        ("points", points(68), Selection::default()),
    ];
    let mut group = criterion.benchmark_group("json");
    for (name, task, selection) in cases {
        let output: Vec<f32> =
            (0..task.output_len()).map(|i| if i % 100 == 0 { 0.75 } else { 0.001 * (i % 100) as f32 }).collect();
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let answer = answer(&task, &RULE, ORIGINAL, &output, &selection).unwrap();
                serde_json::to_vec(&answer).unwrap()
            });
        });
    }
}

fn labels(count: usize) -> Task {
    let label = |i| Label {
        name: format!("label {i}"),
        thresholds: [(Label::DEFAULT_OPERATING_POINT.to_owned(), 0.5)].into(),
        train_count: 30,
        valid_count: 10,
    };
    Task::MultiLabel { labels: (0..count).map(label).collect() }
}

fn points(count: usize) -> Task {
    Task::Points(Points {
        names: (0..count).map(|i| format!("point {i}")).collect(),
        flip_pairs: Vec::new(),
        y_range: YRange { low: -1.2, high: 1.2 },
        nme_pair: None,
    })
}
