//! Bodies of requests, sent to the real application over a real connection.

use serde_json::Value;

use super::server::{Answer, SERVER};

/// What may come of a body, whatever is in it.
fn check(answer: &Answer, over_v2: bool) {
    let status = answer.status.as_u16();
    let text = String::from_utf8_lossy(&answer.body);
    assert!(matches!(status, 200 | 400 | 413 | 415 | 422), "{status}: {text}");
    let content_type = answer.headers["content-type"].to_str().unwrap();
    if status == 200 {
        // Binary outputs follow their JSON.
        assert!(matches!(content_type, "application/json" | "application/octet-stream"), "{content_type}");
        return;
    }
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    if over_v2 {
        assert!(problem["error"].as_str().is_some_and(|error| !error.is_empty()), "{text}");
    } else {
        assert_eq!(content_type, "application/problem+json");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{text}");
    }
}

/// A form, whose boundary is `b`.
pub fn multipart(bytes: &[u8]) {
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    check(&SERVER.post("/v1/models/m/predict", &headers, bytes), false);
}

/// Pictures as JSON.
pub fn json(bytes: &[u8]) {
    check(&SERVER.post("/v1/models/m/predict", &[("content-type", "application/json")], bytes), false);
}

/// The Open Inference Protocol over HTTP. The first two bytes say how long the JSON is, behind which binary tensors
/// follow; 65535 is a request without that header.
pub fn infer(bytes: &[u8]) {
    let Some((length, body)) = bytes.split_first_chunk() else { return };
    let length = u16::from_le_bytes(*length).to_string();
    let header = ("inference-header-content-length", length.as_str());
    let headers = if length == "65535" { &[][..] } else { &[header] };
    check(&SERVER.post("/v2/models/m/infer", headers, body), true);
}

/// The Open Inference Protocol over gRPC: the message of one call. The first byte is the frame's flag for a compressed
/// one.
pub fn grpc(bytes: &[u8]) {
    let Some((flag, message)) = bytes.split_first() else { return };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[flag & 1][..], &length, message].concat();
    let headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", "gzip")];
    let answer = SERVER.post_multiplexed("/inference.GRPCInferenceService/ModelInfer", &headers, &frame);
    assert_eq!(answer.status, 200);
    let code = answer.headers["grpc-status"].to_str().unwrap();
    // OK, invalid argument, not found, resource exhausted (larger than the limit when it is unpacked), out of range, unimplemented,
    // internal (a message that is none).
    let expected = matches!(code, "0" | "3" | "5" | "8" | "11" | "12" | "13");
    assert!(expected, "{code}: {:?}", answer.headers.get("grpc-message"));
}
