//! What the OpenAPI document says of all kinds of problems together: their names, for programs that tell them apart.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{
    ToSchema as _,
    openapi::{OpenApi, RefOr, Schema, extensions::Extensions},
};

use super::{
    context::RequestId,
    problem::{PROBLEM_JSON, Problem},
};
use crate::error::Error;

/// What every kind begins with.
const PREFIX: &str = "urn:tagpoint:problem:";

/// Names every kind where the field `type` is described, and in `x-problem-types`, which scripts/reference makes a table of.
pub(super) fn describe(document: &mut OpenApi) {
    let kinds = kinds(document);
    let names: Vec<String> = kinds.keys().map(|kind| format!("`{}`", kind.trim_start_matches(PREFIX))).collect();
    let schemas = &mut document.components.get_or_insert_default().schemas;
    let Some(RefOr::T(Schema::Object(problem))) = schemas.get_mut(Problem::name().as_ref()) else { return };
    if let Some(RefOr::T(Schema::Object(kind))) = problem.properties.get_mut("type") {
        let names = names.join(", ");
        kind.description = Some(format!(
            "The kind of problem; stable, for programs: `{PREFIX}` and one of {names}. There may be more later."
        ));
    }
    let rows: Vec<Value> = kinds.into_values().collect();
    problem.extensions = Some(Extensions::from_iter([("x-problem-types", Value::Array(rows))]));
}

/// Type, status and title of every problem that an answer has as an example, and of those that no address has for itself.
fn kinds(document: &OpenApi) -> BTreeMap<String, Value> {
    let id = RequestId::from_headers(&http::HeaderMap::new());
    let anywhere = [Error::NoSuchPath("/v3".to_owned()), Error::MethodNotAllowed("PATCH".to_owned())];
    let anywhere = anywhere.iter().map(|error| serde_json::to_value(Problem::new(error, &id)).unwrap_or_default());
    let row = |problem: Value| {
        let kind = problem["type"].as_str().unwrap_or_default().to_owned();
        (kind, json!({"type": problem["type"], "status": problem["status"], "title": problem["title"]}))
    };
    examples(document).cloned().chain(anywhere).map(row).collect()
}

/// Every problem that is an example of an answer.
fn examples(document: &OpenApi) -> impl Iterator<Item = &Value> {
    let items = document.paths.paths.values();
    let operations = items.flat_map(|item| [&item.get, &item.post, &item.put, &item.delete]).flatten();
    let answers = operations.flat_map(|operation| operation.responses.responses.values());
    let contents = answers.filter_map(|answer| match answer {
        RefOr::T(answer) => answer.content.get(PROBLEM_JSON),
        RefOr::Ref(_) => None,
    });
    let examples = contents.filter_map(|content| match content {
        RefOr::T(content) => Some(content.examples.values()),
        RefOr::Ref(_) => None,
    });
    examples.flatten().filter_map(|example| match example {
        RefOr::T(example) => example.value.as_ref(),
        RefOr::Ref(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_is_named() {
        let document = serde_json::to_value(super::super::openapi_document()).unwrap();
        let problem = &document["components"]["schemas"]["Problem"];
        let kind = problem["properties"]["type"]["description"].as_str().unwrap();
        let rows = problem["x-problem-types"].as_array().unwrap();
        // Of the Open Inference Protocol only, whose errors are no problem documents.
        let elsewhere = ["inference-request", "picture", "unsupported"];
        let mut found = 0;
        for arm in include_str!("problem.rs").split("(S::").skip(1) {
            let name = arm.split('"').nth(1).unwrap();
            if !elsewhere.contains(&name) {
                assert!(kind.contains(&format!("`{name}`")), "{name}");
                assert!(rows.iter().any(|row| row["type"] == format!("{PREFIX}{name}")), "{name}");
                found += 1;
            }
        }
        assert!(found >= rows.len(), "{found} in the code, {} in the document", rows.len());
    }
}
