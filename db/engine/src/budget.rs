//! What one command may use, and what the parts of applying it cost.
//!
//! All replicas wait for a command that is applied, so it is bounded by counted steps, never by a
//! clock: each replica counts the same. A step is about 25 ns on the machine that the weights were
//! measured on; the default of `WriteStepsMax` is 0.4 s. Nothing that differs between
//! replicas may be counted: no cache, no statistics that are not stored.

/// Steps of a command that brings no limit of its own.
pub const STEPS_MAX: u64 = 16_000_000;
/// Bytes that such a command may keep in memory.
pub const MEMORY_MAX: u64 = 64 << 20;
/// Bytes of rows that one command may change: until the transaction commits, their pages are in
/// memory.
pub const WRITTEN_MAX: u64 = 160 << 20;
/// Steps after which a step of upkeep ends: about 50 ms.
pub const UPKEEP_STEPS: u64 = 2_000_000;
/// Bytes read or written after which a step of upkeep ends.
pub const UPKEEP_BYTES: u64 = 16 << 20;

/// Looking a row up.
pub const LOOK_UP: u64 = 40;
/// Looking at a stored row, beside its bytes.
pub const ROW: u64 = 20;
/// Reading, checking and writing one document, without its indexes.
pub const STORE: u64 = 250;
/// Deleting one document, without its indexes.
pub const REMOVE: u64 = 150;
/// Writing or removing a row that belongs to a document: an index entry, a version.
pub const ENTRY: u64 = 120;
/// Choosing a plan, for each index that could be used too.
pub const PLAN: u64 = 400;
/// Beginning a transaction inside the open one, and going back to its beginning.
pub const NESTED: u64 = 4_000;
/// Storing and reading again the statistics of one index.
pub const STATISTICS: u64 = 800;
/// Checking one rule against one document.
pub const RULE: u64 = 8;
/// Removing or renaming one collection or one index in the catalog.
pub const CATALOG: u64 = 800;
/// What a changed row is reckoned with beside its bytes: its share of the pages that change.
pub const ROW_BYTES: u64 = 1024;
/// The same for an entry of an index: many of them share a page.
pub const ENTRY_BYTES: u64 = 256;

/// Bytes that cost as much as one step to read or to write.
const STEP_BYTES: u64 = 32;

/// The steps that a number of bytes costs.
pub fn steps_of(bytes: usize) -> u64 {
    bytes as u64 / STEP_BYTES
}

/// The bounds of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Steps.
    pub steps_max: u64,
    /// Bytes kept in memory.
    pub memory_max: u64,
    /// Bytes of rows that change, at most [`WRITTEN_MAX`].
    pub written_max: u64,
}

impl Cost {
    /// Of a command that brings no limits.
    pub const DEFAULT: Cost =
        Cost { steps_max: STEPS_MAX, memory_max: MEMORY_MAX, written_max: WRITTEN_MAX };
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
