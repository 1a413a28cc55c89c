//! The interfaces of other documents; each file only renames.

pub mod jettra;
