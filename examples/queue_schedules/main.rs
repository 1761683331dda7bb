//! The batch queue and its workers under a model checker (shuttle): the real files of `src/serve/queue`, compiled with
//! locks, wake-ups and a clock that the checker holds, and with a session that gives each picture its own pixel back.
//!
//! The checker runs a scenario over and over, with another order of the threads' steps each time: every order where that
//! can be (`check_dfs`), else as many as said, drawn at random. A lost wake-up is a deadlock, which it finds; an answer
//! to the wrong request is another pixel. It knows no time-outs, so `serve/sync.rs` makes each a thread of its own.
//!
//! An example and no test, because a test would have the queue's own unit tests compiled in, which need real threads;
//! `tests/queue_schedules.rs` runs it.
//!
//! What it does not see: orderings weaker than sequential consistency (the queue's relaxed atomics are counters, and
//! nothing is published by them), and steps within tokio's oneshot channel, which count as one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests/queue_schedules.rs runs this as a test"
)]
#![allow(clippy::print_stdout, unreachable_pub, dead_code, reason = "the modules are this test's own")]

mod infer;
mod model;
mod serve;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serve::scenarios;

/// Orders of steps that are drawn for a scenario that has too many to try all.
const DRAWN: usize = 3000;

fn main() {
    let times = std::env::var("TAGPOINT_SCHEDULES").map_or(1, |times| times.parse().unwrap());
    let drawn = DRAWN * times;
    let scenarios: [(&str, fn()); 9] = [
        ("each_client_gets_its_own_answer", scenarios::each_client_gets_its_own_answer),
        ("an_answer_leaves_a_place_free", scenarios::a_client_asks_again_as_soon_as_it_is_answered),
        ("pictures_wait_for_company_and_a_delay_ends", scenarios::pictures_wait_for_company),
        ("a_batch_that_fails_is_answered_picture_by_picture", scenarios::a_batch_fails),
        ("clients_that_go_away_give_their_places_back", scenarios::clients_go_away),
        ("of_requests_that_meet_one_is_answered", scenarios::requests_of_several_pictures_meet),
        ("a_picture_past_its_deadline_is_answered_once", scenarios::deadlines_pass),
        ("a_queue_that_closes_answers_what_it_has", scenarios::the_queue_closes),
        ("workers_that_end_leave_nobody_waiting", scenarios::workers_end),
    ];
    for (name, scenario) in scenarios {
        shuttle::check_random(scenario, drawn);
        shuttle::check_pct(scenario, drawn, 3);
        println!("test {name} ... ok");
    }
    shuttle::check_dfs(scenarios::one_client_one_worker, None);
    println!("test every_order_of_one_client_and_one_worker ... ok");
    let lost = catch_unwind(AssertUnwindSafe(|| shuttle::check_random(scenarios::a_wake_up_is_lost, drawn)));
    assert!(lost.is_err(), "the checker does not find a lost wake-up");
    println!("test the_checker_finds_a_lost_wake_up ... ok");
}
