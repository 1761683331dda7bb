//! Forms with several pictures.

use crate::helpers::{App, label_names, models, pictures, problem};

#[tokio::test]
async fn a_form_is_answered_in_its_order_with_each_failure_in_its_place() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let red = pictures::plain(6, 4, [255, 0, 0]);
    let green = pictures::plain(4, 4, [0, 255, 0]);
    let parts: [(&str, &[u8]); 4] =
        [("red.png", &red), ("empty.png", b""), ("notes.txt", b"not a picture"), ("green.png", &green)];
    let (status, body) = app.form("colours/predict", &parts).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["model"], "colours");
    let results = body["results"].as_array().unwrap();
    let files: Vec<_> = results.iter().map(|result| result["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["red.png", "empty.png", "notes.txt", "green.png"]);
    assert_eq!(label_names(&results[0]), ["red"]);
    assert_eq!(results[0]["picture"]["width"], 6);
    assert_eq!(results[1]["error"]["status"], 422);
    assert_eq!(results[1]["error"]["type"], "urn:tagpoint:problem:picture-empty");
    assert_eq!(results[2]["error"]["status"], 415);
    assert_eq!(results[2]["error"]["instance"], body["request_id"]);
    assert_eq!(label_names(&results[3]), ["green"]);
}

#[tokio::test]
async fn a_form_without_any_answer_has_the_status_of_its_first_failure() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let (status, body) = app.form("colours/predict", &[("a.png", b""), ("b.txt", b"not a picture")]).await;
    assert_eq!(status, 422);
    assert_eq!(body["type"], "urn:tagpoint:problem:picture-empty");
    assert_eq!(body["results"][0]["file"], "a.png");
    assert_eq!(body["results"][1]["error"]["status"], 415);
}

#[tokio::test]
async fn a_form_with_too_many_pictures_is_refused() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| settings.max_pictures = 2).await;
    let red = pictures::plain(4, 4, [255, 0, 0]);
    let (status, body) = app.form("colours/predict", &[("1", &red), ("2", &red), ("3", &red)]).await;
    assert_eq!((status, &body["type"]), (413, &"urn:tagpoint:problem:too-many-pictures".into()));
    assert_eq!(app.form("colours/predict", &[("1", &red), ("2", &red)]).await.0, 200);
}

#[tokio::test]
async fn a_form_without_a_picture_is_refused() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let request = app.client.post(app.url("/v1/models/colours/predict"));
    let request = request.header("content-type", "multipart/form-data; boundary=abc").body("--abc--\r\n");
    problem(request.send().await.unwrap(), 422, "no-picture").await;
}

#[tokio::test]
async fn a_form_that_is_none_is_a_bad_request() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let url = app.url("/v1/models/colours/predict");
    for (content_type, body) in
        [("multipart/form-data", "x"), ("multipart/form-data; boundary=abc", "--abc\r\nthis is no part")]
    {
        let response = app.client.post(&url).header("content-type", content_type).body(body).send().await.unwrap();
        problem(response, 400, "body").await;
    }
}

#[tokio::test]
async fn a_part_without_a_file_name_goes_by_its_field_name() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let part = reqwest::multipart::Part::bytes(pictures::plain(4, 4, [255, 0, 0]));
    let form = reqwest::multipart::Form::new().part("portrait", part);
    let response = app.client.post(app.url("/v1/models/colours/predict")).multipart(form).send().await.unwrap();
    let timing = response.headers()["server-timing"].to_str().unwrap().to_owned();
    assert!(timing.starts_with("total;dur="), "{timing}");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["results"][0]["file"], "portrait");
}
