//! Where the database is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Where the database is, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// No database: nothing is remembered.
    None,
    /// A SQLite file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

/// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(reqwest::Url);

impl PostgresUrl {
    pub(super) fn as_url(&self) -> &reqwest::Url {
        &self.0
    }
}

impl Database {
    /// Whether its text has a password in it.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres(url) if url.0.password().is_some())
    }
}

impl Default for Database {
    /// The SQLite file `tagpoint.db`: in systemd's `$STATE_DIRECTORY`, else in `$XDG_STATE_HOME/tagpoint`, else in
    /// `~/.local/state/tagpoint`, else where the program was started.
    fn default() -> Self {
        Self::Sqlite(state_folder().unwrap_or_default().join("tagpoint.db"))
    }
}

/// The folder for what a program has to keep and no user edits.
fn state_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("STATE_DIRECTORY")
        .or_else(|| folder("XDG_STATE_HOME").map(|state| state.join("tagpoint")))
        .or_else(|| Some(std::env::home_dir().filter(|home| *home != Path::new(""))?.join(".local/state/tagpoint")))
}

impl FromStr for Database {
    type Err = String;

    /// `none`, a file, or `postgres://…`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("a file, postgres://USER@HOST/DATABASE, or none".to_owned()),
            "none" => Ok(Self::None),
            text if text.starts_with("postgres://") || text.starts_with("postgresql://") => {
                // The error does not show the text, and with it perhaps a password.
                let url = reqwest::Url::parse(text).map_err(|error| format!("the address of PostgreSQL: {error}"))?;
                Ok(Self::Postgres(PostgresUrl(url)))
            }
            text => match text.split_once("://") {
                Some((scheme, _)) => Err(format!("{scheme}:// is not known: a file, postgres://…, or none")),
                None => Ok(Self::Sqlite(text.into())),
            },
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            // An address with a password has a host, so that it can be changed.
            let _ = shown.set_password(Some("PASSWORD"));
        }
        // Parameters may hold a password too.
        shown.set_query(None);
        write!(f, "{shown}")
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_none_a_file_or_a_server() {
        assert_eq!("none".parse(), Ok(Database::None));
        assert_eq!("data/my store.db".parse(), Ok(Database::Sqlite("data/my store.db".into())));
        let server: Database = "postgres://me@db.example/tagpoint".parse().unwrap();
        assert_eq!(server.to_string(), "postgres://me@db.example/tagpoint");
        for wrong in ["", "mysql://me@db/tagpoint", "postgres://me@:port"] {
            assert!(wrong.parse::<Database>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let database: Database = "postgres://me:open-sesame@db/tagpoint?password=open-sesame".parse().unwrap();
        for shown in [database.to_string(), format!("{database:?}")] {
            assert!(!shown.contains("sesame") && shown.contains("me:PASSWORD@db/tagpoint"), "{shown}");
        }
        assert!(database.has_password());
        let wrong = "postgres://me:open-sesame@db:port/tagpoint".parse::<Database>().unwrap_err();
        assert!(!wrong.contains("sesame"), "{wrong}");
    }
}
