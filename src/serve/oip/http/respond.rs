//! An answer's body: JSON, and behind it the tensors that travel in binary.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::outputs::{InferAnswer, OutputElements, OutputTensor};
use crate::error::Error;

/// The outputs of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferResponse)]
pub(super) struct AnswerJson<'a> {
    /// The request's own id, where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "7")]
    id: Option<&'a str>,
    /// The model.
    #[schema(value_type = String, example = "scenes")]
    model_name: &'a str,
    /// Its version.
    #[schema(value_type = String, example = "1")]
    model_version: &'a str,
    /// What is said of the whole answer, where answers are remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AnswerParameters>)]
    parameters: Option<AnswerParameters<'a>>,
    /// The tensors that were asked for.
    #[schema(value_type = Vec<TensorJson>)]
    outputs: Vec<TensorJson<'a>>,
}

/// What is said of a whole answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferResponseParameters)]
struct AnswerParameters<'a> {
    /// The id under which each picture's answer is remembered, in their order, with commas between them; nothing for a picture
    /// that is not remembered.
    #[schema(value_type = String, example = "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23")]
    prediction_id: &'a str,
}

/// An output tensor, with its elements or with how many bytes of the binary part are its own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferOutput)]
struct TensorJson<'a> {
    /// Its name.
    #[schema(value_type = String, example = "scores")]
    name: &'a str,
    /// The type of its elements; `BYTES` where the best labels were asked for.
    #[schema(value_type = OutputType, example = "FP32")]
    datatype: &'static str,
    /// Its dimensions; the first one is the number of pictures.
    #[schema(value_type = Vec<u64>, example = json!([1, 2]))]
    shape: &'a [usize],
    /// Of a tensor in binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<SizeJson>,
    /// Its elements, row by row: numbers, or texts `SCORE:PLACE:LABEL`. Absent of a tensor in binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    data: Option<ElementsJson<'a>>,
}

/// What is said of a tensor that travels in binary.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferOutputParameters)]
struct SizeJson {
    /// Its bytes behind the JSON.
    binary_data_size: usize,
}

/// The type of an output's elements.
#[derive(ToSchema)]
#[schema(as = InferOutputType, rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "describes the type, which is written as the protocol names it")]
enum OutputType {
    Fp32,
    Bytes,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ElementsJson<'a> {
    Fp32(&'a [f32]),
    Text(&'a [String]),
}

/// The answer as a response.
///
/// # Errors
/// `Internal` only.
pub(super) fn respond(answer: &InferAnswer) -> Result<Response, Error> {
    let mut binary = Vec::new();
    let outputs = answer.outputs.iter().map(|output| tensor(output, &mut binary)).collect();
    let json = AnswerJson {
        id: answer.id.as_deref(),
        model_name: &answer.model,
        model_version: &answer.version,
        parameters: answer.prediction_id.as_deref().map(|prediction_id| AnswerParameters { prediction_id }),
        outputs,
    };
    let mut body = serde_json::to_vec(&json).map_err(Error::internal)?;
    let json_length = body.len();
    body.append(&mut binary);
    let mut response = body.into_response();
    let headers = response.headers_mut();
    if answer.outputs.iter().any(|output| output.binary) {
        headers.insert(super::HEADER_LENGTH, HeaderValue::from(json_length));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

fn tensor<'a>(output: &'a OutputTensor, binary: &mut Vec<u8>) -> TensorJson<'a> {
    let (parameters, data) = if output.binary {
        let raw = output.elements.raw();
        binary.extend_from_slice(&raw);
        (Some(SizeJson { binary_data_size: raw.len() }), None)
    } else {
        let data = match &output.elements {
            OutputElements::Fp32(values) => ElementsJson::Fp32(values),
            OutputElements::Text(texts) => ElementsJson::Text(texts),
        };
        (None, Some(data))
    };
    TensorJson { name: &output.name, datatype: output.elements.datatype(), shape: &output.shape, parameters, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(binary: [bool; 2]) -> InferAnswer {
        let output =
            |name: &str, elements, binary| OutputTensor { name: name.to_owned(), shape: vec![1, 1], elements, binary };
        InferAnswer {
            id: Some("7".to_owned()),
            model: "scenes".to_owned(),
            version: "2".to_owned(),
            prediction_id: None,
            outputs: vec![
                output("scores", OutputElements::Fp32(vec![0.5]), binary[0]),
                output("best", OutputElements::Text(vec!["a".to_owned()]), binary[1]),
            ],
        }
    }

    async fn body(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn without_binary_outputs_all_is_json() {
        let response = respond(&answer([false, false])).unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!response.headers().contains_key(super::super::HEADER_LENGTH));
        let expected = concat!(
            r#"{"id":"7","model_name":"scenes","model_version":"2","outputs":["#,
            r#"{"name":"scores","datatype":"FP32","shape":[1,1],"data":[0.5]},"#,
            r#"{"name":"best","datatype":"BYTES","shape":[1,1],"data":["a"]}]}"#
        );
        assert_eq!(String::from_utf8(body(response).await).unwrap(), expected);
    }

    #[tokio::test]
    async fn what_is_remembered_is_named() {
        let remembered = InferAnswer { prediction_id: Some("1,,2".to_owned()), ..answer([false, false]) };
        let json: serde_json::Value = serde_json::from_slice(&body(respond(&remembered).unwrap()).await).unwrap();
        assert_eq!(json["parameters"], serde_json::json!({"prediction_id": "1,,2"}));
    }

    #[tokio::test]
    async fn binary_outputs_follow_behind_the_json_in_order() {
        let response = respond(&answer([true, true])).unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/octet-stream");
        let length: usize = response.headers()[super::super::HEADER_LENGTH].to_str().unwrap().parse().unwrap();
        let body = body(response).await;
        assert_eq!(&body[length..], b"\0\0\0\x3f\x01\0\0\0a");
        let json: serde_json::Value = serde_json::from_slice(&body[..length]).unwrap();
        assert_eq!(json["outputs"][0]["parameters"]["binary_data_size"], 4);
        assert_eq!(json["outputs"][1]["parameters"]["binary_data_size"], 5);
    }
}
