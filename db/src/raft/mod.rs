//! Consensus: openraft with our log, our state machine and our network.
//!
//! openraft is named only here, in `cluster/membership.rs` and in `doors/peer`.

pub mod append_stream;
pub mod clock;
pub mod gather;
pub mod groups;
pub mod joining;
pub mod link;
pub mod log_store;
pub mod memory_budget;
pub mod network;
pub mod node_key;
pub mod peer_client;
pub mod peers;
pub mod proposer;
pub mod read_index;
pub mod refused;
pub mod replay;
pub mod replica;
pub mod retention;
pub mod snapshot;
pub mod space;
pub mod state_machine;
pub mod threads;
pub mod transfer;
pub mod types;
pub mod wire;
pub mod writer;

#[cfg(test)]
mod conformity;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod wire_tests;

pub use groups::{AppliedCommand, Group, GroupConfig, GroupStatus, ReadLevel};
pub use types::{GroupId, RaftId};
