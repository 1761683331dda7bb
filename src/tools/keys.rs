//! `tagpoint keys`: the database's keys. Every server on the database takes a change within two seconds.

use std::{io::Write, time::SystemTime};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use super::DatabaseArgs;
use crate::{
    serve::{ApiKey, Rate},
    store::{LAST_MS, Store, keys::KeyRow, ms_of, now_ms, timestamp},
};

/// The flags of `tagpoint keys`.
#[derive(Args, Clone, Debug)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeysCommand {
    /// Make a key and print it, this once: the database has its SHA-256 only
    Add(AddArgs),
    /// List every key there ever was
    List(DatabaseArgs),
    /// Make a key open nothing any more
    Revoke(RevokeArgs),
}

#[derive(Args, Clone, Debug)]
struct AddArgs {
    /// What the log and error messages call it; used once
    name: String,
    /// What it opens: predict, admin, or both with a comma between them
    #[arg(long, value_name = "SCOPE", value_delimiter = ',', default_value = "predict")]
    scope: Vec<String>,
    /// When it stops working: 30days, 12h
    #[arg(long, value_name = "TIME")]
    expires_in: Option<humantime::Duration>,
    /// Requests a second, in place of the server's key_rate: 20, or 20/40 with a burst of 40
    #[arg(long)]
    rate: Option<Rate>,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Args, Clone, Debug)]
struct RevokeArgs {
    /// The key's name
    name: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs `tagpoint keys`.
///
/// # Errors
/// A database that cannot be opened or fails, a name that is taken or unknown, or parts of a key that do not fit.
pub async fn run(args: &KeysArgs, out: &mut impl Write) -> anyhow::Result<()> {
    match &args.command {
        KeysCommand::Add(args) => add(args, out).await,
        KeysCommand::List(database) => list(&database.open().await?, out).await,
        KeysCommand::Revoke(args) => {
            if !args.database.open().await?.revoke_key(&args.name).await? {
                bail!("there is no key {:?} that works; `tagpoint keys list` shows all", args.name);
            }
            Ok(writeln!(out, "{} is revoked; servers refuse it within 2 s", args.name)?)
        }
    }
}

async fn add(args: &AddArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let secret = secret()?;
    let scopes: Vec<&str> = args.scope.iter().map(|scope| scope.trim()).collect();
    let key = ApiKey::new(&args.name, &scopes, &secret).map_err(anyhow::Error::msg)?;
    let expires = args.expires_in.map(|duration| SystemTime::now().checked_add(*duration).map(ms_of));
    let expires = expires.map(|time| time.filter(|&ms| ms <= LAST_MS).context("it would expire too far from now"));
    let row = KeyRow {
        id: uuid::Uuid::now_v7().to_string(),
        name: args.name.clone(),
        digest: key.digest(),
        scopes: key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join("+"),
        rate: args.rate.map(|rate| rate.to_string()),
        created_ms: now_ms(),
        expires_ms: expires.transpose()?,
        last_used_ms: None,
        revoked_ms: None,
    };
    args.database.open().await?.add_key(&row).await?;
    Ok(writeln!(out, "{secret}")?)
}

/// 32 random bytes as text.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(format!("tp_{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

async fn list(store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{:<24} {:<14} {:<8} {:<20} {:<20} state", "name", "scopes", "rate", "made", "last used")?;
    for key in store.keys().await? {
        let used = key.last_used_ms.map_or("never".to_owned(), timestamp);
        let rate = key.rate.as_deref().unwrap_or("-");
        let state = state(&key, now_ms());
        writeln!(
            out,
            "{:<24} {:<14} {rate:<8} {:<20} {used:<20} {state}",
            key.name,
            key.scopes,
            timestamp(key.created_ms)
        )?;
    }
    Ok(())
}

fn state(key: &KeyRow, now: i64) -> String {
    match (key.revoked_ms, key.expires_ms) {
        (Some(time), _) => format!("revoked {}", timestamp(time)),
        (None, Some(time)) if time <= now => format!("expired {}", timestamp(time)),
        (None, Some(time)) => format!("works until {}", timestamp(time)),
        (None, None) => "works".to_owned(),
    }
}
