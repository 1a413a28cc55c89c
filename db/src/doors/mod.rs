//! The doors: what a node understands from outside. Each translates between one protocol and the
//! service, and decides nothing.

pub mod http;
pub mod peer;

#[cfg(test)]
mod in_process_tests;
