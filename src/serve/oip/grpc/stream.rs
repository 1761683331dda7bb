//! A stream of inference requests: each is answered in turn, and one that fails ends nothing but itself.

use futures_util::{Stream, StreamExt as _};
use tonic::{Status, Streaming};

use super::{
    super::failure::message,
    proto::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse},
    service::Service,
};
use crate::serve::http::{context::RequestId, problem::log_cause};

/// The answers to a stream of requests, in order. The next request is read once the one before is answered, so a client
/// that sends faster is held back by the connection.
pub(super) fn answers(
    service: Service,
    requests: Streaming<ModelInferRequest>,
    id: Option<RequestId>,
) -> impl Stream<Item = Result<ModelStreamInferResponse, Status>> + Send {
    requests.then(move |request| {
        let (service, id) = (service.clone(), id.clone());
        async move {
            let request = request?;
            let own_id = request.id.clone();
            Ok(match service.infer(request).await {
                Ok(answer) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(answer) },
                Err(error) => {
                    log_cause(&error, id.as_ref().map_or("", RequestId::as_str));
                    // The id alone, so that the client can tell whose error this is.
                    let answer = ModelInferResponse { id: own_id, ..ModelInferResponse::default() };
                    ModelStreamInferResponse { error_message: message(&error), infer_response: Some(answer) }
                }
            })
        }
    })
}
