//! The OpenAPI document and the page that shows it.

use std::collections::BTreeSet;

use serde_json::Value;
use tagpoint::serve::openapi_document;

use crate::helpers::{App, models, pictures};

/// `UPDATE_OPENAPI=1 cargo test --test api` writes the file anew.
#[test]
fn the_committed_document_is_the_codes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
    let made = openapi_document().to_yaml().unwrap();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == made, "openapi.yaml is not the code's: run UPDATE_OPENAPI=1 cargo test --test api");
}

/// (operation, status) of everything in the document.
fn documented() -> BTreeSet<(String, String)> {
    let document = serde_json::to_value(openapi_document()).unwrap();
    let mut found = BTreeSet::new();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        for status in operation["responses"].as_object().unwrap().keys() {
            found.insert((operation["operationId"].as_str().unwrap().to_owned(), status.clone()));
        }
    }
    found
}

#[test]
fn the_document_is_openapi_3_1_and_every_answer_has_its_header_and_example() {
    let document = serde_json::to_value(openapi_document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for response in item.as_object().unwrap().values().flat_map(|op| op["responses"].as_object().unwrap().values())
        {
            assert!(response["headers"]["x-request-id"].is_object(), "{path}: {response}");
            let content = response["content"].as_object().unwrap().values().next().unwrap();
            assert!(content.get("example").is_some() || content.get("examples").is_some(), "{path}: {response}");
        }
    }
}

#[tokio::test]
async fn every_documented_status_occurs() {
    let mut app = App::start_loading(&[("slow", &models::slow(40)), ("colours", &models::colours())], |_| {}).await;
    let mut seen = BTreeSet::new();
    let mut see = |operation: &str, response: reqwest::Response| {
        seen.insert((operation.to_owned(), response.status().as_str().to_owned()));
    };
    let picture = pictures::plain(4, 4, [1, 1, 1]);
    see("readyz", app.get("/readyz").await);
    app.models.loaded().await;
    for path in ["/v1/models", "/v1/models?x=1"] {
        see("list_models", app.get(path).await);
    }
    for path in ["/v1/models/colours", "/v1/models/colours?x=1", "/v1/models/nothing"] {
        see("get_model", app.get(path).await);
    }
    see("readyz", app.get("/readyz").await);
    see("healthz", app.get("/healthz").await);
    see("openapi_json", app.get("/openapi.json").await);

    let odd = models::undefined_for_black();
    let text = models::colours();
    let text = tagpoint::model::ModelFile { bytes: Vec::new(), ..text };
    app = App::start_with(&[("odd", &odd), ("refused", &text)], |settings| settings.picture.max_side = 50).await;
    let black = pictures::plain(4, 4, [0, 0, 0]);
    let wide = pictures::plain(51, 1, [0, 0, 0]);
    for (target, body) in [
        ("odd/predict", picture.as_slice()),
        ("odd/predict?x=1", &picture),
        ("nothing/predict", &picture),
        ("odd/predict", &wide),
        ("odd/predict", b"this is text"),
        ("odd/predict", b""),
        ("odd/predict", &black),
        ("refused/predict", &picture),
    ] {
        see("predict", app.predict(target, body).send().await.unwrap());
    }
    // The window before the models folder is read is too short to hit: asserted beside the code.
    let beside_the_code = [("healthz", "503"), ("get_model", "503")];
    seen.extend(beside_the_code.map(|(operation, status)| (operation.to_owned(), status.to_owned())));
    assert_eq!(seen, documented());
}

#[tokio::test]
async fn the_page_has_everything_it_needs_and_names_no_other_host() {
    let app = App::start(&[]).await;
    let document: Value = app.get("/openapi.json").await.json().await.unwrap();
    assert_eq!(document, serde_json::to_value(openapi_document()).unwrap());
    let page = app.get("/docs").await;
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let html = page.text().await.unwrap();
    let quoted = html.split('"').filter(|text| text.ends_with(".js") || text.ends_with(".css"));
    let files: Vec<&str> = quoted.map(|text| text.trim_start_matches("./")).collect();
    assert!(files.len() >= 4, "{html}");
    for file in files {
        let response = app.get(&format!("/docs/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
        if file == "swagger-initializer.js" {
            let script = response.text().await.unwrap();
            assert!(script.contains("/openapi.json") && !script.contains("://"), "{script}");
        }
    }
    assert!(!html.contains("://"), "{html}");
}
