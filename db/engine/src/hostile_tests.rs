//! Whatever is proposed, every replica carries it out or refuses it, and all do alike.

use crate as engine;

#[path = "../../../tests/src/hostile/mod.rs"]
mod hostile;
#[path = "../../../tests/fuzz/replicas.rs"]
mod replicas;

/// Sequences of acts, each from another seed.
const SEEDS: u64 = 6;
const ACTS: usize = 30;

#[test]
fn what_is_proposed_is_carried_out_or_refused_alike_on_every_replica() {
    let given = std::env::var("JETTRA_HOSTILE_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = given.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        println!("JETTRA_HOSTILE_SEED={seed}"); // shown when the check fails
        let mut state = seed;
        let mut choose = |end| {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % end
        };
        replicas::check(&mut choose, ACTS, || false);
    }
}
