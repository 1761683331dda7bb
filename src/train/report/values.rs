//! What was predicted beside what is true, for each value.

use super::{
    Plot,
    axis::{Axis, Scale},
    chart::{Chart, Kind, Series, thinned},
    samples::Samples,
};
use crate::{model::Task, train::dataset::Target};

/// Values that have a chart.
const MOST_CHARTS: usize = 60;

/// A dot for each picture; on the diagonal the model is right.
pub(super) fn plots(samples: &Samples<'_>) -> Vec<Plot> {
    let Task::Values(values) = samples.inputs.task else { return Vec::new() };
    let drawing = |(column, name): (usize, &String)| {
        let point = |place| match &samples.example(place).target {
            Target::Values(truth) => Some(((*truth.get(column)?)?, f64::from(samples.row(place)[column]))),
            Target::Labels(_) | Target::Points(_) => None,
        };
        let points: Vec<(f64, f64)> = (0..samples.losses.len()).filter_map(point).collect();
        let points = thinned(&points);
        // One range for both axes, so that the diagonal is where both are equal.
        let both = || points.iter().flat_map(|(truth, said)| [*truth, *said]);
        let [x, y] = ["expected", "predicted"].map(|label| Axis::covering(label, Scale::Linear, both()));
        let words = format!("{name}: predicted over expected for {} pictures", points.len());
        let series = vec![Series { name: name.clone(), kind: Kind::Dots, points }];
        let mut drawing = Chart { diagonal: true, few: false, ..Chart::new(name, x, y, series) }.drawing();
        drawing.words = words;
        drawing
    };
    let drawings = values.names.iter().enumerate().take(MOST_CHARTS).map(drawing).collect();
    vec![Plot { file: "values", drawings, columns: 2 }]
}
