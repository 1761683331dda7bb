//! Small files and bodies that grow when they are decoded.

use std::{io::Write as _, time::Duration};

use flate2::{
    Compression, Crc,
    write::{GzEncoder, ZlibEncoder},
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};

use super::{Target, good};
use crate::helpers::{grpc, problem};

/// What one picture may have, and what it may take while it is decoded: 8 bytes a pixel, 3 as RGB, and as many to turn.
const PIXELS: u32 = 4_000_000;
const MOST_MIB: f64 = 14.0 * PIXELS as f64 / (1 << 20) as f64;

/// Zeros, packed.
fn packed_zeros(bytes: usize) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 16];
    for start in (0..bytes).step_by(zeros.len()) {
        packer.write_all(&zeros[..zeros.len().min(bytes - start)]).unwrap();
    }
    packer.finish().unwrap()
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(content);
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length, &kind[..], content, &sum.sum().to_be_bytes()].concat()
}

/// A PNG of zeros, RGBA with 16 bits, with more chunks before its pixels.
fn png(width: u32, height: u32, pixels: &[u8], more: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[16, 6, 0, 0, 0]].concat();
    let parts =
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), more, &chunk(b"IDAT", pixels), &chunk(b"IEND", &[])];
    parts.concat()
}

/// A BMP whose run-length coding says nothing but that it ends.
fn bmp(width: u32, height: u32) -> Vec<u8> {
    let info = [&40_u32.to_le_bytes()[..], &width.to_le_bytes(), &height.to_le_bytes(), &[1, 0, 8, 0, 1, 0, 0, 0]];
    let info = [&info.concat()[..], &[0; 12], &256_u32.to_le_bytes(), &[0; 4], &[0; 1024], &[0, 1]].concat();
    let size = u32::try_from(14 + info.len()).unwrap().to_le_bytes();
    [&b"BM"[..], &size, &[0; 4], &(14_u32 + 40 + 1024).to_le_bytes(), &info].concat()
}

fn lossless_webp(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut bytes);
    encoder.encode(&vec![0; (width * height * 4) as usize], width, height, image::ExtendedColorType::Rgba8).unwrap();
    bytes
}

/// A GIF of one colour, with so many frames of the whole canvas.
fn gif(width: u16, height: u16, frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut bytes, 30);
    let frame = image::RgbaImage::new(width.into(), height.into());
    encoder.encode_frames((0..frames).map(|_| image::Frame::new(frame.clone()))).unwrap();
    drop(encoder);
    bytes
}

