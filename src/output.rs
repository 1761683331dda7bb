//! The standard output of the programs' commands, and what becomes of it when nobody reads it any more (`… | head`).

use std::{
    fmt,
    io::{self, ErrorKind::BrokenPipe, Write},
};

/// The standard output of a command that does nothing but answer: when nobody reads it any more, the program ends.
#[derive(Clone, Copy, Debug)]
pub struct Answering;

impl Write for Answering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(unless_unread)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(unless_unread)
    }
}

#[allow(clippy::exit, reason = "there is nothing left to do and nobody to tell")]
fn unless_unread(error: io::Error) -> io::Error {
    if error.kind() == BrokenPipe {
        std::process::exit(0);
    }
    error
}

/// Prints a line of a command that does more than to print it: where nobody reads it, the work goes on.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::line(format_args!($($text)*)) };
}
pub(crate) use say;

#[allow(clippy::print_stderr, reason = "that the output is lost can be said nowhere else")]
pub(crate) fn line(text: fmt::Arguments<'_>) {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != BrokenPipe => eprintln!("cannot write to the standard output: {error}"),
        _ => {}
    }
}
