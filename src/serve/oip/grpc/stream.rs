//! A stream of inference requests: each is answered in turn, and one that fails ends nothing but itself.

use std::sync::Arc;

use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use super::{
    super::failure::message,
    proto::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse},
    service::Service,
    status,
};
use crate::serve::http::{Unanswered, context::RequestId};

/// The answers to a stream of requests, in order. The next request is read once the one before is answered, so a client
/// that sends faster is held back by the connection. `unanswered` counts what lies in memory.
pub(super) fn answers(
    service: Service,
    requests: Streaming<ModelInferRequest>,
    id: Option<RequestId>,
    unanswered: Option<Arc<Unanswered>>,
) -> impl Stream<Item = Result<ModelStreamInferResponse, Status>> + Send {
    requests.then(move |request| {
        let (service, id, unanswered) = (service.clone(), id.clone(), unanswered.clone());
        async move {
            // Where the body was given up, the reason says more than that it ended.
            let given_up = unanswered.as_ref().and_then(|unanswered| unanswered.given_up());
            let request = request.map_err(|ended| match given_up {
                Some(error) => {
                    service.note(&error, id.as_ref());
                    status(&error)
                }
                None => ended,
            })?;
            let own_id = request.id.clone();
            let result = service.infer(request).await;
            if let Some(unanswered) = &unanswered {
                unanswered.clear();
            }
            Ok(match result {
                Ok(answer) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(answer) },
                Err(error) => {
                    service.note(&error, id.as_ref());
                    // The id alone, so that the client can tell whose error this is.
                    let answer = ModelInferResponse { id: own_id, ..ModelInferResponse::default() };
                    ModelStreamInferResponse { error_message: message(&error), infer_response: Some(answer) }
                }
            })
        }
    })
}
