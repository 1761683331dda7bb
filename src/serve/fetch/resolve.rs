//! Names to addresses, every one of them checked. The connection goes to what this gives and to nothing else.

use std::{error::Error, net::ToSocketAddrs as _, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{FetchError, FetchRules};

/// Names that are looked up at a time. Each takes one of the threads on which pictures are decoded, too, for as long as the
/// machine's resolver likes.
const LOOK_UPS: usize = 32;

/// The machine's own resolver, behind the rules.
pub(super) struct Checked {
    rules: Arc<FetchRules>,
    /// One permit for each look-up. Fetches wait for them in order, within their time.
    turns: Arc<Semaphore>,
}

impl Checked {
    pub(super) fn new(rules: Arc<FetchRules>) -> Self {
        Self { rules, turns: Arc::new(Semaphore::new(LOOK_UPS)) }
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, turns) = (Arc::clone(&self.rules), Arc::clone(&self.turns));
        Box::pin(async move {
            // The port is put in later.
            let look_up = move || (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter);
            let found = in_turn(turns, look_up).await?;
            let addresses = found.map_err(|_| FetchError::Unreachable("has no address"))?;
            if addresses.is_empty() {
                return Err(FetchError::Unreachable("has no address").into());
            }
            // One forbidden address among others is a trick, or a mistake; neither is worth trying the others.
            for address in &addresses {
                rules.check_address(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Looks something up on a blocking thread, with one of the permits. It goes back when the thread is done, even where nobody
/// waits for that any more: a fetch that is given up ends neither a look-up nor one that waits for a thread.
async fn in_turn<T: Send + 'static>(
    turns: Arc<Semaphore>,
    look_up: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<dyn Error + Send + Sync>> {
    let turn = turns.acquire_owned().await?;
    let look_up = move || {
        let _turn = turn;
        look_up()
    };
    Ok(spawn_blocking(look_up).await?)
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::mpsc, time::Duration};

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn look_ups_that_hang_keep_their_turns_though_nobody_waits_for_them() {
        let turns = Arc::new(Semaphore::new(2));
        let mut ends = Vec::new();
        for _ in 0..2 {
            let ((begin, begun), (end, ended)) = (oneshot::channel(), mpsc::channel::<()>());
            let hang = move || {
                begin.send(()).unwrap();
                ended.recv()
            };
            let hanging = tokio::spawn(in_turn(Arc::clone(&turns), hang));
            begun.await.unwrap();
            hanging.abort();
            ends.push(end);
        }
        let mut third = pin!(in_turn(turns, || "looked up"));
        assert!(timeout(Duration::from_millis(200), &mut third).await.is_err(), "there are two turns");
        drop(ends);
        assert_eq!(timeout(Duration::from_secs(60), third).await.unwrap().unwrap(), "looked up");
    }
}
