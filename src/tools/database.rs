//! Which database a tool works on: the server's, found as the server finds it.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    serve::{ServeArgs, Settings},
    store::{Database, Store},
};

/// The flags that name a database.
#[derive(Args, Clone, Debug, Default)]
pub struct DatabaseArgs {
    /// SQLite file or postgres://USER@HOST/DATABASE; where none is named, the configuration file's, else the server's
    /// default
    #[arg(long, env = "TAGPOINT_DATABASE", hide_env_values = true)]
    pub database: Option<Database>,
    /// The server's configuration file
    #[arg(long, env = "TAGPOINT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The server's settings, where its configuration file is named.
    ///
    /// # Errors
    /// A file that is not valid.
    pub(super) fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let resolve = |config: &PathBuf| Settings::resolve(ServeArgs::of_file(config.clone()));
        Ok(self.config.as_ref().map(resolve).transpose()?.map(|resolved| resolved.settings))
    }

    /// Opens the database, as the server does.
    ///
    /// # Errors
    /// A configuration file that is not valid, a database that cannot be opened, or `none`.
    pub async fn open(&self) -> anyhow::Result<Store> {
        let database = match (&self.database, &self.config) {
            (Some(database), _) => database.clone(),
            (None, Some(config)) => Settings::resolve(ServeArgs::of_file(config.clone()))?.settings.database,
            (None, None) => Database::default(),
        };
        Store::open(&database).await?.context("there is no database: the server's setting is none")
    }
}
