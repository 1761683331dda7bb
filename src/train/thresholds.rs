//! TEMPORARY
#![allow(missing_docs)]
