//! What the OpenAPI document says about keys: how they are sent, which scope an address needs, what is refused.

use utoipa::openapi::{
    OpenApi, SecurityRequirement,
    path::Operation,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::access;
use crate::{error::Error, serve::keys::Scope};

/// The two ways in which a key is sent.
const SCHEMES: [&str; 2] = ["bearer", "api_key"];

/// Names the ways in which a key is sent.
pub(super) fn describe_schemes(document: &mut OpenApi) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    let bearer = bearer.description(Some("A key of the server's, where it has keys.")).build();
    let header = ApiKeyValue::with_description("x-api-key", "The same key in a header of its own.");
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(SCHEMES[0], SecurityScheme::Http(bearer));
    components.add_security_scheme(SCHEMES[1], SecurityScheme::ApiKey(ApiKey::Header(header)));
}

/// Says which scope an operation needs, and gives the errors that go with it. A server without keys needs none.
pub(super) fn describe(path: &str, operation: &mut Operation) -> Vec<Error> {
    let (always, with_metrics) = (access::needed(path, false), access::needed(path, true));
    let Some(scope) = with_metrics else { return Vec::new() };
    let setting = if always.is_some() { "" } else { " and the setting `protect_metrics` is on" };
    let text = format!("Where the server has keys{setting}: a key of scope `{}`.", scope.name());
    let description = operation.description.take().map_or(text.clone(), |before| format!("{before}\n\n{text}"));
    operation.description = Some(description);
    let by_key = SCHEMES.map(|scheme| SecurityRequirement::new(scheme, [""; 0]));
    operation.security = Some(by_key.into_iter().chain([SecurityRequirement::default()]).collect());
    let key = || match scope {
        Scope::Predict => "operator".to_owned(),
        Scope::Admin => "website".to_owned(),
    };
    vec![
        Error::Unauthorized("this address needs a key"),
        Error::Forbidden { key: key(), scope: scope.name() },
        Error::RateLimited { key: "website".to_owned(), wait_s: 2 },
        Error::NotReady(access::UNSURE.to_owned()),
        Error::WrongKeys { wait_s: 1 },
    ]
}
