//! Databases of a test's own: a SQLite file, and a PostgreSQL server that is really there.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AnyConnection, Connection as _};
use tagpoint::store::Database;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// An empty database.
pub struct TestDatabase {
    /// What `--database` says.
    pub address: String,
    kind: Kind,
}

enum Kind {
    /// In a folder that is deleted with it.
    Sqlite { _folder: tempfile::TempDir },
    /// Behind a gate that can be shut.
    Postgres(watch::Sender<Gate>),
}

/// Whether what a client and a server say to each other passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    Open,
    /// What begins a transaction does not pass, nor anything behind it.
    NoTransaction,
    /// Connections stay, and nothing passes.
    Stuck,
    /// Connections break, and none is taken.
    Shut,
}

/// The server of every test of this process: the one that `TAGPOINT_TEST_POSTGRES` names, or one that goes with the
/// process.
static SERVER: LazyLock<(String, Option<Child>)> = LazyLock::new(|| match std::env::var("TAGPOINT_TEST_POSTGRES") {
    Ok(given) if !given.is_empty() => (given, None),
    _ => {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-postgres");
        let mut child = Command::new(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("postgres://"), "scripts/test-postgres gave no server: {address:?}");
        (address.trim().to_owned(), Some(child))
    }
});

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            address: folder.path().join("test.db").to_str().unwrap().to_owned(),
            kind: Kind::Sqlite { _folder: folder },
        }
    }

    pub async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sqlx::any::install_default_drivers();
        let mut url = reqwest::Url::parse(&SERVER.0).unwrap();
        let name = format!("tagpoint_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = AnyConnection::connect(url.as_str()).await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let (gate, address) = forward(server).await;
        url.set_port(Some(address.port())).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_path(&name);
        Self { address: url.to_string(), kind: Kind::Postgres(gate) }
    }

    pub fn setting(&self) -> Database {
        self.address.parse().unwrap()
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let url = match &self.kind {
            Kind::Sqlite { .. } => format!("sqlite://{}?mode=rwc", self.address),
            Kind::Postgres(_) => self.address.clone(),
        };
        AnyConnection::connect(&url).await.unwrap()
    }

    /// From now on every statement fails.
    pub async fn go_away(&self) {
        match &self.kind {
            Kind::Sqlite { .. } => self.rename_tables("", "away_").await,
            Kind::Postgres(gate) => _ = gate.send_replace(Gate::Shut),
        }
    }

    /// From now on no statement comes to an end; SQLite's hang as long as the connection is held.
    pub async fn get_stuck(&self) -> Option<AnyConnection> {
        match &self.kind {
            Kind::Sqlite { .. } => {
                let mut connection = self.connect().await;
                sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
                Some(connection)
            }
            Kind::Postgres(gate) => {
                gate.send_replace(Gate::Stuck);
                None
            }
        }
    }

    /// From now on no transaction begins that a program asks PostgreSQL for; all else goes on.
    pub fn hold_transactions(&self) {
        let gate = match &self.kind {
            Kind::Sqlite { .. } => None,
            Kind::Postgres(gate) => Some(gate),
        };
        gate.expect("SQLite is a part of the program").send_replace(Gate::NoTransaction);
    }

    /// Ends what `go_away`, `get_stuck` or `hold_transactions` began.
    pub async fn come_back(&self) {
        match &self.kind {
            Kind::Sqlite { .. } => self.rename_tables("away_", "").await,
            Kind::Postgres(gate) => _ = gate.send_replace(Gate::Open),
        }
    }

    async fn rename_tables(&self, from: &str, to: &str) {
        let mut connection = self.connect().await;
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%'";
        let names: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        for (name,) in names {
            let Some(bare) = name.strip_prefix(from) else { continue };
            let sql = sqlx::AssertSqlSafe(format!("ALTER TABLE {name} RENAME TO {to}{bare}"));
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }
}

/// Forwards a port of its own to a server, as the gate says.
async fn forward(server: String) -> (watch::Sender<Gate>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (gate, state) = watch::channel(Gate::Open);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, mut state) = (server.clone(), state.clone());
            tokio::spawn(async move {
                if *state.borrow() == Gate::Shut {
                    return;
                }
                let server = TcpStream::connect(server).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::select! {
                    () = pass(from_client, to_server, state.clone()) => {}
                    () = pass(from_server, to_client, state.clone()) => {}
                    _ = state.wait_for(|gate| *gate == Gate::Shut) => {}
                }
            });
        }
    });
    (gate, address)
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut state: watch::Receiver<Gate>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or_default();
        let begins = buffer[..count].windows(6).any(|text| text == b"BEGIN\0");
        let passes = |gate: &Gate| *gate != Gate::Stuck && !(begins && *gate == Gate::NoTransaction);
        if count == 0 || state.wait_for(passes).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
