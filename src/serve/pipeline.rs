//! One picture's way, whatever interface it came through: a place in the queue → decode → batch.
//!
//! The place comes first, so that the queue's limit also bounds the pictures that wait to be decoded.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use super::{
    copies::Copies,
    decode::{Decoded, Decoder},
    metrics::Rejected,
    models::{Models, ServedModel},
    queue::{Failure, Hold, NoPlace, Output, Place, Priority, Terms, Ticket},
    record::Recorder,
    shadow::{self, Seen},
    thresholds::InForce,
};
use crate::{error::Error, picture::PictureSize};

/// Between two looks for a place to spare.
const SPARE_PAUSE: Duration = Duration::from_millis(20);

/// A picture as a client sends it.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A file's bytes.
    Encoded(Bytes),
    /// The model's pixels: uint8 [H, W, 3] of the model's own H and W.
    Pixels(Vec<u8>),
}

/// What came of a picture.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// The picture's own size, as EXIF orients it; the model's, where the model's pixels came.
    pub(super) original: PictureSize,
    /// How long decoding and resizing took.
    pub(super) decode: Duration,
    /// How long the picture waited, for a decoding thread and for the model.
    pub(super) waited: Duration,
    pub(super) output: Output,
    /// The thresholds that hold for it.
    pub(super) in_force: Arc<InForce>,
    /// The id under which the answer is remembered, if it is.
    pub(super) recorded: Option<Uuid>,
}

impl Outcome {
    /// Whether every output is a number.
    pub(super) fn is_finite(&self) -> bool {
        self.output.values.iter().all(|value| value.is_finite())
    }
}

impl Input {
    /// Bytes that it takes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::Pixels(pixels) => pixels.len(),
        }
    }
}

/// What pictures need on their way. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) models: Arc<Models>,
    pub(super) decoder: Decoder,
    /// None where no answer is remembered.
    pub(super) recorder: Option<Recorder>,
    /// Memory for the pictures of versions on trial.
    pub(super) on_trial: Copies,
}

impl Pipeline {
    /// Runs one picture, within the time that it has.
    ///
    /// # Errors
    /// `QueueFull`, `DeadlineExceeded`, `Unhealthy`, `Picture` or `Internal`.
    pub(super) async fn run(&self, model: &Arc<ServedModel>, input: Input, terms: Terms) -> Result<Outcome, Error> {
        let place = take(model, model.queue.reserve())?;
        self.run_unless(&AtomicBool::new(false), model, place, input, terms).await
    }

