//! The Rust client of Jettra.
//!
//! [`Client`] knows a list of seed nodes, follows the leader, keeps a deadline for every call and
//! retries what is safe to retry. [`Collection`] gives typed documents, queries, indexes and
//! schema, versions ([`Collection::history`], [`Collection::at`]) and change feeds
//! ([`Collection::watch`]). [`Client::statement`] takes SQL, JQL and MongoDB's shell language;
//! [`Client::transaction`] and [`Client::batch`] make several writes one; the `cluster_*` methods
//! administer the members; [`Client::create_user`], [`Client::create_api_key`] and their like
//! manage access. Every write of data carries an idempotency key, so that it happens once however
//! often it is sent. [`wire`] is the one home of the types that travel between a node and its
//! clients.
//!
//! ```no_run
//! # async fn example() -> Result<(), jettra_driver::Error> {
//! use jettra_driver::Client;
//! use serde_json::json;
//!
//! let client = Client::builder()
//!     .seeds(["http://127.0.0.1:8080", "http://127.0.0.1:8081"])
//!     .credentials("admin", "the-password")
//!     .build()?;
//! let people = client.collection::<serde_json::Value>("shop", "people");
//! let written = people.insert(&json!({"name": "Ada"})).await?;
//! let back = people.get(&written.id).await?.expect("just written");
//! assert_eq!(back.value["name"], "Ada");
//! let adults = people.find_all(json!({"age": {"$gte": 18}})).await?;
//! people.update_many((json!({"city": "Lima"}), json!({"$inc": {"visits": 1}}))).await?;
//! # Ok(())
//! # }
//! ```

mod audit;
mod batch;
mod call;
mod catalog;
mod changes;
mod client;
mod cluster;
mod collection;
mod error;
#[cfg(test)]
mod fake;
mod groups;
mod hints;
mod indexes;
mod kv;
mod queries;
mod schema;
mod sessions;
mod shards;
mod statements;
mod tasks;
mod tls;
mod tokens;
mod transactions;
mod users;
mod versions;
pub mod wire;
mod writes;

pub use audit::AuditQuery;
pub use changes::{ChangeFeed, WatchOptions};
pub use client::{Client, ClientBuilder};
pub use collection::{Collection, Document, Page, WriteResult};
pub use error::{Error, Result};
pub use indexes::IndexOptions;
pub use queries::{Find, Pages};
pub use statements::{StatementPages, only_reads};
pub use tasks::{TaskEvents, TaskQuery};
pub use transactions::Transaction;
pub use wire::{DocumentId, Position, Positions, ReadLevel};
