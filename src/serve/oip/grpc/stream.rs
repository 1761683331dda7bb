//! A stream of inference requests: each is answered in turn, and one that fails ends nothing but itself. The stream ends where its
//! key opens it no longer, and when the server stops.

use std::sync::Arc;

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tonic::{Request, Status, Streaming};

use super::{
    super::failure::message,
    proto::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse},
    service::Service,
    status,
};
use crate::{
    error::Error,
    serve::http::{Pass, Unanswered, context::RequestId},
};

/// A stream that is being answered.
struct Answering {
    service: Service,
    requests: Streaming<ModelInferRequest>,
    id: Option<RequestId>,
    /// Counts what lies in memory.
    unanswered: Option<Arc<Unanswered>>,
    pass: Option<Pass>,
    /// Whether a request has come.
    begun: bool,
}

/// The answers to a stream of requests, in order. The next request is read once the one before is answered, so a client
/// that sends faster is held back by the connection.
pub(super) fn answers(
    service: Service,
    request: Request<Streaming<ModelInferRequest>>,
) -> impl Stream<Item = Result<ModelStreamInferResponse, Status>> + Send {
    let extensions = request.extensions();
    let (id, unanswered, pass) =
        (extensions.get().cloned(), extensions.get().cloned(), extensions.get::<Pass>().copied());
    let answering = Answering { service, id, unanswered, pass, begun: false, requests: request.into_inner() };
    stream::unfold(answering, |mut answering| async move {
        let answer = match answering.receive().await? {
            Ok(request) => answering.answer(request).await,
            Err(end) => Err(end),
        };
        Some((answer, answering))
    })
}

impl Answering {
    /// The next request; none where the client has ended the stream.
    async fn receive(&mut self) -> Option<Result<ModelInferRequest, Status>> {
        let received = tokio::select! {
            biased;
            () = self.service.app.stopping.cancelled() => None,
            received = self.requests.next() => Some(received?),
        };
        let Some(received) = received else {
            // A stream that its client has ended is answered as a whole.
            let has_ended = matches!(self.requests.next().now_or_never(), Some(None));
            return (!has_ended).then(|| Err(Status::unavailable("the server stops: open the stream again")));
        };
        Some(received.map_err(|ended| {
            // Where the body was given up, the reason says more than that it ended.
            let given_up = self.unanswered.as_ref().and_then(|unanswered| unanswered.given_up());
            given_up.map_or(ended, |error| self.end(&error))
        }))
    }

    async fn answer(&mut self, request: ModelInferRequest) -> Result<ModelStreamInferResponse, Status> {
        let own_id = request.id.clone();
        let result = match self.admit() {
            Ok(()) => self.service.infer(request).await,
            // It may be used again in a moment.
            Err(error @ Error::RateLimited { .. }) => Err(error),
            Err(error) => return Err(self.end(&error)),
        };
        if let Some(unanswered) = &self.unanswered {
            unanswered.clear();
        }
        Ok(match result {
            Ok(answer) => ModelStreamInferResponse { error_message: String::new(), infer_response: Some(answer) },
            Err(error) => {
                self.service.note(&error, self.id.as_ref());
                // The id alone, so that the client can tell whose error this is.
                let answer = ModelInferResponse { id: own_id, ..ModelInferResponse::default() };
                ModelStreamInferResponse { error_message: message(&error), infer_response: Some(answer) }
            }
        })
    }

    /// Lets a request in where the stream's key opens it still. Each but the first, for which the call itself was counted, counts
    /// against the key's rate.
    fn admit(&mut self) -> Result<(), Error> {
        let pass = self.pass.ok_or_else(|| Error::internal("a stream that was let in by nothing"))?;
        let keys = &self.service.app.keys;
        if std::mem::replace(&mut self.begun, true) { pass.admit(keys) } else { pass.admit_first(keys) }
    }

    /// The status that the stream ends with for an error.
    fn end(&self, error: &Error) -> Status {
        self.service.note(error, self.id.as_ref());
        status(error)
    }
}
