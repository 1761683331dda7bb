//! What clients and workers do to a queue. Each scenario ends with every client answered and every place free.

use std::{
    iter::zip,
    ops::Range,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use shuttle::{
    future::block_on,
    thread::{self, JoinHandle},
};

use super::{
    metrics::BatchMetrics,
    queue::{BatchRule, Failure, Health, Hold, NoPlace, Output, Place, Priority, Queue, Terms, Ticket, Worker},
    sync::{self, Instant},
};
use crate::{
    infer::{POISON, Session, Tolerance},
    model::Manifest,
};

const RULE: BatchRule = BatchRule { max_batch: 2, max_delay: Duration::ZERO, queue_limit: 4 };
const DELAY: Duration = Duration::from_millis(5);

type Answer = Result<Output, Failure>;

/// A queue with so many workers.
fn open(rule: BatchRule, workers: usize) -> (Queue, Vec<JoinHandle<()>>) {
    sync::begin(false);
    let queue = Queue::new(rule);
    let workers = (0..workers).map(|_| work(&queue)).collect();
    (queue, workers)
}

fn work(queue: &Queue) -> JoinHandle<()> {
    let worker = Worker {
        session: Session,
        manifest: Arc::new(Manifest),
        tolerance: Tolerance,
        health: Arc::new(Health::default()),
        statistics: Arc::default(),
        metrics: BatchMetrics,
        label: String::new(),
    };
    let end = queue.worker_end();
    thread::spawn(move || worker.run(&end))
}

/// A client's thread, with a picture of one pixel.
fn ask(place: Place, pixel: u8, terms: Terms) -> JoinHandle<Answer> {
    thread::spawn(move || block_on(place.put(vec![pixel], terms).output()))
}

/// Clients with pixels from 0 on.
fn ask_all(queue: &Queue, clients: u8) -> Vec<JoinHandle<Answer>> {
    (0..clients).map(|pixel| ask(queue.reserve().unwrap(), pixel, Terms::default())).collect()
}

/// A client's own pixel came back, in a batch that the rule allows.
fn is_own(answer: Answer, pixel: u8) {
    let output = answer.expect("an answer");
    assert_eq!(output.values, [f32::from(pixel)]);
    assert!((1..=RULE.max_batch).contains(&output.batch_size));
}

/// Every place becomes free, and no more than there are; the workers end once the queue is gone. A picture whose client went away
/// may still run for a moment.
fn end(queue: Queue, workers: Vec<JoinHandle<()>>) {
    let mut places = Vec::new();
    while places.len() < RULE.queue_limit {
        match queue.reserve() {
            Ok(place) => places.push(place),
            Err(_) => thread::yield_now(),
        }
    }
    assert!(matches!(queue.reserve(), Err(NoPlace::Full { .. })));
    assert_eq!(queue.len(), RULE.queue_limit);
    drop(places);
    assert_eq!(queue.len(), 0);
    drop(queue);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

pub fn one_client_one_worker() {
    let (queue, workers) = open(RULE, 1);
    is_own(block_on(queue.reserve().unwrap().put(vec![7], Terms::default()).output()), 7);
    drop(queue);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

pub fn each_client_gets_its_own_answer() {
    let (queue, workers) = open(RULE, 2);
    let priorities = [Priority::Normal, Priority::Low, Priority::High, Priority::Normal];
    let clients: Vec<_> = (0..)
        .zip(priorities)
        .map(|(pixel, priority)| ask(queue.reserve().unwrap(), pixel, Terms { priority, ..Terms::default() }))
        .collect();
    clients.into_iter().zip(0..).for_each(|(client, pixel)| is_own(client.join().unwrap(), pixel));
    end(queue, workers);
}

pub fn a_client_asks_again_as_soon_as_it_is_answered() {
    let (queue, workers) = open(BatchRule { queue_limit: 1, ..RULE }, 1);
    for pixel in 0..3 {
        let place = queue.reserve().expect("its own place is free again");
        is_own(block_on(place.put(vec![pixel], Terms::default()).output()), pixel);
    }
    drop(queue);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

pub fn pictures_wait_for_company() {
    let (queue, workers) = open(BatchRule { max_delay: DELAY, ..RULE }, 2);
    // The last one has no company but time.
    let clients = ask_all(&queue, 3);
    clients.into_iter().zip(0..).for_each(|(client, pixel)| is_own(client.join().unwrap(), pixel));
    end(queue, workers);
}

pub fn a_batch_fails() {
    let (queue, workers) = open(RULE, 1);
    let clients = ask_all(&queue, 2);
    let poisoned = ask(queue.reserve().unwrap(), POISON, Terms::default());
    clients.into_iter().zip(0..).for_each(|(client, pixel)| is_own(client.join().unwrap(), pixel));
    assert!(matches!(poisoned.join().unwrap(), Err(Failure::Infer(_))));
    end(queue, workers);
}

pub fn clients_go_away() {
    let (queue, workers) = open(RULE, 1);
    let gone = queue.reserve().unwrap();
    let leaving = thread::spawn(move || {
        let ticket: Ticket = gone.put(vec![9], Terms::default());
        let mut future = Box::pin(ticket.output());
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        thread::yield_now();
        drop(future);
    });
    let held = queue.reserve().unwrap();
    let hold: Hold = held.hold();
    let last = ask(held, 2, Terms::default());
    let clients = ask_all(&queue, 2);
    clients.into_iter().zip(0..).for_each(|(client, pixel)| is_own(client.join().unwrap(), pixel));
    is_own(last.join().unwrap(), 2);
    leaving.join().unwrap();
    drop(hold);
    end(queue, workers);
}

pub fn requests_of_several_pictures_meet() {
    let (queue, workers) = open(RULE, 1);
    let queue = Arc::new(queue);
    // Two requests of three pictures each, and four places.
    let request = |pixels: Range<u8>| {
        let queue = Arc::clone(&queue);
        thread::spawn(move || {
            let places = queue.reserve_all(pixels.len()).ok()?;
            let put = |(place, pixel): (Place, u8)| place.put(vec![pixel], Terms::default());
            let tickets: Vec<Ticket> = zip(places, pixels.clone()).map(put).collect();
            Some(zip(tickets.into_iter().map(|ticket| block_on(ticket.output())), pixels).collect::<Vec<_>>())
        })
    };
    let answers = [0..3, 3..6].map(request).map(|request| request.join().unwrap());
    assert!(answers.iter().any(Option::is_some), "each was refused for the places of the other");
    answers.into_iter().flatten().flatten().for_each(|(answer, pixel)| is_own(answer, pixel));
    end(Arc::into_inner(queue).unwrap(), workers);
}

pub fn deadlines_pass() {
    let (queue, workers) = open(RULE, 1);
    let deadline = Some(Instant::now() + DELAY);
    let late = ask(queue.reserve().unwrap(), 0, Terms { deadline, ..Terms::default() });
    let other = ask(queue.reserve().unwrap(), 1, Terms::default());
    let time = thread::spawn(|| sync::pass(DELAY));
    match late.join().unwrap() {
        Err(Failure::Expired) => {}
        in_time => is_own(in_time, 0),
    }
    is_own(other.join().unwrap(), 1);
    time.join().unwrap();
    end(queue, workers);
}

pub fn the_queue_closes() {
    let (queue, workers) = open(BatchRule { max_delay: DELAY, ..RULE }, 2);
    let clients = ask_all(&queue, 3);
    drop(queue);
    for (client, pixel) in clients.into_iter().zip(0..) {
        match client.join().unwrap() {
            // It came when the workers had ended.
            Err(Failure::Ended) => {}
            answer => is_own(answer, pixel),
        }
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// A worker's thread that ends by itself, as by a panic, with pictures in the queue.
pub fn workers_end() {
    sync::begin(false);
    let queue = Queue::new(RULE);
    let ends = [queue.worker_end(), queue.worker_end()];
    let clients = ask_all(&queue, 2);
    let workers = ends.map(|end| thread::spawn(move || drop(end)));
    for client in clients {
        assert!(matches!(client.join().unwrap(), Err(Failure::Ended)));
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert!(queue.is_closed() && matches!(queue.reserve(), Err(NoPlace::Closed)) && queue.len() == 0);
}

/// What must be found: nobody wakes the worker for a picture.
pub fn a_wake_up_is_lost() {
    sync::begin(true);
    let queue = Queue::new(RULE);
    let worker = work(&queue);
    is_own(block_on(queue.reserve().unwrap().put(vec![7], Terms::default()).output()), 7);
    drop(queue);
    worker.join().unwrap();
}
