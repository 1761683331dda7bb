//! Names of models that would lead out of the models folder.

use super::{Target, status};
use crate::helpers::{models, put};

/// Beside the models folder lies a model that nobody may reach.
const TRICKS: [&str; 18] = [
    "..",
    "../outside",
    "..%2foutside",
    "..%2Foutside",
    "%2e%2e%2foutside",
    "%2e%2e/outside",
    "..%5coutside",
    "..\\outside",
    "....//outside",
    "..%252foutside",
    "..%c0%afoutside",
    "colours%2f..%2f..%2foutside",
    "%2fetc%2fpasswd",
    "colours%00",
    "colours%2f1",
    ".",
    "%20",
    "colours%0d%0aset-cookie:%20a=b",
];

#[tokio::test]
async fn no_name_leads_out_of_the_models_folder() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("models"), "colours", &models::colours());
    put(folder.path(), "outside", &models::colours());
    let target = Target::start_in(folder, &[]).await;
    let long = "m".repeat(5000);
    for trick in TRICKS.into_iter().chain([long.as_str()]) {
        for (method, before, after) in [
            ("GET", "/v1/models/", ""),
            ("POST", "/v1/models/", "/predict"),
            ("POST", "/v1/models/", "/versions/1/predict"),
            ("POST", "/v1/models/colours/versions/", "/predict"),
            ("GET", "/v1/models/colours/versions/", ""),
            ("GET", "/v1/models/", "/drift"),
            ("POST", "/v1/admin/models/", "/versions/1/load"),
            ("POST", "/v1/admin/models/colours/versions/", "/load"),
            ("POST", "/v1/admin/models/", "/versions/1/promote"),
            ("POST", "/v1/admin/models/", "/unload"),
            ("DELETE", "/v1/admin/models/", "/shadow"),
            ("GET", "/v2/models/", ""),
            ("POST", "/v2/models/", "/infer"),
            ("POST", "/v2/repository/models/", "/load"),
            ("GET", "/docs/", ""),
            ("GET", "/page/", ""),
        ] {
            let request = format!(
                "{method} {before}{trick}{after} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let answer = target.said(request.as_bytes()).await;
            assert!(matches!(status(&answer), 400 | 404 | 405), "{request}{answer}");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(!head.contains("set-cookie") && !body.contains("root:"), "{request}{answer}");
        }
    }
    assert!(!target.program.log().contains("outside/1"), "{}", target.program.log());
    let listed = target.client.get(target.program.url("/v1/models")).send().await.unwrap().text().await.unwrap();
    assert!(listed.contains("colours") && !listed.contains("outside"), "{listed}");
    assert!(target.folder.path().join("outside/1/model.onnx").exists());
    target.is_well().await;
    target.took_at_most(32.0);
}
