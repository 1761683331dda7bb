//! What a request can run into: the one error of the library's outer layer.
//!
//! It knows no status codes; `serve::http::problem` maps each variant to one. The texts are for the caller of the
//! service. [`Error::Internal`], [`Error::Database`] and [`Error::PictureStore`] are the
//! exceptions: their causes are for the log and are never sent.

use crate::{picture::PictureError, serve::FetchError, store::StoreError};

/// Why a request, or one picture of it, has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such page.
    #[error("there is nothing at {0}")]
    NoSuchPath(String),
    /// The page is there, but not for this method.
    #[error("this address does not take {0}")]
    MethodNotAllowed(String),
    /// A query parameter that is unknown, or whose value does not fit.
    #[error("parameter {name:?}: {reason}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request's body broke off, or is not the form that its header promises.
    #[error("the request's body cannot be read: {0}")]
    Body(String),
    /// No model of this name.
    #[error("there is no model {0:?}; GET /v1/models lists the models")]
    UnknownModel(String),
    /// The model has no such version.
    #[error("model {model:?} has no version {version}; GET /v1/models/{model} lists its versions")]
    UnknownVersion {
        /// The model.
        model: String,
        /// The version that was asked for.
        version: String,
    },
    /// The version lies in the repository but is not in memory.
    #[error("version {version} of model {model:?} is not loaded")]
    NotLoaded {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// A change that does not fit the state of things.
    #[error("{0}")]
    Conflict(String),
    /// A version that was to be loaded is refused.
    #[error("version {version} of model {model:?} is refused: {reason}")]
    Rejected {
        /// The model.
        model: String,
        /// The version.
        version: u64,
        /// Why.
        reason: String,
    },
    /// The body is neither a picture, nor a form, nor JSON.
    #[error(
        "a body of type {0:?} is not taken: send a picture's bytes as image/* or application/octet-stream, \
         or pictures as multipart/form-data or application/json"
    )]
    MediaType(String),
    /// The body is nothing that a job can be made of.
    #[error(
        "a body of type {0:?} makes no job: send application/zip, application/x-ndjson with {{\"url\": …}} in each line, or \
         application/json with {{\"source\": \"s3://…\"}}"
    )]
    JobMediaType(String),
    /// The body is over the limit.
    #[error("the request's body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body came too slowly.
    #[error("only {received} bytes of the request's body came within {after_s:.1} s")]
    BodyLate {
        /// Bytes that had come.
        received: u64,
        /// Seconds that they had.
        after_s: f64,
    },
    /// The request has more pictures than one may have.
    #[error("the request has more than {limit} pictures")]
    TooManyPictures {
        /// The limit.
        limit: usize,
    },
    /// An inference request that is not one, or does not fit the model.
    #[error("{0}")]
    InferenceRequest(String),
    /// One picture of an inference request has no pixels for us.
    #[error("picture {index}: {reason}")]
    PictureAt {
        /// Its place in the request, from 0.
        index: usize,
        /// Why.
        reason: PictureError,
    },
    /// Something that the protocol has and this server has not.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The request has no picture.
    #[error("the request has no picture")]
    NoPicture,
    /// The picture has no pixels for us.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture's URL gave none.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Several pictures where one can be drawn.
    #[error("annotated=png answers one picture, and this request has {0}: send each by itself")]
    OneAnnotated(usize),
    /// The request has no key, or one that is not known.
    #[error("{0}: send it as `authorization: Bearer KEY` or `x-api-key: KEY`")]
    Unauthorized(&'static str),
    /// The request's key is for other things.
    #[error("key {key:?} does not have the scope {scope:?}")]
    Forbidden {
        /// The key's name.
        key: String,
        /// The scope that is missing.
        scope: &'static str,
    },
    /// The request's key was used too often.
    #[error("key {key:?} is used more often than it may be; again in {wait_s} s")]
    RateLimited {
        /// The key's name.
        key: String,
        /// Seconds until it may be used again.
        wait_s: u32,
    },
    /// The request's key is not known, and neither were too many others from its address.
    #[error("the key is not known, and too many wrong ones came from this address; again in {wait_s} s")]
    WrongKeys {
        /// Seconds until the next may come.
        wait_s: u32,
    },
    /// The bodies of other requests take all the memory that there is for them.
    #[error("the bodies of other requests take the {budget} bytes that there are for them; try again")]
    BodyBudget {
        /// Bytes for all bodies together.
        budget: usize,
    },
    /// As many pictures wait for the model as may wait.
    #[error("{waiting} pictures already wait for model {model:?}, the limit is {limit}; try again")]
    QueueFull {
        /// The model.
        model: String,
        /// The queue's limit in pictures.
        limit: usize,
        /// Pictures that are decoded, wait or run.
        waiting: usize,
        /// Seconds that those will take, about.
        retry_after: u32,
    },
    /// The request's time ran out before there was an answer.
    #[error("the request's time ran out before model {0:?} answered")]
    DeadlineExceeded(String),
    /// The server, or this model, is still loading.
    #[error("{0}")]
    NotReady(String),
    /// The model was refused when it was loaded.
    #[error("model {model:?} version {version} is refused: {reason}")]
    Refused {
        /// The model.
        model: String,
        /// Its version.
        version: u64,
        /// Why.
        reason: String,
    },
    /// A model's threads have ended: only loading it again helps.
    #[error("the threads of model {0:?} have ended")]
    Unhealthy(String),
    /// No prediction of this id.
    #[error("there is no prediction {0:?}: it was not remembered, or is forgotten")]
    UnknownPrediction(String),
    /// No job of this id, or one of somebody else's.
    #[error("there is no job {0:?}; GET /v1/jobs lists the jobs")]
    UnknownJob(String),
    /// An address that a job may not read from or write to.
    #[error("{0}")]
    AddressRefused(String),
    /// Uploads for jobs, of a server that has no place for them.
    #[error("this server keeps no uploads: its setting job_files does not say where")]
    NoUploads,
    /// The prediction's picture is not kept, or not any more.
    #[error("{0}")]
    NoKeptPicture(&'static str),
    /// Where pictures are kept does not do what it is asked. Its cause is for the log.
    #[error("the place where pictures are kept does not answer now; try again")]
    PictureStore(#[source] StoreError),
    /// Something that needs a database, of a server that has none.
    #[error("this server has no database: it was started with --database none")]
    NoDatabase,
    /// The database does not do what it is asked. Its cause is for the log.
    #[error("the database does not answer now; try again")]
    Database(#[source] StoreError),
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A version that the model does not have, as the caller wrote it.
    pub fn unknown_version(model: &str, version: impl ToString) -> Self {
        Self::UnknownVersion { model: model.to_owned(), version: version.to_string() }
    }

    /// A fault of ours, from its cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}
