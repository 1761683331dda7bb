use tokio::task::JoinHandle;

use super::*;

const RULE: BatchRule = BatchRule { max_batch: 3, max_delay: Duration::ZERO, queue_limit: 8 };

/// A client that waits for a picture of one pixel value.
fn put(queue: &Queue, value: u8, terms: Terms) -> JoinHandle<Result<Output, Failure>> {
    let Ok(place) = queue.reserve() else { panic!("the queue is full") };
    tokio::spawn(place.put(vec![value], terms).output())
}

fn open(rule: BatchRule) -> (Queue, WorkerEnd) {
    let queue = Queue::new(rule);
    let worker = queue.worker_end();
    (queue, worker)
}

fn values(next: Next) -> Vec<u8> {
    match next {
        Next::Batch(batch) => batch.iter().map(|job| job.pixels[0]).collect(),
        Next::Idle => panic!("nothing came"),
        Next::End => panic!("the queue is closed"),
    }
}

/// What comes within so short a time that nothing can.
fn nothing_is_there(worker: &WorkerEnd) -> bool {
    matches!(worker.next(Some(Duration::from_millis(1))), Next::Idle)
}

#[tokio::test]
async fn a_batch_takes_what_is_there_up_to_its_limit_in_order() {
    let (queue, worker) = open(RULE);
    let mut clients = Vec::new();
    for value in 0..4 {
        clients.push(put(&queue, value, Terms::default()));
    }
    assert_eq!(values(worker.next(None)), [0, 1, 2]);
    assert_eq!(values(worker.next(None)), [3]);
}

#[tokio::test]
async fn the_more_urgent_go_first_and_equals_in_order() {
    let (queue, worker) = open(BatchRule { max_batch: 8, ..RULE });
    for (value, priority) in
        [(0, Priority::Low), (1, Priority::Normal), (2, Priority::High), (3, Priority::Normal), (4, Priority::High)]
    {
        put(&queue, value, Terms { priority, ..Terms::default() });
    }
    assert_eq!(values(worker.next(None)), [2, 4, 1, 3, 0]);
}

#[tokio::test]
async fn a_client_that_has_gone_leaves_its_place_at_once() {
    let (queue, worker) = open(BatchRule { queue_limit: 2, ..RULE });
    let gone = put(&queue, 0, Terms::default());
    put(&queue, 1, Terms::default());
    assert!(matches!(queue.reserve(), Err(NoPlace::Full { limit: 2, taken: 2, .. })));
    gone.abort();
    let _ = gone.await;
    assert_eq!(queue.len(), 1);
    assert!(queue.reserve().is_ok());
    assert_eq!(values(worker.next(None)), [1]);
}

#[tokio::test]
async fn a_picture_keeps_its_place_while_it_runs() {
    let (queue, worker) = open(BatchRule { queue_limit: 2, ..RULE });
    put(&queue, 0, Terms::default());
    put(&queue, 1, Terms::default());
    let Next::Batch(batch) = worker.next(None) else { panic!("two pictures wait") };
    assert!(matches!(queue.reserve(), Err(NoPlace::Full { limit: 2, taken: 2, .. })));
    assert_eq!(queue.len(), 0, "none waits");
    drop(batch);
    assert!(queue.reserve().is_ok());
}

#[tokio::test]
async fn pictures_of_one_request_take_their_places_together_or_not_at_all() {
    let (queue, _worker) = open(BatchRule { queue_limit: 4, ..RULE });
    let three = queue.reserve_all(3).unwrap();
    assert_eq!((three.len(), queue.len()), (3, 3));
    assert_eq!(queue.reserve_all(2).err().map(|reason| matches!(reason, NoPlace::Full { taken: 3, .. })), Some(true));
    assert!(queue.reserve().is_ok(), "those that were refused hold nothing");
    drop(three);
    assert_eq!(queue.reserve_all(4).map(|places| places.len()), Ok(4));
    assert!(queue.reserve_all(usize::MAX).is_err());
}

#[tokio::test]
async fn pictures_that_nobody_waits_for_leave_half_of_the_places() {
    let (queue, _worker) = open(BatchRule { queue_limit: 3, ..RULE });
    let first = queue.reserve_spare().unwrap();
    assert!(queue.has_spare());
    let _second = queue.reserve().unwrap();
    assert!(!queue.has_spare());
    assert!(matches!(queue.reserve_spare(), Err(NoPlace::Full { limit: 3, taken: 2, .. })));
    drop(first);
    assert!(queue.has_spare() && queue.reserve_spare().is_ok());
}

