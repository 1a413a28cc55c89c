//! The entries of a document in the indexes of its collection.

use crate::apply::result::ApplyResult;
use crate::apply::stored::{Stored, damaged, fields, new_fields};
use crate::apply::{Applier, SideEffect};
use crate::budget::{self, steps_of};
use crate::catalog::Collection;
use crate::error;
use crate::id::DocumentId;
use crate::index::keys::DocumentKeys;
use crate::index::stats::IndexStats;
use crate::index::{Entry, Index, entry_value, is_long};
use crate::query::context::{Context, Fields};
use crate::row::Row;
use crate::storage::keys::CollectionId;
use crate::storage::{Read, Result, Table, WriteTxn, keys};
use crate::value::Value;
use serde_json::json;
use std::sync::Arc;

impl Applier {
    /// Removes a document from the indexes.
    pub(super) fn unindex(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> ApplyResult<()> {
        self.change_indexes(txn, collection, &old.id, Some(&old.json), None)
    }

    /// Updates the indexes from one form of a document to the other.
    pub(super) fn change_indexes(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> ApplyResult<()> {
        if collection.indexes.is_empty() {
            return Ok(());
        }
        let mut wanted = Fields::default();
        collection.indexes.iter().for_each(|index| index.fields(&mut wanted));
        let old = old.map(|json| fields(json, &wanted)).transpose()?;
        let new = new.map(|json| new_fields(json, &wanted)).transpose()?;
        let ctx = self.context(0);
        let kept = ctx.memory_used();
        let mut changes = Vec::new();
        for index in collection.indexes.iter().filter(|index| index.holds(id)) {
            let keys = |document: &Option<Value>| match document {
                Some(document) => index.document_keys(document, &ctx),
                None => Ok(DocumentKeys::default()),
            };
            // What is in the index was indexable when it was put there.
            let (old, new) = (keys(&old)?, keys(&new)?);
            charge_entries(&old, &new, &ctx)?;
            check_unique(txn, collection.id, index, id, &old, &new, &ctx)?;
            changes.push((index.clone(), old, new));
        }
        ctx.release(ctx.memory_used().saturating_sub(kept));
        for (index, old, new) in changes {
            self.write_entries(txn, collection, &index, id, &old, &new)?;
        }
        Ok(())
    }

    /// Replaces the entries of a document in one index.
    pub(super) fn write_entries(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
        index: &Index,
        id: &DocumentId,
        old: &DocumentKeys,
        new: &DocumentKeys,
    ) -> ApplyResult<()> {
        for key in old.entries.keys().filter(|key| !new.entries.contains_key(*key)) {
            txn.delete(Table::Indexes, &index.entry_key(key, id))?;
            self.stats(txn, collection, index)?.remove();
        }
        let mut multikey = new.multikey;
        for (key, info) in &new.entries {
            let before = old.entries.get(key);
            if before == Some(info) {
                continue;
            }
            let hashed = index.hashes_id(key, id);
            multikey |= hashed;
            let value = entry_value(info, id, hashed);
            txn.put(Table::Indexes, &index.entry_key(key, id), &value)?;
            if before.is_none() {
                if index.entry.spec.expire_after.is_some() {
                    self.note_effect(SideEffect::ExpiryChanged(index.entry.id));
                }
                let prefixes = info.ends.iter().filter_map(|end| key.get(..usize::from(*end)));
                self.stats(txn, collection, index)?.add(prefixes);
            }
        }
        if multikey && !index.entry.multikey {
            self.set_multikey(txn, collection.id, index)?;
        }
        Ok(())
    }

    pub(super) fn stats<'s>(
        &'s mut self,
        txn: &WriteTxn<'_>,
        collection: &Collection,
        index: &Index,
    ) -> Result<&'s mut IndexStats> {
        use std::collections::hash_map::Entry;
        Ok(match self.counters.stats.entry(index.entry.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(collection.stats(txn, index.entry.id)?),
        })
    }
}

/// Counts the work and the bytes of replacing the keys of a document in an index.
pub(crate) fn charge_entries(
    old: &DocumentKeys,
    new: &DocumentKeys,
    ctx: &Context<'_>,
) -> error::Result<()> {
    let removed = old.entries.keys().filter(|key| !new.entries.contains_key(*key));
    let added = new.entries.iter().filter(|(key, info)| old.entries.get(*key) != Some(info));
    for key in removed.chain(added.map(|(key, _)| key)) {
        ctx.work(budget::ENTRY + steps_of(key.len()))?;
        ctx.write(budget::ENTRY_BYTES + key.len() as u64)?;
    }
    Ok(())
}

/// Refuses keys that another document has in a unique index.
pub(crate) fn check_unique(
    read: &impl Read,
    collection: CollectionId,
    index: &Index,
    id: &DocumentId,
    old: &DocumentKeys,
    new: &DocumentKeys,
    ctx: &Context<'_>,
) -> ApplyResult<()> {
    if !index.entry.spec.unique {
        return Ok(());
    }
    for values in new.entries.keys() {
        // A hash may stand for another value than before.
        if old.entries.contains_key(values) && (!is_long(values) || old.long == new.long) {
            continue;
        }
        let start = [&index.start()[..], values].concat();
        let end = [&start[..], &[0xff]].concat();
        for row in read.range(Table::Indexes, &start, &end)? {
            let (key, value) = row?;
            let entry = Entry::new(key, value);
            let document_key = entry.document_key(collection, index.id_descending());
            let other = keys::document_id(&document_key);
            let Some(other) = other.filter(|other| other != id) else { continue };
            if is_long(values) && !shares_values(read, index, &document_key, new, ctx)? {
                continue;
            }
            let fields = index.names().enumerate().map(|(at, (name, descending))| {
                let value = entry.field(at, descending).flatten().unwrap_or_default();
                (name.to_owned(), json!(value))
            });
            let fields: serde_json::Map<_, _> = fields.collect();
            let value = serde_json::Value::Object(fields);
            return Err(error::unique_violation(&index.entry.spec.name, &value, &other).into());
        }
    }
    Ok(())
}

/// Whether the document under a key has one of the long values itself, not only its hash.
fn shares_values(
    read: &impl Read,
    index: &Index,
    document_key: &[u8],
    keys: &DocumentKeys,
    ctx: &Context<'_>,
) -> ApplyResult<bool> {
    let stored = read.get(Table::Documents, document_key)?.ok_or_else(damaged)?;
    ctx.work(budget::LOOK_UP + budget::ROW + steps_of(stored.len()))?;
    let mut wanted = Fields::default();
    index.fields(&mut wanted);
    let row = Row::decode(stored).and_then(|row| row.fields(&wanted)).ok_or_else(damaged)?;
    let kept = ctx.memory_used();
    let other = index.document_keys(&row, ctx)?;
    ctx.release(ctx.memory_used().saturating_sub(kept));
    Ok(!other.long.is_disjoint(&keys.long))
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
