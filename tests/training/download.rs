//! Published weights: downloaded once, checked, kept; and what is said where that fails.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use axum::{Router, http::StatusCode, response::Redirect, routing::get};
use tagpoint::{
    model::Digest,
    onnx::arch::Architecture,
    train::weights::{
        StateDict, WeightsError,
        published::Published,
        store::{FOLDER_VARIABLE, MIRROR_VARIABLE, Store},
    },
};

use crate::{root, shapes};

/// A real file of PyTorch's.
fn content() -> Vec<u8> {
    std::fs::read(root().join("tests/fixtures/weights/plain.pth")).unwrap()
}

/// A published file of that content: its name has the first eight digits of the digest.
fn published(content: &[u8]) -> Published {
    let digits = &Digest::of(content).to_string()[..8];
    // A table's entries are static; a test's one is leaked.
    let url = format!("https://publisher.invalid/models/tiny-{digits}.pth").leak();
    Published { architecture: Architecture::Resnet18, entry: "TINY", url }
}

/// A server that answers every path below /models with `content`, and counts how often it was asked.
struct Server {
    mirror: String,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(content: Vec<u8>) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(content.clone())
        };
        let app = Router::new()
            .route("/models/{file}", get(answer))
            .route(
                "/moved/{file}",
                get(|path: axum::extract::Path<String>| {
                    std::future::ready(Redirect::temporary(&format!("/models/{}", *path)))
                }),
            )
            .fallback(|| std::future::ready(StatusCode::NOT_FOUND));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mirror = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        Self { mirror, requests, task }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn store(folder: &Path, mirror: &str) -> Store {
    Store { folder: folder.join("cache"), mirror: Some(mirror.to_owned()) }
}

/// Asks a store on a thread on which it may block.
async fn ask(store: Store, published: Published) -> Result<(Vec<u8>, Digest), WeightsError> {
    tokio::task::spawn_blocking(move || store.get(&published)).await.unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("cache")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_downloaded_once_and_then_read_without_a_network() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let (server, file) = (Server::start(content.clone()).await, published(&content));
    let store = store(folder.path(), &format!("{}/models/", server.mirror));
    let (bytes, digest) = ask(store.clone(), file).await.unwrap();
    assert!(bytes == content && digest == Digest::of(&content));
    assert!(StateDict::read(bytes).is_ok());
    let record = std::fs::read_to_string(store.path(&file).with_added_extension("sha256")).unwrap();
    assert_eq!(record, format!("{digest}  {}\n", file.file_name()));
    server.task.abort();
    assert!(server.task.await.unwrap_err().is_cancelled());
    let again = ask(store, file).await.unwrap();
    assert!(again.0 == content);
    assert_eq!(server.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_as_githubs_releases_need() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let server = Server::start(content.clone()).await;
    let store = store(folder.path(), &format!("{}/moved", server.mirror));
    assert!(ask(store, published(&content)).await.unwrap().0 == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_than_the_published_one_is_refused_and_not_kept() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let server = Server::start(b"<html>sign in to this network first</html>".to_vec()).await;
    let store = store(folder.path(), &format!("{}/models", server.mirror));
    let error = ask(store, published(&content)).await.unwrap_err();
    assert!(matches!(error, WeightsError::WrongDownload { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(&Digest::of(&content).to_string()[..8]) && message.contains("not kept"), "{message}");
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_server_does_not_have_is_named_with_what_to_do() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let server = Server::start(content.clone()).await;
    let store = store(folder.path(), &format!("{}/elsewhere", server.mirror));
    let message = ask(store, published(&content)).await.unwrap_err().to_string();
    let url = format!("{}/elsewhere/{}", server.mirror, published(&content).file_name());
    for part in [&*url, "404", "--weights PATH", folder.path().join("cache").to_str().unwrap()] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert_eq!(server.requests(), 0);
}

/// Answers one request with a header that promises more than the body has, and hangs up.
fn hangs_up_half_way(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len()).unwrap();
        stream.write_all(&content[..content.len() / 2]).unwrap();
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_breaks_off_leaves_nothing_and_the_next_one_succeeds() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let file = published(&content);
    let broken = store(folder.path(), &hangs_up_half_way(content.clone()));
    let message = ask(broken, file).await.unwrap_err().to_string();
    let part = format!("broke off after {} of {} bytes", content.len() / 2, content.len());
    assert!(message.contains(&part), "{message}");
    assert_eq!(files(folder.path()), [""; 0]);
    let server = Server::start(content.clone()).await;
    let whole = store(folder.path(), &format!("{}/models", server.mirror));
    assert!(ask(whole, file).await.unwrap().0 == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_at_once_all_get_the_file_and_leave_no_other() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let (server, file) = (Server::start(content.clone()).await, published(&content));
    let store = store(folder.path(), &format!("{}/models", server.mirror));
    let asked: Vec<_> = (0..8).map(|_| tokio::spawn(ask(store.clone(), file))).collect();
    for answer in asked {
        assert!(answer.await.unwrap().unwrap().0 == content);
    }
    assert_eq!(files(folder.path()), [file.file_name().to_owned(), format!("{}.sha256", file.file_name())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_file_that_was_changed_is_refused_even_where_its_name_still_fits() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let (server, file) = (Server::start(content.clone()).await, published(&content));
    let store = store(folder.path(), &format!("{}/models", server.mirror));
    ask(store.clone(), file).await.unwrap();
    let mut changed = content.clone();
    changed[2000] ^= 1;
    std::fs::write(store.path(&file), &changed).unwrap();
    let message = ask(store.clone(), file).await.unwrap_err().to_string();
    assert!(message.contains(&Digest::of(&content).to_string()) && message.contains("delete it"), "{message}");
    // Not only the eight published digits are compared: a record that differs in its last digit is a difference.
    std::fs::write(store.path(&file), &content).unwrap();
    let mut digest = Digest::of(&content).to_string();
    let last = if digest.pop() == Some('0') { '1' } else { '0' };
    std::fs::write(store.path(&file).with_added_extension("sha256"), format!("{digest}{last}  x\n")).unwrap();
    assert!(matches!(ask(store, file).await.unwrap_err(), WeightsError::Changed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_put_there_by_hand_is_checked_and_recorded() {
    let (folder, content) = (tempfile::tempdir().unwrap(), content());
    let (file, store) = (published(&content), store(folder.path(), "http://127.0.0.1:9"));
    std::fs::create_dir(&store.folder).unwrap();
    std::fs::write(store.path(&file), b"another file").unwrap();
    assert!(matches!(ask(store.clone(), file).await.unwrap_err(), WeightsError::Changed { .. }));
    std::fs::write(store.path(&file), &content).unwrap();
    assert!(ask(store.clone(), file).await.unwrap().0 == content);
    assert_eq!(files(folder.path()).len(), 2);
}

#[test]
fn fit_without_a_network_says_which_file_to_fetch_from_where_to_where() {
    let folder = shapes(20);
    // Nothing listens on a port that was just given back.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (csv, cache) = (folder.path().join("labels.csv"), folder.path().join("cache"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tagpoint-train"))
        .args(["fit", "--arch", "resnet18", "--size", "64", "--out", folder.path().join("m").to_str().unwrap()])
        .args(["--data", csv.to_str().unwrap()])
        .env(FOLDER_VARIABLE, &cache)
        .env(MIRROR_VARIABLE, format!("http://{address}/models"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    let url = format!("http://{address}/models/resnet18-f37072fd.pth");
    for part in [&*url, "refused", "put it into", cache.to_str().unwrap(), "--weights PATH", "--weights none"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}
