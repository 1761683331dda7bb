//! Predictions that are older than they are kept are deleted, and then their pictures. Every replica does; what one has
//! deleted the next does not find.
//!
//! The rows go first, so that a picture is there as long as its prediction can be corrected. The database knows the pictures
//! that are left until they are deleted, too.
//!
//! It does not know a picture whose row was never written: a server was killed, or stopped before the database took it. Once a
//! day those of days past are looked for where pictures lie, among this database's own.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::day;
use crate::{
    serve::steady_clock::SteadyClock,
    store::{Pictures, Store, StoreError},
};

/// Between two looks; the first is at the start.
const EVERY: Duration = Duration::from_secs(600);
/// Looks of which the first is for pictures without a prediction, too: a day of them.
const LOOKS: u64 = 144;
/// Predictions of one statement, so that none holds the database for long.
const BATCH: i64 = 500;
/// How much older than they are kept pictures without a prediction are: by then every row is written that ever will be, whatever
/// a server's clock says.
const MARGIN: Duration = Duration::from_secs(86_400);

/// Pictures that cannot be deleted.
#[derive(Default)]
struct Left {
    pictures: usize,
    /// Why the first of them cannot.
    reason: String,
}

impl Left {
    /// Deletes what can be deleted: that.
    async fn delete(&mut self, pictures: Option<&Pictures>, names: Vec<String>) -> Vec<String> {
        let mut deleted = Vec::new();
        for name in names {
            let outcome = match pictures {
                Some(pictures) => pictures.delete(&name).await.map_err(|error| error.to_string()),
                None => Err("record_pictures no longer says where they are".to_owned()),
            };
            match outcome {
                Ok(()) => deleted.push(name),
                Err(reason) => {
                    if self.pictures == 0 {
                        self.reason = reason;
                    }
                    self.pictures += 1;
                }
            }
        }
        deleted
    }
}

/// Never ends.
pub(super) async fn run(store: Store, pictures: Option<Pictures>, keep: Duration) {
    let clock = SteadyClock::start();
    let mut known = 0;
    for look in 0_u64.. {
        match forget(&store, clock.before_ms(keep)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "predictions forgotten: they were older than they are kept"),
            Err(error) => tracing::warn!(%error, "old predictions cannot be deleted now"),
        }
        match delete_pictures(&store, pictures.as_ref()).await {
            Ok(Left { pictures, reason }) => {
                if pictures > 0 && pictures != known {
                    tracing::warn!(
                        pictures,
                        reason,
                        "pictures of forgotten predictions are left: they cannot be deleted"
                    );
                }
                known = pictures;
            }
            Err(error) => tracing::warn!(%error, "pictures of forgotten predictions cannot be deleted now"),
        }
        if let Some(pictures) = &pictures
            && look % LOOKS == 0
        {
            sweep(&store, pictures, clock.before_ms(keep.saturating_add(MARGIN))).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(store: &Store, before: i64) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    loop {
        let count = store.forget_predictions(before, BATCH).await?;
        if count == 0 {
            store.forget_shadow_outputs(before).await?;
            return Ok(forgotten);
        }
        forgotten += count;
    }
}

/// Deletes what can be deleted. A store that takes too long over it is left until the next look.
async fn delete_pictures(store: &Store, pictures: Option<&Pictures>) -> Result<Left, StoreError> {
    let (began, mut left, mut last) = (Instant::now(), Left::default(), String::new());
    while began.elapsed() < EVERY {
        let names = store.forgotten_pictures(&last, BATCH).await?;
        let Some(name) = names.last() else { break };
        last.clone_from(name);
        let deleted = left.delete(pictures, names).await;
        store.end_forgotten_pictures(&deleted).await?;
    }
    Ok(left)
}

/// Deletes pictures without a prediction, and says so. A store that takes too long over it is left until the next time.
async fn sweep(store: &Store, pictures: &Pictures, before_ms: i64) {
    let mut left = Left::default();
    let swept = tokio::time::timeout(EVERY, delete_unrecorded(store, pictures, before_ms, &mut left)).await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(count)) => tracing::info!(count, "pictures deleted whose predictions were never written"),
        Ok(Err(error)) => tracing::warn!(%error, "pictures without a prediction cannot be looked for now"),
        Err(_) => tracing::warn!("pictures without a prediction are left: their store takes too long"),
    }
    let Left { pictures, reason } = left;
    if pictures > 0 {
        tracing::warn!(pictures, reason, "pictures without a prediction are left: they cannot be deleted");
    }
}

