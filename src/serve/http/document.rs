//! The OpenAPI document, and the page that shows it.
//!
//! Success answers are described beside their handlers. Problems are described here, once for all, from the errors
//! themselves: the status and example of each come out of the code that answers with it.

use std::{sync::LazyLock, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, header};
use serde_json::json;
use utoipa::{
    OpenApi as _, ToSchema as _,
    openapi::{
        Content, Header, KnownFormat, Object, ObjectBuilder, OpenApi, Ref, RefOr, Response as ResponseDoc,
        ResponseBuilder, SchemaFormat, Type,
        example::{Example, ExampleBuilder},
        path::Operation,
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    absent,
    context::RequestId,
    described_routes, guarded,
    jobs::create::{ListedPicture, ResultsFormat},
    kinds,
    predict::Drawing,
    problem::{PROBLEM_JSON, Problem, status},
    review::ReviewOrder,
};
use crate::{
    error::Error,
    picture::PictureError,
    serve::{fetch::FetchError, jobs::JobResult, oip, queue::Priority},
    store::StoreError,
};

/// What stands above all addresses.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "tagpoint", description = "Picture taggers and keypoint models over HTTP.",
         license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")),
    servers((url = "/", description = "The server that gives this document; by default http://127.0.0.1:8000")),
    tags((name = "models", description = "Models and their answers."),
         (name = "admin", description = "Changing which models are loaded and which of their versions answer."),
         (name = "jobs", description = "Pictures in bulk, answered while nobody waits."),
         (name = "feedback", description = "Corrections of answers, and thresholds from them."),
         (name = "protocol", description = "The Open Inference Protocol (V2)."),
         (name = "health", description = "For whatever watches the process."),
         (name = "document", description = "This document.")),
    // What no address names by itself: errors, parameters, and lines of what is no JSON as a whole.
    components(schemas(Problem, oip::http::Failed, Drawing, Priority, ResultsFormat, ReviewOrder, JobResult, ListedPicture)),
)]
struct Frame;

/// The document, made once.
static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(make);
/// Its text, which all who ask share.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| serde_json::to_vec(&*DOCUMENT).unwrap_or_default().into());

/// The OpenAPI 3.1 document of the service.
pub fn openapi_document() -> &'static OpenApi {
    &DOCUMENT
}

/// This document
///
/// `GET /docs` shows it to people.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi_json",
    tag = "document",
    responses((status = 200, description = "The OpenAPI document.", body = Object, example = json!({"openapi": "3.1.0"})))
)]
pub(super) async fn openapi_json() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}

/// Swagger UI. Its files are in the program, and the browser is told to ask no other host.
pub(super) fn pages() -> Router {
    let config = Config::new(["/openapi.json"]).validator_url("none").try_it_out_enabled(true);
    Router::from(SwaggerUi::new("/docs").config(config)).layer(axum::middleware::from_fn(own_host_only))
}

async fn own_host_only(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                          img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// Puts together what the handlers say and what holds for all.
fn make() -> OpenApi {
    let mut document = Frame::openapi();
    document.merge(described_routes().into_openapi());
    guarded::describe_schemes(&mut document);
    for (path, item) in &mut document.paths.paths {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.delete].into_iter().flatten() {
            let refusals = guarded::describe(path, operation);
            if path.starts_with("/v2") {
                oip::http::describe_errors(operation, refusals, describe_advice);
            } else {
                describe_problems(operation, refusals);
                describe_drawing(operation);
            }
            describe_request_id(operation);
        }
    }
    oip::http::describe_versions(&mut document);
    kinds::describe(&mut document);
    absent::describe(&mut document);
    document
}

