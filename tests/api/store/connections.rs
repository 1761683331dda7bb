//! The connections to PostgreSQL: what one that was given up is afterwards, and what others do meanwhile.

use std::time::Duration;

use tagpoint::store::{Store, StoreError};

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
