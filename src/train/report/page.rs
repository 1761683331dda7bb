//! report.html: the page, in the order in which people look.

use std::{fmt::Write as _, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    Plot, ReportInputs,
    axis::number,
    card::Card,
    history::{metric, metric_names},
    html::{Cell, shell, table},
    judged,
    samples::Samples,
    style,
    svg::{Drawing, escape},
};
use crate::{model::Task, train::metrics::direction};

/// Sorts tables; the page can be read without it.
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// The same as on the server's page.
const ICON: &str = include_str!("../../../web/src/icon.svg");
/// More small charts than these are shown on request.
const MANY: usize = 30;

/// What there is to look at.
pub(super) struct Figures {
    pub(super) curves: Vec<Plot>,
    pub(super) judged: Vec<Plot>,
    pub(super) worst: Vec<Card>,
    pub(super) some: Vec<Card>,
}

/// The whole page. Its policy lets it load nothing and run no script but its own, whatever names may hold.
pub(super) fn html(samples: &Samples<'_>, figures: &Figures) -> String {
    let inputs = samples.inputs;
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    let policy = format!("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'");
    let title = escape(inputs.title);
    let styles = style::on_page();
    let icon = ICON.trim().replacen(r#"xmlns="http://www.w3.org/2000/svg""#, r#"aria-hidden="true""#, 1);
    let mut page = format!(
        r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="{policy}"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>{title}: training report</title>
<style>
{styles}{STYLE}</style></head>
<body><header><span class="brand">{icon}tagpoint</span><span>Training report</span></header>
<main>
<h1>{title}</h1>
"#
    );
    let sections = [
        (String::new(), summary(inputs)),
        ("The command".to_owned(), command(inputs)),
        ("How it went".to_owned(), curves(inputs, &figures.curves)),
        ("What it is worth".to_owned(), judged_section(samples, &figures.judged)),
        ("The worst pictures".to_owned(), worst(samples, &figures.worst)),
        ("Pictures drawn at random".to_owned(), cards_section(inputs, &figures.some)),
        ("Notes".to_owned(), notes(inputs)),
        ("Settings".to_owned(), settings(inputs)),
    ];
    for (heading, content) in sections.into_iter().filter(|(_, content)| !content.is_empty()) {
        let heading = if heading.is_empty() { heading } else { format!("<h2>{heading}</h2>\n") };
        let _ = writeln!(page, "<section>{heading}{content}</section>");
    }
    let tool = escape(inputs.tool);
    let _ = write!(page, "<footer>Written by {tool}.</footer>\n</main><script>{SCRIPT}</script></body></html>\n");
    page
}

fn summary(inputs: &ReportInputs<'_>) -> String {
    let time: Duration = inputs.history.iter().map(|epoch| epoch.time).sum();
    let pictures = format!("{} to train, {} to validate", inputs.dataset.train.len(), inputs.dataset.valid.len());
    let task = match inputs.task {
        Task::MultiLabel { labels } => format!("any of {} labels", labels.len()),
        Task::SingleLabel { labels } => format!("one of {} labels", labels.len()),
        Task::Points(points) => format!("{} points", points.names.len()),
        Task::Values(values) => format!("{} values", values.names.len()),
    };
    let size = inputs.rule.size;
    let mut facts: Vec<(&str, String)> = inputs
        .evaluation
        .metrics
        .iter()
        .map(|(name, value)| (name.as_str(), number(*value)))
        .chain([("validation loss", number(inputs.evaluation.loss)), ("task", task), ("pictures", pictures)])
        .collect();
    facts.extend([
        ("size", format!("{} × {} pixels", size.width, size.height)),
        ("epochs", inputs.history.len().to_string()),
        ("time", humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()),
        ("seed", inputs.seed.to_string()),
    ]);
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value)))
        .collect();
    format!("<dl class=\"tiles\">{facts}</dl>{}", best(inputs))
}

/// Each metric now and at its best.
fn best(inputs: &ReportInputs<'_>) -> String {
    let losses = inputs.history.iter().map(|epoch| epoch.valid_loss).collect();
    let mut rows = vec![best_row("valid_loss", inputs.evaluation.loss, losses)];
    for (name, value) in &inputs.evaluation.metrics {
        rows.push(best_row(name, *value, inputs.history.iter().map(|epoch| metric(epoch, name)).collect()));
    }
    table("Of the model that was kept, and at the best epoch", &["metric", "kept", "best", "epoch"], rows, false)
}

fn best_row(name: &str, kept: f64, by_epoch: Vec<f64>) -> Vec<Cell> {
    let direction = direction(if name == "valid_loss" { "loss" } else { name });
    let mut best: Option<(usize, f64)> = None;
    for (epoch, value) in by_epoch.into_iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let better = |known| direction.is_some_and(|direction| direction.is_better(value, known));
        if best.is_none_or(|(_, known)| better(known)) {
            best = Some((epoch + 1, value));
        }
    }
    let (epoch, value) = best.map_or((f64::NAN, f64::NAN), |(epoch, value)| (epoch as f64, value));
    vec![Cell::text(name), Cell::number(kept), Cell::number(value), Cell::number(epoch)]
}

fn command(inputs: &ReportInputs<'_>) -> String {
    let line = escape(&shell(inputs.command));
    let folder = escape(&inputs.working_folder.display().to_string());
    let fingerprint = inputs.dataset.fingerprint;
    format!(
        "<p>This repeats the run, given the same data (SHA-256 <code>{fingerprint}</code>) and weights:</p>\
         <pre><code>{line}</code></pre><p>It was given in <code>{folder}</code>.</p>"
    )
}

