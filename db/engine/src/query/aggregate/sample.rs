//! `$sample`: some documents by chance.

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
    /// Chooses the documents; without one every execution chooses others.
    seed: Option<u64>,
}

impl Sample {
    /// Parses `{"size": 10}`, or with a `seed`, which chooses the same documents every time.
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

    /// Each document with the same chance, by reservoir sampling (Vitter's algorithm R): one
    /// pass, and no more in memory than the sample.
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

/// Steele, Lea and Flood's generator: the same numbers from the same seed on every node and in
/// every version, which no library promises.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; the high half of a product is as even as 64 bits allow.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}
