//! Pictures of different requests run together, wait in bounded numbers, and do not touch each other's answers.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::helpers::{App, models, pictures, problem};

/// Sends the same picture so many times at once.
async fn at_once(app: &App, count: usize) -> Vec<reqwest::Response> {
    let picture = pictures::pattern(64, 1);
    let mut requests = JoinSet::new();
    for _ in 0..count {
        requests.spawn(app.predict("slow/predict", &picture).send());
    }
    requests.join_all().await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_at_once_run_in_batches_of_more_than_four_on_average() {
    let app = App::start(&[("slow", &models::slow(1))]).await;
    let mut best: f64 = 0.0;
    // On a busy machine the requests may come one by one, but not every time.
    for _ in 0..5 {
        let mut batches = 0.0;
        for response in at_once(&app, 64).await {
            assert_eq!(response.status(), 200);
            let batch_size = response.json::<Value>().await.unwrap()["batch_size"].as_f64().unwrap();
            assert!((1.0..=16.0).contains(&batch_size));
            // A batch of n pictures shows up in n answers.
            batches += 1.0 / batch_size;
        }
        best = best.max(64.0 / batches);
        if best > 4.0 {
            return;
        }
    }
    panic!("the mean batch is {best} at most");
}

#[tokio::test]
async fn a_lone_picture_never_waits_for_company() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(4, 4, [0, 0, 0]);
    for _ in 0..5 {
        assert_eq!(app.answer("colours/predict", &picture).await["batch_size"], 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_a_503_that_says_when_to_come_back() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        settings.queue_limit = 2;
        settings.max_batch = 1;
    })
    .await;
    let mut answered = 0;
    let mut refused = 0;
    for response in at_once(&app, 32).await {
        if response.status() == 200 {
            answered += 1;
        } else {
            refused += 1;
            let seconds = response.headers()["retry-after"].to_str().unwrap().to_owned();
            assert!(seconds.parse::<u32>().unwrap() >= 1, "{seconds}");
            let body = problem(response, 503, "queue-full").await;
            assert!(body["detail"].as_str().unwrap().starts_with("2 pictures already wait"), "{body}");
            assert_eq!(body["queue_length"], 2);
        }
    }
    assert!(answered >= 2 && refused >= 1, "{answered} answered, {refused} refused");
    // The queue is free again.
    app.answer("slow/predict", &pictures::pattern(64, 1)).await;
}

/// A JSON body of these pictures, as base64 and by name.
fn json_of(pictures: &[(String, String)]) -> Value {
    let images: Vec<Value> = pictures.iter().map(|(name, image)| json!({"name": name, "image": image})).collect();
    json!({ "images": images })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_pictures_than_the_queue_has_places_are_all_answered_by_an_idle_server() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| settings.queue_limit = 2).await;
    let picture = pictures::pattern(64, 1);
    let names: Vec<String> = (0..8).map(|i| format!("{i}.png")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), picture.as_slice())).collect();
    let form = app.form("slow/predict", &parts).await;
    let images: Vec<_> = names.iter().map(|name| (name.clone(), BASE64.encode(&picture))).collect();
    let list = app.client.post(app.url("/v1/models/slow/predict")).json(&json_of(&images)).send().await.unwrap();
    let list = (list.status().as_u16(), list.json().await.unwrap());
    for (status, body) in [form, list] {
        assert_eq!(status, 200, "{body}");
        let results = body["results"].as_array().unwrap();
        let files: Vec<&str> = results.iter().map(|result| result["file"].as_str().unwrap()).collect();
        assert_eq!(files, names);
        assert!(results.iter().all(|result| result.get("labels").is_some()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_a_request_that_find_the_queue_full_of_others_fail_in_their_places() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        // Two pictures wait for a third, for which there is no place.
        (settings.queue_limit, settings.max_batch, settings.max_delay) = (2, 3, Duration::from_secs(600));
    })
    .await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    let part = |name: &str| {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"p\"; filename=\"{name}\"\r\n\r\n");
        [head.as_bytes(), &picture, b"\r\n"].concat()
    };
    let form = [part("a.png"), part("b.png"), b"--b--\r\n".to_vec()].concat();
    let [whole, broken] = [BASE64.encode(&picture), "%".to_owned()];
    let list = json_of(&[("a.png".to_owned(), whole.clone()), ("x".to_owned(), broken), ("b.png".to_owned(), whole)]);
    let list = list.to_string().into_bytes();
    // They are let in while there are places.
    let begin = async |content_type: &str, length: usize| {
        let headers = [&format!("content-type: {content_type}"), "connection: close"];
        app.begin_post("/v1/models/colours/predict", &headers, length).await
    };
    let by_form = begin("multipart/form-data; boundary=b", form.len()).await;
    let by_list = begin("application/json", list.len()).await;
    for _ in 0..2 {
        tokio::spawn(app.predict("colours/predict", &picture).send());
    }
    app.until_waiting("colours", |length| length == 2).await;
    for (mut stream, body, expected) in [
        (by_form, form, &[("a.png", "queue-full"), ("b.png", "queue-full")][..]),
        (by_list, list, &[("a.png", "queue-full"), ("x", "body"), ("b.png", "queue-full")]),
    ] {
        stream.write_all(&body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: "), "{answer}");
        let body: Value = serde_json::from_str(body).unwrap();
        let failed = body["results"].as_array().unwrap().iter();
        let failed: Vec<_> = failed.map(|result| (&result["file"], &result["error"]["type"])).collect();
        let expected = expected.iter().map(|(file, kind)| (json!(file), json!(format!("urn:tagpoint:problem:{kind}"))));
        let expected: Vec<_> = expected.collect();
        assert_eq!(failed, expected.iter().map(|(file, kind)| (file, kind)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_picture_that_the_model_cannot_digest_fails_alone() {
    let app = App::start_with(&[("no-white", &models::no_white())], |settings| {
        settings.max_batch = 3;
        settings.max_delay = Duration::from_secs(600);
    })
    .await;
    let colours = [[51, 0, 102], [255; 3], [204, 153, 0]];
    let pictures = colours.map(|colour| pictures::plain(4, 4, colour));
    let parts: Vec<(&str, &[u8])> = pictures.iter().map(|picture| ("picture.png", picture.as_slice())).collect();
    let (status, body) = app.form("no-white/predict?all=true&labels=red", &parts).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["results"][1]["error"]["type"], "urn:tagpoint:problem:internal");
    for (i, red) in [(0, 0.2), (2, 0.8)] {
        let label = &body["results"][i]["labels"][0];
        assert!((label["score"].as_f64().unwrap() - red).abs() < 1e-6, "{label}");
    }
    // The picture's fault, not the device's.
    assert_eq!(app.get("/readyz").await.status(), 200);
}

/// Threads of this process by their name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_are_as_many_threads_that_give_the_same_answers_and_go_with_the_model() {
    let app = App::start_with(&[("twofold", &models::slow(1))], |settings| {
        settings.instances = 2;
        settings.max_batch = 1;
    })
    .await;
    // A thread gives itself its name, once it runs.
    while threads("model-twofold") < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(threads("model-twofold"), 2);
    let picture = pictures::pattern(64, 1);
    let labels = app.answer("twofold/predict?all=true", &picture).await["labels"].clone();
    let answers = futures_util::future::join_all((0..16).map(|_| app.answer("twofold/predict?all=true", &picture)));
    for answer in answers.await {
        assert_eq!(answer["labels"], labels);
    }
    app.change(reqwest::Method::POST, "models/twofold/unload").await;
    // Their work is over; the system takes a moment to forget them.
    let begun = Instant::now();
    while threads("model-twofold") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the threads stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
