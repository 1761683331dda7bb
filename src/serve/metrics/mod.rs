//! What the server tells Prometheus: counters, histograms, and gauges that are read when they are asked for.
//!
//! Names and units follow Prometheus's conventions; docs/metrics.md has them all. No label value comes from a client:
//! routes are those of the router, models and labels those that are loaded, so the number of series is bounded: those of a
//! version end when it is unloaded.

mod drift;
mod gauges;
mod page;
mod process;
mod requests;

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use tonic::Code;

pub(super) use page::{CONTENT_TYPE, MetricsPage};
pub(super) use requests::RequestCounter;

use super::{
    models::{Models, ServedModel},
    oip::grpc::METHODS,
    pipeline::Outcome,
};
use crate::{answer::named, model::Task};

/// Counters and histograms of the whole process. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    problems: Family<ProblemLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    decode_seconds: Histogram,
    queue_seconds: Family<VersionLabels, Histogram, fn() -> Histogram>,
    postprocess_seconds: Histogram,
    inference_seconds: Family<VersionLabels, Histogram, fn() -> Histogram>,
    batch_size: Family<VersionLabels, Histogram, fn() -> Histogram>,
    answers: Family<AnswerLabels, Counter>,
    rejected: Family<RejectedLabels, Counter>,
    recorded: Counter,
    lost: Family<LostLabels, Counter>,
}

/// From half a millisecond to half a minute, each bucket twice the one before.
fn seconds() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.0005, 2.0, 17))
}

/// Batches of 1, 2, 4, … 1024.
fn sizes() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(1.0, 2.0, 11))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    model: String,
    version: String,
    label: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabels {
    model: String,
    version: String,
    reason: &'static str,
}

/// Why a picture went without an answer, though nothing was wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rejected {
    QueueFull,
    /// The server's time for a request.
    Deadline,
    /// The client's own, which was shorter.
    Timeout,
    ClientGone,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LostLabels {
    reason: &'static str,
}

/// Why a part of what was to be remembered is not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    /// As many predictions wait already as may wait.
    TooMany,
    /// The database did not take a prediction for too long.
    Database,
    /// A picture was not kept; its prediction is.
    Picture,
}

impl Rejected {
    const ALL: [Self; 4] = [Self::QueueFull, Self::Deadline, Self::Timeout, Self::ClientGone];

    fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Timeout => "timeout",
            Self::ClientGone => "client_gone",
        }
    }
}

impl Lost {
    const ALL: [Self; 3] = [Self::TooMany, Self::Database, Self::Picture];

    fn name(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Database => "database",
            Self::Picture => "picture",
        }
    }
}

/// The histograms of one version's batches. They are looked up each time: a version that was loaded anew while requests
/// still held the one before loses its series when those end.
#[derive(Clone, Debug)]
pub(super) struct BatchMetrics {
    metrics: Metrics,
    labels: VersionLabels,
}

impl BatchMetrics {
    pub(super) fn record(&self, pictures: usize, inference: Duration) {
        self.metrics.inference_seconds.get_or_create(&self.labels).observe(inference.as_secs_f64());
        self.metrics.batch_size.get_or_create(&self.labels).observe(pictures as f64);
    }
}

impl Default for Metrics {
    /// Counters and histograms at zero.
    fn default() -> Self {
        Self {
            requests: Family::default(),
            calls: Family::default(),
            problems: Family::default(),
            request_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            decode_seconds: seconds(),
            queue_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            postprocess_seconds: seconds(),
            inference_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            batch_size: Family::new_with_constructor(sizes as fn() -> Histogram),
            answers: Family::default(),
            rejected: Family::default(),
            recorded: Counter::default(),
            lost: Family::default(),
        }
    }
}

impl Metrics {
    pub(super) fn batches_of(&self, model: &str, version: &str) -> BatchMetrics {
        let labels = VersionLabels { model: model.to_owned(), version: version.to_owned() };
        // Each from 0 on, so that its first rise is seen.
        drop(self.inference_seconds.get_or_create(&labels));
        drop(self.batch_size.get_or_create(&labels));
        BatchMetrics { metrics: self.clone(), labels }
    }

    /// Ends the series of a version that nothing counts for any more.
    pub(super) fn forget(&self, model: &str, version: &str, task: &Task) {
        let owned = || (model.to_owned(), version.to_owned());
        let (model, version) = owned();
        let labels = VersionLabels { model, version };
        self.queue_seconds.remove(&labels);
        self.inference_seconds.remove(&labels);
        self.batch_size.remove(&labels);
        for label in task.labels() {
            let (model, version) = owned();
            self.answers.remove(&AnswerLabels { model, version, label: label.name.clone() });
        }
        for reason in Rejected::ALL {
            let (model, version) = owned();
            self.rejected.remove(&RejectedLabels { model, version, reason: reason.name() });
        }
    }

