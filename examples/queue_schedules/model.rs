//! In the place of `src/model`.

pub struct Manifest;
