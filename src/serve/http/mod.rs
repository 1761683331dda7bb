//! HTTP: the addresses, and what every request passes through.

mod absent;
mod access;
mod admin;
mod annotated;
mod arriving;
mod budget;
pub(super) mod context;
mod document;
mod drift;
mod early;
mod feedback;
pub(super) mod form;
mod guarded;
mod headers;
pub(super) mod health;
mod jobs;
mod json;
mod kept_picture;
mod kinds;
mod metrics;
pub(super) mod model_views;
pub(super) mod object;
mod page;
mod parameters;
pub(super) mod predict;
pub(super) mod prediction;
pub(super) mod problem;
mod review;
mod streamed;
mod thresholds;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use document::openapi_document;

pub(super) use access::Pass;
pub(super) use budget::Budget;
pub(super) use streamed::Unanswered;

use super::{
    fetch::Fetcher,
    jobs::Jobs,
    keys::Keyring,
    metrics::{Metrics, MetricsPage},
    models::ServedModel,
    oip,
    pipeline::Pipeline,
    settings::Settings,
};
use crate::{
    error::Error,
    store::{Pictures, Store},
};

/// What every handler may use: one for all requests.
pub(super) type App = Arc<AppState>;

/// See [`App`].
#[derive(Debug)]
pub(super) struct AppState {
    pub(super) pipeline: Pipeline,
    /// None where pictures are not fetched by URL.
    pub(super) fetcher: Option<Fetcher>,
    pub(super) keys: Arc<Keyring>,
    pub(super) budget: Budget,
    pub(super) metrics: Metrics,
    pub(super) metrics_page: MetricsPage,
    /// None for a server without a database.
    pub(super) store: Option<Store>,
    /// As `store`.
    pub(super) jobs: Option<Jobs>,
    /// None where pictures are not kept.
    pub(super) pictures: Option<Pictures>,
    pub(super) settings: Arc<Settings>,
    /// Cancelled when the stop begins: streams, which may go on for hours, end.
    pub(super) stopping: CancellationToken,
}

impl AppState {
    /// The database.
    ///
    /// # Errors
    /// `NoDatabase`.
    fn store(&self) -> Result<&Store, Error> {
        self.store.as_ref().ok_or(Error::NoDatabase)
    }

    /// A version that is named, or the one that answers.
    ///
    /// # Errors
    /// `UnknownModel`, `UnknownVersion`, `NotLoaded`, `Refused` or `NotReady`.
    fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, Error> {
        let version = version.map(|version| model_views::version_of(name, version)).transpose()?;
        self.pipeline.models.find(name, version)
    }

    /// Bulk jobs.
    ///
    /// # Errors
    /// `NoDatabase`.
    fn jobs(&self) -> Result<&Jobs, Error> {
        self.jobs.as_ref().ok_or(Error::NoDatabase)
    }

    /// Takes a change of thresholds at once; other servers take it within two seconds. So does this one where the database
    /// cannot be asked just now: the change is made, and an error would have it made again.
    async fn follow_thresholds(&self, store: &Store) {
        if let Err(error) = self.pipeline.models.revisions().look(store).await {
            tracing::warn!(%error, "changed thresholds are in force, and are taken as soon as the database can be asked");
        }
    }
}

/// The whole service.
pub(super) fn router(app: App) -> Router {
    let (router, _) = described_routes().split_for_parts();
    let (max_body, origins) = (app.settings.max_body, app.settings.access.origins.clone());
    let metrics = app.metrics.clone();
    let doors = from_fn_with_state(Arc::clone(&app), pass_doors);
    let (grpc_path, grpc) = oip::grpc::route(&app);
    let router = router
        .with_state(app)
        .merge(document::pages())
        .merge(page::routes())
        .route_service(&grpc_path, grpc)
        .fallback(async |request: Request| Error::NoSuchPath(request.uri().path().to_owned()))
        .method_not_allowed_fallback(async |request: Request| Error::MethodNotAllowed(request.method().to_string()))
        .layer(ServiceBuilder::new().layer(doors).layer(DefaultBodyLimit::max(max_body)));
    context::wrap(router, &origins, metrics)
}

/// Lets a request in where its key opens the address, its model has a place, and memory holds its body.
/// One layer for all of it: each layer of the router copies everything further in for each request.
async fn pass_doors(
    State(app): State<App>,
    route: Option<MatchedPath>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let let_in = async {
        access::check(&app, &mut request)?;
        early::refuse(&app, route.as_ref(), parameters)?;
        budget::admit(&app, request, next).await
    };
    let_in.await.into_response()
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
        .routes(routes!(drift::get_drift))
        .routes(routes!(admin::load))
        .routes(routes!(admin::unload))
        .routes(routes!(admin::unload_model))
        .routes(routes!(admin::promote))
        .routes(routes!(admin::follow_newest))
        .routes(routes!(admin::roll_back))
        .routes(routes!(admin::set_shadow, admin::end_shadow))
        .routes(routes!(admin::rescan))
        .routes(routes!(feedback::give_feedback))
        .routes(routes!(jobs::create::create_job, jobs::list_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(jobs::results::get_job_results))
        .routes(routes!(kept_picture::get_kept_picture))
        .routes(routes!(review::review))
        .routes(routes!(thresholds::get_corrections))
        .routes(routes!(thresholds::refit_thresholds))
        .routes(routes!(thresholds::roll_back_thresholds))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(document::openapi_json))
        .merge(oip::http::routes())
}
