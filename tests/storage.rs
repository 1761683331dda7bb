//! Models in object storage, against a real S3 server: `moto_server`, a process of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy exempts test functions, but not their helpers"
)]
#![allow(unsafe_code, reason = "credentials come from the environment, which is set before any other thread runs")]

#[path = "api/helpers/stores.rs"]
#[allow(dead_code, unreachable_pub, reason = "this test needs one of its stores")]
mod stores;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use object_store::{
    ObjectStoreExt as _,
    aws::{AmazonS3, AmazonS3Builder},
};
use stores::Store;
use tagpoint::{
    model::{Repository, StorageError, StorageOptions},
    store::Pictures,
};

const BUCKET: &str = "bucket";

/// The bucket, for writing.
fn bucket() -> AmazonS3 {
    AmazonS3Builder::from_env().with_bucket_name(BUCKET).build().unwrap()
}

async fn put(key: &str, bytes: Vec<u8>) {
    bucket().put(&key.into(), bytes.into()).await.unwrap();
}

fn options(cache: &Path) -> StorageOptions {
    StorageOptions { cache: cache.to_owned(), max_bytes: 1 << 20 }
}

/// The entries of the cache.
fn entries(cache: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(cache).map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

async fn names(repository: &Repository) -> Vec<String> {
    let versions = repository.list().await.unwrap();
    versions.iter().map(|found| format!("{}/{}", found.name, found.version)).collect()
}

/// Points the process at a server; the store's settings come from the environment alone.
fn point_at(address: SocketAddr) {
    let set = [
        ("AWS_ENDPOINT", format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_ACCESS_KEY_ID", "key".into()),
        ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ("AWS_REGION", "us-east-1".into()),
    ];
    for (name, value) in set {
        // SAFETY: the one test of this process runs on one thread.
        unsafe { std::env::set_var(name, value) };
    }
}

#[tokio::test]
async fn models_of_a_bucket_are_listed_fetched_once_and_checked_in_the_cache() {
    tagpoint::tls::use_ring();
    let s3 = Store::s3(&[]);
    point_at(s3.address);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let open = |place: &str| Repository::open(place, options(&cache)).unwrap();

    // A bucket that is not there is said to be so.
    let absent = open("s3://absent/models").list().await.unwrap_err().to_string();
    assert!(absent.contains("s3://absent/models") && absent.contains("there is no such bucket"), "{absent}");

    s3.make_bucket(BUCKET).await;
    let first: Vec<u8> = (0..100_000).map(|i| (i * 7 % 251) as u8).collect();
    put("team/models/scenes/1/model.onnx", first.clone()).await;
    put("team/models/scenes/1/manifest.json", b"{}".to_vec()).await;
    put("team/models/scenes/1/weights/part.data", vec![5; 10]).await;
    put("team/models/scenes/2/README.md", b"no model".to_vec()).await;
    put("team/models/faces/10/model.onnx", vec![1; 10]).await;
    put("team/models/faces/9/model.onnx", vec![1; 10]).await;
    put("team/models/notes.txt", vec![]).await;
    put("team/models/.hidden/1/model.onnx", vec![1]).await;
    put("team/models-of-others/x/1/model.onnx", vec![1]).await;
    put("team/models/large/1/model.onnx", vec![0; (1 << 20) + 1]).await;

    let repository = open("s3://bucket/team/models/");
    assert_eq!(names(&repository).await, ["faces/9", "faces/10", "large/1", "scenes/1"]);
    assert_eq!(names(&open("s3://bucket/nothing/here")).await, Vec::<String>::new());

    // Fetched whole, with what lies beside it.
    let versions = repository.list().await.unwrap();
    let scenes = &versions[3];
    let path = repository.local(scenes).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read(path.with_file_name("manifest.json")).unwrap(), b"{}");
    assert_eq!(std::fs::read(path.with_file_name("weights").join("part.data")).unwrap(), [5; 10]);
    assert_eq!(entries(&cache).len(), 1, "nothing half done is left");

    // More than the limit is not fetched.
    let error = repository.local(&versions[2]).await.unwrap_err();
    assert!(matches!(error, StorageError::TooLarge { bytes: 1_048_577, .. }), "{error}");
    assert_eq!(entries(&cache).len(), 1);

    // From the cache: the store may be without it meanwhile.
    bucket().delete(&"team/models/scenes/1/model.onnx".into()).await.unwrap();
    assert_eq!(repository.local(scenes).await.unwrap(), path);

    // An entry that was changed is not taken; and as the store has the model no more, it is said what is missing.
    std::fs::write(&path, b"changed").unwrap();
    let error = repository.local(scenes).await.unwrap_err().to_string();
    assert!(error.contains("scenes/1/model.onnx") && error.contains("no such bucket or object"), "{error}");
    assert_eq!(entries(&cache).len(), 0, "neither the changed entry nor a half one is left");

    // Other content is another entry, and what was listed before is not mixed with it.
    put("team/models/scenes/1/model.onnx", first.iter().rev().copied().collect()).await;
    let error = repository.local(scenes).await.unwrap_err().to_string();
    assert!(error.contains("it was changed while it was fetched"), "{error}");
    let again = repository.list().await.unwrap();
    assert_ne!(&again[3], scenes);
    let path = repository.local(&again[3]).await.unwrap();
    assert!(std::fs::read(&path).unwrap().iter().eq(first.iter().rev()));

    // A file more in the entry is a change too.
    std::fs::write(path.with_file_name("more.data"), b"x").unwrap();
    let path = repository.local(&again[3]).await.unwrap();
    assert!(!path.with_file_name("more.data").exists());

    // Of three successive versions one entry is left, beside what is not of this place, or new.
    let cache_of_one = folder.path().join("cache-of-one");
    let one = Repository::open("s3://bucket/one", options(&cache_of_one)).unwrap();
    let age = |path: &Path, hours: u64| {
        let then = SystemTime::now() - Duration::from_secs(hours * 3600);
        std::fs::File::open(path).unwrap().set_modified(then).unwrap();
    };
    let (left, others) = (cache_of_one.join(".left.part"), cache_of_one.join("0123456789abcdef-others"));
    for folder in [&left, &others] {
        std::fs::create_dir_all(folder).unwrap();
        age(folder, 25);
    }
    let mut latest = PathBuf::new();
    for version in [1, 2, 3_u8] {
        put(&format!("one/scenes/{version}/model.onnx"), vec![version; 10]).await;
        let listed = one.list().await.unwrap();
        latest = one.local(&listed[0]).await.unwrap().parent().unwrap().to_owned();
        one.prune_cache(&listed).await.unwrap();
        age(&latest, 2);
        bucket().delete(&format!("one/scenes/{version}/model.onnx").into()).await.unwrap();
    }
    let mut found = entries(&cache_of_one);
    found.sort();
    let mut expected = vec![latest.clone(), others.clone()];
    expected.sort();
    assert_eq!(found, expected);
    age(&latest, 0);
    one.prune_cache(&[]).await.unwrap();
    assert_eq!(entries(&cache_of_one).len(), 2, "another server may have listed later what is new");
    age(&latest, 2);
    one.prune_cache(&[]).await.unwrap();
    assert_eq!(entries(&cache_of_one), [others]);

    // Pictures beside predictions lie in a bucket too, and are gone once they are deleted.
    let pictures = Pictures::open("s3://bucket/kept").unwrap();
    pictures.put("2026-05-04/a.jpg", first.clone().into()).await.unwrap();
    assert_eq!(pictures.get("2026-05-04/a.jpg").await.unwrap(), first);
    let there = bucket().get(&"kept/2026-05-04/a.jpg".into()).await.unwrap().bytes().await.unwrap();
    assert_eq!(there, first);
    pictures.delete("2026-05-04/a.jpg").await.unwrap();
    pictures.delete("2026-05-04/a.jpg").await.unwrap();
    let error = pictures.get("2026-05-04/a.jpg").await.unwrap_err().to_string();
    assert!(error.contains("pictures in s3://bucket/kept"), "{error}");

    // Without a server: said with the address, after the attempts.
    drop(s3);
    let error = repository.list().await.unwrap_err().to_string();
    assert!(error.contains("s3://bucket/team/models") && error.contains("the store does not answer"), "{error}");
    // What is in the cache is still served.
    repository.local(&again[3]).await.unwrap();

    // A server that checks rights does not know this key.
    let strict = Store::s3(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")]);
    point_at(strict.address);
    let error = open("s3://bucket/models").list().await.unwrap_err().to_string();
    assert!(error.contains("may not do this (403)") && error.contains("InvalidAccessKeyId"), "{error}");

    // Without any key the machine's own service is asked for one, which is not there.
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        // SAFETY: see above.
        unsafe { std::env::remove_var(name) };
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // SAFETY: see above.
    unsafe { std::env::set_var("AWS_METADATA_ENDPOINT", format!("http://{closed}")) };
    let error = open("s3://bucket/models").list().await.unwrap_err().to_string();
    assert!(error.contains("there are no credentials: set AWS_ACCESS_KEY_ID"), "{error}");
}
