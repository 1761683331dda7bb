//! Spans that the real program exports, as a collector gets them: a gRPC server of OTLP's trace service.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use crate::helpers::{client, models, pictures, program::Program, put};

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one on a free port: its endpoint.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        endpoint
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.0.lock().unwrap().clone();
        let of_resources = received.into_iter().flat_map(|request| request.resource_spans);
        of_resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// Attributes as text.
fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

const KEY: &str = "the-key-of-the-website";
const WRONG: &str = "a-wrong-key-of-some-length";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_one_span_a_request_with_its_stages_and_neither_key_nor_picture() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "colours", &models::colours());
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let arguments = ["--models", folder.path().to_str().unwrap(), "--otlp-endpoint", &endpoint];
    // At its most talkative.
    let variables = [("RUST_LOG", "trace"), ("TAGPOINT_KEYS", &format!("website:predict:{KEY}"))];
    let program = Program::serve(&arguments, &variables);
    let client = client();
    while client.get(program.url("/readyz")).send().await.unwrap().status() != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let picture = pictures::pattern(64, 1);
    let base64 = BASE64.encode(&picture);
    let predict = || client.post(program.url("/v1/models/colours/predict"));
    let json = serde_json::json!({"image": base64});
    for (id, status, request) in [
        ("by-bytes", 200, predict().bearer_auth(KEY).header("content-type", "image/png").body(picture.clone())),
        ("by-json", 200, predict().header("x-api-key", KEY).json(&json)),
        ("by-nobody", 401, predict().bearer_auth(WRONG).json(&json)),
        ("unreadable", 415, predict().bearer_auth(KEY).body(base64.clone())),
    ] {
        assert_eq!(request.header("x-request-id", id).send().await.unwrap().status(), status, "{id}");
    }
    // The last spans are sent before it ends.
    assert!(program.stop().success());

    let spans = collector.spans();
    for (id, status, stages) in [
        ("by-bytes", "200", &["decode", "queue"][..]),
        ("by-json", "200", &["decode", "queue"]),
        ("by-nobody", "401", &[]),
        ("unreadable", "415", &["decode"]),
    ] {
        let of_request = |span: &&Span| texts(&span.attributes).get("request_id").is_some_and(|found| found == id);
        let found: Vec<&Span> = spans.iter().filter(of_request).collect();
        let [span] = found[..] else { panic!("{} spans of {id}", found.len()) };
        let attributes = texts(&span.attributes);
        assert_eq!((span.name.as_str(), span.kind()), ("request", SpanKind::Server));
        assert!(span.parent_span_id.is_empty() && span.end_time_unix_nano > span.start_time_unix_nano);
        assert_eq!(attributes["status"], status, "{id}");
        assert_eq!((&*attributes["method"], &*attributes["path"]), ("POST", "/v1/models/colours/predict"));
        assert_eq!(attributes.get("key").map(String::as_str), (id != "by-nobody").then_some("website"), "{id}");
        let mut children: Vec<&Span> = spans.iter().filter(|child| child.parent_span_id == span.span_id).collect();
        children.sort_by_key(|child| child.start_time_unix_nano);
        assert_eq!(children.iter().map(|child| child.name.as_str()).collect::<Vec<_>>(), stages, "{id}");
        for child in &children {
            assert_eq!(child.trace_id, span.trace_id);
            let (starts, ends) = (child.start_time_unix_nano, child.end_time_unix_nano);
            assert!(span.start_time_unix_nano <= starts && starts <= ends && ends <= span.end_time_unix_nano, "{id}");
        }
        if status == "200" {
            for stage in ["decode_ms", "queue_ms", "inference_ms"] {
                assert!(attributes[stage].parse::<f64>().unwrap() >= 0.0, "{id}: {stage}");
            }
            // A batch has pictures of several requests: its span is nobody's child, and names those that it ran for.
            let queue = children[1];
            let ran: Vec<&Span> =
                spans.iter().filter(|span| span.links.iter().any(|link| link.span_id == queue.span_id)).collect();
            assert_eq!(ran.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["inference"], "{id}");
            assert_eq!(texts(&ran[0].attributes)["batch_size"], "1");
        }
    }
    // A server's error, such as /readyz has while models load, is one in the trace too; a client's is none.
    for span in spans.iter().filter(|span| span.name == "request") {
        let is_error = span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
        assert_eq!(is_error, texts(&span.attributes)["status"].starts_with('5'), "{span:?}");
    }
    // What the exporter's own connection does is not sent.
    let names = ["request", "decode", "queue", "inference"];
    assert!(spans.iter().all(|span| names.contains(&span.name.as_str())), "{spans:?}");

    for request in collector.0.lock().unwrap().iter() {
        let resource = texts(&request.resource_spans[0].resource.as_ref().unwrap().attributes);
        assert_eq!(resource["service.name"], "tagpoint");
        let sent = request.encode_to_vec();
        let has = |secret: &[u8]| sent.windows(secret.len()).any(|window| window == secret);
        for secret in [KEY.as_bytes(), WRONG.as_bytes(), &base64.as_bytes()[..24], &picture[..24]] {
            assert!(!has(secret), "{} is in {request:?}", String::from_utf8_lossy(secret));
        }
        assert!(has(b"/v1/models/colours/predict") || has(b"/readyz"), "it is looked for in what was sent");
    }
}
