//! How far points are off: each of them, and all together.

use super::{
    Plot,
    axis::{Axis, Scale, number},
    chart::{Chart, Series},
    samples::Samples,
    svg::{Anchor, Drawing, shorten},
};
use crate::{model::Task, train::metrics::mean};

/// Bars below each other in one drawing.
const ROWS: usize = 24;
/// From one bar to the next.
const ROW: f64 = 17.0;
/// Width of a drawing of bars, and of its names.
const WIDTHS: (f64, f64) = (440.0, 150.0);

/// Bars of the mean error of each point, the largest first, and the share of pictures below each error.
pub(super) fn plots(samples: &Samples<'_>) -> Vec<Plot> {
    let Task::Points(points) = samples.inputs.task else { return Vec::new() };
    let unit = if points.nme_pair.is_some() { "share of the normalising distance" } else { "pixels of the original" };
    let mut errors: Vec<Vec<f64>> = vec![Vec::new(); points.names.len()];
    for place in 0..samples.losses.len() {
        let sample = samples.points(place);
        let Some(normaliser) = samples.normaliser(&sample) else { continue };
        for (point, (said, truth)) in sample.predicted.iter().zip(&sample.truth).enumerate() {
            if let Some(truth) = truth {
                errors[point].push((said.0 - truth.0).hypot(said.1 - truth.1) / normaliser);
            }
        }
    }
    let mut means: Vec<(&str, f64)> = errors
        .into_iter()
        .zip(&points.names)
        .filter_map(|(errors, name)| Some((name.as_str(), mean(errors.into_iter())?)))
        .collect();
    means.sort_by(|a, b| b.1.total_cmp(&a.1));
    let largest = means.first().map_or(1.0, |(_, error)| error.max(f64::MIN_POSITIVE));
    let bars = means.chunks(ROWS).map(|means| bars(means, largest, unit)).collect();
    vec![
        Plot { file: "point-errors", drawings: bars, columns: 3 },
        Plot { file: "cumulative-error", drawings: vec![cumulative(samples, unit)], columns: 1 },
    ]
}

fn bars(means: &[(&str, f64)], largest: f64, unit: &str) -> Drawing {
    let words: Vec<String> = means.iter().map(|(name, error)| format!("{name} {}", number(*error))).collect();
    let words = format!("Mean error of each point, {unit}: {}", words.join(", "));
    let (width, names) = WIDTHS;
    let mut drawing = Drawing::new(width, 30.0 + means.len() as f64 * ROW, &words);
    drawing.text("title", (4.0, 16.0), Anchor::Start, &format!("Mean error, {unit}"));
    for (place, (name, error)) in means.iter().enumerate() {
        let y = 28.0 + place as f64 * ROW;
        drawing.text("", (names - 6.0, y + 11.0), Anchor::End, &shorten(name, 20));
        let length = (width - names - 60.0) * error / largest;
        drawing.rectangle("bar", (names, y + 1.0), (length, ROW - 4.0));
        drawing.text("soft", (names + length + 5.0, y + 11.0), Anchor::Start, &number(*error));
    }
    drawing
}

fn cumulative(samples: &Samples<'_>, unit: &str) -> Drawing {
    let mut errors: Vec<f64> = samples.losses.iter().flatten().copied().collect();
    errors.sort_by(f64::total_cmp);
    let count = errors.len().max(1) as f64;
    let points = errors.iter().enumerate().map(|(place, error)| (*error, (place + 1) as f64 / count));
    let points: Vec<(f64, f64)> = std::iter::once((0.0, 0.0)).chain(points).collect();
    let x = Axis::covering(&format!("mean error of the picture, {unit}"), Scale::Linear, points.iter().map(|p| p.0));
    let chart =
        Chart::new("Share of pictures up to each error", x, Axis::share(""), vec![Series::line("share", points)]);
    let median = errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN);
    let mut drawing = Chart { few: false, ..chart }.drawing();
    drawing.words = format!("Cumulative error curve; half of the pictures are below {}", number(median));
    drawing
}
