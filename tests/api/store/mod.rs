//! What is remembered: every test of these runs twice, on a SQLite file and on PostgreSQL.

/// Makes each function two tests.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::helpers::database::TestDatabase::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::helpers::database::TestDatabase::postgres().await).await;
            })*
        }
    };
}

mod connections;
mod feedback;
mod jobs;
mod keys;
mod opening;
mod predictions;
mod thresholds;
