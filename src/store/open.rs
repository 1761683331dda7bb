//! Opening a database: the file or the server, its connections, its schema.

use std::{
    path::Path,
    str::FromStr as _,
    time::{Duration, Instant},
};

use sqlx::{
    AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _, Row as _,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::MigrateError,
};

use super::{Database, Dialect, PATIENCE, PostgresUrl, Store, StoreError, migrations, statements};

/// How long a call waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long the start waits for a server that is starting too.
const START: Duration = Duration::from_secs(30);
/// Connections of each process that read.
const READING: u32 = 4;
/// Connections of each process that write to PostgreSQL.
const WRITING: u32 = 3;
/// WAL: readers and the one writer do not wait for each other, and a crash loses nothing that was committed except,
/// on a power cut, the last moments. Another process's write is waited for.
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
                       PRAGMA foreign_keys = ON;";

impl Store {
    /// Opens a database, makes it where there is none (SQLite), and brings its schema up to this program's. None where
    /// there is to be no database.
    ///
    /// # Errors
    /// A file that cannot be made or opened, a server that cannot be reached within half a minute, or a schema that
    /// cannot be migrated; each says what to do.
    pub async fn open(database: &Database) -> Result<Option<Self>, StoreError> {
        sqlx::any::install_default_drivers();
        match database {
            Database::None => Ok(None),
            Database::Sqlite(path) => Self::open_file(path).await.map(Some),
            Database::Postgres(url) => Self::open_server(url).await.map(Some),
        }
    }

    async fn open_file(path: &Path) -> Result<Self, StoreError> {
        make_file(path).map_err(|error| StoreError::file(path, error))?;
        let path_text = path.to_str().ok_or_else(|| StoreError::file(path, "its path is not UTF-8"))?;
        let url = format!("sqlite://{}?mode=rw", escaped(path_text));
        let options = AnyConnectOptions::from_str(&url).map_err(|error| StoreError::file(path, error))?;
        let connect = async |connections| {
            let pool =
                AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).test_before_acquire(false);
            let pool = pool
                .after_connect(|connection, _| Box::pin(async move { connection.execute(PRAGMAS).await.map(|_| ()) }));
            pool.connect_with(options.clone()).await.map_err(|error| StoreError::file(path, error))
        };
        let (write, read, look) = (connect(1).await?, connect(READING).await?, connect(1).await?);
        let (dialect, place) = (Dialect::Sqlite, path.display().to_string());
        let id = migrate(&write, dialect, &place).await?;
        Ok(Self { dialect, place, id, read, write, look })
    }

    async fn open_server(url: &PostgresUrl) -> Result<Self, StoreError> {
        crate::tls::use_ring();
        let place = url.to_string();
        let unreachable =
            |error: sqlx::Error| StoreError::Unreachable { place: place.clone(), reason: error.to_string() };
        let options = AnyConnectOptions::from_str(url.as_url().as_str()).map_err(unreachable)?;
        let began = Instant::now();
        // A connection by itself says why there is none; a pool says only that it waited.
        loop {
            match connect(&options).await {
                Ok(connection) => break connection.close().await.map_err(unreachable)?,
                Err(error) if began.elapsed() < START && is_away(&error) => {
                    tracing::warn!(database = %place, %error, "the database cannot be reached yet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(unreachable(error)),
            }
        }
        let pool = |connections| AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE);
        let dialect = Dialect::Postgres;
        // A migration may take longer than other statements.
        let migrating = pool(1).connect_lazy_with(options.clone());
        let id = migrate(&migrating, dialect, &place).await?;
        migrating.close().await;
        // Not as an option of the connection: poolers in between refuse those.
        let limited = |connections| {
            let pool = pool(connections).after_connect(|connection, _| {
                Box::pin(async move {
                    let sql = format!("SET statement_timeout = {}", PATIENCE.as_millis());
                    connection.execute(AssertSqlSafe(sql)).await.map(|_| ())
                })
            });
            pool.connect_lazy_with(options.clone())
        };
        Ok(Self { dialect, place, id, read: limited(READING), write: limited(WRITING), look: limited(1) })
    }
}

/// Brings the schema up to this program's, and gives the database's id.
async fn migrate(pool: &AnyPool, dialect: Dialect, place: &str) -> Result<String, StoreError> {
    let failed = |reason: String| StoreError::Migration { place: place.to_owned(), reason };
    let migrated = tokio::time::timeout(START, async {
        migrations::run(pool, dialect).await?;
        let row = sqlx::query(statements::THIS_DATABASE.sql(dialect)).fetch_one(pool).await?;
        Ok::<String, MigrateError>(row.try_get("id")?)
    });
    migrated
        .await
        .map_err(|_| failed(format!("it took more than {} s", START.as_secs())))?
        .map_err(|error| failed(error.to_string()))
}

async fn connect(options: &AnyConnectOptions) -> Result<AnyConnection, sqlx::Error> {
    tokio::time::timeout(ACQUIRE, AnyConnection::connect_with(options)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Whether waiting may help: nothing listens yet, or it is starting.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        // cannot_connect_now: the server is starting, or stopping.
        sqlx::Error::Database(error) => error.code().as_deref() == Some("57P03"),
        _ => false,
    }
}

/// Makes the file where there is none, readable by its owner alone, and the folders above it.
fn make_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A path as a part of an address.
fn escaped(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
