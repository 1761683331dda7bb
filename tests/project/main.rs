//! What surrounds the code holds: the image, the files of deploy/, the documents and their commands.
//!
//! Nothing here links the library: the programs are run, and other tools judge the files.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "clippy exempts test functions, but not their helpers")]

mod compose;
mod documents;
mod helpers;
mod image;
mod kubernetes;
mod monitoring;
mod release;
mod sources;
mod systemd;