/// Deletes this database's pictures of the days before a time that no prediction has: how many.
async fn delete_unrecorded(
    store: &Store,
    pictures: &Pictures,
    before_ms: i64,
    left: &mut Left,
) -> Result<usize, StoreError> {
    let (mut deleted, before) = (0, day(before_ms));
    let days = pictures.folders(store.id()).await?;
    // Days come one after the other as text does.
    for day in days.into_iter().filter(|day| *day < before) {
        let names = pictures.names(&format!("{}/{day}", store.id()));
        let mut pages = names.try_chunks(BATCH as usize);
        while let Some(names) = pages.try_next().await.map_err(|error| error.1)? {
            let unrecorded = unrecorded(store, names).await?;
            deleted += left.delete(Some(pictures), unrecorded).await.len();
        }
    }
    Ok(deleted)
}

/// Of these names those of pictures that no prediction has. What is no picture's name is not among them.
async fn unrecorded(store: &Store, names: Vec<String>) -> Result<Vec<String>, StoreError> {
    let (ids, names): (Vec<_>, Vec<_>) = names.into_iter().filter_map(|name| Some((prediction(&name)?, name))).unzip();
    let recorded: BTreeSet<String> = store.pictures_of(&ids).await?.into_iter().collect();
    Ok(names.into_iter().filter(|name| !recorded.contains(name)).collect())
}

/// The id in a picture's name.
fn prediction(name: &str) -> Option<String> {
    let (id, _) = name.rsplit('/').next()?.split_once('.')?;
    Uuid::parse_str(id).ok().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::{Database, now_ms, predictions::PredictionRow};

    /// The first of these predictions has the first picture.
    const IDS: [&str; 2] = ["0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f23", "0199e3a0-5b1c-7d3e-8f4a-2b6c8d0e1f24"];

    fn row(id: &str, picture: Option<String>) -> PredictionRow {
        PredictionRow {
            id: id.to_owned(),
            created_ms: 1,
            model: "age".to_owned(),
            version: 1,
            digest: "d".to_owned(),
            revision: 0,
            outputs: "[0.5]".to_owned(),
            width: 1,
            height: 1,
            picture_digest: "p".to_owned(),
            picture,
            decode_ms: 1.0,
            queue_ms: 1.0,
            inference_ms: 1.0,
            uncertainty: None,
            margin: None,
        }
    }

    #[tokio::test]
    async fn a_picture_of_a_day_past_that_no_prediction_has_is_deleted_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&Database::Sqlite(folder.path().join("test.db"))).await.unwrap().unwrap();
        let pictures = Pictures::open(folder.path().join("pictures").to_str().unwrap()).unwrap();
        let (own, [first, second]) = (store.id(), IDS);
        let stay = [
            format!("{own}/2020-01-01/{first}.png"),
            // Its row may still be on the way.
            format!("{own}/{}/{second}.png", day(now_ms())),
            // Somebody else's.
            format!("{own}/2020-01-01/holiday.png"),
            format!("another/2020-01-01/{second}.png"),
            format!("2020-01-01/{second}.png"),
        ];
        // One of no prediction, and one that its prediction does not name: the store took it without saying so.
        let go = [format!("{own}/2020-01-01/{second}.png"), format!("{own}/2020-01-02/{first}.jpg")];
        for name in stay.iter().chain(&go) {
            pictures.put(name, Bytes::from_static(b"picture")).await.unwrap();
        }
        store.add_predictions(&[row(first, Some(stay[0].clone()))]).await.unwrap();
        let mut left = Left::default();
        let before = now_ms() - i64::try_from(MARGIN.as_millis()).unwrap();
        assert_eq!(delete_unrecorded(&store, &pictures, before, &mut left).await.unwrap(), 2);
        assert_eq!(left.pictures, 0, "{}", left.reason);
        for name in &stay {
            assert!(pictures.find(name).await.unwrap().is_some(), "{name} is gone");
        }
        for name in &go {
            assert!(pictures.find(name).await.unwrap().is_none(), "{name} is left");
        }
        // Where no picture was ever kept there is nothing to be looked for.
        let none = Pictures::open(folder.path().join("none").to_str().unwrap()).unwrap();
        assert_eq!(delete_unrecorded(&store, &none, before, &mut left).await.unwrap(), 0);
    }
}
