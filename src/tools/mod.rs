//! What `tagpoint` does besides serving: answers without a server, load for one that runs, and what the database holds.

pub mod bench;
mod database;
pub mod feedback;
pub mod health;
pub mod jobs;
pub mod keys;
pub mod models;
pub mod predict;
pub mod thresholds;
pub mod tune;

pub use database::DatabaseArgs;
