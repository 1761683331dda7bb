//! Model outputs → what a user reads: tags, points.
