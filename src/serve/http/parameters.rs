//! Query parameters: known, given once, and with values that fit; everything else is a 400 that names the parameter.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use crate::{answer::Selection, error::Error, model::Task};

/// The query's parameters, in order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(error) => Err(wrong("query", error.to_string())),
        }
    }
}

impl Parameters {
    /// Nothing is asked for.
    pub(super) fn none(self) -> Result<(), Error> {
        match self.0.first() {
            Some((name, _)) => Err(wrong(name, "there is no such parameter here")),
            None => Ok(()),
        }
    }

    /// Which labels are asked for.
    pub(super) fn selection(self) -> Result<Selection, Error> {
        let mut selection = Selection::default();
        for (i, (name, value)) in self.0.iter().enumerate() {
            if self.0[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(wrong(name, "it is given twice"));
            }
            match name.as_str() {
                "all" => selection.all = parse(name, value, "true or false")?,
                "threshold" => selection.threshold = Some(parse(name, value, "a number from 0 to 1")?),
                "top_k" => selection.top_k = Some(parse(name, value, "a whole number from 1")?),
                _ => {
                    return Err(wrong(name, "there is no such parameter here; there are all, threshold and top_k"));
                }
            }
        }
        Ok(selection)
    }

    /// Which labels are asked for, of a model that may have none.
    pub(super) fn selection_for(self, task: &Task) -> Result<Selection, Error> {
        let has_labels = matches!(task, Task::MultiLabel { .. } | Task::SingleLabel { .. });
        let first = self.0.first().map(|(name, _)| name.clone());
        let selection = self.selection()?;
        match first {
            Some(name) if !has_labels => {
                Err(wrong(&name, format!("it is for labels, and this model answers {}", task.kind())))
            }
            _ => Ok(selection),
        }
    }
}

fn parse<T: std::str::FromStr>(name: &str, value: &str, wanted: &str) -> Result<T, Error> {
    value.parse().map_err(|_| wrong(name, format!("{value:?} is not {wanted}")))
}

fn wrong(name: &str, reason: impl Into<String>) -> Error {
    Error::Parameter { name: name.to_owned(), reason: reason.into() }
}
