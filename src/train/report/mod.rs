//! What people look at: a run's page, its plots, and the events that TensorBoard reads.
//!
//! [`write()`] makes all of a finished run's folder that is not its record: history.csv, PNGs under plots/, and
//! report.html, one file that needs nothing else. Everything in them is a function of the inputs and the pictures.
//! [`Events`] listens to a run while it goes on.

mod axis;
mod card;
mod chart;
mod confusion;
mod curves;
mod events;
mod grid;
mod history;
mod html;
mod judged;
mod labels;
mod lr_plot;
mod page;
mod points;
mod samples;
mod style;
mod svg;
mod values;

use std::path::Path;

use serde_json::Value;

pub use self::{events::Events, grid::batch_grid, lr_plot::lr_find_plot};
use self::{
    samples::Samples,
    svg::{Drawing, sheet},
};
use super::{
    dataset::Dataset,
    evaluate::Evaluation,
    observer::{EpochReport, StepReport},
};
use crate::{files::write_whole, model::Task, picture::ResizeRule};

/// Everything that a report tells.
#[derive(Clone, Copy, Debug)]
pub struct ReportInputs<'a> {
    /// The page's title, such as the model's name.
    pub title: &'a str,
    /// The command line that made the run.
    pub command: &'a [String],
    /// The folder that the command's paths are relative to.
    pub working_folder: &'a Path,
    /// The run's settings: an object.
    pub settings: &'a Value,
    /// What decided every random draw; it chooses the pictures of the grid too.
    pub seed: u64,
    /// The program and its version.
    pub tool: &'a str,
    /// The epochs, in order.
    pub history: &'a [EpochReport],
    /// The steps, in order.
    pub steps: &'a [StepReport],
    /// The pictures; the validation split is the one that was judged.
    pub dataset: &'a Dataset,
    /// The task, its thresholds fitted.
    pub task: &'a Task,
    /// How pictures became the model's frames.
    pub rule: ResizeRule,
    /// The outputs for the validation split, in its order, and what they are worth.
    pub evaluation: &'a Evaluation,
    /// Sentences for the reader: about the data, the calibration, whatever else is not a number.
    pub notes: &'a [String],
}

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A drawing cannot become pixels.
    #[error("a plot cannot be drawn: {0}")]
    Draw(String),
    /// The outputs are not those of the data set's validation split and the task.
    #[error("{outputs} outputs are not {pictures} validation pictures with {each} outputs each")]
    Outputs {
        /// Numbers that there are.
        outputs: usize,
        /// Pictures in the validation split.
        pictures: usize,
        /// Outputs of a picture.
        each: usize,
    },
}

/// Drawings that belong together: a file under plots/, a row of figures on the page.
#[derive(Debug)]
struct Plot {
    /// The file's name without its ending.
    file: &'static str,
    drawings: Vec<Drawing>,
    /// Drawings beside each other in the file.
    columns: usize,
}

/// Writes history.csv, plots/*.png and report.html into a run's folder, in place of what is there by these names.
///
/// A picture that cannot be read any more is left blank.
///
/// # Errors
/// A file that cannot be written, or outputs that do not fit the data set and the task.
pub fn write(folder: &Path, inputs: &ReportInputs<'_>) -> Result<(), ReportError> {
    let samples = Samples::new(inputs)?;
    write_file(&folder.join("history.csv"), &history::csv(inputs.history))?;
    let worst = samples.worst_cards();
    let some = samples.random_cards();
    let curves = curves::plots(inputs);
    let judged = judged::plots(&samples);
    for plot in curves.iter().chain(&judged) {
        write_plot(folder, plot.file, &sheet(&plot.drawings, plot.columns))?;
    }
    for (file, cards) in [("worst", &worst), ("predictions", &some)] {
        write_plot(folder, file, &grid::drawing(cards))?;
    }
    let page = page::html(&samples, &page::Figures { curves, judged, worst, some });
    write_file(&folder.join("report.html"), page.as_bytes())
}

fn write_plot(folder: &Path, file: &str, drawing: &Drawing) -> Result<(), ReportError> {
    write_file(&folder.join("plots").join(format!("{file}.png")), &drawing.png()?)
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    write_whole(path, bytes).map_err(|source| ReportError::Io { path: path.display().to_string(), source })
}

#[cfg(test)]
mod tests;
