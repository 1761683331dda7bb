//! What Prometheus is told.

use std::collections::BTreeSet;

use reqwest::Method;

use crate::helpers::{App, models, pictures, put_version};

/// The value of a series, which has to be there.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    assert!(line.is_some(), "{series} is not in\n{page}");
    line.unwrap().parse().unwrap()
}

async fn page(app: &App) -> String {
    let response = app.get("/metrics").await;
    assert_eq!(response.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.text().await.unwrap()
}

#[tokio::test]
async fn answers_batches_and_requests_are_counted_by_route_model_and_label() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [255, 255, 0]);
    for _ in 0..3 {
        app.answer("colours/predict", &picture).await;
    }
    app.predict("colours/predict", b"this is text").send().await.unwrap();
    app.get("/no/such/page/of-a-client").await;
    let page = page(&app).await;
    let predict = "method=\"POST\",route=\"/v1/models/{name}/predict\"";
    let version = "model=\"colours\",version=\"1\"";
    for (series, expected) in [
        (format!("tagpoint_http_requests_total{{{predict},status=\"200\"}}"), 3.0),
        (format!("tagpoint_http_requests_total{{{predict},status=\"415\"}}"), 1.0),
        ("tagpoint_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}".to_owned(), 1.0),
        ("tagpoint_http_request_duration_seconds_count{route=\"/v1/models/{name}/predict\"}".to_owned(), 4.0),
        ("tagpoint_picture_decode_seconds_count".to_owned(), 3.0),
        ("tagpoint_picture_postprocess_seconds_count".to_owned(), 3.0),
        (format!("tagpoint_picture_queue_seconds_count{{{version}}}"), 3.0),
        (format!("tagpoint_batch_inference_seconds_count{{{version}}}"), 3.0),
        (format!("tagpoint_batch_size_sum{{{version}}}"), 3.0),
        (format!("tagpoint_answers_total{{{version},label=\"red\"}}"), 3.0),
        (format!("tagpoint_answers_total{{{version},label=\"green\"}}"), 3.0),
        (format!("tagpoint_queue_length{{{version}}}"), 0.0),
        (format!("tagpoint_model_healthy{{{version}}}"), 1.0),
        ("tagpoint_ready".to_owned(), 1.0),
    ] {
        assert_eq!(value(&page, &series), expected, "{series} in\n{page}");
    }
    let never = format!("tagpoint_answers_total{{{version},label=\"blue\"}}");
    assert!(!page.contains(&never) && !page.contains("of-a-client"), "{page}");
    assert!(value(&page, "tagpoint_process_resident_memory_bytes") > 1e6);
    let memory = |kind: &str| value(&page, &format!("tagpoint_onnxruntime_{kind}_memory_bytes{{{version}}}"));
    assert!(0.0 < memory("peak") && memory("used") <= memory("peak") && memory("peak") <= memory("held"), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_pictures_without_an_answer_are_counted_by_reason() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        settings.max_batch = 1;
        settings.queue_limit = 4;
    })
    .await;
    let picture = pictures::pattern(64, 1);
    let late = app.predict("slow/predict?timeout=0.000001", &picture).send().await.unwrap();
    assert_eq!(late.status(), 504);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..32 {
        clients.spawn(app.predict("slow/predict", &picture).send());
    }
    let answers = clients.join_all().await;
    let refused = answers.into_iter().filter(|answer| answer.as_ref().is_ok_and(|a| a.status() == 503)).count();
    assert!(refused > 0);
    let reason =
        |reason: &str| format!("tagpoint_pictures_rejected_total{{model=\"slow\",version=\"1\",reason=\"{reason}\"}}");
    let page = page(&app).await;
    assert_eq!(value(&page, &reason("queue_full")), refused as f64);
    assert_eq!(value(&page, &reason("timeout")), 1.0);
    assert_eq!(value(&page, "tagpoint_problems_total{type=\"deadline-exceeded\"}"), 1.0);
    assert_eq!(value(&page, "tagpoint_problems_total{type=\"queue-full\"}"), refused as f64);
    let gone = reason("client_gone");
    assert!(!page.contains(&gone));
    // How long a request is on its way differs; one of these goes away while its picture is here.
    let begun = std::time::Instant::now();
    for patience in (1..=20).cycle() {
        let request = app.predict("slow/predict", &picture).timeout(std::time::Duration::from_millis(patience));
        let _ = request.send().await;
        if self::page(&app).await.contains(&gone) {
            break;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "nobody who has gone is counted");
    }
}

