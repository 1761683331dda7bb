//! What `tagpoint` does besides serving: answers without a server, and load for one that runs.

pub mod bench;
pub mod models;
pub mod predict;
pub mod tune;
