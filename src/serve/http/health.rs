//! `GET /healthz` and `GET /readyz`, for whatever watches the process.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use crate::{error::Error, serve::models::State as LoadState};

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok` or `ready`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is the process alive?
///
/// 503 where a model's thread has ended, which only a restart mends.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "health",
    responses((status = 200, description = "Alive.", body = Health, example = json!({"status": "ok"})))
)]
pub(super) async fn healthz(State(app): State<App>) -> Result<Json<Health>, Error> {
    for (name, entry) in &app.models.status().models {
        if let LoadState::Ready(model) = &entry.state
            && model.queue.is_closed()
        {
            return Err(Error::Unhealthy(name.clone()));
        }
    }
    Ok(Json(Health { status: "ok" }))
}

/// Is every model served?
///
/// 503 while models load, where a model is refused, and where there is none; the detail says which and why. The other
/// models are served all the same.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "health",
    responses((status = 200, description = "Every model is served.", body = Health, example = json!({"status": "ready"})))
)]
pub(super) async fn readyz(State(app): State<App>) -> Result<Json<Health>, Error> {
    let hindrances = app.models.status().hindrances();
    if hindrances.is_empty() {
        Ok(Json(Health { status: "ready" }))
    } else {
        Err(Error::NotReady(hindrances.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{
        model::{
            Digest, Golden, InputSpec, Manifest, ModelVersion, OutputSpec, Provenance, SCHEMA_VERSION, Task, Values,
        },
        picture::{Limits, PictureSize, ResizeMethod, ResizeRule},
        serve::{
            Settings,
            decode::Decoder,
            models::{Entry, Models, ServedModel, Status},
            queue::Queue,
        },
    };

    fn manifest() -> Manifest {
        let size = PictureSize { width: 1, height: 1 };
        Manifest {
            schema_version: SCHEMA_VERSION,
            task: Task::Values(Values { names: vec!["age".to_owned()], y_ranges: Vec::new() }),
            input: InputSpec { name: "image".to_owned(), resize: ResizeRule { method: ResizeMethod::Squish, size } },
            output: OutputSpec { name: "values".to_owned() },
            graph_digest: Digest::of(b""),
            golden: Golden::default(),
            metrics: BTreeMap::new(),
            provenance: Provenance::default(),
        }
    }

    #[tokio::test]
    async fn the_process_is_unhealthy_once_a_models_thread_has_ended() {
        let (queue, jobs) = Queue::new(1);
        let model = ServedModel { digest: Digest::of(b""), manifest: manifest(), queue };
        let entry = Entry { version: ModelVersion(1), state: LoadState::Ready(Arc::new(model)) };
        let models = BTreeMap::from([("ages".to_owned(), entry)]);
        let app = App {
            models: Arc::new(Models::with_status(Status { loaded: true, folder_error: None, models })),
            decoder: Decoder::new(1, Limits::default()),
            settings: Arc::new(Settings::default()),
        };
        assert!(healthz(State(app.clone())).await.is_ok());
        drop(jobs);
        let error = healthz(State(app)).await.unwrap_err();
        assert!(matches!(&error, Error::Unhealthy(name) if name == "ages"), "{error}");
        assert_eq!(super::super::problem::status(&error), 503);
    }
}