    /// A picture that was answered, and the labels that its scores name at the default operating point.
    pub(super) fn answered(&self, model: &ServedModel, decode: Duration, waited: Duration, outcome: &Outcome) {
        let task = &outcome.in_force.task;
        self.decode_seconds.observe(decode.as_secs_f64());
        self.queue_seconds.get_or_create(&VersionLabels::of(model)).observe(waited.as_secs_f64());
        let labels = task.labels().iter().zip(named(task, &outcome.output.values));
        for (label, _) in labels.filter(|(_, is_named)| *is_named) {
            let VersionLabels { model, version } = VersionLabels::of(model);
            self.answers.get_or_create(&AnswerLabels { model, version, label: label.name.clone() }).inc();
        }
    }

    /// How long outputs took to become an answer.
    pub(super) fn postprocessed(&self, took: Duration) {
        self.postprocess_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn rejected(&self, model: &ServedModel, reason: Rejected) {
        let VersionLabels { model, version } = VersionLabels::of(model);
        self.rejected.get_or_create(&RejectedLabels { model, version, reason: reason.name() }).inc();
    }

    /// An error that a client was told of, by its kind.
    pub(super) fn problem(&self, r#type: &'static str) {
        self.problems.get_or_create(&ProblemLabels { r#type }).inc();
    }

    /// Predictions that the database has taken.
    pub(super) fn recorded(&self, count: u64) {
        self.recorded.inc_by(count);
    }

    pub(super) fn lost(&self, reason: Lost, count: u64) {
        self.lost.get_or_create(&LostLabels { reason: reason.name() }).inc_by(count);
    }

    #[cfg(test)]
    pub(super) fn lost_so_far(&self, reason: Lost) -> u64 {
        self.lost.get_or_create(&LostLabels { reason: reason.name() }).get()
    }

    /// A registry of all of this and of what `models` tells when it is asked.
    fn registry(&self, models: Arc<Models>) -> Registry {
        let mut registry = Registry::with_prefix("tagpoint");
        registry.register("http_requests", "Requests that were answered", self.requests.clone());
        // Each from 0 on, so that its first rise is seen.
        for method in METHODS {
            self.calls.get_or_create(&CallLabels::of(method, Code::Ok)).inc_by(0);
        }
        registry.register("grpc_calls", "gRPC calls that were answered", self.calls.clone());
        registry.register("problems", "Errors that clients were told of", self.problems.clone());
        let help = "From a request's head to its answer's";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.request_seconds.clone());
        let help = "Decoding and resizing a picture";
        registry.register_with_unit("picture_decode", help, Unit::Seconds, self.decode_seconds.clone());
        let help = "A picture's wait for a decoding thread and for the model";
        registry.register_with_unit("picture_queue", help, Unit::Seconds, self.queue_seconds.clone());
        let help = "Outputs to labels, points or values, for one picture";
        registry.register_with_unit("picture_postprocess", help, Unit::Seconds, self.postprocess_seconds.clone());
        let help = "Running a batch";
        registry.register_with_unit("batch_inference", help, Unit::Seconds, self.inference_seconds.clone());
        registry.register("batch_size", "Pictures that ran together", self.batch_size.clone());
        registry.register("answers", "Labels named, at the default operating point", self.answers.clone());
        registry.register("pictures_rejected", "Sound pictures that went without an answer", self.rejected.clone());
        registry.register("predictions_recorded", "Predictions that the database took", self.recorded.clone());
        let help = "Predictions, or pictures of them, that were to be remembered and are not";
        // Each from 0 on, so that its first rise is seen.
        for reason in Lost::ALL {
            self.lost(reason, 0);
        }
        registry.register("predictions_dropped", help, self.lost.clone());
        registry.register_collector(Box::new(gauges::ModelGauges(Arc::clone(&models))));
        registry.register_collector(Box::new(drift::DriftGauges(models)));
        registry.register_collector(Box::new(process::Process));
        registry
    }
}

impl CallLabels {
    fn of(method: &'static str, code: Code) -> Self {
        Self { method, code: format!("{code:?}") }
    }
}

impl VersionLabels {
    fn of(model: &ServedModel) -> Self {
        Self { model: model.name.clone(), version: model.version.to_string() }
    }
}
