//! The names and shapes of JettraDBVM; each file only translates.

pub mod documents;
