//! Corrections as rows, and what is read of predictions for people and for new thresholds.

use sqlx::{Row as _, any::AnyRow};

use super::{Store, StoreError, now_ms, statements};

/// What a correction is held against, and the picture that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictedBy {
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// The manifest's task, as JSON.
    pub task: String,
    /// Where the picture is kept, if it is.
    pub picture: Option<String>,
}

/// What is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewOrder {
    /// The least certain.
    Uncertain,
    /// The nearest to a threshold.
    Threshold,
    /// Where a version on trial disagrees most.
    Shadow,
    /// The newest, whatever the model made of it.
    Newest,
}

/// A prediction that nobody has corrected yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewRow {
    /// The prediction.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// The model's name.
    pub model: String,
    /// Its version.
    pub version: i64,
    /// SHA-256 of the model file.
    pub digest: String,
    /// The manifest's task and resize rule, as JSON.
    pub task: String,
    /// See `task`.
    pub resize: String,
    /// The model's output, as a JSON array.
    pub outputs: String,
    /// The picture's width in pixels, as EXIF orients it.
    pub width: i64,
    /// Its height.
    pub height: i64,
    /// SHA-256 of the picture's bytes.
    pub picture_digest: String,
    /// Where the picture is kept, if it is.
    pub picture: Option<String>,
    /// 0 where the model is sure, 1 where it is not at all.
    pub uncertainty: Option<f64>,
    /// How far the nearest score is from its threshold.
    pub margin: Option<f64>,
    /// The version on trial that saw it too.
    pub shadow_version: Option<i64>,
    /// How far that one disagrees.
    pub disagreement: Option<f64>,
}

/// A prediction and what is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrectedRow {
    /// The prediction.
    pub id: String,
    /// The model's version.
    pub version: i64,
    /// SHA-256 of the model file.
    pub digest: String,
    /// The model's output, as a JSON array.
    pub outputs: String,
    /// What is right, as JSON.
    pub truth: String,
    /// Where the picture is kept, if it is.
    pub picture: Option<String>,
    /// SHA-256 of the picture's bytes.
    pub picture_digest: String,
    /// The manifest's task, as JSON.
    pub task: String,
}

impl Store {
    /// The model behind a prediction; none where there is no such prediction.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn predicted_by(&self, prediction: &str) -> Result<Option<PredictedBy>, StoreError> {
        let query = sqlx::query(self.sql(statements::PREDICTED_BY)).bind(prediction);
        let row = self.within(query.fetch_optional(&self.read)).await?;
        let read = |row: AnyRow| -> Result<PredictedBy, sqlx::Error> {
            Ok(PredictedBy {
                model: row.try_get("model")?,
                version: row.try_get("version")?,
                task: row.try_get("task")?,
                picture: row.try_get("picture")?,
            })
        };
        row.map(read).transpose().map_err(|error| StoreError::row("prediction", error))
    }

    /// Says what is right about a prediction, in place of what was said before.
    ///
    /// # Errors
    /// A database that fails, also where the prediction is gone.
    pub async fn add_feedback(&self, prediction: &str, author: Option<&str>, truth: &str) -> Result<(), StoreError> {
        let query =
            sqlx::query(self.sql(statements::ADD_FEEDBACK)).bind(prediction).bind(now_ms()).bind(author).bind(truth);
        self.within(query.execute(&self.write)).await.map(|_| ())
    }

    /// Predictions of a model that nobody has corrected, the most worth a look first; of all versions unless one is named.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn review(
        &self,
        order: ReviewOrder,
        model: &str,
        version: Option<i64>,
        most: i64,
    ) -> Result<Vec<ReviewRow>, StoreError> {
        let statement = match order {
            ReviewOrder::Uncertain => statements::REVIEW_UNCERTAIN,
            ReviewOrder::Threshold => statements::REVIEW_THRESHOLD,
            ReviewOrder::Shadow => statements::REVIEW_SHADOW,
            ReviewOrder::Newest => statements::REVIEW_NEWEST,
        };
        let query = sqlx::query(self.sql(statement)).bind(model).bind(version.unwrap_or(-1)).bind(most);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        rows.iter().map(|row| review_row(row).map_err(|error| StoreError::row("prediction", error))).collect()
    }

    /// The latest corrected predictions of a model; of all versions unless one is named.
    ///
    /// # Errors
    /// A database that fails.
    pub async fn corrected(
        &self,
        model: &str,
        version: Option<i64>,
        most: i64,
    ) -> Result<Vec<CorrectedRow>, StoreError> {
        let query = sqlx::query(self.sql(statements::CORRECTED)).bind(model).bind(version.unwrap_or(-1)).bind(most);
        let rows = self.within(query.fetch_all(&self.read)).await?;
        rows.iter().map(|row| corrected_row(row).map_err(|error| StoreError::row("correction", error))).collect()
    }
}

fn review_row(row: &AnyRow) -> Result<ReviewRow, sqlx::Error> {
    Ok(ReviewRow {
        id: row.try_get("id")?,
        created_ms: row.try_get("created_ms")?,
        model: row.try_get("model")?,
        version: row.try_get("version")?,
        digest: row.try_get("digest")?,
        task: row.try_get("task")?,
        resize: row.try_get("resize")?,
        outputs: row.try_get("outputs")?,
        width: row.try_get("width")?,
        height: row.try_get("height")?,
        picture_digest: row.try_get("picture_digest")?,
        picture: row.try_get("picture")?,
        uncertainty: row.try_get("uncertainty")?,
        margin: row.try_get("margin")?,
        shadow_version: row.try_get("shadow_version")?,
        disagreement: row.try_get("disagreement")?,
    })
}

fn corrected_row(row: &AnyRow) -> Result<CorrectedRow, sqlx::Error> {
    Ok(CorrectedRow {
        id: row.try_get("id")?,
        version: row.try_get("version")?,
        digest: row.try_get("digest")?,
        outputs: row.try_get("outputs")?,
        truth: row.try_get("truth")?,
        picture: row.try_get("picture")?,
        picture_digest: row.try_get("picture_digest")?,
        task: row.try_get("task")?,
    })
}
