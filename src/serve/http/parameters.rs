//! Query parameters: known, given once, and with values that fit; everything else is a 400 that names the parameter.

use std::{
    collections::HashSet,
    fmt::Display,
    str::FromStr,
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRequestParts, Query},
    http::{HeaderMap, request::Parts},
};

use crate::{
    answer::Selection,
    error::Error,
    model::{Label, ModelVersion, Task},
    serve::queue::Terms,
    store::feedback::ReviewOrder,
};

/// The query's parameters, in order, and the time-out that a header asks for.
#[derive(Debug)]
pub(super) struct Parameters {
    query: Vec<(String, String)>,
    timeout_header: Option<String>,
}

/// What a request for a review asks for.
#[derive(Debug)]
pub(super) struct ReviewAsked {
    pub(super) model: String,
    pub(super) version: Option<ModelVersion>,
    pub(super) order: ReviewOrder,
    pub(super) limit: u32,
}

/// What a request for a job asks for.
#[derive(Debug)]
pub(super) struct JobAsked {
    pub(super) model: String,
    pub(super) version: Option<String>,
    pub(super) output: Option<String>,
    pub(super) format: Option<String>,
    /// The parameters that only its model's task can make sense of.
    pub(super) rest: Parameters,
}

/// What a request for a prediction asks for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) selection: Selection,
    pub(super) terms: Terms,
    /// The picture with its answer drawn into it, in place of JSON.
    pub(super) annotated: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self { query, timeout_header: timeout_header(&parts.headers) }),
            Err(error) => Err(wrong("query", error.to_string())),
        }
    }
}

fn timeout_header(headers: &HeaderMap) -> Option<String> {
    headers.get("timeout").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

impl Parameters {
    /// Nothing is asked for.
    pub(super) fn none(self) -> Result<(), Error> {
        match self.query.first() {
            Some((name, _)) => Err(wrong(name, "there is no such parameter here")),
            None => Ok(()),
        }
    }

    /// What a review is to be, of at most so many predictions.
    pub(super) fn review(self, most: u32) -> Result<ReviewAsked, Error> {
        let (mut model, mut version, mut order, mut limit) = (None, None, ReviewOrder::Uncertain, most.min(50));
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "model" => model = Some(value.clone()),
                "version" => version = Some(parse(name, value, "a version: a whole number from 1")?),
                "by" => {
                    order = match value.as_str() {
                        "uncertain" => ReviewOrder::Uncertain,
                        "threshold" => ReviewOrder::Threshold,
                        "shadow" => ReviewOrder::Shadow,
                        "newest" => ReviewOrder::Newest,
                        _ => {
                            return Err(wrong(
                                name,
                                format!("{value:?} is not uncertain, threshold, shadow or newest"),
                            ));
                        }
                    }
                }
                "limit" => limit = up_to(name, value, most)?,
                _ => {
                    return Err(wrong(name, "there is no such parameter here; there are by, limit, model and version"));
                }
            }
        }
        let model = model.ok_or_else(|| wrong("model", "say which model's predictions"))?;
        Ok(ReviewAsked { model, version, order, limit })
    }

    /// What a refit is to be: the version, and whether nothing is to be changed.
    pub(super) fn refit(self) -> Result<(Option<String>, bool), Error> {
        let (mut version, mut dry_run) = (None, false);
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "version" => version = Some(value.clone()),
                "dry_run" => dry_run = parse(name, value, "true or false")?,
                _ => return Err(wrong(name, "there is no such parameter here; there are dry_run and version")),
            }
        }
        Ok((version, dry_run))
    }

    /// What drift is to be told of: the version, if one is named, and how many of the last hours, at most `most`.
    pub(super) fn drift(self, most: u64) -> Result<(Option<String>, u64), Error> {
        let (mut version, mut hours) = (None, most);
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "version" => version = Some(value.clone()),
                "hours" => hours = up_to(name, value, most)?,
                _ => return Err(wrong(name, "there is no such parameter here; there are hours and version")),
            }
        }
        Ok((version, hours))
    }

    /// The version, if one is named.
    pub(super) fn version_only(self) -> Result<Option<String>, Error> {
        let mut version = None;
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "version" => version = Some(value.clone()),
                _ => return Err(wrong(name, "there is no such parameter here; there is version")),
            }
        }
        Ok(version)
    }

    /// The most items of a list; 50 unless given.
    pub(super) fn limit(self, most: u32) -> Result<u32, Error> {
        let mut limit = most.min(50);
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "limit" => limit = up_to(name, value, most)?,
                _ => return Err(wrong(name, "there is no such parameter here; there is limit")),
            }
        }
        Ok(limit)
    }

    /// What results are to be: `jsonl` unless given.
    pub(super) fn format(self) -> Result<String, Error> {
        let mut format = "jsonl".to_owned();
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "format" => format = known_format(value)?,
                _ => return Err(wrong(name, "there is no such parameter here; there is format")),
            }
        }
        Ok(format)
    }

    /// What a job is to be. Which labels it answers is read when its model is known: [`Self::selection`].
    pub(super) fn job(self) -> Result<JobAsked, Error> {
        let (mut model, mut version, mut output, mut format, mut rest) = (None, None, None, None, Vec::new());
        for (name, value) in self.distinct()? {
            match name.as_str() {
                "model" => model = Some(value.clone()),
                "version" => version = Some(value.clone()),
                "output" => output = Some(value.clone()),
                "format" => format = Some(known_format(value)?),
                "all" | "labels" | "operating_point" | "threshold" | "top_k" => {
                    rest.push((name.clone(), value.clone()))
                }
                _ => {
                    let known = "all, format, labels, model, operating_point, output, threshold, top_k and version";
                    return Err(wrong(name, format!("there is no such parameter here; there are {known}")));
                }
            }
        }
        let model = model.ok_or_else(|| wrong("model", "say which model is to answer"))?;
        Ok(JobAsked { model, version, output, format, rest: Self { query: rest, timeout_header: None } })
    }

    /// Which labels a model of this task is to answer.
    pub(super) fn selection(self, task: &Task) -> Result<Selection, Error> {
        self.asked(task, Instant::now(), Duration::from_secs(1)).map(|asked| asked.selection)
    }

    /// The parameters, each given once.
    fn distinct(&self) -> Result<&[(String, String)], Error> {
        let mut seen = HashSet::new();
        let twice = self.query.iter().find(|(name, _)| !seen.insert(name));
        match twice {
            Some((name, _)) => Err(wrong(name, "it is given twice")),
            None => Ok(&self.query),
        }
    }

    /// What a prediction by a model of this task is to be; `started` is when its time began to run, `most` how long
    /// a request may take.
    pub(super) fn asked(self, task: &Task, started: Instant, most: Duration) -> Result<Asked, Error> {
        let labels = task.labels();
        let mut asked = Asked::default();
        let mut timeout = self.timeout_header.clone().map(|text| ("timeout header", text));
        for (name, value) in self.distinct()? {
            let of_labels = matches!(name.as_str(), "all" | "threshold" | "top_k" | "operating_point" | "labels");
            if of_labels && labels.is_empty() {
                return Err(wrong(name, format!("it is for labels, and this model answers {}", task.kind())));
            }
            let selection = &mut asked.selection;
            match name.as_str() {
                "all" => selection.all = parse(name, value, "true or false")?,
                "threshold" => selection.threshold = Some(parse(name, value, "a number from 0 to 1")?),
                "top_k" => selection.top_k = Some(parse(name, value, "a whole number from 1")?),
                "operating_point" => selection.operating_point = Some(operating_point(value, labels)?),
                "labels" => selection.labels = Some(known_labels(value, labels)?),
                "annotated" if value == "png" => asked.annotated = true,
                "annotated" => return Err(wrong(name, format!("{value:?} is not png, the only kind there is"))),
                "priority" => {
                    asked.terms.priority =
                        value.parse().map_err(|()| wrong(name, format!("{value:?} is not high, normal or low")))?;
                }
                "timeout" => timeout = Some(("timeout", value.clone())),
                _ => {
                    let known = "all, annotated, labels, operating_point, priority, threshold, timeout and top_k";
                    return Err(wrong(name, format!("there is no such parameter here; there are {known}")));
                }
            }
        }
        let timeout = seconds(timeout, most)?;
        asked.terms.deadline = Some(started + timeout);
        asked.terms.is_hurried = timeout < most;
        Ok(asked)
    }
}

