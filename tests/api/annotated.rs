//! Pictures with their answers drawn into them.

use std::time::Duration;

use image::RgbImage;
use tagpoint::picture::ResizeMethod;

use crate::helpers::{App, models, pictures, problem};

async fn drawing(app: &App, target: &str, picture: &[u8]) -> RgbImage {
    let response = app.predict(target, picture).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/png");
    assert!(response.headers()["server-timing"].to_str().unwrap().contains("inference;dur="));
    image::load_from_memory(&response.bytes().await.unwrap()).unwrap().into_rgb8()
}

#[tokio::test]
async fn labels_are_drawn_onto_the_picture() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let picture = pictures::plain(600, 400, [255, 0, 0]);
    let drawn = drawing(&app, "colours/predict?annotated=png&all=true", &picture).await;
    assert_eq!(drawn.dimensions(), (600, 400));
    // Plates in the upper left corner, the picture elsewhere.
    assert!(drawn.pixels().any(|pixel| pixel.0.iter().all(|&c| c > 240)), "white letters");
    assert_eq!(drawn.get_pixel(590, 390).0, [255, 0, 0]);
    let one = drawing(&app, "colours/predict?annotated=png&top_k=1", &picture).await;
    assert!(one != drawn);
}

#[tokio::test]
async fn points_are_drawn_on_the_picture_as_it_is_looked_at() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Squish))]).await;
    // Stored on its side: 640 × 320 that is looked at as 320 × 640, shown as that. nose = (204, 51) of 255.
    let drawn = drawing(&app, "pets/predict?annotated=png", &pictures::turned_jpeg(640, 320, [204, 51, 100])).await;
    assert_eq!(drawn.dimensions(), (320, 640));
    // JPEG moves a plain colour by a level or two of 255, which is two or three pixels here.
    let near = (250..=262).flat_map(|x| (122..=134).map(move |y| (x, y)));
    assert!(near.into_iter().any(|(x, y)| drawn.get_pixel(x, y).0 == [0xff, 0x2f, 0x7d]));
}

#[tokio::test]
async fn only_one_picture_can_be_drawn_and_only_as_png() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let red = pictures::plain(4, 4, [255, 0, 0]);
    let (status, body) = app.form("colours/predict?annotated=png", &[("a", &red), ("b", &red)]).await;
    assert_eq!((status, &body["type"]), (400, &"urn:tagpoint:problem:one-picture".into()));
    let response = app.predict("colours/predict?annotated=jpeg", &red).send().await.unwrap();
    assert_eq!(problem(response, 400, "parameter").await["parameter"], "annotated");
    problem(app.predict("colours/predict?annotated=png", b"no picture").send().await.unwrap(), 415, "picture-format")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_has_its_place_in_the_queue_until_it_is_drawn() {
    let app = App::start_with(&[("colours", &models::colours())], |settings| {
        (settings.queue_limit, settings.decode_threads) = (1, 1);
    })
    .await;
    // Takes a while to decode, for its answer and once more to be drawn.
    let large = pictures::plain(5000, 5000, [255, 0, 0]);
    let small = pictures::plain(4, 4, [255, 0, 0]);
    for round in 1.. {
        let drawing = tokio::spawn(app.predict("colours/predict?annotated=png", &large).send());
        // Small ones that were answered count, too.
        let answered = format!("picture_postprocess_seconds_count {}\n", 2 * round - 1);
        while !app.get("/metrics").await.text().await.unwrap().contains(&answered) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let response = app.predict("colours/predict", &small).send().await.unwrap();
        assert_eq!(drawing.await.unwrap().unwrap().status(), 200);
        if response.status() == 503 {
            problem(response, 503, "queue-full").await;
            break;
        }
        // On a busy machine it may come when all is drawn.
        assert!(round < 5, "the place was free while the picture was drawn");
    }
    app.answer("colours/predict", &small).await;
}

#[tokio::test]
async fn a_form_with_one_picture_is_drawn_too() {
    let app = App::start(&[("colours", &models::colours())]).await;
    let part = reqwest::multipart::Part::bytes(pictures::plain(4, 4, [255, 0, 0]));
    let form = reqwest::multipart::Form::new().part("portrait", part);
    let url = app.url("/v1/models/colours/predict?annotated=png");
    let response = app.client.post(url).multipart(form).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, "image/png"));
}
