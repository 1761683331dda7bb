//! gRPC by hand, for calls whose messages come in pieces.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::net::TcpStream;

/// A call's body.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A connection over HTTP/2.
pub async fn connect(address: SocketAddr) -> http2::SendRequest<Body> {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A call of the inference service.
pub fn call(address: SocketAddr, method: &str, body: Body) -> Request<Body> {
    Request::post(format!("http://{address}/inference.GRPCInferenceService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

/// A body that is there as a whole.
pub fn whole(frame: Vec<u8>) -> Body {
    Full::new(Bytes::from(frame)).boxed_unsync()
}

/// A message as it travels: not packed, its length, itself.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat()
}

/// A `ModelInferRequest` with one encoded picture, as it travels.
pub fn infer(model: &str, picture: &[u8]) -> Vec<u8> {
    let input = [field(1, b"image"), field(2, b"BYTES"), field(3, &[1])].concat();
    let raw = [&u32::try_from(picture.len()).unwrap().to_le_bytes()[..], picture].concat();
    framed(&[field(1, model.as_bytes()), field(5, &input), field(7, &raw)].concat())
}

fn field(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(tag, WireType::LengthDelimited, &mut bytes);
    encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// The status of an answer, which comes with its head where there is nothing else.
pub async fn status(response: Response<Incoming>) -> String {
    let (head, body) = response.into_parts();
    let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
    code(&head.headers).or_else(|| code(&trailers)).unwrap()
}

fn code(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("grpc-status")?.to_str().unwrap().to_owned())
}
