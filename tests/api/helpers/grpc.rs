//! gRPC by hand, for calls whose messages come in pieces, or one after another as a test likes.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http2,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::encoding::{WireType, encode_key, encode_varint};
use tokio::{
    net::TcpStream,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// How long a stream's next answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// A `ModelStreamInfer` that is open.
pub struct Stream {
    /// None once the client has ended it.
    send: Option<UnboundedSender<Vec<u8>>>,
    body: Incoming,
    /// What has come of the next answer.
    come: BytesMut,
    /// The connection ends with it.
    _sender: http2::SendRequest<Body>,
}

/// What a stream's answer says.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// A picture's outputs.
    Answer,
    /// The error of one request.
    Error(String),
    /// The stream has ended with this status.
    End(String),
}

impl Stream {
    /// Opens one, with a key where one is needed.
    pub async fn open(address: SocketAddr, key: Option<&str>) -> Self {
        let (send, messages) = unbounded_channel();
        let frames = stream::unfold(messages, async |mut messages: UnboundedReceiver<Vec<u8>>| {
            let message = messages.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(message))), messages))
        });
        let mut request = call(address, "ModelStreamInfer", StreamBody::new(frames).boxed_unsync());
        if let Some(key) = key {
            request.headers_mut().insert("x-api-key", key.parse().unwrap());
        }
        let mut sender = connect(address).await;
        let body = sender.send_request(request).await.unwrap().into_body();
        Self { send: Some(send), body, come: BytesMut::new(), _sender: sender }
    }

    /// Asks for a picture.
    pub fn ask(&self, model: &str, picture: &[u8]) {
        // Where the server has ended the stream, `next` says so.
        let _ = self.send.as_ref().unwrap().send(infer(model, picture));
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        self.send = None;
    }

    /// What comes next.
    pub async fn next(&mut self) -> Said {
        loop {
            if let Some(length) = self.come.get(1..5) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
                if self.come.len() >= 5 + length {
                    self.come.advance(5);
                    return said(&self.come.split_to(length));
                }
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.expect("nothing comes");
            let frame = frame.expect("it ends without a status").unwrap();
            match frame.into_data() {
                Ok(data) => self.come.extend_from_slice(&data),
                Err(frame) => return Said::End(code(frame.trailers_ref().unwrap()).unwrap()),
            }
        }
    }
}

/// A `ModelStreamInferResponse`: an error's text is its field 1, which an answer does not have.
fn said(message: &[u8]) -> Said {
    match message {
        [0x0a, rest @ ..] => Said::Error(String::from_utf8_lossy(rest).into_owned()),
        _ => Said::Answer,
    }
}
