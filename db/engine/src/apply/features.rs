//! The feature level of the state, see [`format`](crate::format).

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, refuse};
use crate::command::Outcome;
use crate::error::Kind;
use crate::format::{FEATURES, LEVEL_KEY, Supported, feature_level};
use crate::storage::{Read, Result, Table, WriteTxn};

/// The newest feature level that is supported.
pub(super) struct LevelMax(u32);

impl Default for LevelMax {
    fn default() -> Self {
        LevelMax(FEATURES.newest)
    }
}

impl Applier {
    /// One that supports feature levels up to `level`.
    pub fn supporting(level: u32) -> Self {
        Applier { level_max: LevelMax(level), ..Applier::default() }
    }

    fn check_supported(&self, level: u32) -> Result<()> {
        // What is only tried out runs on a state that was checked before.
        if self.provisional {
            return Ok(());
        }
        Ok(Supported { newest: self.level_max.0, ..FEATURES }.check(level)?)
    }

    /// The level of a state; an error if it is not supported here.
    pub(super) fn supported_level(&self, read: &impl Read) -> Result<u32> {
        let level = feature_level(read)?;
        self.check_supported(level)?;
        Ok(level)
    }

    /// [`Command::SetFeatureLevel`](crate::Command::SetFeatureLevel). A level that is not supported
    /// here ends the node before anything is done at it.
    pub(super) fn set_feature_level(&mut self, txn: &mut WriteTxn<'_>, level: u32) -> ApplyResult {
        let current = self.counters.level;
        if level < current {
            let message = format!("the feature level is {current}, and cannot become {level}");
            return refuse(Kind::NotPossibleNow, message, "it is never lowered");
        }
        self.check_supported(level)?;
        txn.put(Table::Meta, LEVEL_KEY, &u64::from(level).to_be_bytes())?;
        self.counters.level = level;
        Ok(Outcome::Done)
    }
}
