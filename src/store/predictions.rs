//! Predictions as rows: what was answered, in batches.

use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, statements};
use crate::model::{Digest, Manifest, ModelVersion};

/// What a model file said in it that is needed to read its predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// SHA-256 of the file.
    pub digest: String,
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// The manifest's task, as JSON.
    pub task: String,
    /// The manifest's resize rule, as JSON.
    pub resize: String,
}

impl ModelRow {
    /// What a manifest says that is needed.
    ///
    /// # Errors
    /// None in practice: a manifest that was read can be written.
    pub fn new(
        name: &str,
        version: ModelVersion,
        digest: &Digest,
        manifest: &Manifest,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            digest: digest.to_string(),
            model: name.to_owned(),
            version: i64::try_from(version.0).unwrap_or(i64::MAX),
            task: serde_json::to_string(&manifest.task)?,
            resize: serde_json::to_string(&manifest.input.resize)?,
        })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictionRow {
    /// A UUID of version 7.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// SHA-256 of the model file.
    pub digest: String,
    /// The revision of the thresholds that held; 0 for the file's own.
    pub revision: i64,
    /// The model's output, as a JSON array.
    pub outputs: String,
    /// The picture's width in pixels, as EXIF orients it.
    pub width: i64,
    /// Its height.
    pub height: i64,
    /// SHA-256 of the picture's bytes.
    pub picture_digest: String,
    /// Where the picture was kept, if it was.
    pub picture: Option<String>,
    /// Milliseconds of decoding and resizing.
    pub decode_ms: f64,
    /// Milliseconds of waiting.
    pub queue_ms: f64,
    /// Milliseconds of the batch.
    pub inference_ms: f64,
    /// 0 where the model is sure, 1 where it is not at all.
    pub uncertainty: Option<f64>,
    /// How far the nearest score is from its threshold.
    pub margin: Option<f64>,
}

/// What a version on trial said of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShadowRow {
    /// The prediction of the version that answered.
    pub prediction_id: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// The version on trial.
    pub version: i64,
    /// Its output, as a JSON array.
    pub outputs: String,
    /// Labels named by one of the two only, plus the largest difference; the mean difference for points and values.
    pub disagreement: f64,
}

impl Store {
    /// Remembers a model file, unless it is known.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn add_model(&self, row: &ModelRow) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql(statements::ADD_MODEL))
            .bind(&row.digest)
            .bind(&row.model)
            .bind(row.version)
            .bind(&row.task)
            .bind(&row.resize);
        self.within(query.execute(&self.write)).await.map(|_| ())
    }

    /// A model file whose predictions are remembered: of a version, or of the highest.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn model(&self, model: &str, version: Option<i64>) -> Result<Option<ModelRow>, StoreError> {
        let query = sqlx::query(self.sql(statements::MODEL)).bind(model).bind(version.unwrap_or(-1));
        let row = self.within(query.fetch_optional(&self.read)).await?;
        let read = |row: AnyRow| -> Result<ModelRow, sqlx::Error> {
            Ok(ModelRow {
                digest: row.try_get("digest")?,
                model: row.try_get("model")?,
                version: row.try_get("version")?,
                task: row.try_get("task")?,
                resize: row.try_get("resize")?,
            })
        };
        row.map(read).transpose().map_err(|error| StoreError::row("model", error))
    }

    /// Adds answers, all in one statement. Those that are there already stay as they are, so the same may be tried again.
    ///
    /// # Errors
    /// A database that fails; then none of them was added, or all.
    pub async fn add_predictions(&self, rows: &[PredictionRow]) -> Result<(), StoreError> {
        self.add_all(statements::ADD_PREDICTIONS, rows).await
    }

    /// Adds what a version on trial said, as [`Self::add_predictions`] does.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn add_shadow_outputs(&self, rows: &[ShadowRow]) -> Result<(), StoreError> {
        self.add_all(statements::ADD_SHADOW_OUTPUTS, rows).await
    }

    async fn add_all(&self, statement: statements::Statement, rows: &[impl Serialize]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(rows).map_err(|error| StoreError::row("prediction", error))?;
        self.within(sqlx::query(self.sql(statement)).bind(json).execute(&self.write)).await.map(|_| ())
    }

    /// Deletes up to so many predictions from before a time that nobody has corrected: how many. Their pictures are forgotten
    /// ones from then on.
    ///
    /// # Errors
    /// A database that fails; then none of them was deleted.
    pub async fn forget_predictions(&self, before_ms: i64, most: i64) -> Result<usize, StoreError> {
        let (forget, add) = (self.sql(statements::FORGET_PREDICTIONS), self.sql(statements::ADD_FORGOTTEN_PICTURES));
        self.within(async {
            let mut transaction = self.begin().await?;
            let rows = sqlx::query(forget).bind(before_ms).bind(most).fetch_all(&mut *transaction).await?;
            let pictures = rows.iter().map(|row| row.try_get("picture")).collect::<Result<Vec<Option<String>>, _>>()?;
            let pictures: Vec<String> = pictures.into_iter().flatten().collect();
            let json = serde_json::to_string(&pictures).map_err(|error| sqlx::Error::Encode(error.into()))?;
            sqlx::query(add).bind(json).execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows.len())
        })
        .await
    }

    /// Deletes what versions on trial said before a time.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn forget_shadow_outputs(&self, before_ms: i64) -> Result<(), StoreError> {
        let query = sqlx::query(self.sql(statements::FORGET_SHADOW_OUTPUTS)).bind(before_ms);
        self.within(query.execute(&self.write)).await.map(|_| ())
    }

    /// Where up to so many pictures are kept whose predictions are deleted, in order, after this one.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn forgotten_pictures(&self, after: &str, most: i64) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query(self.sql(statements::FORGOTTEN_PICTURES)).bind(after).bind(most);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        rows.iter().map(picture).collect()
    }

    /// Where the pictures of some predictions are kept, for those that are there and have one.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn pictures_of(&self, predictions: &[String]) -> Result<Vec<String>, StoreError> {
        let json = serde_json::to_string(predictions).map_err(|error| StoreError::row("picture", error))?;
        let query = sqlx::query(self.sql(statements::PICTURES_OF)).bind(json);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        rows.iter().map(picture).collect()
    }

    /// Forgotten pictures are deleted, and nothing is left of them.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn end_forgotten_pictures(&self, pictures: &[String]) -> Result<(), StoreError> {
        let json = serde_json::to_string(pictures).map_err(|error| StoreError::row("picture", error))?;
        let query = sqlx::query(self.sql(statements::END_FORGOTTEN_PICTURES)).bind(json);
        self.within(query.execute(&self.write)).await.map(|_| ())
    }
}

fn picture(row: &AnyRow) -> Result<String, StoreError> {
    row.try_get("picture").map_err(|error| StoreError::row("picture", error))
}
