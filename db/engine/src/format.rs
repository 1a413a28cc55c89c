//! The numbers of what is written to disk and carried out together: log entries, the stored state,
//! feature levels. Each says which numbers this version reads; the newest is what it writes.
//!
//! A copy of the state (a snapshot) is the state's environment, so it has the number of the state.

use crate::catalog;
use crate::storage::{Read, Result, StorageError};
use std::fmt;

/// The numbers of a format that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supported {
    /// What has the number, for messages: `the stored state has format`.
    pub what: &'static str,
    /// The oldest that is read.
    pub oldest: u32,
    /// The newest that is read, which is what is written.
    pub newest: u32,
}

/// Log entries: their head and frames. What is in the frames changes by feature levels.
pub const LOG_ENTRY: Supported =
    Supported { what: "the log entry has format", oldest: 3, newest: 3 };

/// The tables of a state: their names, keys and rows. A copy has the same.
pub const STATE: Supported =
    Supported { what: "the stored state has format", oldest: 2, newest: 2 };

/// What commands there are and how they are applied: the same on all members, see
/// [`Command::SetFeatureLevel`](crate::Command::SetFeatureLevel).
pub const FEATURES: Supported =
    Supported { what: "the cluster has feature level", oldest: 1, newest: 3 };

/// Key of the number of the state's format, in [`Table::Meta`](crate::storage::Table::Meta).
pub(crate) const STATE_KEY: &[u8] = b"format";

/// Key of the feature level there. Without a row the level is the first.
pub(crate) const LEVEL_KEY: &[u8] = b"feature_level";

/// Why something cannot be read by this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported {
    supported: Supported,
    found: u32,
}

impl Supported {
    /// Whether this version reads what has this number.
    ///
    /// # Errors
    /// When the number is too old or too new; the message has both and says what to do.
    pub fn check(self, found: u32) -> std::result::Result<(), Unsupported> {
        match (self.oldest..=self.newest).contains(&found) {
            true => Ok(()),
            false => Err(Unsupported { supported: self, found }),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unsupported { supported: Supported { what, oldest, newest }, found } = self;
        let version = env!("CARGO_PKG_VERSION");
        write!(f, "{what} {found}, and version {version} supports {oldest} to {newest}: ")?;
        match found > newest {
            true => write!(f, "start this node with a version that supports {found}"),
            false => write!(f, "start this node first with an older version that supports {found}"),
        }
    }
}

impl std::error::Error for Unsupported {}

impl From<Unsupported> for StorageError {
    fn from(unsupported: Unsupported) -> Self {
        StorageError::Failed(unsupported.to_string())
    }
}

/// The feature level in force in a state.
///
/// # Errors
/// Those of reading.
pub fn feature_level(read: &impl Read) -> Result<u32> {
    let stored = catalog::counter(read, LEVEL_KEY)?;
    Ok(u32::try_from(stored).unwrap_or(u32::MAX).max(1))
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
