//! A model that is not the one that was made, or does not answer as it did, is refused; the others serve.

use prost::Message as _;
use tagpoint::{
    model::{MANIFEST_KEY, ModelFile},
    onnx::ModelProto,
};

use crate::helpers::{App, graphs, models, pictures, problem};

/// Starts an application with a spoilt model beside a good one, checks that only the good one serves, and gives the
/// reason that is told for the other.
async fn refusal_of(spoilt: &ModelFile) -> String {
    let app = App::start(&[("good", &models::colours()), ("spoilt", spoilt)]).await;
    let picture = pictures::plain(4, 4, [255, 0, 0]);
    app.answer("good/predict", &picture).await;
    let response = app.predict("spoilt/predict", &picture).send().await.unwrap();
    let body = problem(response, 503, "model-refused").await;
    let list: serde_json::Value = app.get("/v1/models").await.json().await.unwrap();
    assert_eq!((&list["models"][0]["name"], &list["models"][0]["state"]), (&"good".into(), &"ready".into()));
    assert_eq!((&list["models"][1]["name"], &list["models"][1]["state"]), (&"spoilt".into(), &"refused".into()));
    let reason = list["models"][1]["reason"].as_str().unwrap().to_owned();
    assert!(body["detail"].as_str().unwrap().contains(&reason));
    let not_ready = problem(app.get("/readyz").await, 503, "not-ready").await;
    assert!(not_ready["detail"].as_str().unwrap().contains(&reason), "{not_ready}");
    reason
}

/// The file with another graph and the same manifest, not sealed anew.
fn with_graph(file: &ModelFile, change: impl FnOnce(&mut ModelProto)) -> ModelFile {
    let mut model = ModelProto::decode(file.bytes.as_slice()).unwrap();
    change(&mut model);
    ModelFile { bytes: model.encode_to_vec(), ..file.clone() }
}

#[tokio::test]
async fn a_model_with_red_and_blue_swapped_is_refused_though_it_is_sealed_anew() {
    let good = models::colours();
    let swapped = ModelFile::assemble(graphs::swapped_colours(), good.manifest).unwrap();
    let reason = refusal_of(&swapped).await;
    assert!(reason.starts_with("golden check failed: golden sample"), "{reason}");
}

#[tokio::test]
async fn a_model_with_one_weight_changed_is_refused_by_its_digest() {
    let changed = with_graph(&models::colours(), |model| {
        // The lowest bit of one weight: far below what the golden check could see.
        let weights = model.graph.as_mut().unwrap().initializer[0].raw_data.as_mut().unwrap();
        weights[0] ^= 1;
    });
    let reason = refusal_of(&changed).await;
    assert!(reason.contains("the graph was changed after the model was written"), "{reason}");
}

#[tokio::test]
async fn a_file_without_a_manifest_or_without_a_model_is_refused() {
    let bare = with_graph(&models::colours(), |model| model.metadata_props.clear());
    assert!(refusal_of(&bare).await.contains(MANIFEST_KEY));
    let text = ModelFile { bytes: b"this is no model".to_vec(), ..models::colours() };
    assert!(refusal_of(&text).await.contains("not an ONNX file"));
}

#[tokio::test]
async fn a_model_whose_output_is_not_the_manifests_is_refused() {
    let mut manifest = models::colours().manifest;
    manifest.output.name = "points".to_owned();
    let file = ModelFile::assemble(graphs::colours(), manifest).unwrap();
    assert!(refusal_of(&file).await.contains("the graph has no output \"points\""));
}
