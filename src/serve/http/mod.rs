//! HTTP: the addresses, and what every request passes through.

mod admin;
pub(super) mod context;
mod document;
mod form;
pub(super) mod health;
mod model_views;
mod parameters;
mod predict;
mod prediction;
pub(super) mod problem;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub use document::openapi_document;

use super::{oip, pipeline::Pipeline, settings::Settings};
use crate::error::Error;

/// What every handler may use. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) pipeline: Pipeline,
    pub(super) settings: Arc<Settings>,
}

/// The whole service.
pub(super) fn router(app: App) -> Router {
    let (router, _) = described_routes().split_for_parts();
    let max_body = app.settings.max_body;
    let (grpc_path, grpc) = oip::grpc::route(&app);
    let router = router
        .with_state(app)
        .merge(document::pages())
        .route_service(&grpc_path, grpc)
        .fallback(async |request: Request| Error::NoSuchPath(request.uri().path().to_owned()))
        .method_not_allowed_fallback(async |request: Request| Error::MethodNotAllowed(request.method().to_string()))
        .layer(DefaultBodyLimit::max(max_body));
    context::wrap(router)
}

/// The addresses together with their OpenAPI entries.
fn described_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(predict::predict))
        .routes(routes!(model_views::list_models))
        .routes(routes!(predict::predict_by_version))
        .routes(routes!(model_views::get_model))
        .routes(routes!(model_views::get_model_version))
        .routes(routes!(model_views::get_shadow_report))
        .routes(routes!(admin::load))
        .routes(routes!(admin::unload))
        .routes(routes!(admin::unload_model))
        .routes(routes!(admin::promote))
        .routes(routes!(admin::follow_newest))
        .routes(routes!(admin::roll_back))
        .routes(routes!(admin::set_shadow, admin::end_shadow))
        .routes(routes!(admin::rescan))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(document::openapi_json))
        .merge(oip::http::routes())
}
