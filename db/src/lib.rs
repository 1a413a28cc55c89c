//! A node of Jettra, layer by layer. Each layer uses only those below it in this list;
//! `error`, `config`, `tls` and `dial` use none.

pub mod config;
pub mod dial;
pub mod error;
pub mod tls;

pub mod node;

pub mod api;

pub mod auth;
pub mod cluster;
pub mod raft;

pub mod engine;
pub mod storage;
