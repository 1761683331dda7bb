//! Which label was taken for which.

use super::{
    Plot,
    html::{Cell, table},
    samples::Samples,
    svg::{Anchor, Drawing, shorten},
};
use crate::{
    model::{Label, Task},
    train::metrics::ConfusionMatrix,
};

/// Labels of which a matrix is still read.
const MOST_LABELS: usize = 25;
/// Confusions that the table names.
const MOST_PAIRS: usize = 20;
/// Width and height of a cell.
const CELL: f64 = 36.0;
/// Room for the names beside the matrix, and above it where they are turned.
const NAMES: (f64, f64) = (130.0, 110.0);

/// Pictures by the label that is right (row) and the one that the model says (column); none for other tasks.
pub(super) struct Confusion<'a> {
    labels: &'a [Label],
    matrix: &'a ConfusionMatrix,
}

impl<'a> Confusion<'a> {
    pub(super) fn new(samples: &Samples<'a>) -> Option<Self> {
        let Task::SingleLabel { labels } = samples.inputs.task else { return None };
        samples.inputs.evaluation.confusion.as_ref().map(|matrix| Self { labels, matrix })
    }

    /// The matrix, where it is not too large to be read.
    pub(super) fn plot(&self) -> Option<Plot> {
        let count = self.labels.len();
        if count > MOST_LABELS {
            return None;
        }
        let side = count as f64 * CELL;
        let words = format!("Confusion matrix of {count} labels: the table below names its largest mistakes");
        let mut drawing = Drawing::new(NAMES.0 + side + 40.0, NAMES.1 + side + 30.0, &words);
        drawing.text("title", (4.0, 16.0), Anchor::Start, "Rows: expected, columns: predicted");
        for (row, counts) in self.matrix.rows.iter().enumerate() {
            let (total, y) = (counts.iter().sum::<u64>().max(1), NAMES.1 + row as f64 * CELL);
            let name = shorten(&self.labels[row].name, 17);
            drawing.text("", (NAMES.0 - 6.0, y + CELL / 2.0 + 4.0), Anchor::End, &name);
            for (column, &pictures) in counts.iter().enumerate() {
                let x = NAMES.0 + column as f64 * CELL;
                let share = pictures as f64 / total as f64;
                drawing.add(format_args!(r#"<g fill-opacity="{share:.2}">"#));
                drawing.rectangle("cell", (x, y), (CELL, CELL));
                drawing.add(format_args!("</g>"));
                let class = match pictures {
                    0 => continue,
                    _ if share > 0.5 => "bright",
                    _ => "",
                };
                let centre = (x + CELL / 2.0, y + CELL / 2.0 + 4.0);
                drawing.text(class, centre, Anchor::Middle, &pictures.to_string());
            }
            let x = NAMES.0 + (row as f64 + 0.6) * CELL;
            drawing.add(format_args!(r#"<g transform="translate({x:.1} {:.1}) rotate(-40)">"#, NAMES.1 - 6.0));
            drawing.text("", (0.0, 0.0), Anchor::Start, &shorten(&self.labels[row].name, 14));
            drawing.add(format_args!("</g>"));
        }
        Some(Plot { file: "confusion", drawings: vec![drawing], columns: 1 })
    }

    /// The most frequent mistakes.
    pub(super) fn table(&self) -> String {
        let row = |(truth, said, pictures): (usize, usize, u64)| {
            let total: u64 = self.matrix.rows[truth].iter().sum();
            let share = pictures as f64 / total as f64;
            let names = [truth, said].map(|label| Cell::text(&self.labels[label].name));
            names.into_iter().chain([Cell::number(pictures as f64), Cell::share(Some(share))]).collect()
        };
        let rows: Vec<Vec<Cell>> = self.matrix.most_confused().into_iter().take(MOST_PAIRS).map(row).collect();
        if rows.is_empty() {
            return "<p>No label was taken for another.</p>".to_owned();
        }
        let heads = ["expected", "predicted", "pictures", "share of the expected"];
        table("The most frequent confusions", &heads, rows, true)
    }
}
