//! Keys as rows: who may ask, until when, and when they last did.

use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, now_ms, statements};

/// A key as the database has it. What it may do is text here; whoever lets requests in reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRow {
    /// Never used twice, unlike a name.
    pub id: String,
    /// What the log and error messages call it.
    pub name: String,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// Scopes with `+` between them.
    pub scopes: String,
    /// Its own rate, as `20/40`.
    pub rate: Option<String>,
    /// When it was made, in milliseconds since 1970, as all times here.
    pub created_ms: i64,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// When it was last used, to a few seconds.
    pub last_used_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

impl Store {
    /// Adds a key.
    ///
    /// # Errors
    /// `Exists` for a name that was used before, also by a key that is revoked; or a database that fails.
    pub async fn add_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql(statements::ADD_KEY))
            .bind(&key.id)
            .bind(&key.name)
            .bind(key.digest.to_vec())
            .bind(&key.scopes)
            .bind(key.rate.as_deref())
            .bind(key.created_ms)
            .bind(key.expires_ms);
        let added = self
            .within(async {
                match query.execute(&self.write).await {
                    Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                        Ok(false)
                    }
                    outcome => outcome.map(|_| true),
                }
            })
            .await?;
        added.then_some(()).ok_or_else(|| StoreError::Exists { what: "key", name: key.name.clone() })
    }

    /// Every key there ever was, in the order of their making.
    ///
    /// # Errors
    /// A database that fails, or a row that is no key.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = self.within(sqlx::query(self.sql(statements::LIST_KEYS)).fetch_all(&self.look)).await?;
        rows.iter().map(|row| key(row).map_err(|error| StoreError::row("key", error))).collect()
    }

    /// Revokes a key; false where no key of this name works.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn revoke_key(&self, name: &str) -> Result<bool, StoreError> {
        let query = sqlx::query(self.sql(statements::REVOKE_KEY)).bind(name).bind(now_ms());
        Ok(self.within(query.execute(&self.write)).await?.rows_affected() > 0)
    }

    /// Notes when keys were last used: (id, time).
    ///
    /// # Errors
    /// A database that fails.
    pub async fn use_keys(&self, used: &[(String, i64)]) -> Result<(), StoreError> {
        for (id, time) in used {
            let query = sqlx::query(self.sql(statements::USE_KEY)).bind(id).bind(*time);
            self.within(query.execute(&self.write)).await?;
        }
        Ok(())
    }
}

fn key(row: &AnyRow) -> Result<KeyRow, sqlx::Error> {
    let digest: Vec<u8> = row.try_get("digest")?;
    let length = digest.len();
    Ok(KeyRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        digest: digest.try_into().map_err(|_| sqlx::Error::Decode(format!("a digest of {length} bytes").into()))?,
        scopes: row.try_get("scopes")?,
        rate: row.try_get("rate")?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        last_used_ms: row.try_get("last_used_ms")?,
        revoked_ms: row.try_get("revoked_ms")?,
    })
}
