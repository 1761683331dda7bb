//! Forms and other bodies without an end.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::{Target, listen, status};

/// Far more than the server may read of any of these.
const ENDLESS: usize = 256 << 20;

/// Sends a chunked body that begins with one piece and goes on with another until the server has had enough: its
/// answer, and the bytes that it took.
async fn endless(target: &Target, content_type: &str, begin: &str, piece: &str) -> (String, usize) {
    let mut stream = target.connect().await;
    let head = format!(
        "POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\ncontent-type: {content_type}\r\n\
         transfer-encoding: chunked\r\n\r\n{:x}\r\n{begin}\r\n",
        begin.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let pieces = piece.repeat((64 << 10) / piece.len() + 1);
    let chunk = format!("{:x}\r\n{pieces}\r\n", pieces.len());
    let mut sent = 0;
    let (reading, mut writing) = stream.split();
    let answer = loop {
        // The answer may come while more is being sent.
        tokio::select! {
            biased;
            ready = reading.readable() => {
                ready.unwrap();
                break true;
            }
            written = writing.write_all(chunk.as_bytes()) => {
                if written.is_err() || sent > ENDLESS {
                    break false;
                }
                sent += chunk.len();
            }
        }
    };
    assert!(answer || sent <= ENDLESS, "{sent} bytes were taken without an answer");
    (listen(&mut stream, Duration::from_secs(3)).await, sent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_without_an_end_are_cut_off_at_their_limit() {
    let target = Target::start(&["--max-body-bytes", "4000000", "--max-picture-bytes", "3000000"]).await;
    let form = "multipart/form-data; boundary=b";
    let part = "\r\n--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx";
    for (what, content_type, begin, piece, statuses) in [
        ("parts", form, "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nx", part, &[413][..]),
        ("a part", form, "--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n", "x", &[413]),
        ("a part's head", form, "--b\r\ncontent-disposition: form-data; name=\"", "n", &[400, 413]),
        ("a part's headers", form, "--b\r\n", "x: y\r\n", &[400, 413]),
        ("a preamble", form, "no boundary", " here", &[400, 413]),
        ("a boundary's line", form, "--b", " ", &[400, 413]),
        ("a picture", "image/png", "\u{89}PNG", "x", &[413]),
        ("JSON", "application/json", "{\"image\": \"", "A", &[413]),
        ("JSON lists", "application/json", "[", "[", &[400, 413]),
    ] {
        let (answer, sent) = endless(&target, content_type, begin, piece).await;
        assert!(statuses.contains(&status(&answer)), "{what}: {answer}");
        assert!(answer.contains("application/problem+json"), "{what}: {answer}");
        // What the system's own buffers hold is sent, too.
        assert!(sent < 40 << 20, "{what}: {sent} bytes");
        target.is_well().await;
    }
    target.took_at_most(64.0);
}

#[tokio::test]
async fn a_chunked_bodys_endless_trailers_are_refused() {
    let target = Target::start(&[]).await;
    let head =
        "POST /v1/models/colours/predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
    let request = [head, &"x: y\r\n".repeat(1 << 20)].concat();
    let answer = target.said(request.as_bytes()).await;
    assert!(matches!(status(&answer), 0 | 400 | 415), "{answer}");
    target.is_well().await;
    target.took_at_most(32.0);
}
