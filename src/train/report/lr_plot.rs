//! The learning-rate finder's curve.

use std::path::Path;

use super::{
    ReportError,
    axis::{Axis, Scale},
    chart::{Chart, Series},
    write_file,
};
use crate::train::lr_find::CurvePoint;

/// Writes a PNG of a finder's curve over a logarithmic axis, with what its rules
/// suggest, by name.
///
/// The loss's axis ends at what the loss was at first, and a little more: a loss that goes astray would flatten the rest.
///
/// # Errors
/// A file that cannot be written.
pub fn lr_find_plot(path: &Path, curve: &[CurvePoint], suggestions: &[(&str, f64)]) -> Result<(), ReportError> {
    let curve = || curve.iter().map(|point| (point.lr, point.loss));
    let finite = || curve().filter(|(_, loss)| loss.is_finite());
    let lowest = finite().map(|(_, loss)| loss).fold(f64::INFINITY, f64::min);
    let first = finite().next().map_or(1.0, |(_, loss)| loss);
    let most = first + 0.5 * (first - lowest).max(0.1 * first.abs());
    let shown: Vec<(f64, f64)> = curve().map(|(lr, loss)| (lr, if loss <= most { loss } else { f64::NAN })).collect();
    let x = Axis::covering("learning rate", Scale::Log, curve().map(|(lr, _)| lr));
    let y = Axis::covering("loss, smoothed", Scale::Linear, shown.iter().map(|(_, loss)| *loss));
    let mut chart = Chart::new("Learning-rate finder", x, y, vec![Series::line("loss", shown)]);
    chart.marks = suggestions.iter().map(|(name, lr)| (format!("{name} {lr:.1e}"), *lr)).collect();
    let chart = Chart { size: (640.0, 400.0), legend: true, few: false, ..chart };
    write_file(path, &chart.drawing().png()?)
}
