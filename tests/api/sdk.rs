//! Clients that others' generators make from openapi.yaml.

use std::path::Path;

use crate::helpers::{
    App,
    clients::{installed, run},
    models, pictures,
};

/// A server with the colour model, and a folder with a picture and what is none.
async fn server_and_pictures() -> (App, tempfile::TempDir) {
    let app = App::start(&[("colours", &models::colours())]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("red.png"), pictures::plain(4, 4, [255, 0, 0])).unwrap();
    std::fs::write(folder.path().join("broken.png"), "this is no picture").unwrap();
    (app, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_python_client_predicts_reads_errors_and_changes_models() {
    let (app, folder) = server_and_pictures().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let generate = ["generate", "--path", "openapi.yaml", "--output-path", &path("client"), "--meta", "none"];
    let said = run(installed("python/bin/openapi-python-client"), &generate, root).await;
    assert!(!said.contains("will not be generated") && !said.contains("Unable to"), "{said}");
    let script =
        ["tests/sdk/client.py", &app.url(""), folder.path().to_str().unwrap(), &path("red.png"), &path("broken.png")];
    assert!(run(installed("python/bin/python"), &script, root).await.ends_with("ok\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generated_typescript_client_is_sound_to_its_compiler_predicts_and_reads_errors() {
    let (app, folder) = server_and_pictures().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["client.ts", "generate.mjs", "tsconfig.json"] {
        std::fs::copy(root.join("tests/sdk").join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    std::os::unix::fs::symlink(installed("npm/node_modules"), folder.path().join("node_modules")).unwrap();
    let document = root.join("openapi.yaml");
    run("node", &["generate.mjs", document.to_str().unwrap(), "schema.d.ts"], folder.path()).await;
    run("node", &["node_modules/typescript/bin/tsc"], folder.path()).await;
    let client = ["client.js", &app.url(""), "red.png", "broken.png"];
    assert!(run("node", &client, folder.path()).await.ends_with("ok\n"));
}
