//! The service from outside: the application that `main` builds, on a free port, asked over HTTP.

mod batching;
mod binary;
mod documentation;
mod errors;
mod forms;
mod golden;
mod helpers;
mod labels;
mod lifecycle;
mod models;
mod points;
