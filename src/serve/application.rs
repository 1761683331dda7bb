//! The application: what `main` builds and runs, and what every test builds and runs.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::AbortHandle};
use tokio_util::sync::CancellationToken;

use super::{
    copies::Copies,
    decode::Decoder,
    edge::Edge,
    http::{self, AppState},
    jobs::Jobs,
    listen,
    metrics::{Metrics, MetricsPage},
    models::Models,
    pipeline::Pipeline,
    record::Recording,
    settings::Settings,
};
use crate::{
    infer::{InferError, Runtime},
    model::StorageError,
    store::{Pictures, Store, StoreError},
};

/// How long a stop waits for the database with what it has yet to be told: answers that are to be remembered, and, before that,
/// tasks of jobs that go back.
const LAST_WORD: Duration = Duration::from_secs(5);
/// The same where the stop's time is already used up.
const LAST_WORD_IN_OVERTIME: Duration = Duration::from_secs(2);

/// A server that is ready to run.
#[derive(Debug)]
pub struct Application {
    settings: Arc<Settings>,
    models: Arc<Models>,
    metrics: Metrics,
}

/// Ends a task when it is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why there is no application.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// ONNX Runtime does not load.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// The address of the models is none.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Application {
    /// Loads ONNX Runtime. Models are opened later, by [`Application::run`].
    ///
    /// # Errors
    /// ONNX Runtime does not load, or the address of the models is none.
    pub fn build(settings: Settings) -> Result<Self, BuildError> {
        let runtime = Runtime::load(settings.onnxruntime.as_deref())?;
        let (settings, metrics) = (Arc::new(settings), Metrics::default());
        let models = Models::new(runtime, Arc::clone(&settings), metrics.clone())?;
        Ok(Self { models: Arc::new(models), metrics, settings })
    }

    /// The models, to wait until they are loaded.
    pub fn models(&self) -> Arc<Models> {
        Arc::clone(&self.models)
    }

    /// Asks the database which thresholds hold, and goes on asking until the handle is dropped.
    async fn follow_thresholds(&self, store: Option<&Store>) -> Result<Option<AbortOnDrop>, StoreError> {
        let Some(store) = store else { return Ok(None) };
        let revisions = self.models.revisions();
        revisions.look(store).await?;
        Ok(Some(AbortOnDrop(revisions.follow(store.clone()))))
    }

    /// What remembers answers, where they are to be remembered.
    fn recording(&self, store: Option<&Store>, pictures: Option<&Pictures>) -> Option<Recording> {
        let settings = &self.settings.record;
        let store = store.filter(|_| settings.share > 0.0)?;
        Some(Recording::start(settings, store.clone(), pictures.cloned(), self.metrics.clone()))
    }

    /// Serves until `shutdown` is done, then finishes the requests that it accepted.
    ///
    /// Answers at once; models load in the background, and until they are there requests for them get a 503.
    ///
    /// # Errors
    /// The listener fails, or the database, or a file of keys or certificates, is not usable.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let address = listener.local_addr()?;
        tracing::info!(%address, models = %self.settings.models.display(), "listening");
        let store = Store::open(&self.settings.database).await.map_err(std::io::Error::other)?;
        if let Some(store) = &store {
            tracing::info!(database = store.place(), "database open");
        }
        let mut edge = Edge::prepare(&self.settings, store.as_ref()).await.map_err(std::io::Error::other)?;
        edge.warn(address, &self.settings);
        let _thresholds = self.follow_thresholds(store.as_ref()).await.map_err(std::io::Error::other)?;
        self.models.start();
        let decoder = Decoder::new(self.settings.decode_threads, self.settings.decode_budget, self.settings.picture);
        // Also where no further answer is remembered: those that were are still looked at.
        let pictures = self.settings.record.pictures.as_deref().filter(|_| store.is_some());
        let pictures = pictures.map(Pictures::open).transpose().map_err(std::io::Error::other)?;
        let recording = self.recording(store.as_ref(), pictures.as_ref());
        let recorder = recording.as_ref().map(Recording::recorder);
        let on_trial = Copies::default();
        let pipeline = Pipeline { models: Arc::clone(&self.models), decoder, recorder, on_trial };
        let jobs = store.clone().map(|store| Jobs::new(store, Arc::clone(&self.settings), edge.fetcher.clone()));
        let jobs = jobs.transpose().map_err(std::io::Error::other)?;
        let working = jobs.as_ref().map(|jobs| jobs.start(&pipeline));
        // Cancelled when the stop begins: streams end, and the wait for accepted requests has an end.
        let stopping = CancellationToken::new();
        let router = http::router(Arc::new(AppState {
            pipeline,
            jobs,
            fetcher: edge.fetcher.clone(),
            keys: Arc::clone(&edge.keys),
            metrics_page: MetricsPage::new(&self.metrics, Arc::clone(&self.models)),
            metrics: self.metrics.clone(),
            store: store.clone(),
            pictures,
            budget: http::Budget::new(self.settings.body_budget),
            settings: Arc::clone(&self.settings),
            stopping: stopping.clone(),
        }));

        let told = stopping.clone();
        let signal = async move {
            shutdown.await;
            tracing::info!("stopping: no new requests, finishing those accepted");
            told.cancel();
        };
        let overtime = async {
            stopping.cancelled().await;
            tokio::time::sleep(self.settings.stop_timeout).await;
        };
        tokio::pin!(overtime);
        let mut in_time = tokio::select! {
            () = listen::serve(listener, router, edge.rules(&self.settings), signal) => true,
            () = &mut overtime => false,
        };
        // Work on jobs holds the models' queues, too.
        if let Some(working) = working {
            working.finish(if in_time { LAST_WORD } else { LAST_WORD_IN_OVERTIME }).await;
        }
        // Requests that still run hold their models' queues, so the threads cannot be waited for.
        if in_time {
            let finish = async {
                self.models.stop().await;
                edge.finish().await;
            };
            // A model that is being loaded may take long, too.
            in_time = tokio::select! {
                () = finish => true,
                () = &mut overtime => false,
            };
        }
        if !in_time {
            tracing::warn!("stopped with requests or loads unfinished: they took longer than the stop timeout");
        }
        if let Some(recording) = recording {
            recording.finish(if in_time { LAST_WORD } else { LAST_WORD_IN_OVERTIME }).await;
        }
        if let Some(store) = &store {
            store.close().await;
        }
        tracing::info!("stopped");
        Ok(())
    }
}
