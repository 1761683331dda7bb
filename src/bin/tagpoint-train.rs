//! The trainer's program: parse, run.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tagpoint::train::{
    commands::{self, Cli},
    environment,
};

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    environment::settle().context("cannot start again with the libraries' settings")?;
    commands::run(&cli)
}
