//! What the model is worth, by task: its plots and its tables.

use super::{Plot, confusion::Confusion, labels::Judged, points, samples::Samples, values};

/// The plots of the task.
pub(super) fn plots(samples: &Samples<'_>) -> Vec<Plot> {
    let mut plots = Vec::new();
    plots.extend(Confusion::new(samples).and_then(|confusion| confusion.plot()));
    plots.extend(Judged::new(samples).map(|judged| judged.curves()));
    plots.extend(points::plots(samples));
    plots.extend(values::plots(samples));
    plots.retain(|plot| !plot.drawings.is_empty());
    plots
}

/// The tables of the task, as HTML; empty where it has none.
pub(super) fn tables(samples: &Samples<'_>) -> String {
    let labels = Judged::new(samples).map(|judged| judged.table());
    let confusion = Confusion::new(samples).map(|confusion| confusion.table());
    labels.into_iter().chain(confusion).collect()
}
