//! The calls.

use std::pin::Pin;

use futures_util::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    super::{find, find_free, infer, is_ready, outputs::PREDICTION_ID, parse_version, repository, views},
    parse::parse,
    proto::{
        InferParameter, ModelConfigRequest, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
        ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse, ModelStatisticsRequest,
        ModelStatisticsResponse, ModelStreamInferResponse, RepositoryIndexRequest, RepositoryIndexResponse,
        RepositoryModelLoadRequest, RepositoryModelLoadResponse, RepositoryModelUnloadRequest,
        RepositoryModelUnloadResponse, ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest,
        ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
        grpc_inference_service_server::GrpcInferenceService, infer_parameter::ParameterChoice,
        model_infer_response::InferOutputTensor,
    },
    status,
    stream::answers,
};
use crate::{
    error::Error,
    serve::http::{App, context::RequestId, health, problem::note},
};

/// The service.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Service {
    pub(super) app: App,
}

impl Service {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }

    /// Runs one inference request.
    pub(super) async fn infer(&self, message: ModelInferRequest) -> Result<ModelInferResponse, Error> {
        let model = find_free(&self.app, &message.model_name, &message.model_version)?;
        let answer = infer::infer(&self.app, &model, parse(message)?).await?;
        let outputs = answer.outputs.iter().map(|output| InferOutputTensor {
            name: output.name.clone(),
            datatype: output.elements.datatype().to_owned(),
            shape: output.shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect(),
            ..InferOutputTensor::default()
        });
        let text = |value| InferParameter { parameter_choice: Some(ParameterChoice::StringParam(value)) };
        let remembered = answer.prediction_id.map(|id| (PREDICTION_ID.to_owned(), text(id)));
        Ok(ModelInferResponse {
            model_name: answer.model,
            model_version: answer.version,
            id: answer.id.unwrap_or_default(),
            parameters: remembered.into_iter().collect(),
            outputs: outputs.collect(),
            raw_output_contents: answer.outputs.iter().map(|output| output.elements.raw().into()).collect(),
        })
    }

    /// A result as the caller gets it.
    fn reply<T>(&self, result: Result<T, Error>, id: Option<&RequestId>) -> Result<Response<T>, Status> {
        result.map(Response::new).map_err(|error| {
            self.note(&error, id);
            status(&error)
        })
    }

    /// Counts an error. The cause of a fault of ours goes to the log.
    pub(super) fn note(&self, error: &Error, id: Option<&RequestId>) {
        note(error, id.map_or("", RequestId::as_str), &self.app.metrics);
    }
}

/// The request's id, for the log.
fn id_of<T>(request: &Request<T>) -> Option<RequestId> {
    request.extensions().get::<RequestId>().cloned()
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    type ModelStreamInferStream = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: health::alive(&self.app.pipeline.models.catalog()).is_ok() }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: health::ready(&self.app.pipeline.models.catalog()).is_ok() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Result<Response<ModelReadyResponse>, Status> {
        let id = id_of(&request);
        let ModelReadyRequest { name, version } = request.into_inner();
        let ready = match is_ready(&self.app, &name, &version) {
            Err(Error::UnknownModel(_) | Error::UnknownVersion { .. }) => Ok(false),
            other => other,
        };
        self.reply(ready.map(|ready| ModelReadyResponse { ready }), id.as_ref())
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(views::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let id = id_of(&request);
        let ModelMetadataRequest { name, version } = request.into_inner();
        let found = find(&self.app, &name, &version).and_then(|model| views::metadata(&self.app, &model));
        self.reply(found, id.as_ref())
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let id = id_of(&request);
        let ModelConfigRequest { name, version } = request.into_inner();
        let config =
            |model: std::sync::Arc<_>| ModelConfigResponse { config: Some(views::config(&model, &self.app.settings)) };
        self.reply(find(&self.app, &name, &version).map(config), id.as_ref())
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let id = id_of(&request);
        let ModelStatisticsRequest { name, version } = request.into_inner();
        let wanted = Some(name.as_str()).filter(|name| !name.is_empty());
        let found = parse_version(&name, &version).and_then(|version| views::statistics(&self.app, wanted, version));
        self.reply(found, id.as_ref())
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Result<Response<ModelInferResponse>, Status> {
        let id = id_of(&request);
        self.reply(self.infer(request.into_inner()).await, id.as_ref())
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        Ok(Response::new(Box::pin(answers(self.clone(), request))))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let models = views::index(&self.app, request.into_inner().ready);
        Ok(Response::new(RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Result<Response<RepositoryModelLoadResponse>, Status> {
        let id = id_of(&request);
        let message = request.into_inner();
        let loaded = repository::load(&self.app, &message.model_name, !message.parameters.is_empty()).await;
        self.reply(loaded.map(|()| RepositoryModelLoadResponse {}), id.as_ref())
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Result<Response<RepositoryModelUnloadResponse>, Status> {
        let id = id_of(&request);
        let unloaded = repository::unload(&self.app, &request.into_inner().model_name).await;
        self.reply(unloaded.map(|()| RepositoryModelUnloadResponse {}), id.as_ref())
    }
}
