//! `GET /healthz` and `GET /readyz`, for whatever watches the process.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::{error::Error, serve::models::Catalog};

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` of `/healthz`, `ready` of `/readyz`.
    status: HealthName,
}

/// What is well: the process, or every model.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthName {
    Ok,
    Ready,
}

/// Is the process alive?
///
/// 503 where a model's threads have ended, which only loading it again or a restart mends.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "health",
    responses((status = 200, description = "Alive.", body = Health, example = json!({"status": "ok"})))
)]
pub(super) async fn healthz(State(app): State<App>) -> Result<Json<Health>, Error> {
    alive(&app.pipeline.models.catalog())?;
    Ok(Json(Health { status: HealthName::Ok }))
}

/// Whether every version that takes pictures has threads to run them.
pub(in crate::serve) fn alive(catalog: &Catalog) -> Result<(), Error> {
    match catalog.served().find(|model| model.queue.is_closed()) {
        Some(model) => Err(Error::Unhealthy(model.name.clone())),
        None => Ok(()),
    }
}

/// Is every model served?
///
/// 503 while models load, where the version of a model that should answer is refused or its device fails, and where
/// there is no model; the detail says which and why. The other models are served all the same.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "health",
    responses((status = 200, description = "Every model is served.", body = Health, example = json!({"status": "ready"})))
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Error> {
    ready(&app.pipeline.models.catalog())?;
    Ok(Json(Health { status: HealthName::Ready }))
}

/// Whether every model answers that should.
pub(in crate::serve) fn ready(catalog: &Catalog) -> Result<(), Error> {
    let hindrances = catalog.hindrances();
    if hindrances.is_empty() { Ok(()) } else { Err(Error::NotReady(hindrances.join("; "))) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::serve::models::{Entry, ServedModel, State as LoadState};

    #[test]
    fn the_process_is_unhealthy_once_a_models_threads_have_ended() {
        let served = Arc::new(ServedModel::without_threads("ages"));
        let thread = served.queue.worker_end();
        let mut entry = Entry::default();
        entry.versions.insert(served.version, LoadState::Ready(served));
        let catalog = Catalog { loaded: true, models: [("ages".to_owned(), entry)].into(), ..Catalog::default() };
        assert!(alive(&catalog).is_ok());
        drop(thread);
        let error = alive(&catalog).unwrap_err();
        assert!(matches!(&error, Error::Unhealthy(name) if name == "ages"), "{error}");
        assert_eq!(super::super::problem::status(&error), 503);
        assert_eq!(catalog.hindrances(), ["model \"ages\" version 1: its threads have ended"]);
    }
}
