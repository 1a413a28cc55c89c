//! The doors: what a node understands from outside. Each translates between one protocol and the
//! rest of the node, and decides nothing.

pub mod http;
pub mod peer;
