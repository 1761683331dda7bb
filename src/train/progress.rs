//! The progress bar and the table of epochs on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::observer::{EpochReport, Observer, StepReport};
use crate::output::say;

/// Draws a bar for the running epoch on standard error, and prints a table line for each finished one.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    header_printed: bool,
}

impl Progress {
    /// A bar on standard error; nothing but the table where that is no terminal.
    pub fn new() -> Self {
        // A run that ends early leaves no bar behind.
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_finish(ProgressFinish::AndClear);
        let template = "{prefix} {bar:30} {pos}/{len} steps  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, header_printed: false }
    }

    /// Prints a line above the bar, or plainly where there is no terminal to draw a bar on.
    fn line(&self, line: &str) {
        self.bar.suspend(|| say!("{line}"));
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for Progress {
    fn step(&mut self, report: &StepReport) {
        // A run that goes on within an epoch has no first step.
        if report.step == 1 || self.bar.length().is_none() {
            self.bar.set_length(report.steps);
            self.bar.reset();
        }
        let speed = report.pictures as f64 * self.bar.per_sec();
        self.bar.set_message(format!("loss {:.4}  {speed:.0} pictures/s", report.loss));
        self.bar.set_position(report.step);
    }

    fn epoch(&mut self, report: &EpochReport) {
        if !self.header_printed {
            let names: String = report.metrics.iter().map(|(name, _)| format!("{name:>15}")).collect();
            self.line(&format!("epoch   trains  train_loss  valid_loss{names}     time  pictures/s  waiting"));
            self.header_printed = true;
        }
        let values: String = report.metrics.iter().map(|(_, value)| format!("{value:>15.4}")).collect();
        let seconds = report.time.as_secs();
        self.line(&format!(
            "{:>5}   {:>6}  {:>10.5}  {:>10.5}{values}  {:>4}:{:02}  {:>10.0}  {:>6.1}%",
            format!("{}/{}", report.epoch, report.epochs),
            report.trains,
            report.train_loss,
            report.valid_loss,
            seconds / 60,
            seconds % 60,
            report.pictures_per_second,
            100.0 * report.waiting,
        ));
        if report.epoch == report.epochs {
            self.bar.finish_and_clear();
        }
    }
}
