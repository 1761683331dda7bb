//! Which of a version's two files answers. Files are told apart by their digests: what stands in for INT8 here is another
//! model, whose arithmetic does not matter to the choice.

use std::path::Path;

use serde_json::Value;
use tagpoint::{
    infer::{Precision, PrecisionChoice},
    model::{INT8_FILE, ModelFile},
};

use crate::helpers::{App, graphs, models, pictures};

const INT8: PrecisionChoice = PrecisionChoice::Only(Precision::Int8);
const FP32: PrecisionChoice = PrecisionChoice::Only(Precision::Float32);

/// What `/v1/models/it` says of a version with these two files, which has to answer.
async fn served(float: &ModelFile, int8: &ModelFile, choice: PrecisionChoice, cache: &Path) -> Value {
    let app = App::start_with(&[("it", float)], |settings| {
        int8.write(&settings.models.join("it/1").join(INT8_FILE)).unwrap();
        (settings.precision, settings.storage.cache) = (choice, cache.to_owned());
    })
    .await;
    let about: Value = app.get("/v1/models/it").await.json().await.unwrap();
    let answer = app.answer("it/predict", &pictures::plain(8, 8, [255, 0, 0])).await;
    assert_eq!(answer["digest"], about["digest"], "{about}");
    about
}

fn digest(file: &ModelFile) -> Value {
    Value::from(format!("sha256:{}", file.digest))
}

#[tokio::test]
async fn the_precision_that_is_asked_for_runs() {
    let (float, int8) = (models::colours(), models::shifted_colours(-3.9));
    let cache = tempfile::tempdir().unwrap();
    let about = served(&float, &int8, INT8, cache.path()).await;
    assert_eq!((&about["precision"], &about["digest"]), (&"int8".into(), &digest(&int8)), "{about}");
    let about = served(&float, &int8, FP32, cache.path()).await;
    assert_eq!((&about["precision"], &about["digest"]), (&"fp32".into(), &digest(&float)), "{about}");
}

#[tokio::test]
async fn an_int8_file_that_is_broken_drifts_or_answers_something_else_leaves_float32_and_says_why() {
    let float = models::colours();
    let broken = ModelFile { bytes: b"this is no model".to_vec(), ..float.clone() };
    let drifting = ModelFile::assemble(graphs::swapped_colours(), float.manifest.clone()).unwrap();
    for (int8, why) in [
        (&broken, "not an ONNX file"),
        (&drifting, "golden check failed"),
        (&models::best_colour(), "answers something else"),
        (&models::quick(), "answers something else"),
    ] {
        for choice in [INT8, PrecisionChoice::Auto] {
            let about = served(&float, int8, choice, tempfile::tempdir().unwrap().path()).await;
            assert_eq!((&about["precision"], &about["digest"]), (&"fp32".into(), &digest(&float)), "{about}");
            assert!(about["precision_reason"].as_str().unwrap().contains(why), "{why} is not in {about}");
        }
    }
}

#[tokio::test]
async fn by_itself_the_server_takes_the_faster_one_and_remembers_what_it_measured() {
    let (slow, quick) = (models::slow(1), models::quick());
    let cache = tempfile::tempdir().unwrap();
    let about = served(&slow, &quick, PrecisionChoice::Auto, cache.path()).await;
    assert_eq!(about["precision"], "int8", "{about}");
    assert!(about["precision_reason"].as_str().unwrap().contains(" ms in int8 and "), "{about}");
    let about = served(&quick, &slow, PrecisionChoice::Auto, cache.path()).await;
    assert_eq!(about["precision"], "fp32", "{about}");
    // What is kept decides the next time, be it as wrong as this.
    for record in std::fs::read_dir(cache.path().join("precision")).unwrap() {
        std::fs::write(record.unwrap().path(), r#"{"fp32_ms": 1.5, "int8_ms": 1.2}"#).unwrap();
    }
    let about = served(&quick, &slow, PrecisionChoice::Auto, cache.path()).await;
    assert_eq!(about["precision"], "int8", "{about}");
    assert_eq!(about["precision_reason"], "a picture takes 1.2 ms in int8 and 1.5 ms in fp32 here");
}

#[tokio::test]
async fn int8_serves_where_float32_does_not_pass_its_check() {
    let (quick, slow) = (models::quick(), models::slow(1));
    let drifting = ModelFile::assemble(graphs::quick(), slow.manifest.clone()).unwrap();
    let about = served(&drifting, &quick, PrecisionChoice::Auto, tempfile::tempdir().unwrap().path()).await;
    assert_eq!(about["precision"], "int8", "{about}");
    assert!(about["precision_reason"].as_str().unwrap().contains("the float32 file does not run: golden"), "{about}");
}
