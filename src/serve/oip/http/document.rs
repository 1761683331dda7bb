//! What can go wrong under /v2, for the OpenAPI document.

use serde_json::json;
use utoipa::{
    ToSchema as _,
    openapi::{
        Content, Object, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Type,
        example::ExampleBuilder,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
    },
};

use super::{
    super::failure::{http_status, message},
    Failed,
};
use crate::{error::Error, picture::PictureError, serve::http::problem};

/// Every error that an operation answers with, by its key.
fn errors(operation: &str) -> Vec<(&'static str, Error)> {
    let model = || "scenes".to_owned();
    let unknown = || ("unknown-model", Error::UnknownModel("scene".to_owned()));
    let not_ready = || ("not-ready", Error::NotReady("model \"scenes\" version 1 is still loading".to_owned()));
    let body = || {
        let text = "the request's JSON: EOF while parsing an object at line 1 column 1";
        ("request", Error::InferenceRequest(text.to_owned()))
    };
    let too_large = || ("too-large", Error::BodyTooLarge { limit: 32 << 20 });
    let late = || ("late", Error::BodyLate { received: 4096, after_s: 10.0 });
    let unsupported = |text: &str| ("unsupported", Error::Unsupported(text.to_owned()));
    let encoding = || unsupported("content-encoding \"br\": gzip and deflate are understood");
    match operation {
        "v2_live" => vec![("unhealthy", Error::Unhealthy(model()))],
        "v2_ready" => vec![not_ready()],
        "v2_model" | "v2_model_ready" | "v2_config" | "v2_statistics" => vec![unknown(), not_ready()],
        "v2_index" => vec![body(), late(), too_large(), encoding()],
        "v2_load" => {
            let reason = "the graph was changed".to_owned();
            let refused = Error::Rejected { model: model(), version: 2, reason };
            let files =
                "a model is loaded as it lies in the repository: a configuration or files in the request are not taken";
            vec![body(), ("refused", refused), unknown(), late(), too_large(), unsupported(files)]
        }
        "v2_unload" => vec![unknown()],
        "v2_infer" => vec![
            body(),
            ("picture", Error::PictureAt { index: 3, reason: PictureError::Broken("the data end early".to_owned()) }),
            unknown(),
            late(),
            too_large(),
            ("internal", Error::internal("the cause is in the log")),
            encoding(),
            ("queue-full", Error::QueueFull { model: model(), limit: 256, waiting: 256, retry_after: 3 }),
            not_ready(),
            ("deadline-exceeded", Error::DeadlineExceeded(model())),
        ],
        _ => Vec::new(),
    }
}

/// Adds what can go wrong to an operation of the protocol; `refusals` are those of keys, and `advise` describes the headers that
/// go with an error.
pub(in crate::serve) fn describe_errors(
    operation: &mut Operation,
    refusals: Vec<Error>,
    advise: impl Fn(&mut Response, &Error),
) {
    let own = errors(operation.operation_id.as_deref().unwrap_or_default());
    let own = own.into_iter().map(|(key, error)| (key.to_owned(), error));
    let refusals = refusals.into_iter().map(|error| {
        let (kind, _) = problem::kind_and_title(&error);
        (format!("key-{}", kind.rsplit(':').next().unwrap_or_default()), error)
    });
    for (key, error) in own.chain(refusals) {
        let status = http_status(problem::status(&error));
        let response = operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| {
            let content = Content::new(Some(Ref::from_schema_name(Failed::name())));
            let reason = status.canonical_reason().unwrap_or_default();
            ResponseBuilder::new().description(reason).content("application/json", content).build().into()
        });
        let RefOr::T(response) = response else { continue };
        advise(response, &error);
        if let Some(RefOr::T(content)) = response.content.get_mut("application/json") {
            let example = ExampleBuilder::new().value(Some(json!({"error": message(&error)}))).build();
            content.examples.insert(key, example.into());
        }
    }
}

/// Gives each address of a model a second entry, with a version in it.
pub(in crate::serve) fn describe_versions(document: &mut OpenApi) {
    let of_models = document.paths.paths.iter().filter_map(|(path, item)| {
        let rest = path.strip_prefix("/v2/models/{name}")?;
        Some((format!("/v2/models/{{name}}/versions/{{version}}{rest}"), of_version(item.clone())))
    });
    let of_versions: Vec<_> = of_models.collect();
    document.paths.paths.extend(of_versions);
}

fn of_version(mut item: PathItem) -> PathItem {
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_version"));
        let summary = operation.summary.take();
        operation.summary = summary.map(|text| text.replace(" (Open", ", by its version (Open"));
        let version = ParameterBuilder::new()
            .name("version")
            .parameter_in(ParameterIn::Path)
            .description(Some("The version: a whole number from 1."))
            .required(Required::True)
            .schema(Some(Object::with_type(Type::String)))
            .example(Some(json!("1")));
        operation.parameters.get_or_insert_default().insert(1, version.build().into());
    }
    item
}
