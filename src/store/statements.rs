//! Every statement that the store runs, in one table. A test prepares each on both databases.
//!
//! SQLite and PostgreSQL read the same text where they can, `$1` for the first value included.

use super::Dialect;

/// One statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// What messages and tests call it.
    pub name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Statement {
    /// Its text for a database.
    pub fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// Declares statements, and `ALL` with each of them.
macro_rules! statements {
    (@text $text:literal) => { ($text, $text) };
    (@text $sqlite:literal, $postgres:literal) => { ($sqlite, $postgres) };
    ($($(#[$doc:meta])* $name:ident = $($text:literal),+;)*) => {
        $(
            $(#[$doc])*
            pub(super) const $name: Statement = {
                let (sqlite, postgres) = statements!(@text $($text),+);
                Statement { name: stringify!($name), sqlite, postgres }
            };
        )*
        /// Every statement there is.
        pub const ALL: &[Statement] = &[$($name),*];
    };
}

statements! {
    ADD_KEY = "INSERT INTO api_keys (id, name, digest, scopes, rate, created_ms, expires_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    LIST_KEYS = "SELECT id, name, digest, scopes, rate, created_ms, expires_ms, last_used_ms, revoked_ms
        FROM api_keys ORDER BY created_ms, id";
    REVOKE_KEY = "UPDATE api_keys SET revoked_ms = $2 WHERE name = $1 AND revoked_ms IS NULL";
    /// Replicas write when each saw the key; the latest stays.
    USE_KEY = "UPDATE api_keys SET last_used_ms = $2 WHERE id = $1 AND (last_used_ms IS NULL OR last_used_ms < $2)";
}
