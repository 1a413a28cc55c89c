//! What takes minutes with groups: an hour of histories while replicas move and nodes fail, a cluster that
//! grows to 20 nodes and shrinks again, a disk that is full in the middle of a move, and 100 groups on three
//! nodes.
//!
//! `JETTRA_GROUPS_SECONDS` sets how long the histories take, and `JETTRA_GROUPS_SEED` repeats the random
//! choices of an earlier run, whose seed it has printed.

mod full_disk;
mod growth;
mod hour;
mod hundred;

use jettra_tests::{Random, random_seed, setting};
use std::time::Duration;

/// Time after which something counts as never happening that takes long on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The seed of this run, which it prints.
fn seed() -> Random {
    let seed = setting("JETTRA_GROUPS_SEED").unwrap_or_else(random_seed);
    println!("JETTRA_GROUPS_SEED={seed}");
    Random(seed)
}

/// An error as text, as a condition that is waited for returns it.
fn text(error: jettra_driver::Error) -> String {
    error.to_string()
}