/// Asks a gRPC call, whose message has to be a short one, and reads its answer to the end.
async fn call(app: &App, method: &str, key: &str, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let request = app.client.post(app.url(&format!("/inference.GRPCInferenceService/{method}")));
    let request = request.header("content-type", "application/grpc").header("te", "trailers").header("x-api-key", key);
    let response = request.body([&[0], &length[..], message].concat()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap();
}

#[tokio::test]
async fn requests_and_calls_are_counted_as_their_clients_see_them() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        settings.access.keys = tagpoint::serve::parse_keys("shop:predict:the-key-of-the-shop").unwrap();
    })
    .await;
    let key = "the-key-of-the-shop";
    // Of what axum says of an address that is not UTF-8 a 404 is made.
    let odd = app.client.get(app.url("/v1/models/%ff")).header("x-api-key", key).send().await.unwrap();
    assert_eq!(odd.status(), 404);
    // The name of a model that there is not, of one that there is, and what is no message.
    for (method, key, message) in [
        ("ModelMetadata", key, &b"\x0a\x07nothing"[..]),
        ("ModelMetadata", key, b"\x0a\x07colours"),
        ("ModelMetadata", key, b"\x0a\x07short"),
        ("ModelMetadata", "another", b""),
        ("ServerLive", "", b""),
        ("NoMethod", key, b""),
    ] {
        call(&app, method, key, message).await;
    }
    let page = page(&app).await;
    let post = |route: &str, status: u16| {
        let route = format!("/inference.GRPCInferenceService/{route}");
        format!("tagpoint_http_requests_total{{method=\"POST\",route=\"{route}\",status=\"{status}\"}}")
    };
    let called = |method: &str, code: &str| format!("tagpoint_grpc_calls_total{{method=\"{method}\",code=\"{code}\"}}");
    let told = |kind: &str| format!("tagpoint_problems_total{{type=\"{kind}\"}}");
    for (series, expected) in [
        ("tagpoint_http_requests_total{method=\"GET\",route=\"/v1/models/{name}\",status=\"404\"}".to_owned(), 1.0),
        (post("ModelMetadata", 200), 4.0),
        (post("ServerLive", 200), 1.0),
        (post("{*method}", 200), 1.0),
        (called("ModelMetadata", "NotFound"), 1.0),
        (called("ModelMetadata", "Ok"), 1.0),
        (called("ModelMetadata", "InvalidArgument"), 1.0),
        (called("ModelMetadata", "Unauthenticated"), 1.0),
        (called("ServerLive", "Ok"), 1.0),
        (called("other", "Unimplemented"), 1.0),
        (called("ModelInfer", "Ok"), 0.0),
        (told("unknown-model"), 1.0),
        (told("unauthorized"), 1.0),
    ] {
        assert_eq!(value(&page, &series), expected, "{series} in\n{page}");
    }
    assert!(!page.contains("NoMethod"));
}

#[tokio::test]
async fn the_series_of_a_version_end_when_it_is_unloaded() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        put_version(&settings.models, "colours", 2, &models::shifted_colours(-3.0));
    })
    .await;
    let (picture, of_the_first) = (pictures::plain(4, 4, [255, 255, 0]), "model=\"colours\",version=\"1\"");
    app.change(Method::POST, "models/colours/versions/1/load").await;
    for _ in 0..2 {
        app.answer("colours/versions/1/predict", &picture).await;
        let late = app.predict("colours/versions/1/predict?timeout=0.000001", &picture).send().await.unwrap();
        assert_eq!(late.status(), 504);
        let page_of_two = page(&app).await;
        assert_eq!(value(&page_of_two, &format!("tagpoint_answers_total{{{of_the_first},label=\"red\"}}")), 1.0);
        app.change(Method::POST, "models/colours/versions/1/unload").await;
        let page_of_one = page(&app).await;
        assert!(!page_of_one.contains(of_the_first), "{page_of_one}");
        // It counts anew when it is loaded again.
        app.change(Method::POST, "models/colours/versions/1/load").await;
    }
}

/// Every name of ours in a text, without what a counter's or a histogram's series add to it.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let bare = |word: &str| {
        let series = ["_total", "_bucket", "_sum", "_count"];
        series.iter().find_map(|end| word.strip_suffix(end)).map_or(word.len(), str::len)
    };
    words.filter(|word| word.starts_with("tagpoint_")).map(|word| &word[..bare(word)]).collect()
}

#[tokio::test]
async fn every_metric_is_documented_and_the_dashboard_shows_no_other() {
    let app = App::start(&[("colours", &models::colours())]).await;
    app.answer("colours/predict", &pictures::plain(4, 4, [255, 255, 0])).await;
    // Some appear once there is something to count.
    app.predict("colours/predict?timeout=0.000001", &pictures::pattern(64, 1)).send().await.unwrap();
    let page = page(&app).await;
    let documented = include_str!("../../docs/metrics.md");
    assert_eq!(names(documented), names(&page));
    let dashboard = include_str!("../../deploy/grafana/tagpoint.json");
    assert!(names(dashboard).len() > 8 && names(dashboard).is_subset(&names(&page)), "{:?}", names(dashboard));
    // Counters end in _total, and what has a unit names it.
    for line in page.lines().filter(|line| line.starts_with("# UNIT ")) {
        let [name, unit] = line[7..].split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(name.ends_with(&format!("_{unit}")), "{line}");
    }
}
