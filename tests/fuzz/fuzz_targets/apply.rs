#![no_main]

use jettra_engine as engine;
use std::cell::Cell;

#[path = "../../src/hostile/mod.rs"]
mod hostile;
#[path = "../replicas.rs"]
mod replicas;

/// Acts in one run.
const ACTS: usize = 40;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let at = Cell::new(0);
    // Two bytes for each choice; nothing but the first of everything after the end.
    let mut choose = |end: u64| {
        let begin = at.replace(at.get() + 2);
        let taken = bytes.get(begin..begin + 2).unwrap_or(&[0, 0]);
        u64::from(u16::from_le_bytes([taken[0], taken[1]])) % end
    };
    replicas::check(&mut choose, ACTS, || at.get() >= bytes.len());
});
