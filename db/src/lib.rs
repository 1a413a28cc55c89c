//! A node of Jettra, layer by layer. Each layer uses only those below it in this list;
//! `error`, `config`, `format`, `host`, `pulse`, `recent`, `allocator`, `tls` and `dial` use none.

pub mod allocator;
pub mod config;
pub mod dial;
pub mod format;
pub mod host;
pub mod pulse;
pub mod recent;
pub mod status;
pub mod tls;
pub mod wire;

pub mod node;

pub mod doors;

pub mod service;

pub mod auth;
pub mod cluster;
pub mod tasks;

pub mod raft;

pub use jettra_engine as engine;
pub use jettra_engine::{error, storage};
