//! Steps of upkeep: deleting what has expired, and clearing away what is left of dropped things.

use crate::apply::result::{ApplyResult, settle};
use crate::apply::{Applier, SideEffect};
use crate::budget::{UPKEEP_BYTES, UPKEEP_STEPS};
use crate::catalog::{self, Garbage};
use crate::command::Outcome;
use crate::expiry::expired;
use crate::index::IndexId;
use crate::namespace::Namespace;
use crate::storage::{Read, Result, Table, WriteTxn, keys};

/// Bytes of rows that one command clears away.
const CLEAR_BYTES: u64 = 64 << 20;

impl Applier {
    /// Notes that rows are to be cleared away.
    pub(super) fn discard(&mut self, txn: &mut WriteTxn<'_>, garbage: Garbage) -> Result<()> {
        txn.put(Table::Catalog, &catalog::garbage_key(garbage), &[])?;
        self.note_effect(SideEffect::Dropped);
        Ok(())
    }

    /// Deletes documents whose date in the index lies far enough back.
    pub(super) fn expire(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
        id: IndexId,
        time_ms: i64,
        documents: usize,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace.borrowed())? else {
            return Ok(Outcome::Worked(0));
        };
        let index = collection.indexes.iter().find(|index| index.entry.id == id);
        let Some(index) = index.filter(|index| index.is_ready()) else {
            return Ok(Outcome::Worked(0));
        };
        let (ctx, mut deleted) = (self.context(0), 0);
        for key in expired(txn, collection.id, index, time_ms, documents)? {
            if ctx.steps() > UPKEEP_STEPS || ctx.written() > UPKEEP_BYTES {
                // Documents that stay because others refer to them are not tried again at once.
                let more = if deleted > 0 { Outcome::Paused } else { Outcome::Worked };
                return Ok(more(deleted));
            }
            let Some(id) = keys::document_id(&key) else { continue };
            if let Ok(true) =
                settle(self.expire_document(txn, namespace.borrowed(), &collection, &id))?
            {
                deleted += 1;
            }
        }
        Ok(Outcome::Worked(deleted))
    }

    pub(super) fn clear_garbage(&mut self, txn: &mut WriteTxn<'_>, rows: usize) -> ApplyResult {
        let Some(garbage) = catalog::garbage(txn)? else {
            return Ok(Outcome::Worked(0));
        };
        let (table, id) = match garbage {
            Garbage::Collection(id) => (Table::Documents, id),
            Garbage::Index(id) => (Table::Indexes, id),
            Garbage::Versions(id) => (Table::Versions, id),
        };
        let (start, end) = (keys::collection_start(id), keys::collection_end(id));
        let (mut last, mut found, mut bytes) = (None, 0, 0);
        for row in txn.range(table, &start, &end)?.take(rows) {
            let (key, value) = row?;
            found += 1;
            bytes += value.len() as u64;
            last = Some(key.to_vec());
            if bytes > CLEAR_BYTES {
                break;
            }
        }
        let worked = match last {
            Some(last) => txn.delete_range(table, &start, &keys::successor(last))?,
            None => 0,
        };
        if bytes > CLEAR_BYTES && found < rows {
            return Ok(Outcome::Paused(worked as u64));
        }
        if worked < rows {
            txn.delete(Table::Catalog, &catalog::garbage_key(garbage))?;
        }
        Ok(Outcome::Worked(worked as u64))
    }
}
