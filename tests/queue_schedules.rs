//! The batch queue under a model checker: runs `examples/queue_schedules`, which `cargo test` has built.

use std::process::Command;

/// `TAGPOINT_SCHEDULES=N` tries N times as many orders of steps.
#[test]
fn no_order_of_steps_loses_a_wake_up_or_an_answer_or_gives_one_to_somebody_else() {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/queue_schedules");
    assert!(program.exists(), "{} is absent: cargo build --example queue_schedules", program.display());
    // It says each time that it knows no weaker orderings, as main.rs does.
    let output = Command::new(program).env("SHUTTLE_SILENCE_WARNINGS", "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches(" ... ok").count(), 11, "{out}");
}
