//! `$sample`: random documents.

use super::super::context::{At, Context, Fields};
use super::memory::{StageMemory, later};
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents, read};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$sample`.
#[derive(Debug)]
pub(super) struct Sample {
    size: usize,
    /// The seed of the selection; without one every execution selects others.
    seed: Option<u64>,
}

impl Sample {
    /// Parses `{"size": 10}`, or with a `seed`, which selects the same documents every time.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape.
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Sample> {
        let fields = read::object(value, &["size", "seed"], at)?;
        let size = read::whole(read::required(fields, "size", at)?, 1, at.key("size"))?;
        let seed = fields.get("seed").map(|seed| read::whole(seed, 0, at.key("seed")));
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Sample { size, seed: seed.transpose()? })
    }
}

impl Stage for Sample {
    fn read(&self, _: &mut Fields) -> bool {
        false
    }

    /// Selects each document with equal probability, by reservoir sampling (Vitter's algorithm R):
    /// in one pass, with no more in memory than the sample.
    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        later(move || {
            let mut kept = StageMemory::new("$sample", ctx);
            let mut random = SplitMix64(self.seed.unwrap_or_else(|| ctx.draw_seed()));
            let mut reservoir: Vec<Value> = Vec::new();
            for (seen, document) in input.enumerate() {
                let document = document?;
                ctx.step()?;
                if reservoir.len() < self.size {
                    kept.add(document.bytes())?;
                    reservoir.push(document);
                } else if let Some(place) = reservoir.get_mut(random.below(seen + 1)) {
                    kept.replace(place.bytes(), document.bytes())?;
                    *place = document;
                }
            }
            Ok(Box::new(reservoir.into_iter().map(move |document| {
                let _ = &kept;
                Ok(document)
            })))
        })
    }
}

/// The generator of Steele, Lea and Flood: the same numbers from the same seed on every node and in
/// every version, which no library promises.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; the high half of a product is as uniform as 64 bits allow.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}
