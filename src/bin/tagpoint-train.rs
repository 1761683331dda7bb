//! The trainer's program: parse, run.

use clap::Parser as _;
use tagpoint::train::{command::Cli, run::run};

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // SAFETY: no other thread runs yet.
    #[allow(unsafe_code, reason = "see disable_telemetry")]
    unsafe {
        tagpoint::infer::disable_telemetry();
    }
    run(&cli)
}