/// So many MiB.
fn gzip_of_spaces(mebibytes: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..mebibytes {
        gzip.write_all(&[b' '; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap()
}

async fn limited() -> Target {
    Target::start(&[
        "--max-picture-pixels",
        &PIXELS.to_string(),
        "--decode-threads",
        "1",
        "--max-picture-side",
        "16384",
    ])
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_grow_take_no_more_than_their_limits_allow() {
    let target = limited().await;
    let pixels = packed_zeros(2000 * (1 + 2000 * 8));
    let bombs = [
        ("PNG", png(2000, 2000, &pixels, &[]), 200),
        ("WebP", lossless_webp(2000, 2000), 200),
        ("GIF", gif(2000, 2000, 1), 200),
        ("GIF of many frames", gif(1000, 1000, 40), 200),
        ("BMP", bmp(2000, 2000), 200),
        // The limit is in the header, and what is behind it is not looked at.
        ("large PNG", png(16_000, 16_000, &pixels, &[]), 413),
        ("large WebP", lossless_webp(16_000, 400), 413),
        ("large GIF", gif(8000, 600, 1), 413),
        ("large BMP", bmp(16_000, 16_000), 413),
        // Data for four times as many pixels as the header says, and for none.
        ("long PNG", png(1000, 1000, &pixels, &[]), 200),
        ("short PNG", png(2000, 2000, &packed_zeros(10), &[]), 422),
    ];
    for (_, bomb, _) in &bombs {
        assert!(bomb.len() < 200_000, "{} bytes are no bomb", bomb.len());
    }
    for (what, bomb, expected) in &bombs {
        let response = target.predict(bomb).await;
        let status = response.status().as_u16();
        assert_eq!(status, *expected, "{what}: {}", response.text().await.unwrap());
        target.is_well().await;
    }
    // At once, they wait for each other.
    let pictures = std::iter::repeat_n(&bombs, 2).flatten();
    futures_util::future::join_all(pictures.map(|(_, bomb, _)| target.predict(bomb))).await;
    target.is_well().await;
    target.took_at_most(MOST_MIB + 40.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_are_decoded_at_once_share_the_memory_for_that() {
    let target = Target::start(&["--decode-threads", "8", "--decode-budget-bytes", &(8 * PIXELS).to_string()]).await;
    let bomb = png(2000, 2000, &packed_zeros(2000 * (1 + 2000 * 8)), &[]);
    // Each takes all of it; those that are small take their turn among them.
    let small = good();
    let pictures = (0..16).map(|place| target.predict(if place % 2 == 0 { &bomb } else { &small }));
    for response in futures_util::future::join_all(pictures).await {
        assert_eq!(response.status(), 200);
    }
    target.took_at_most(MOST_MIB + 40.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_packed_beside_a_pictures_pixels_takes_no_more_than_they_may() {
    let target = limited().await;
    let bomb = packed_zeros(200 << 20);
    let text = |kind: &[u8; 4], before: &[u8]| chunk(kind, &[before, &bomb].concat());
    let pixels = packed_zeros(4 * (1 + 4 * 8));
    for (what, more) in [
        ("zTXt", text(b"zTXt", b"Comment\0\0")),
        ("iTXt", text(b"iTXt", b"Comment\0\x01\0\0\0")),
        ("iCCP", text(b"iCCP", b"profile\0\0")),
        ("many", text(b"zTXt", b"Comment\0\0").repeat(5)),
    ] {
        let status = target.predict(&png(4, 4, &pixels, &more)).await.status();
        assert!(
            matches!(status, StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::PAYLOAD_TOO_LARGE),
            "{what}: {status}"
        );
        target.is_well().await;
    }
    // 16 MiB and the picture's own, and as much again while that grows.
    target.took_at_most(64.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_bodies_are_unpacked_up_to_their_limit() {
    let target = Target::start(&["--max-body-bytes", "8000000", "--max-picture-bytes", "4000000"]).await;
    let gzip = gzip_of_spaces(400);
    let url = target.program.url("/v2/models/colours/infer");
    let post = |body: Vec<u8>, encoding: &'static str| {
        target.client.post(&url).header("content-encoding", encoding).body(body).send()
    };
    let many = (0..8).map(|_| post(gzip.clone(), "gzip"));
    for response in futures_util::future::join_all(many).await {
        let status = response.unwrap().status();
        // Where there is no memory for more bodies of this size, they are not read.
        assert!(matches!(status.as_u16(), 413 | 503), "{status}");
    }
    assert_eq!(post(gzip.clone(), "gzip").await.unwrap().status(), 413);
    assert_eq!(post(packed_zeros(400 << 20), "deflate").await.unwrap().status(), 413);
    // Packed twice, or in a way that is not understood, it is not unpacked at all.
    for encoding in ["gzip, gzip", "br", "zstd"] {
        let status = post(gzip.clone(), encoding).await.unwrap().status();
        assert!(matches!(status.as_u16(), 400 | 413 | 415 | 501), "{encoding}: {status}");
    }
    // Nor is any for /v1.
    let url = target.program.url("/v1/models/colours/predict");
    let packed = target.client.post(url).header("content-encoding", "gzip").body(gzip).send().await.unwrap();
    problem(packed, 415, "picture-format").await;
    target.is_well().await;
    target.took_at_most(100.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_grpc_messages_are_unpacked_up_to_their_limit() {
    let target = Target::start(&["--max-body-bytes", "8000000"]).await;
    let mut sender = grpc::connect(target.program.address).await;
    let packed = gzip_of_spaces(400);
    let frame = [&[1][..], &u32::try_from(packed.len()).unwrap().to_be_bytes(), &packed].concat();
    for _ in 0..8 {
        let request = packed_call(&target, grpc::whole(frame.clone()));
        assert_eq!(grpc::status(sender.send_request(request).await.unwrap()).await, "8", "resource exhausted");
    }
    target.is_well().await;
    target.took_at_most(64.0);
}

/// One that is packed may become as large as the limit, so it has the memory for that from its first byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_grpc_messages_take_the_memory_of_what_they_may_become() {
    let target =
        Target::start(&["--max-body-bytes", "2000000", "--body-budget-bytes", "2000000", "--request-timeout-s", "36"])
            .await;
    let mut sender = grpc::connect(target.program.address).await;
    let call = || packed_call(&target, part_of_a_message(100));
    let first = tokio::spawn(sender.send_request(call()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let second = grpc::status(sender.send_request(call()).await.unwrap()).await;
    assert_eq!(second, "14", "unavailable: the first has all of it");
    assert_eq!(grpc::status(first.await.unwrap().unwrap()).await, "4", "deadline exceeded");
    target.is_well().await;
}

/// A call whose messages are packed.
fn packed_call(target: &Target, body: grpc::Body) -> Request<grpc::Body> {
    let mut call = grpc::call(target.program.address, "ModelInfer", body);
    call.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
    call
}

/// The first of a message that never comes whole: so many bytes of a megabyte, and then nothing.
fn part_of_a_message(bytes: usize) -> grpc::Body {
    let frame = [&[0][..], &1_000_000_u32.to_be_bytes(), &vec![0; bytes]].concat();
    let frame = Ok(hyper::body::Frame::data(bytes::Bytes::from(frame)));
    StreamBody::new(stream::iter([frame]).chain(stream::pending())).boxed_unsync()
}

/// Each of many streams may have a message that waits for its end: together they have the memory for bodies and no more, and each
/// no more time than a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_grpc_calls_share_the_memory_for_bodies() {
    let target =
        Target::start(&["--max-body-bytes", "2000000", "--body-budget-bytes", "2000000", "--request-timeout-s", "3"])
            .await;
    let mut sender = grpc::connect(target.program.address).await;
    let call = |bytes| grpc::call(target.program.address, "ModelStreamInfer", part_of_a_message(bytes));
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(tokio::spawn(sender.send_request(call(900_000))));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(grpc::status(answer.await.unwrap().unwrap()).await);
    }
    statuses.sort();
    // Two had room, and then no time; two found no room.
    assert_eq!(statuses, ["14", "14", "4", "4"], "unavailable and deadline exceeded");
    target.is_well().await;
    target.took_at_most(32.0);
}
