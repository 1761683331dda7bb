//! Pictures of different requests run together, wait in bounded numbers, and do not touch each other's answers.

use serde_json::Value;
use tagpoint::picture::{Detail, Limits, Picture};
use tokio::task::JoinSet;

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
    let mut batches = 0.0;
    for response in at_once(&app, 64).await {
        assert_eq!(response.status(), 200);
        let batch_size = response.json::<Value>().await.unwrap()["batch_size"].as_f64().unwrap();
        assert!((1.0..=16.0).contains(&batch_size));
        // A batch of n pictures shows up in n answers.
        batches += 1.0 / batch_size;
    }
    let mean = 64.0 / batches;
    assert!(mean > 4.0, "the mean batch is {mean}");
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

#[tokio::test]
async fn pictures_of_a_form_that_find_the_queue_full_fail_in_their_places() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| settings.queue_limit = 2).await;
    let picture = pictures::pattern(64, 1);
    let parts: Vec<(&str, &[u8])> = (0..8).map(|_| ("picture.png", picture.as_slice())).collect();
    let (status, body) = app.form("slow/predict", &parts).await;
    assert_eq!(status, 200);
    let results = body["results"].as_array().unwrap();
    assert!(results[0].get("labels").is_some(), "{body}");
    assert!(results.iter().any(|result| result["error"]["type"] == "urn:tagpoint:problem:queue-full"), "{body}");
}

#[tokio::test]
async fn a_picture_in_a_batch_is_answered_as_it_is_alone() {
    let app = App::start_with(&[("slow", &models::slow(1))], |settings| {
        settings.max_batch = 4;
        settings.max_delay = std::time::Duration::from_secs(60);
    })
    .await;
    let alone = App::start(&[("slow", &models::slow(1))]).await;
    let pictures: Vec<Vec<u8>> = (0..4).map(|seed| pictures::pattern(64, seed)).collect();
    let parts: Vec<(&str, &[u8])> = pictures.iter().map(|picture| ("picture.png", picture.as_slice())).collect();
    let (_, together) = app.form("slow/predict?all=true", &parts).await;
    for (result, picture) in together["results"].as_array().unwrap().iter().zip(&pictures) {
        assert_eq!(result["batch_size"], 4);
        let lone = alone.answer("slow/predict?all=true", picture).await;
        for (a, b) in result["labels"].as_array().unwrap().iter().zip(lone["labels"].as_array().unwrap()) {
            let difference = a["score"].as_f64().unwrap() - b["score"].as_f64().unwrap();
            assert!(a["label"] == b["label"] && difference.abs() <= 1e-5, "{a} in a batch, {b} alone");
        }
    }
}

#[test]
fn at_equal_batch_size_and_slot_other_pictures_change_no_bit() {
    let file = models::slow(1);
    let mut session = models::session(&file);
    let rule = file.manifest.input.resize;
    let pixels = |seed: u32| {
        let picture = Picture::decode(&pictures::pattern(64, seed), &Limits::default(), Detail::For(&rule)).unwrap();
        let mut pixels = vec![0; session.picture_len()];
        picture.resize_into(&rule, &mut pixels).unwrap();
        pixels
    };
    let ours = pixels(0);
    let others: Vec<Vec<u8>> = (1..7).map(pixels).collect();
    let mut in_slot = |slot: usize, company: &[Vec<u8>]| {
        let mut batch: Vec<&[u8]> = company.iter().map(Vec::as_slice).collect();
        batch.insert(slot, &ours);
        let output = session.run(&batch.concat()).unwrap();
        output[slot * 3..slot * 3 + 3].iter().map(|value| value.to_bits()).collect::<Vec<u32>>()
    };
    for slot in 0..4 {
        assert_eq!(in_slot(slot, &others[..3]), in_slot(slot, &others[3..]), "slot {slot}");
    }
}
