//! Refusing early: a request whose model has no place for a picture is told so before memory is taken for its body, let
//! alone a byte of it read. Else a refusal would wait its turn behind the bodies of those that are served.

use std::sync::Arc;

use axum::extract::{MatchedPath, RawPathParams, rejection::RawPathParamsRejection};

use super::AppState;
use crate::{
    error::Error,
    serve::{models::ServedModel, pipeline::check_place},
};

/// Answers for a full queue. Whatever else is wrong with the request is said by those who read it.
pub(super) fn refuse(
    app: &AppState,
    route: Option<&MatchedPath>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<(), Error> {
    if let (Some(route), Ok(parameters)) = (route, parameters)
        && let Some(model) = asked(app, route.as_str(), &parameters)
    {
        check_place(&model)?;
    }
    Ok(())
}

/// The version that a prediction asks.
fn asked(app: &AppState, route: &str, parameters: &RawPathParams) -> Option<Arc<ServedModel>> {
    if !(route.ends_with("/predict") || route.ends_with("/infer")) {
        return None;
    }
    let value = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let version = value("version").map(str::parse).transpose().ok()?;
    app.pipeline.models.find(value("name")?, version).ok()
}
