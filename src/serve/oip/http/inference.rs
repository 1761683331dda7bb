//! `POST /v2/models/{name}/infer`.

use axum::{
    extract::{Path, Request, State},
    response::Response,
};

use super::{
    super::{find, infer},
    body::{json_length, read},
    pages::ModelPath,
    parse::parse,
    respond::{AnswerJson, respond},
    wire,
};
use crate::{
    error::Error,
    serve::http::{App, predict::PictureBytes},
};

/// The most bytes of JSON that are read between other requests' turns; more is read on a thread for such work.
const QUICK: usize = 64 << 10;

/// Run a model (Open Inference Protocol)
///
/// The one input, `image`, is UINT8 [N, H, W, 3] as the model's metadata says, or BYTES [N] (or [N, 1]) of encoded
/// pictures, which are decoded and resized as everywhere. Outputs are the graph's own (`scores`, `points` or `values`,
/// FP32); `points_px` (FP32 [N, K, 2], pixels of the original picture) may be asked for with encoded pictures.
///
/// Tensors travel in the JSON or in binary behind it: with the header `Inference-Header-Content-Length`, the bytes of the
/// JSON, and `binary_data_size` for each such input. That header as 0 says that the whole body is one encoded picture.
/// Bodies may be gzip or deflate.
///
/// Where answers are remembered, the answer's parameter `prediction_id` names them: the id of each picture, in their order,
/// with commas between them, and nothing for a picture that is not remembered.
#[utoipa::path(
    post,
    path = "/v2/models/{name}/infer",
    operation_id = "v2_infer",
    tag = "protocol",
    params(
        ("name" = String, Path, description = "The model's name.", example = "scenes"),
        ("inference-header-content-length" = Option<u32>, Header,
            description = "The bytes of the JSON, behind which binary tensors follow."),
    ),
    request_body(
        description = "The request.",
        content(
            (wire::Request = "application/json", example = json!({
                "id": "7", "parameters": {"priority": 2, "timeout": 500_000},
                "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [255, 0, 0, 0, 0, 255]}],
                "outputs": [{"name": "scores", "parameters": {"classification": 2}}]})),
            (inline(PictureBytes) = "application/octet-stream"),
        )
    ),
    responses((
        status = 200,
        description = "The outputs; with binary ones the type is application/octet-stream, and they follow the JSON.",
        content(
            (AnswerJson = "application/json", example = json!({"id": "7", "model_name": "scenes", "model_version": "1",
                "outputs": [{"name": "scores", "datatype": "BYTES", "shape": [1, 2],
                    "data": ["0.93:0:beach", "0.62:4:sunset"]}]})),
            (inline(PictureBytes) = "application/octet-stream"),
        ),
        headers(("Inference-Header-Content-Length" = u32,
            description = "The bytes of the JSON, where binary outputs follow.")),
    )),
)]
pub(super) async fn infer(
    State(app): State<App>,
    Path(path): Path<ModelPath>,
    request: Request,
) -> Result<Response, Error> {
    let model = find(&app, &path.name, &path.version)?;
    let json_length = json_length(request.headers())?;
    let body = read(request, app.settings.max_body).await?;
    let request = if json_length.unwrap_or(body.len()) <= QUICK {
        parse(body, json_length, &model.manifest.input.name)?
    } else {
        let model = std::sync::Arc::clone(&model);
        let work = move || parse(body, json_length, &model.manifest.input.name);
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)??
    };
    respond(&infer::infer(&app, &model, request).await?)
}
