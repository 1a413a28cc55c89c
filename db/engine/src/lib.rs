//! The deterministic core: what a command does to the tables.
//!
//! Synchronous, without clock, randomness, network or files of its own: ids, times and
//! hashes arrive inside the [`Command`]. Every replica that applies the same commands in
//! the same order holds the same bytes.

pub mod accounts;
pub mod apply;
pub mod audit;
pub mod budget;
pub mod catalog;
pub mod cbor;
pub mod changes;
pub mod command;
pub mod document;
pub mod error;
pub mod expiry;
pub mod format;
pub mod id;
pub mod index;
pub mod limits;
pub mod members;
pub mod namespace;
pub mod placement;
pub mod query;
pub mod retry;
pub mod row;
pub mod rules;
pub mod schema;
pub mod storage;
pub mod system;
pub mod transactions;
pub mod value;
pub mod versions;

pub use apply::{Applier, SideEffect, log_time_ms};
pub use command::{Command, Outcome, Proposal, ProposalResult, Put, PutMode, Target};
pub use id::DocumentId;
pub use namespace::{Namespace, NamespaceRef};

#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod round_trip_tests;
