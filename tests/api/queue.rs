//! Deadlines, priorities, and clients that go away.

use std::time::{Duration, Instant};

use crate::helpers::{App, models, pictures, problem};
use serde_json::Value;

/// A model whose pictures run one by one, kept busy by `clients` requests.
async fn busy(clients: usize) -> (App, tokio::task::JoinSet<reqwest::Response>) {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| settings.max_batch = 1).await;
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let request = app.predict("slow/predict", &pictures::pattern(64, 1));
        busy.spawn(async move { request.send().await.unwrap() });
    }
    (app, busy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_deadline_a_request_is_a_504_and_the_queue_is_as_long_as_before() {
    let (app, busy) = busy(16).await;
    app.until_waiting("slow", |length| length >= 8).await;
    let picture = pictures::pattern(64, 2);
    let by_parameter = app.predict("slow/predict?timeout=0.001", &picture).send();
    let by_header = app.predict("slow/predict", &picture).header("timeout", "0.001").send();
    let (by_parameter, by_header) = tokio::join!(by_parameter, by_header);
    problem(by_parameter.unwrap(), 504, "deadline-exceeded").await;
    problem(by_header.unwrap(), 504, "deadline-exceeded").await;
    for response in busy.join_all().await {
        assert_eq!(response.status(), 200);
    }
    app.answer("slow/predict?timeout=60", &picture).await;
}

#[tokio::test]
async fn a_timeout_or_a_priority_that_is_none_is_refused_by_name() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    for wrong in ["timeout=0", "timeout=-1", "timeout=soon", "timeout=NaN", "priority=1"] {
        let response = app.predict(&format!("colours/predict?{wrong}"), &picture).send().await.unwrap();
        let body = problem(response, 400, "parameter").await;
        assert_eq!(body["parameter"], wrong.split('=').next().unwrap());
    }
    let response = app.predict("colours/predict", &picture).header("timeout", "x").send().await.unwrap();
    assert_eq!(problem(response, 400, "parameter").await["parameter"], "timeout header");
    for right in ["timeout=1e300", "priority=high", "priority=low&timeout=2.5"] {
        app.answer(&format!("colours/predict?{right}"), &picture).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_high_priority_overtakes_those_that_wait() {
    let (app, mut busy) = busy(24).await;
    // All of them are in the queue once the first has its answer.
    busy.join_next().await.unwrap().unwrap();
    let began = Instant::now();
    let urgent = app.answer("slow/predict?priority=high", &pictures::pattern(64, 2)).await;
    let urgent_took = began.elapsed();
    let waited = |answer: &Value| answer["timings_ms"]["queue"].as_f64().unwrap();
    let mut longest: f64 = 0.0;
    for response in busy.join_all().await {
        longest = longest.max(waited(&response.json().await.unwrap()));
    }
    assert!(waited(&urgent) < longest / 2.0, "{urgent_took:?}, {} of {longest} ms", waited(&urgent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_leave_the_queue_to_the_others() {
    // Pictures wait for a company that never comes.
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        settings.max_batch = 16;
        settings.max_delay = Duration::from_secs(600);
        settings.queue_limit = 8;
    })
    .await;
    let picture = pictures::pattern(64, 1);
    for _ in 0..4 {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let request = app.predict("slow/predict", &picture);
            clients.spawn(async move { request.timeout(Duration::from_millis(500)).send().await });
        }
        clients.join_all().await;
        app.until_waiting("slow", |length| length == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_even_where_there_is_no_memory_for_the_body() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        (settings.max_batch, settings.queue_limit, settings.body_budget) = (1, 1, 1 << 20);
    })
    .await;
    // A client that announces a body takes nearly all of the memory for bodies, and the server asks it for the body.
    let _stream = app.begin_post("/v1/models/slow/predict", &[], 983_040).await;
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let (client, url) = (app.client.clone(), app.url("/v1/models/slow/predict"));
            tokio::spawn(async move {
                loop {
                    let _ = client.post(&url).body(pictures::pattern(64, 1)).send().await;
                }
            })
        })
        .collect();
    // A place may be free for a moment; then this one waits a second for memory, in vain, and asks again.
    let large = vec![0; 100_000];
    for attempt in 0.. {
        let began = Instant::now();
        let response = app.predict("slow/predict", &large).send().await.unwrap();
        let took = began.elapsed();
        assert_eq!(response.status(), 503);
        let body: Value = response.json().await.unwrap();
        // One that waited for memory would take a second each time.
        if body["type"] == "urn:tagpoint:problem:queue-full" && took < Duration::from_millis(500) {
            break;
        }
        assert!(attempt < 20, "{body} after {took:?}");
    }
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}