/// Every error that an operation answers with, as it would occur.
fn problems(operation: &str) -> Vec<Error> {
    let model = || "scenes".to_owned();
    let parameter = || Error::Parameter { name: "top_k".into(), reason: "\"0\" is not a whole number from 1".into() };
    let unexpected = || Error::Parameter { name: "verbose".into(), reason: "there is no such parameter here".into() };
    let unknown = || Error::UnknownModel("scene".into());
    let loading = || Error::NotReady("the models are still loading".into());
    let unknown_version = || Error::UnknownVersion { model: model(), version: "9".into() };
    let not_loaded = || Error::NotLoaded { model: model(), version: 1 };
    let refused = || Error::Refused { model: model(), version: 1, reason: "the graph was changed".into() };
    let rejected = || Error::Rejected { model: model(), version: 2, reason: "the graph was changed".into() };
    let unreadable = || Error::NotReady("the models folder models cannot be read: permission denied".into());
    let late = || Error::BodyLate { received: 4096, after_s: 10.0 };
    let away = || Error::Database(StoreError::Slow { place: "tagpoint.db".into(), after_s: 10 });
    let unknown_job = || Error::UnknownJob("0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23".into());
    let change = || vec![unexpected(), unknown(), unknown_version(), loading()];
    match operation {
        "predict" | "predict_by_version" => {
            let full = Error::QueueFull { model: model(), limit: 256, waiting: 256, retry_after: 3 };
            let mut problems = vec![
                parameter(),
                Error::Body("the body broke off".into()),
                unknown(),
                not_loaded(),
                late(),
                Error::BodyTooLarge { limit: 32 << 20 },
                Error::TooManyPictures { limit: 32 },
                Error::Picture(PictureError::TooLarge("the picture is larger than 20971520 bytes".into())),
                Error::MediaType("text/html".into()),
                Error::Picture(PictureError::Unsupported("HEIC is not supported: convert the picture to JPEG".into())),
                Error::NoPicture,
                Error::Picture(PictureError::Empty),
                Error::Picture(PictureError::Broken("the data end early".into())),
                Error::internal("the cause is in the log"),
                Error::OneAnnotated(2),
                FetchError::Off.into(),
                FetchError::Refused("its host's address is not a public one (private)".into()).into(),
                FetchError::Status(404).into(),
                FetchError::TimedOut { limit: Duration::from_secs(10) }.into(),
                full,
                Error::BodyBudget { budget: 256 << 20 },
                loading(),
                refused(),
                Error::Unhealthy(model()),
                Error::DeadlineExceeded(model()),
            ];
            problems.extend((operation == "predict_by_version").then(unknown_version));
            problems
        }
        "list_models" => vec![unexpected()],
        "get_model" => vec![unexpected(), unknown(), loading()],
        "get_model_version" => vec![unexpected(), unknown(), unknown_version(), loading()],
        "get_shadow_report" | "get_drift" => {
            vec![unexpected(), unknown(), unknown_version(), not_loaded(), loading(), refused()]
        }
        "load_version" | "promote_version" => {
            [change(), vec![rejected(), unreadable()]].into_iter().flatten().collect()
        }
        "unload_version" => {
            let conflict = "version 1 of model \"scenes\" is the one that answers: promote another version first, or \
                            unload the whole model";
            [change(), vec![Error::Conflict(conflict.into())]].into_iter().flatten().collect()
        }
        "unload_model" => vec![unexpected(), unknown(), loading()],
        "follow_newest" | "end_shadow" => vec![unexpected(), unknown(), loading()],
        "roll_back" => {
            let conflict = Error::Conflict("model \"scenes\" has no earlier default to roll back to".into());
            [change(), vec![conflict, rejected(), unreadable()]].into_iter().flatten().collect()
        }
        "set_shadow" => {
            let body = Error::Body("share 2 is not above 0 and at most 1".into());
            let too_large = Error::BodyTooLarge { limit: 32 << 20 };
            [change(), vec![body, late(), too_large, rejected(), unreadable()]].into_iter().flatten().collect()
        }
        "rescan" => vec![unexpected(), unreadable()],
        "give_feedback" => vec![
            unexpected(),
            Error::Body("the model has no label \"cta\"; it has cat, dog".into()),
            late(),
            Error::BodyTooLarge { limit: 32 << 20 },
            Error::UnknownPrediction("0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23".into()),
            Error::NoDatabase,
            away(),
        ],
        "get_kept_picture" => vec![
            unexpected(),
            Error::UnknownPrediction("0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23".into()),
            Error::NoKeptPicture("the picture of this prediction was not kept"),
            Error::NoDatabase,
            away(),
            Error::PictureStore(StoreError::Slow { place: "s3://bucket/pictures".into(), after_s: 20 }),
        ],
        "get_corrections" => {
            let own = vec![not_loaded(), Error::NoDatabase, away(), refused()];
            [change(), own].into_iter().flatten().collect()
        }
        "review" => vec![unexpected(), unknown(), Error::NoDatabase, away(), loading()],
        "refit_thresholds" | "roll_back_thresholds" => {
            let few = "12 pictures are corrected, and a label needs 5 that have it and 5 that do not: cat 2/10".into();
            let none = "model \"scenes\" version 1 has the model file's own thresholds already".into();
            let conflict = Error::Conflict(if operation == "refit_thresholds" { few } else { none });
            let own = vec![conflict, not_loaded(), Error::NoDatabase, away(), refused()];
            [change(), own].into_iter().flatten().collect()
        }
        "create_job" => {
            let source = "jobs may not read s3://bucket/: the setting job_sources does not allow it";
            vec![
                Error::Parameter { name: "format".into(), reason: "\"csv\" is not jsonl or parquet".into() },
                Error::Body("line 3: missing field `url`".into()),
                Error::AddressRefused(source.into()),
                unknown(),
                unknown_version(),
                not_loaded(),
                late(),
                Error::BodyTooLarge { limit: 1 << 30 },
                Error::TooManyPictures { limit: 100_000 },
                Error::JobMediaType("text/plain".into()),
                Error::NoPicture,
                FetchError::Off.into(),
                Error::NoDatabase,
                Error::NoUploads,
                Error::BodyBudget { budget: 256 << 20 },
                away(),
                refused(),
                loading(),
            ]
        }
        "list_jobs" => vec![unexpected(), Error::NoDatabase, away()],
        "get_job" => vec![unexpected(), unknown_job(), Error::NoDatabase, away()],
        "cancel_job" => {
            let ended = "job 0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23 has ended already: it is completed";
            vec![unexpected(), unknown_job(), Error::Conflict(ended.into()), Error::NoDatabase, away()]
        }
        "get_job_results" => {
            let runs =
                "job 0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23 is running: its results are there once it has come to an end";
            vec![unexpected(), unknown_job(), Error::Conflict(runs.into()), Error::NoDatabase, away()]
        }
        "healthz" => vec![Error::Unhealthy(model())],
        "readyz" => vec![Error::NotReady("model \"scenes\" version 1 is still loading".into())],
        _ => Vec::new(),
    }
}

