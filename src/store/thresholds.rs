//! Revisions of thresholds as rows: each model file has its own, numbered from 1, and one of them, or the file's own
//! thresholds (0), is in force.

use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, now_ms, statements};

/// A revision that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForceRow {
    /// SHA-256 of the model file.
    pub digest: String,
    /// The revision's number.
    pub revision: i64,
    /// What it says, as JSON.
    pub thresholds: String,
}

impl Store {
    /// Every model file's revision that is in force; those with their own thresholds are left out.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn thresholds_in_force(&self) -> Result<Vec<InForceRow>, StoreError> {
        let rows = self.within(sqlx::query(self.sql(statements::THRESHOLDS_IN_FORCE)).fetch_all(&self.look)).await?;
        rows.iter().map(|row| in_force(row).map_err(|error| StoreError::row("revision", error))).collect()
    }

    /// A model file's revision that is in force; none where its own thresholds are.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn thresholds_of(&self, digest: &str) -> Result<Option<InForceRow>, StoreError> {
        Ok(self.thresholds_in_force().await?.into_iter().find(|row| row.digest == digest))
    }

    /// Adds a revision and puts it in force: its number.
    ///
    /// # Errors
    /// A database that fails, also where somebody else added one at the same time; then nothing has changed.
    pub async fn add_thresholds(
        &self,
        digest: &str,
        author: Option<&str>,
        thresholds: &str,
    ) -> Result<i64, StoreError> {
        let (add, put) = (self.sql(statements::ADD_THRESHOLDS), self.sql(statements::PUT_THRESHOLDS_IN_FORCE));
        self.within(async {
            let mut transaction = self.begin().await?;
            let query = sqlx::query(add).bind(digest).bind(now_ms()).bind(author).bind(thresholds);
            let revision: i64 = query.fetch_one(&mut *transaction).await?.try_get("revision")?;
            sqlx::query(put).bind(digest).bind(revision).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(revision)
        })
        .await
    }

    /// Puts in force what was before the revision that is: its number, 0 for the model file's own thresholds. None where
    /// those are in force already.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn roll_back_thresholds(&self, digest: &str) -> Result<Option<i64>, StoreError> {
        let query = sqlx::query(self.sql(statements::ROLL_BACK_THRESHOLDS)).bind(digest);
        let row = self.within(query.fetch_optional(&self.write)).await?;
        let revision = row.map(|row| row.try_get("revision")).transpose();
        revision.map_err(|error| StoreError::row("revision", error))
    }
}

fn in_force(row: &AnyRow) -> Result<InForceRow, sqlx::Error> {
    Ok(InForceRow {
        digest: row.try_get("digest")?,
        revision: row.try_get("revision")?,
        thresholds: row.try_get("thresholds")?,
    })
}
