//! The connections to PostgreSQL: what one that was given up is afterwards, and what others do meanwhile.

use std::time::{Duration, Instant};

use sqlx::Connection as _;
use tagpoint::store::{Store, StoreError, feedback::ReviewOrder};

use super::predictions::{count, row};
use crate::helpers::database::TestDatabase;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_after_a_transaction_was_given_up_while_it_began_is_committed() {
    let database = TestDatabase::postgres().await;
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    // Now there is a connection that writes.
    store.add_predictions(&[row("before")]).await.unwrap();
    database.hold_transactions();
    let error = store.forget_predictions(0, 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Slow { .. }), "{error}");
    database.come_back().await;
    // That connection is soon in the pool again, and is written through in its turn.
    for index in 0..20 {
        store.add_predictions(&[row(&index.to_string())]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(&database, "predictions").await, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_that_hang_keep_nobody_from_writing_or_from_the_keys_and_end_on_the_server_too() {
    let database = TestDatabase::postgres().await;
    let store = Store::open(&database.setting()).await.unwrap().unwrap();
    let writes_and_looks = async || {
        assert_eq!(store.lease_task(&[], Duration::from_secs(30)).await.unwrap(), None);
        assert_eq!(store.keys().await.unwrap(), []);
    };
    writes_and_looks().await;
    let mut connection = database.connect().await;
    let mut locking = connection.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE").execute(&mut *locking).await.unwrap();
    // As many as there are connections that read.
    let reviews = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.review(ReviewOrder::Newest, "colours", None, 10).await })
    });
    let reviews: Vec<_> = reviews.collect();
    let began = Instant::now();
    loop {
        let sql = "SELECT COUNT(*) FROM pg_locks WHERE NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let (waiting,): (i64,) = sqlx::query_as(sql).fetch_one(&mut *locking).await.unwrap();
        if waiting >= 4 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{waiting} reviews wait for the table");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writes_and_looks().await;
    for review in reviews {
        assert!(review.await.unwrap().is_err());
    }
    // The table is locked still, and those who read something else have the connections again.
    let began = Instant::now();
    while let Err(error) = store.job("none").await {
        assert!(began.elapsed() < Duration::from_secs(60), "{error}");
    }
    locking.rollback().await.unwrap();
}