fn known_format(value: &str) -> Result<String, Error> {
    match value {
        "jsonl" | "parquet" => Ok(value.to_owned()),
        _ => Err(wrong("format", format!("{value:?} is not jsonl or parquet"))),
    }
}

/// The time that a request has; the most that it may have where it does not say, or says more.
fn seconds(asked: Option<(&str, String)>, most: Duration) -> Result<Duration, Error> {
    let Some((name, text)) = asked else { return Ok(most) };
    match text.trim().parse::<f64>() {
        Ok(seconds) if seconds > 0.0 => Ok(Duration::try_from_secs_f64(seconds).unwrap_or(most).min(most)),
        _ => Err(wrong(name, format!("{text:?} is not a number of seconds above 0"))),
    }
}

/// An operating point that some label has a threshold for.
fn operating_point(value: &str, labels: &[Label]) -> Result<String, Error> {
    let mut known: Vec<&str> = labels.iter().flat_map(|label| label.thresholds.keys().map(String::as_str)).collect();
    known.sort_unstable();
    known.dedup();
    match (known.contains(&value), known.is_empty()) {
        (true, _) => Ok(value.to_owned()),
        (false, true) => Err(wrong("operating_point", "this model has no thresholds")),
        (false, false) => {
            Err(wrong("operating_point", format!("{value:?} is not one of this model's: {}", known.join(", "))))
        }
    }
}

/// Label names with commas between them; a name that has a comma itself is given alone.
fn known_labels(value: &str, labels: &[Label]) -> Result<Vec<String>, Error> {
    let is_known = |name: &str| labels.iter().any(|label| label.name == name);
    if is_known(value) {
        return Ok(vec![value.to_owned()]);
    }
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !is_known(name)) {
        Some(unknown) => Err(wrong("labels", format!("the model has no label {unknown:?}"))),
        None => Ok(names),
    }
}

/// A whole number from 1.
fn up_to<T: FromStr + PartialOrd + From<u8> + Display>(name: &str, value: &str, most: T) -> Result<T, Error> {
    let number: T = parse(name, value, "a whole number")?;
    if T::from(1) <= number && number <= most {
        return Ok(number);
    }
    Err(wrong(name, format!("{number} is not a number from 1 to {most}")))
}

fn parse<T: FromStr>(name: &str, value: &str, wanted: &str) -> Result<T, Error> {
    value.parse().map_err(|_| wrong(name, format!("{value:?} is not {wanted}")))
}

fn wrong(name: &str, reason: impl Into<String>) -> Error {
    Error::Parameter { name: name.to_owned(), reason: reason.into() }
}
