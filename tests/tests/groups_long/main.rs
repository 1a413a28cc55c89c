//! What takes minutes with groups: an hour of histories while replicas move and nodes fail.
//!
//! `JETTRA_GROUPS_SECONDS` sets how long the histories take, and `JETTRA_GROUPS_SEED` repeats the random
//! choices of an earlier run, whose seed it has printed.

mod hour;

use jettra_tests::{Random, random_seed, setting};

/// The seed of this run, which it prints.
fn seed() -> Random {
    let seed = setting("JETTRA_GROUPS_SEED").unwrap_or_else(random_seed);
    println!("JETTRA_GROUPS_SEED={seed}");
    Random(seed)
}