fn curves(inputs: &ReportInputs<'_>, plots: &[Plot]) -> String {
    let drawings: String = plots.iter().flat_map(|plot| &plot.drawings).map(figure).collect();
    if inputs.history.is_empty() {
        return String::new();
    }
    let names = metric_names(inputs.history);
    let heads: Vec<&str> = ["epoch", "trains", "train_loss", "valid_loss"]
        .into_iter()
        .chain(names.iter().copied())
        .chain(["seconds", "pictures/s"])
        .collect();
    let row = |epoch: &crate::train::observer::EpochReport| {
        let mut row = vec![Cell::number(epoch.epoch as f64), Cell::text(&epoch.trains)];
        row.extend([epoch.train_loss, epoch.valid_loss].map(Cell::number));
        row.extend(names.iter().map(|name| Cell::number(metric(epoch, name))));
        row.extend([epoch.time.as_secs_f64(), epoch.pictures_per_second].map(Cell::number));
        row
    };
    let table = table("Epochs", &heads, inputs.history.iter().map(row).collect(), false);
    format!(
        "<div class=\"charts\">{drawings}</div><details><summary>The numbers of each epoch</summary>{table}</details>"
    )
}

fn figure(drawing: &Drawing) -> String {
    format!("<figure>{}</figure>\n", drawing.inline())
}

fn judged_section(samples: &Samples<'_>, plots: &[Plot]) -> String {
    let mut section = judged::tables(samples);
    for plot in plots {
        let figures: String = plot.drawings.iter().map(figure).collect();
        let (heading, class) = match plot.file {
            "pr" => {
                ("Precision and recall of each label, the hardest first; the dot is what was chosen", "charts small")
            }
            "confusion" => ("Confusion matrix", "charts wide"),
            "point-errors" => ("Mean error of each point", "charts"),
            "cumulative-error" => ("How many pictures are how good", "charts"),
            _ => ("Predicted over expected", "charts"),
        };
        let width = plot.drawings.first().map_or(0.0, |drawing| drawing.width);
        let style = if class == "charts wide" {
            format!(r#" style="min-width:{width:.0}px;max-width:{:.0}px""#, 1.4 * width)
        } else {
            String::new()
        };
        let figures = figures.replace("<figure>", &format!("<figure{style}>"));
        let charts = format!("<div class=\"{class}\">{figures}</div>");
        if plot.file == "pr" && plot.drawings.len() > MANY {
            let _ = write!(section, "<details><summary>{heading}</summary>{charts}</details>");
        } else {
            let _ = write!(section, "<h3>{heading}</h3>{charts}");
        }
    }
    section + &details(samples.inputs)
}

/// The metrics that the table of epochs has no room for.
fn details(inputs: &ReportInputs<'_>) -> String {
    if inputs.evaluation.details.is_empty() {
        return String::new();
    }
    let row = |(name, value): &(String, f64)| vec![Cell::text(name), Cell::number(*value)];
    let rows = inputs.evaluation.details.iter().map(row).collect();
    let table = table("Further metrics on the validation split", &["metric", "value"], rows, true);
    format!("<details><summary>All other metrics</summary>{table}</details>")
}

fn worst(samples: &Samples<'_>, cards: &[Card]) -> String {
    if cards.is_empty() {
        return String::new();
    }
    let name = samples.loss_name();
    let pictures = cards_section(samples.inputs, cards);
    format!(
        "<p>The validation pictures with the largest loss ({name}), the worst first. A loss that is hard to explain \
             is often a wrong label.</p>{pictures}"
    )
}

fn cards_section(inputs: &ReportInputs<'_>, cards: &[Card]) -> String {
    let key = if matches!(inputs.task, Task::Points(_)) { KEY } else { "" };
    let figures: String = cards.iter().map(|card| card.figure() + "\n").collect();
    format!("{key}<div class=\"cards\">{figures}</div>")
}

/// How points are drawn.
const KEY: &str = concat!(
    r#"<p><svg class="key" viewBox="0 0 20 20" aria-hidden="true"><rect class="blank" width="20" height="20"/><circle "#,
    r#"class="expected" stroke-width="2" cx="10" cy="10" r="5"/></svg> expected, <svg class="key" viewBox="0 0 20 20" "#,
    r#"aria-hidden="true"><rect class="blank" width="20" height="20"/><circle class="predicted" cx="10" cy="10" r="5"/>"#,
    "</svg> predicted, with a line between the two.</p>"
);

fn notes(inputs: &ReportInputs<'_>) -> String {
    if inputs.notes.is_empty() {
        return String::new();
    }
    let notes: String = inputs.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
    format!("<ul>{notes}</ul>")
}

fn settings(inputs: &ReportInputs<'_>) -> String {
    let mut rows = Vec::new();
    flatten("", inputs.settings, &mut rows);
    let rows = rows.into_iter().map(|(name, value)| vec![Cell::text(&name), Cell::text(&value)]).collect();
    table("Everything that decided the run, beside the data", &["setting", "value"], rows, false)
}

/// Nested settings by dotted names.
fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, rows);
            }
        }
        plain => rows.push((name.to_owned(), setting(plain))),
    }
}

fn setting(value: &Value) -> String {
    match (value, value.as_f64()) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, _) => "–".to_owned(),
        (Value::Array(items), _) => items.iter().map(setting).collect::<Vec<_>>().join(", "),
        // A float32 that JSON has widened is shown as it was written.
        (Value::Number(_), Some(number)) if f64::from(number as f32) == number => (number as f32).to_string(),
        (other, _) => other.to_string(),
    }
}
