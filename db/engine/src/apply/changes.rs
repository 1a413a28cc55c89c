//! Writing the history of changes.

use crate::apply::result::ApplyResult;
use crate::apply::{Applier, SideEffect};
use crate::budget::UPKEEP_BYTES;
use crate::cbor;
use crate::changes::{ChangeKind, HistoryTotals, ResumeToken, TOTALS_KEY};
use crate::command::Outcome;
use crate::document::Revision;
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::{Result, Table, WriteTxn};
use crate::system;
use minicbor::Encode;

/// A [`Change`] that borrows its content; the same bytes in the history.
#[derive(Encode)]
struct NewChange<'c> {
    #[n(0)]
    token: ResumeToken,
    #[n(1)]
    kind: ChangeKind,
    #[n(2)]
    database: &'c str,
    #[n(3)]
    collection: &'c str,
    #[n(4)]
    id: Option<&'c DocumentId>,
    #[n(5)]
    revision: Option<Revision>,
    #[n(6)]
    time_ms: u64,
    #[n(7)]
    user: Option<&'c str>,
    #[n(8)]
    before: Option<&'c str>,
    #[n(9)]
    after: Option<&'c str>,
    #[n(10)]
    renamed_to: Option<&'c str>,
}

/// Changes of a log entry that are not in the table yet.
#[derive(Default)]
pub(crate) struct PendingChanges {
    row: Vec<u8>,
    next: u32,
}

impl PendingChanges {
    /// Number of the next change.
    pub(super) fn next(&self) -> u32 {
        self.next
    }
}

/// What a change of a document is about.
pub(super) struct ChangeDetails<'c> {
    pub(super) kind: ChangeKind,
    pub(super) id: Option<&'c DocumentId>,
    pub(super) revision: Option<Revision>,
    pub(super) before: Option<&'c [u8]>,
    pub(super) after: Option<&'c [u8]>,
    pub(super) renamed_to: Option<&'c str>,
}

/// Bytes of changes after which a row ends.
pub(super) const ROW_BYTES: usize = 256 << 10;

impl Applier {
    /// Notes a change.
    pub(super) fn note_change(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        changed: ChangeDetails<'_>,
    ) -> Result<()> {
        if self.provisional {
            return Ok(());
        }
        fn text(json: Option<&[u8]>) -> Option<&str> {
            json.and_then(|json| std::str::from_utf8(json).ok())
        }
        if namespace.database == system::DATABASE && system::is_secret(namespace.collection) {
            self.admitted = None;
            self.note_effect(SideEffect::AccountsChanged);
        }
        let token = ResumeToken { index: self.current.index, number: self.changes.next };
        let change = NewChange {
            token,
            kind: changed.kind,
            database: namespace.database,
            collection: namespace.collection,
            id: changed.id,
            revision: changed.revision,
            time_ms: self.counters.time_ms,
            user: self.current.user.as_deref(),
            before: text(changed.before),
            after: text(changed.after),
            renamed_to: changed.renamed_to,
        };
        cbor::append(&change, &mut self.changes.row)?;
        self.changes.next += 1;
        if self.changes.row.len() >= ROW_BYTES { self.store_changes(txn) } else { Ok(()) }
    }

    /// Notes that a collection was dropped or renamed.
    pub(super) fn note_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        kind: ChangeKind,
        renamed_to: Option<&str>,
    ) -> Result<()> {
        let (id, revision, before, after) = (None, None, None, None);
        self.note_change(
            txn,
            namespace,
            ChangeDetails { kind, id, revision, before, after, renamed_to },
        )
    }

    /// Writes what is noted into the table.
    pub(crate) fn store_changes(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        if self.changes.row.is_empty() {
            return Ok(());
        }
        let last = ResumeToken { index: self.current.index, number: self.changes.next - 1 };
        txn.put(Table::Changes, &last.key(), &self.changes.row)?;
        self.counters.changes.bytes += self.changes.row.len() as u64;
        self.changes.row.clear();
        Ok(())
    }

    /// Ends the changes of one log entry.
    pub(super) fn end_changes(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        self.store_changes(txn)?;
        self.changes.next = 0;
        Ok(())
    }

    /// A mark to return to with [`Applier::take_back_changes`].
    pub(super) fn mark_changes(&mut self, txn: &mut WriteTxn<'_>) -> Result<u32> {
        self.store_changes(txn)?;
        Ok(self.changes.next)
    }

    /// Takes back what was noted since a mark; what is in the table goes with its transaction.
    pub(super) fn take_back_changes(&mut self, mark: u32) {
        self.changes.row.clear();
        self.changes.next = mark;
    }

    /// [`Command::TrimChanges`](super::Command::TrimChanges)
    pub(super) fn trim_changes(
        &mut self,
        txn: &mut WriteTxn<'_>,
        bytes_max: u64,
        rows: u32,
    ) -> ApplyResult {
        let (mut worked, mut removed) = (0_u32, 0);
        while worked < rows && self.counters.changes.bytes > bytes_max {
            let Some((key, bytes)) = txn.first(Table::Changes, &[0], &[0xff])? else { break };
            if removed > UPKEEP_BYTES {
                return Ok(Outcome::Paused(worked.into()));
            }
            let bytes = bytes as u64;
            removed += bytes;
            txn.delete(Table::Changes, &key)?;
            let totals = &mut self.counters.changes;
            totals.bytes = totals.bytes.saturating_sub(bytes);
            totals.forgotten = ResumeToken::from_key(&key).unwrap_or(totals.forgotten);
            worked += 1;
        }
        Ok(Outcome::Worked(worked.into()))
    }
}

/// Stores how much history there is.
pub(super) fn save(txn: &mut WriteTxn<'_>, totals: &HistoryTotals) -> Result<()> {
    txn.put(Table::Meta, TOTALS_KEY, &cbor::encode(totals)?)
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