#[tokio::test]
async fn a_place_that_is_held_is_taken_until_it_is_let_go() {
    let (queue, worker) = open(BatchRule { queue_limit: 1, ..RULE });
    let Ok(place) = queue.reserve() else { panic!("the queue is empty") };
    let hold = place.hold();
    let _answer = tokio::spawn(place.put(vec![0], Terms::default()).output());
    assert_eq!(values(worker.next(None)), [0]);
    assert!(matches!(queue.reserve(), Err(NoPlace::Full { limit: 1, taken: 1, .. })));
    drop(hold);
    assert!(queue.reserve().is_ok());
}

#[tokio::test]
async fn a_picture_past_its_deadline_is_answered_and_not_run() {
    let (queue, worker) = open(RULE);
    let deadline = Some(Instant::now() + Duration::from_millis(2));
    let late = put(&queue, 0, Terms { deadline, ..Terms::default() });
    put(&queue, 1, Terms::default());
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(values(worker.next(None)), [1]);
    assert!(matches!(late.await.unwrap(), Err(Failure::Expired)));
    assert_eq!(queue.len(), 0);
}

#[tokio::test]
async fn with_a_delay_the_first_picture_waits_for_company() {
    // Ends once the batch is full, long before the delay.
    let (queue, worker) = open(BatchRule { max_batch: 2, max_delay: Duration::from_secs(60), ..RULE });
    put(&queue, 0, Terms::default());
    assert!(nothing_is_there(&worker));
    put(&queue, 1, Terms::default());
    assert_eq!(values(worker.next(None)), [0, 1]);
}

#[tokio::test]
async fn a_delay_ends_for_a_lone_picture_too() {
    let (queue, worker) = open(BatchRule { max_delay: Duration::from_millis(5), ..RULE });
    put(&queue, 0, Terms::default());
    assert_eq!(values(worker.next(None)), [0]);
}

#[tokio::test]
async fn a_closed_queue_is_emptied_before_it_ends() {
    let (queue, worker) = open(BatchRule { max_delay: Duration::from_secs(60), ..RULE });
    put(&queue, 7, Terms::default());
    drop(queue);
    assert_eq!(values(worker.next(None)), [7]);
    assert!(matches!(worker.next(None), Next::End));
}

#[tokio::test]
async fn a_place_is_counted_until_it_is_used_up_or_dropped() {
    let (queue, worker) = open(BatchRule { queue_limit: 1, ..RULE });
    let place = queue.reserve().unwrap();
    assert!(matches!(queue.check(), Err(NoPlace::Full { taken: 1, .. })));
    assert!(matches!(queue.reserve(), Err(NoPlace::Full { .. })));
    drop(place);
    assert_eq!(queue.len(), 0);
    let place = queue.reserve().unwrap();
    drop(worker);
    assert_eq!(queue.reserve().err(), Some(NoPlace::Closed));
    assert!(queue.is_closed());
    assert!(matches!(place.put(vec![0], Terms::default()).output().await, Err(Failure::Ended)));
    assert_eq!(queue.len(), 0);
}

#[tokio::test]
async fn pictures_that_wait_when_the_last_worker_ends_are_told() {
    let (queue, worker) = open(RULE);
    let second = queue.worker_end();
    let client = put(&queue, 0, Terms::default());
    drop(worker);
    assert!(!queue.is_closed());
    drop(second);
    assert!(matches!(client.await.unwrap(), Err(Failure::Ended)));
    assert_eq!(queue.len(), 0);
}

#[test]
fn a_full_queue_tells_how_long_it_will_take() {
    let (queue, worker) = open(BatchRule { queue_limit: 2, ..RULE });
    worker.record(4, Duration::from_secs(2));
    let _places = (queue.reserve(), queue.reserve());
    let retry_after = Duration::from_secs(1);
    assert_eq!(queue.reserve().err(), Some(NoPlace::Full { limit: 2, taken: 2, retry_after }));
    for _ in 0..40 {
        worker.record(1, Duration::from_secs(1));
    }
    let NoPlace::Full { retry_after, .. } = queue.reserve().err().unwrap() else { panic!("the queue is open") };
    assert!((1.99..=2.0).contains(&retry_after.as_secs_f64()), "{retry_after:?}");
}