    /// The same for a picture with which something is to be done once it is answered: its place is taken until then.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub(super) async fn run_held(
        &self,
        model: &Arc<ServedModel>,
        input: Input,
        terms: Terms,
    ) -> Result<(Outcome, Hold), Error> {
        let place = take(model, model.queue.reserve())?;
        let hold = place.hold();
        let outcome = self.run_unless(&AtomicBool::new(false), model, place, input, terms).await?;
        Ok((outcome, hold))
    }

    /// Runs all pictures of a request, or none where the queue has no place for all of them. If one fails, the others are taken
    /// out of the queue, and their places are free.
    ///
    /// # Errors
    /// As [`Pipeline::run`], with the index of the first picture that failed.
    pub(super) async fn run_all(
        &self,
        model: &Arc<ServedModel>,
        inputs: Vec<Input>,
        terms: Terms,
    ) -> Result<Vec<Outcome>, (usize, Error)> {
        let places = take(model, model.queue.reserve_all(inputs.len())).map_err(|error| (0, error))?;
        let given_up = AtomicBool::new(false);
        let run = async |(index, (place, input))| {
            let outcome = self.run_unless(&given_up, model, place, input, terms).await;
            outcome.map_err(|error| {
                given_up.store(true, Relaxed);
                (index, error)
            })
        };
        try_join_all(std::iter::zip(places, inputs).enumerate().map(run)).await
    }

    /// Runs one picture, which is dropped for another reason than its client's going away where `given_up` is set.
    async fn run_unless(
        &self,
        given_up: &AtomicBool,
        model: &Arc<ServedModel>,
        place: Place,
        input: Input,
        terms: Terms,
    ) -> Result<Outcome, Error> {
        let began = Instant::now();
        let client = Client { model, answered: false, given_up };
        let for_shadow = self.models.shadow_of(model).map(|_| input.clone());
        let to_record = self.recorder.as_ref().and_then(|recorder| Some((recorder, recorder.sample()?, input.clone())));
        let work = self.run_placed(model, place, input, terms);
        let result = match terms.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.unwrap_or(Err(Stop::Expired)),
            None => work.await,
        };
        client.answered();
        match &result {
            Ok(outcome) => {
                let (waited, decode, inference) = (outcome.waited, outcome.decode, outcome.output.inference);
                model.statistics.answered(began.elapsed(), waited, decode, inference);
                model.metrics.answered(model, decode, waited, outcome);
                model.live_scores.add(&outcome.output.values);
            }
            Err(_) => model.statistics.failed(began.elapsed()),
        }
        match result {
            // What is no number is nobody's to compare or to correct.
            Ok(outcome) if !outcome.is_finite() => Ok(outcome),
            Ok(mut outcome) => {
                outcome.recorded = to_record.as_ref().map(|(_, id, _)| *id);
                // Asked again: the trial may be over by now, and the version have clients of its own.
                if let Some(input) = for_shadow
                    && let Some((shadow, share)) = self.models.shadow_of(model)
                {
                    let seen = Seen { input, ours: outcome.clone() };
                    shadow::show(self, model, &shadow, share, seen);
                }
                if let Some((recorder, id, input)) = to_record {
                    recorder.record(id, model, input, outcome.clone());
                }
                Ok(outcome)
            }
            Err(Stop::Expired) => Err(too_late(model, terms)),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The same for pictures that nobody waits for: their answers are not remembered either.
    pub(super) fn in_background(&self) -> Self {
        Self { decoder: self.decoder.in_background(), recorder: None, ..self.clone() }
    }

    /// Runs one picture that nobody waits for, once the queue has places to spare.
    ///
    /// # Errors
    /// `Unhealthy`, `Picture` or `Internal`.
    pub(super) async fn run_spare(&self, model: &ServedModel, input: Input) -> Result<Outcome, Error> {
        let place = loop {
            match model.queue.reserve_spare() {
                Ok(place) => break place,
                Err(NoPlace::Full { .. }) => tokio::time::sleep(SPARE_PAUSE).await,
                Err(NoPlace::Closed) => return Err(Error::Unhealthy(model.name.clone())),
            }
        };
        let terms = Terms { priority: Priority::Low, ..Terms::default() };
        self.run_placed(model, place, input, terms).await.map_err(|stop| match stop {
            Stop::Failed(error) => error,
            Stop::Expired => Error::DeadlineExceeded(model.name.clone()),
        })
    }

    /// Runs one picture that has a place.
    pub(super) async fn run_placed(
        &self,
        model: &ServedModel,
        place: Place,
        input: Input,
        terms: Terms,
    ) -> Result<Outcome, Stop> {
        let rule = model.manifest.input.resize;
        let (arrived, request) = (Instant::now(), Span::current());
        let queue = move |Decoded { pixels, original, took }: Decoded| {
            let span = tracing::info_span!(parent: &request, "queue");
            let waited_to_decode = arrived.elapsed().saturating_sub(took);
            let ticket = span.in_scope(|| place.put(pixels, terms));
            Queued { ticket, span, original, decode: took, waited_to_decode }
        };
        let Queued { ticket, span, original, decode, waited_to_decode } = match input {
            // The thread that decodes also puts the picture into the queue: each thread more on its way costs a wake-up.
            Input::Encoded(bytes) => self.decoder.decode(bytes, rule, queue).await?,
            Input::Pixels(pixels) => queue(Decoded { pixels, original: rule.size, took: Duration::ZERO }),
        };
        let in_force = model.thresholds.in_force();
        let output = ticket.output().instrument(span).await;
        let output = output.map_err(|failure| match failure {
            Failure::Infer(error) => Stop::Failed(Error::internal(error)),
            Failure::Expired => Stop::Expired,
            Failure::Ended => Stop::Failed(Error::Unhealthy(model.name.clone())),
        })?;
        Ok(Outcome { original, decode, waited: waited_to_decode + output.waited, output, in_force, recorded: None })
    }
}

/// A picture in the queue.
struct Queued {
    ticket: Ticket,
    /// Its span in the queue.
    span: Span,
    original: PictureSize,
    decode: Duration,
    /// How long it waited for a decoding thread.
    waited_to_decode: Duration,
}

/// Why a picture has no outcome.
#[derive(Debug)]
pub(super) enum Stop {
    Expired,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Whether the version's queue has a place now, so that a request can be refused before its body is read.
///
/// # Errors
/// `QueueFull` or `Unhealthy`.
pub(super) fn check_place(model: &ServedModel) -> Result<(), Error> {
    model.queue.check().map_err(|reason| no_place(model, reason))
}

/// What is answered where the time of a request is over, which is counted.
pub(super) fn too_late(model: &ServedModel, terms: Terms) -> Error {
    model.metrics.rejected(model, if terms.is_hurried { Rejected::Timeout } else { Rejected::Deadline });
    Error::DeadlineExceeded(model.name.clone())
}

/// What a request was given of the queue; where that is nothing, the request has failed.
fn take<T>(model: &ServedModel, given: Result<T, NoPlace>) -> Result<T, Error> {
    given.map_err(|reason| {
        model.statistics.failed(Duration::ZERO);
        no_place(model, reason)
    })
}

/// The error of a queue that takes no picture, which is counted.
fn no_place(model: &ServedModel, reason: NoPlace) -> Error {
    match reason {
        NoPlace::Full { limit, taken, retry_after } => {
            model.metrics.rejected(model, Rejected::QueueFull);
            let retry_after = (retry_after.as_secs_f64().ceil() as u32).max(1);
            Error::QueueFull { model: model.name.clone(), limit, waiting: taken, retry_after }
        }
        NoPlace::Closed => Error::Unhealthy(model.name.clone()),
    }
}

/// Somebody who waits for an answer; counted where the wait is given up.
struct Client<'a> {
    model: &'a ServedModel,
    answered: bool,
    /// Whether the wait is given up here, and not by the client.
    given_up: &'a AtomicBool,
}

impl Client<'_> {
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        if !self.answered && !self.given_up.load(Relaxed) {
            self.model.metrics.rejected(self.model, Rejected::ClientGone);
        }
    }
}
