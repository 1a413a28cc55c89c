//! Statistics of an index for the planner: the number of entries, and of distinct values.
//!
//! Distinct values are estimated with HyperLogLog (Flajolet and others, 2007), one sketch for each
//! number of leading fields. A sketch only grows: deletions make an estimate too high, never a
//! query wrong. The statistics are part of the replicated state, so every replica plans alike.

use minicbor::bytes::ByteVec;
use minicbor::{CborLen, Decode, Encode};
use xxhash_rust::xxh3::xxh3_64;

/// Registers of a sketch; the error is about 1.04 / sqrt(256), 6.5 %.
const REGISTERS: usize = 256;

/// Statistics of one index.
#[derive(Debug, Clone, Default, PartialEq, Encode, Decode, CborLen)]
pub struct IndexStats {
    /// Entries.
    #[n(0)]
    pub entries: u64,
    /// The largest number in a sequential index.
    #[n(1)]
    pub last_number: i64,
    /// A sketch for each number of leading fields.
    #[n(2)]
    sketches: Vec<Sketch>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode, CborLen)]
#[cbor(transparent)]
struct Sketch(#[n(0)] ByteVec);

impl IndexStats {
    /// Counts an entry; `prefixes` are its leading fields: one, two, all.
    pub fn add<'p>(&mut self, prefixes: impl Iterator<Item = &'p [u8]>) {
        self.entries += 1;
        for (at, prefix) in prefixes.enumerate() {
            if at == self.sketches.len() {
                self.sketches.push(Sketch(vec![0; REGISTERS].into()));
            }
            self.sketches[at].add(xxh3_64(prefix));
        }
    }

    /// Counts an entry that was removed.
    pub fn remove(&mut self) {
        self.entries = self.entries.saturating_sub(1);
    }

    /// Distinct values of the first `fields` fields, at least 1.
    pub fn distinct(&self, fields: usize) -> f64 {
        let sketch = fields.checked_sub(1).and_then(|at| self.sketches.get(at));
        sketch.map_or(1.0, Sketch::estimate).clamp(1.0, self.entries.max(1) as f64)
    }
}

impl Sketch {
    fn add(&mut self, hash: u64) {
        let register = (hash & (REGISTERS as u64 - 1)) as usize;
        let rank = ((hash >> 8).trailing_zeros() + 1).min(57) as u8;
        if let Some(stored) = self.0.get_mut(register) {
            *stored = rank.max(*stored);
        }
    }

    fn estimate(&self) -> f64 {
        let count = REGISTERS as f64;
        let sum: f64 = self.0.iter().map(|rank| libm::ldexp(1.0, -i32::from(*rank))).sum();
        let raw = 0.7213 / (1.0 + 1.079 / count) * count * count / sum;
        let empty = self.0.iter().filter(|rank| **rank == 0).count() as f64;
        // Small numbers are estimated better by the registers that are still empty.
        if raw <= 2.5 * count && empty > 0.0 { count * libm::log(count / empty) } else { raw }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_estimated_within_a_fifth() {
        for distinct in [1u64, 10, 100, 1_000, 100_000] {
            let mut stats = IndexStats::default();
            for n in 0..distinct * 3 {
                let value = (n % distinct).to_be_bytes();
                stats.add([&value[..]].into_iter());
            }
            let estimate = stats.distinct(1);
            let error = (estimate - distinct as f64).abs() / distinct as f64;
            assert!(error < 0.2, "{distinct} {estimate}");
        }
    }
}
