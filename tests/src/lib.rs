//! Clusters of real `jettradb` processes for the scenario tests in `tests/`.
//!
//! A test creates a [`Bed`] (its directory and its permit to run), starts a [`Cluster`] or single
//! [`Node`]s in it, and injects faults: signals, broken links, wrong clocks. Nothing here sleeps to
//! synchronise: [`wait_until`] polls until a condition holds, and panics with what was missing if
//! it never does.

mod bed;
pub mod browser;
pub mod certs;
pub mod clocks;
mod cluster;
mod crowd;
pub mod disk;
pub mod documents;
pub mod golden;
pub mod groups;
mod guard;
pub mod history;
pub mod hostile;
mod http;
pub mod lists;
pub mod load;
pub mod measure;
mod node;
mod owner;
pub mod proxy;
mod random;
pub mod raw;
pub mod signer;
pub mod source;
mod terminal;
mod transaction;
mod wait;

pub use bed::{Bed, free_port, free_ports, program};
pub use cluster::Cluster;
pub use crowd::Crowd;
pub use documents::Documents;
pub use guard::Guard;
pub use http::{Answer, Http, send, try_send};
pub use node::{Node, Role, Settings, memory_mb};
pub use proxy::{Endpoint, Fault, Links};
pub use random::{Random, random_seed};
pub use terminal::Terminal;
pub use transaction::OpenTransaction;
pub use wait::{DEADLINE, wait_until, wait_within};

/// The first user of every cluster.
pub const ADMIN: &str = "admin";
/// The password of [`ADMIN`] in all tests.
pub const PASSWORD: &str = "tests-know-this-password";
/// The cluster secret of all tests except those about wrong secrets.
pub const SECRET: &str = "tests-share-this-cluster-secret";

/// Whether tests that take minutes run: only in `tests/check.sh long`. Their names begin with
/// `long_`; otherwise they return at once.
pub fn long() -> bool {
    let long = std::env::var_os("JETTRA_LONG").is_some();
    if !long {
        println!("not run: `tests/check.sh long` runs what takes minutes");
    }
    long
}

/// The number in an environment variable that changes a test, such as its length or its seed.
///
/// # Panics
/// If it is no number.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}
