//! One inference request's way, the same for HTTP and gRPC: pictures → pipeline → outputs.

use std::{sync::Arc, time::Instant};

use super::{
    outputs::{InferAnswer, PictureOutput, Plan, prediction_id},
    request::{InferRequest, InputRule, Pictures},
    wrong,
};
use crate::{
    error::Error,
    serve::{
        http::App,
        models::ServedModel,
        pipeline::Input,
        queue::{Priority, Terms},
    },
};

/// Priorities go from 1, which is served first, to this.
pub(super) const PRIORITY_LEVELS: u64 = 3;
/// The priority of a request that names none.
pub(super) const DEFAULT_PRIORITY: u64 = 2;

/// Runs a request's pictures. They wait and run like those of any other request; if one fails, the others are taken out
/// of the queue.
///
/// # Errors
/// A request that does not fit the model, a picture that cannot be decoded, and what the pipeline says.
pub(super) async fn infer(app: &App, model: &Arc<ServedModel>, request: InferRequest) -> Result<InferAnswer, Error> {
    let terms = terms(&request, app.settings.request_timeout)?;
    let manifest = &model.manifest;
    let size = manifest.input.resize.size;
    let frame = [size.height as usize, size.width as usize, 3];
    let rule = InputRule { name: &manifest.input.name, frame, max_pictures: app.settings.max_pictures_together() };
    let pictures = rule.pictures(request.inputs)?;
    let encoded = matches!(pictures, Pictures::Encoded(_));
    let plan = Plan::new(manifest, &request.outputs, request.binary_by_default, encoded)?;
    let inputs: Vec<Input> = match pictures {
        Pictures::Encoded(files) => files.into_iter().map(Input::Encoded).collect(),
        Pictures::Pixels(pixels) => pixels.iter().map(|pixels| pixels.to_vec()).map(Input::Pixels).collect(),
    };
    let outcomes = app.pipeline.run_all(model, inputs, terms).await.map_err(|(index, error)| match error {
        Error::Picture(reason) => Error::PictureAt { index, reason },
        other => other,
    })?;
    let results: Vec<PictureOutput> = outcomes
        .into_iter()
        .map(|outcome| PictureOutput {
            values: outcome.output.values,
            original: encoded.then_some(outcome.original),
            recorded: outcome.recorded,
        })
        .collect();
    Ok(InferAnswer {
        id: request.id,
        model: model.name.clone(),
        version: model.version.to_string(),
        prediction_id: prediction_id(&results),
        outputs: plan.fill(&results)?,
    })
}

/// How the request wants its pictures treated. Nobody may wait longer than `most`.
fn terms(request: &InferRequest, most: std::time::Duration) -> Result<Terms, Error> {
    let priority = match request.priority {
        0 | DEFAULT_PRIORITY => Priority::Normal,
        1 => Priority::High,
        PRIORITY_LEVELS => Priority::Low,
        other => {
            return Err(wrong(format!("priority {other}: there are 1, which goes first, to {PRIORITY_LEVELS}")));
        }
    };
    let timeout = request.timeout.map_or(most, |timeout| timeout.min(most));
    Ok(Terms { priority, deadline: Some(Instant::now() + timeout), is_hurried: timeout < most })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn terms_of(priority: u64, timeout: Option<Duration>) -> Result<Terms, Error> {
        terms(&InferRequest { priority, timeout, ..InferRequest::default() }, Duration::from_secs(60))
    }

    #[test]
    fn a_smaller_number_goes_first_and_none_is_the_middle() {
        let priorities = [0, 1, 2, 3].map(|number| terms_of(number, None).unwrap().priority);
        assert_eq!(priorities, [Priority::Normal, Priority::High, Priority::Normal, Priority::Low]);
        assert!(terms_of(4, None).unwrap_err().to_string().contains("priority 4"));
    }

    #[test]
    fn nobody_waits_longer_than_the_setting() {
        let before = Instant::now();
        let deadline = |timeout| terms_of(0, timeout).unwrap().deadline.unwrap() - before;
        assert!(deadline(Some(Duration::from_secs(5))) < Duration::from_secs(30));
        assert!(deadline(Some(Duration::MAX)) < Duration::from_secs(90));
        assert!(deadline(None) >= Duration::from_secs(60));
    }
}
