//! Answers with points.

use serde_json::{Value, json};
use tagpoint::picture::ResizeMethod;

use crate::helpers::{App, models, pictures, problem};

/// x, y, x_norm and y_norm of a point, each within `tolerance` pixels (or that share of the picture).
fn assert_near(point: &Value, expected: [f64; 4], tolerance: f64) {
    for (key, expected) in ["x", "y", "x_norm", "y_norm"].into_iter().zip(expected) {
        let found = point[key].as_f64().unwrap();
        assert!((found - expected).abs() <= tolerance, "{key}: {found}, expected {expected} in {point}");
    }
}

#[tokio::test]
async fn points_are_pixels_of_the_original_picture() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Squish))]).await;
    // nose = (red, green) = (51, 204) of 255, tail = (blue, red) = (255, 51).
    let answer = app.answer("pets/predict", &pictures::plain(200, 100, [51, 204, 255])).await;
    assert_eq!(answer["picture"], json!({"width": 200, "height": 100}));
    assert_eq!((&answer["points"][0]["name"], &answer["points"][1]["name"]), (&json!("nose"), &json!("tail")));
    assert_near(&answer["points"][0], [40.0, 80.0, 0.2, 0.8], 1e-3);
    assert_near(&answer["points"][1], [200.0, 20.0, 1.0, 0.2], 1e-3);
}

#[tokio::test]
async fn points_of_a_cropping_model_lie_within_its_crop() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Crop))]).await;
    // The crop is the middle 100 × 100: x from 50 to 150.
    let answer = app.answer("pets/predict", &pictures::plain(200, 100, [51, 204, 255])).await;
    assert_near(&answer["points"][0], [70.0, 80.0, 0.35, 0.8], 1e-3);
    assert_eq!(answer["points"][0]["in_frame"], true);
}

#[tokio::test]
async fn a_point_in_the_padding_is_not_in_the_frame() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Pad))]).await;
    // 200 × 100 fills the middle half of the frame; the black padding halves the means: (100, 50, 50) of 255.
    let answer = app.answer("pets/predict", &pictures::plain(200, 100, [200, 100, 100])).await;
    let nose = &answer["points"][0];
    // y: 50/255 of the frame's 200 original pixels, which begin 50 above the picture.
    assert_near(nose, [78.431, -10.784, 0.392_16, -0.107_84], 0.01);
    assert_eq!(nose["in_frame"], false);
}

#[tokio::test]
async fn a_picture_that_is_stored_on_its_side_is_answered_upright() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Squish))]).await;
    let answer = app.answer("pets/predict", &pictures::turned_jpeg(64, 32, [51, 204, 204])).await;
    assert_eq!(answer["picture"], json!({"width": 32, "height": 64}));
    // JPEG moves a plain colour by a level or two of 255, which is half a pixel of 64.
    assert_near(&answer["points"][0], [6.4, 51.2, 0.2, 0.8], 0.6);
}

#[tokio::test]
async fn parameters_for_labels_are_refused_for_points() {
    let app = App::start(&[("pets", &models::points(ResizeMethod::Squish))]).await;
    let picture = pictures::plain(4, 4, [0, 0, 0]);
    let response = app.predict("pets/predict?threshold=0.5", &picture).send().await.unwrap();
    assert_eq!(problem(response, 400, "parameter").await["parameter"], "threshold");
}