fn describe_problems(operation: &mut Operation, refusals: Vec<Error>) {
    let own = problems(operation.operation_id.as_deref().unwrap_or_default());
    for error in own.into_iter().chain(refusals) {
        let code = status(&error).as_str().to_owned();
        let response = operation.responses.responses.entry(code).or_insert_with(|| problem_response(&error).into());
        if let RefOr::T(response) = response {
            add_problem(response, &example_of(&error));
            describe_advice(response, &error);
        }
    }
}

/// An error as it would be told.
fn example_of(error: &Error) -> Problem {
    let id = HeaderValue::from_static("0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23");
    Problem::new(error, &RequestId::from_headers(&http::HeaderMap::from_iter([(super::context::REQUEST_ID, id)])))
}

fn problem_response(error: &Error) -> ResponseDoc {
    let reason = status(error).canonical_reason().unwrap_or_default();
    let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    ResponseBuilder::new().description(reason).content(PROBLEM_JSON, content).build()
}

/// The headers that say what to do about an error, where it has them.
fn describe_advice(response: &mut ResponseDoc, error: &Error) {
    let advice = example_of(error).advice();
    if let Some(challenge) = advice.get(header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()) {
        let header = header_doc(Type::String, "How a key is sent.", json!(challenge));
        response.headers.insert("WWW-Authenticate".into(), header);
    }
    if advice.contains_key(header::RETRY_AFTER) {
        let seconds = "Seconds after which the same request may succeed, where waiting helps.";
        response.headers.insert("Retry-After".into(), header_doc(Type::Integer, seconds, json!(1)));
    }
}

/// Adds an example to a problem response, and its title to the description unless another problem of its kind is there.
fn add_problem(response: &mut ResponseDoc, problem: &Problem) {
    let kind = problem.kind.rsplit(':').next().unwrap_or_default();
    let example: Example =
        ExampleBuilder::new().summary(&problem.title).value(serde_json::to_value(problem).ok()).build();
    let Some(RefOr::T(content)) = response.content.get_mut(PROBLEM_JSON) else { return };
    let of_its_kind = (1..).take_while(|n| content.examples.contains_key(&numbered(kind, *n))).count();
    content.examples.insert(numbered(kind, of_its_kind + 1), example.into());
    if of_its_kind > 0 {
        return;
    }
    let separator = if response.description.contains(':') { "; " } else { ": " };
    response.description = format!("{}{separator}{}", response.description, problem.title);
}

/// The key of the nth example of a kind.
fn numbered(kind: &str, n: usize) -> String {
    if n == 1 { kind.to_owned() } else { format!("{kind}-{n}") }
}

/// A prediction may be answered with a picture.
fn describe_drawing(operation: &mut Operation) {
    let predicts = operation.operation_id.as_deref().is_some_and(|id| id.starts_with("predict"));
    if let (true, Some(RefOr::T(answer))) = (predicts, operation.responses.responses.get_mut("200")) {
        let bytes =
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        answer.content.insert("image/png".to_owned(), Content::new(Some(bytes)).into());
    }
}

/// Every answer carries the request's id.
fn describe_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let text = "The request's id: the one that the request gave, or a new one.";
            let example = json!("0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23");
            response.headers.insert("x-request-id".into(), header_doc(Type::String, text, example));
        }
    }
}

fn header_doc(kind: Type, description: &str, example: serde_json::Value) -> RefOr<Header> {
    let mut header = Header::new(Object::with_type(kind));
    header.description = Some(description.to_owned());
    header.example = Some(example);
    header.into()
}
