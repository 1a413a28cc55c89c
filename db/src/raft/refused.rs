//! Entries that an operator has refused, because they cannot be applied.
//!
//! A node that cannot apply a log entry stops, and stops again at each start. With the entry named
//! in `RefuseEntry`, by its index and the hash of its content, every proposal in it is refused
//! instead, and that is recorded in the state as the outcome of the entry; snapshots carry it.
//! Nodes that treat an entry differently would hold different states, so Raft requests carry the
//! sender's list and are refused by a node with another one.

use super::types::GroupId;
use super::wire::{self, RefusedForm};
use crate::error::{Error, Kind, Result};
use crate::storage::{Read, StorageError, Table, WriteTxn};
use jettra_driver::wire::Position;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_64;

const REFUSED_KEY: &[u8] = b"refused";

/// Log index and hash of each refused entry.
pub type EntryHashes = BTreeMap<u64, u64>;

/// The entries of a group's log that a member refuses: those of its configuration and those of its
/// state.
#[derive(Clone, Default)]
pub struct RefusedEntries {
    group: GroupId,
    configured: Arc<EntryHashes>,
    all: Arc<Mutex<EntryHashes>>,
    /// Whether a difference was logged.
    told: Arc<AtomicBool>,
}

impl RefusedEntries {
    /// Creates the list of the configuration for a group.
    pub fn new(group: GroupId, configured: EntryHashes) -> Self {
        let all = Arc::new(Mutex::new(configured.clone()));
        RefusedEntries { group, configured: Arc::new(configured), all, told: Arc::default() }
    }

    /// The name of an entry in messages and in the configuration.
    pub fn name(&self, index: u64, hash: u64) -> String {
        format!("{}:{hash:016x}", Position { group: self.group, index })
    }

    fn list(&self, entries: &EntryHashes) -> String {
        let names: Vec<_> = entries.iter().map(|(index, hash)| self.name(*index, *hash)).collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(","),
        }
    }

    /// Adds the entries recorded in a state that is applied up to `applied`.
    ///
    /// # Errors
    /// When the state holds a refused entry as applied.
    pub fn take_over(
        &self,
        state: &impl Read,
        applied: u64,
    ) -> std::result::Result<(), StorageError> {
        let recorded = recorded(state)?;
        for (index, hash) in self.configured.range(..=applied) {
            if recorded.get(index) != Some(hash) {
                return Err(StorageError::Failed(format!(
                    "RefuseEntry names the log entry {}, but the state here goes up to {applied} and \
                     has recorded as refused: {}; take it out of RefuseEntry",
                    self.name(*index, *hash),
                    self.list(&recorded)
                )));
            }
        }
        let mut all = (*self.configured).clone();
        all.extend(recorded);
        *self.all.lock() = all;
        Ok(())
    }

    /// The hash of the refused entry at a log index.
    pub fn hash_at(&self, index: u64) -> Option<u64> {
        self.all.lock().get(&index).copied()
    }

    /// Records in the state that an entry was refused.
    pub fn record(
        &self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        hash: u64,
    ) -> std::result::Result<(), StorageError> {
        let mut entries = recorded(txn)?;
        entries.insert(index, hash);
        let bytes = wire::encode(&RefusedForm { entries })
            .map_err(|error| StorageError::Failed(error.to_string()))?;
        txn.put(Table::Meta, REFUSED_KEY, &bytes)
    }

    /// The digest in Raft requests; none while no entry is refused.
    pub fn digest(&self) -> Option<String> {
        let all = self.all.lock();
        let digest = xxh3_64(self.list(&all).as_bytes());
        (!all.is_empty()).then(|| format!("{digest:016x}"))
    }

    /// Refuses a Raft request of a member with another list.
    ///
    /// # Errors
    /// `misdirected`, which says what to do.
    pub fn check(&self, digest: Option<&str>) -> Result<()> {
        if self.digest().as_deref() == digest {
            return Ok(());
        }
        let message = format!(
            "the members differ in the log entries that they refuse; refused here: {}",
            self.list(&self.all.lock())
        );
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!("{message}; start all nodes with the same RefuseEntry");
        }
        Err(Error::new(Kind::Misdirected, message)
            .hint("start all nodes with the same RefuseEntry (--refuse-entry INDEX@GROUP:HASH,…)"))
    }
}

fn recorded(state: &impl Read) -> std::result::Result<EntryHashes, StorageError> {
    match state.get(Table::Meta, REFUSED_KEY)? {
        None => Ok(EntryHashes::new()),
        Some(bytes) => wire::decode::<RefusedForm>(bytes)
            .map(|form| form.entries)
            .map_err(|error| StorageError::Failed(format!("the refused entries: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_different_lists_do_not_serve_together() {
        let none = RefusedEntries::default();
        let some = RefusedEntries::new(0, [(7, 1)].into());
        let other = RefusedEntries::new(3, [(7, 2)].into());
        assert_eq!(none.digest(), None);
        assert!(none.check(None).is_ok());
        assert!(some.check(some.digest().as_deref()).is_ok());
        for (mine, theirs) in [(&none, &some), (&some, &none), (&some, &other)] {
            let error = mine.check(theirs.digest().as_deref()).unwrap_err();
            assert_eq!(error.kind, Kind::Misdirected);
            assert!(error.hint.unwrap().contains("--refuse-entry"));
        }
        assert!(some.check(None).unwrap_err().message.contains("7:0000000000000001"));
        assert!(other.check(None).unwrap_err().message.contains("7@3:0000000000000002"));
    }
}
