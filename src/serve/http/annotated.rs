//! `annotated=png`: the picture with its answer drawn into it.

use std::{sync::Arc, time::Instant};

use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use tracing::Span;

use super::{App, parameters::Asked, prediction::answer_of};
use crate::{
    answer::Answer,
    error::Error,
    serve::{
        decode::Decoder,
        models::ServedModel,
        pipeline::{Input, too_late},
        queue::{Hold, Terms},
    },
};

/// Answers one picture with a PNG.
///
/// # Errors
/// As for an answer in JSON.
pub(super) async fn answer(
    app: &App,
    model: &Arc<ServedModel>,
    bytes: Bytes,
    asked: &Asked,
    started: Instant,
) -> Result<Response, Error> {
    let (outcome, hold) = app.pipeline.run_held(model, Input::Encoded(bytes.clone()), asked.terms).await?;
    let answer = answer_of(model, &outcome, asked, started)?;
    answer.record(&Span::current());
    let timing = answer.timings_ms.server_timing();
    let png = draw(&app.pipeline.decoder, model, hold, bytes, answer.answer, asked.terms).await?;
    let mut response = png.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    if let Ok(value) = HeaderValue::from_str(&timing) {
        response.headers_mut().insert("server-timing", value);
    }
    Ok(response)
}

/// Draws an answer into its picture, which has its place in the queue until then: the queue's limit and the request's deadline
/// hold for the drawing as they do for the answer.
async fn draw(
    decoder: &Decoder,
    model: &ServedModel,
    hold: Hold,
    bytes: Bytes,
    answer: Answer,
    terms: Terms,
) -> Result<Vec<u8>, Error> {
    let work = decoder.annotate(bytes, answer, hold);
    let Some(deadline) = terms.deadline else { return work.await };
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(too_late(model, terms)))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use tokio::sync::oneshot;

    use super::*;
    use crate::{picture::Limits, serve::queue::NoPlace};

    #[tokio::test]
    async fn a_drawing_has_its_place_and_its_deadline_while_it_waits_for_a_decoding_thread() {
        let model = ServedModel::without_threads("age");
        let _worker = model.queue.worker_end();
        let decoder = Decoder::new(1, 1 << 20, Limits::default());
        let picture = Bytes::from_static(include_bytes!("../../../tests/fixtures/pictures/pictures/rgb.png"));
        let ((begin, begun), (release, released)) = (oneshot::channel(), mpsc::channel::<()>());
        let (busy, rule) = (decoder.clone(), model.manifest.input.resize);
        let busy = {
            let picture = picture.clone();
            tokio::spawn(async move {
                busy.decode(picture, rule, move |_| begin.send(()).is_ok() && released.recv().is_ok()).await
            })
        };
        begun.await.unwrap();
        let hold = model.queue.reserve().unwrap().hold();
        let deadline = Some(Instant::now() + Duration::from_millis(50));
        let terms = Terms { deadline, ..Terms::default() };
        let answer = Answer::Values { values: Vec::new() };
        let drawing = draw(&decoder, &model, hold, picture.clone(), answer.clone(), terms);
        let refused = async { matches!(model.queue.reserve(), Err(NoPlace::Full { .. })) };
        let (drawn, refused) = tokio::join!(drawing, refused);
        assert!(matches!(drawn, Err(Error::DeadlineExceeded(_))));
        assert!(refused, "the place is taken while the drawing waits");
        let hold = model.queue.reserve().unwrap().hold();
        release.send(()).unwrap();
        assert!(busy.await.unwrap().unwrap());
        assert!(draw(&decoder, &model, hold, picture, answer, Terms::default()).await.is_ok());
        assert!(model.queue.reserve().is_ok());
    }
}
