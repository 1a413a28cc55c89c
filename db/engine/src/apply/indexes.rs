//! Applying commands about indexes.
//!
//! A large index is built by commands of bounded size, which the leader proposes one after the
//! other. The progress is part of the state, so another leader goes on from there and every replica
//! does the same.

use crate::apply::Applier;
use crate::apply::entries::{charge_entries, check_unique};
use crate::apply::result::{ApplyError, ApplyResult, refuse, settle};
use crate::budget::{self, UPKEEP_BYTES, UPKEEP_STEPS, steps_of};
use crate::catalog::{self, Collection, Garbage};
use crate::cbor;
use crate::command::{Outcome, check_spec};
use crate::document;
use crate::error::{Error, Kind, collection_not_found, database_not_found};
use crate::index::keys::DocumentKeys;
use crate::index::{Entry, INDEXES_MAX, Index, IndexEntry, IndexId, IndexSpec, IndexState, encode};
use crate::namespace::{Namespace, NamespaceRef};
use crate::query::context::Fields;
use crate::row::Row;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Result, StorageError, Table, WriteTxn};
use crate::value::Class;
use std::sync::Arc;

/// Documents up to which an index is built by the command that creates it, if they are small.
const BUILD_AT_ONCE: u64 = 1_000;

/// Bytes of such documents.
const BUILD_AT_ONCE_BYTES: u64 = 4 << 20;

impl Applier {
    pub(super) fn create_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        spec: IndexSpec,
    ) -> ApplyResult {
        if catalog::database(txn, namespace.database)?.is_none() {
            return Err(database_not_found(namespace.database).into());
        }
        check_spec(&spec)?;
        self.all_or_nothing(txn, true, |this, txn| {
            this.context(0).work(budget::NESTED + budget::CATALOG)?;
            let collection =
                this.ensure_collection(txn, namespace.database, namespace.collection)?;
            if let Some(known) = known_index(&collection, &spec)? {
                return Ok(Outcome::Index { name: known, created: false });
            }
            this.counters.last_index += 1;
            let id = this.counters.last_index as IndexId;
            let name = spec.name.clone();
            let state = IndexState::Building { after: None, done: 0 };
            this.put_index(txn, collection.id, &IndexEntry { id, spec, state, multikey: false })?;
            this.note_collection_changed(namespace);
            let totals = *this.totals(txn, collection.id)?;
            let few = totals.documents <= BUILD_AT_ONCE && totals.bytes <= BUILD_AT_ONCE_BYTES;
            let used = this.context(0).steps();
            if !few || used > UPKEEP_STEPS {
                return Ok(Outcome::Index { name, created: true });
            }
            this.build_index(txn, namespace, id, usize::MAX)?;
            let built = this.collection(txn, namespace)?;
            let built = built.as_ref().and_then(|collection| collection.index(&name));
            match built.and_then(|index| index.entry.state.error()) {
                Some(error) => Err(ApplyError::Refused(error.clone())),
                None => Ok(Outcome::Index { name, created: true }),
            }
        })
    }

    pub(super) fn drop_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
        name: &str,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace.borrowed())? else {
            return Err(collection_not_found(&namespace.database, &namespace.collection).into());
        };
        let fields: Vec<&str> = name.split(',').map(str::trim).collect();
        let by_fields =
            |index: &&Arc<Index>| index.names().map(|(name, _)| name).eq(fields.iter().copied());
        let mut of_fields = collection.indexes.iter().filter(by_fields);
        let (first, second) = (of_fields.next(), of_fields.next());
        let named = collection.index(name);
        if let (None, Some(one), Some(other)) = (named, first, second) {
            let (one, other) = (&one.entry.spec.name, &other.entry.spec.name);
            return refuse(
                Kind::IndexConflict,
                format!("{name:?} are the fields of several indexes, {one:?} and {other:?}"),
                "give the name of the one to drop",
            );
        }
        let Some(found) = named.or(first) else {
            return refuse(
                Kind::IndexNotFound,
                format!(
                    "there is no index {name:?} on {}.{}",
                    &namespace.database, &namespace.collection
                ),
                "list the indexes to see their names",
            );
        };
        if found.entry.state.error().is_none()
            && let Some(reference) = self.reference_by(txn, namespace.borrowed(), found)?
        {
            return refuse(
                Kind::IndexConflict,
                format!("the rule of {reference} looks up documents by the index {name:?}"),
                "delete the rule first",
            );
        }
        self.discard_index(txn, collection.id, found.entry.id)?;
        self.note_collection_changed(namespace.borrowed());
        Ok(Outcome::Done)
    }

    /// A reference that an index serves, as `people.team`.
    fn reference_by(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        index: &Index,
    ) -> Result<Option<String>> {
        let rules = self.rules(txn, namespace.database)?;
        let mut references = rules
            .references_of(namespace.collection)
            .chain(rules.referencing(namespace.collection));
        let served = references.find(|reference| {
            let mut sides = reference.sides().into_iter();
            sides.any(|(collection, field)| {
                collection == namespace.collection && index.paths == [field.clone()]
            })
        });
        Ok(served.map(|served| format!("{}.{}", served.collection, served.field.as_str())))
    }

    /// Takes an index out of the catalog; its entries are cleared away later.
    pub(super) fn discard_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        index: IndexId,
    ) -> Result<()> {
        txn.delete(Table::Catalog, &catalog::index_key(collection, index))?;
        txn.delete(Table::Meta, &catalog::stats_key(index))?;
        self.counters.stats.remove(&index);
        self.discard(txn, Garbage::Index(index))?;
        self.forget();
        Ok(())
    }

    fn put_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        entry: &IndexEntry,
    ) -> Result<()> {
        let key = catalog::index_key(collection, entry.id);
        txn.put(Table::Catalog, &key, &cbor::encode(entry)?)?;
        self.forget();
        Ok(())
    }

    pub(super) fn set_multikey(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        index: &Index,
    ) -> Result<()> {
        // The stored entry may be newer than the one at hand.
        let key = catalog::index_key(collection, index.entry.id);
        match catalog::stored::<IndexEntry>(txn, Table::Catalog, &key)? {
            Some(stored) if !stored.multikey => {
                self.put_index(txn, collection, &IndexEntry { multikey: true, ..stored })
            }
            _ => Ok(()),
        }
    }

    /// Adds the next documents to an index, until a number of documents, keys or bytes is reached.
    /// One that cannot be indexed ends it.
    pub(super) fn build_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: IndexId,
        documents: usize,
    ) -> ApplyResult {
        let collection = self.collection(txn, namespace)?;
        let building = collection.as_ref().and_then(|collection| {
            let index = collection.indexes.iter().find(|index| index.entry.id == id)?;
            match &index.entry.state {
                IndexState::Building { after, done } => {
                    Some((collection.clone(), index.clone(), after.clone(), *done))
                }
                _ => None,
            }
        });
        let Some((collection, index, after, done)) = building else {
            return Ok(Outcome::Worked(0));
        };
        let start = match &after {
            Some(id) => keys::successor(keys::document_key(collection.id, id)),
            None => keys::collection_start(collection.id),
        };
        let mut wanted = Fields::default();
        index.fields(&mut wanted);
        let ctx = self.context(0);
        let (steps, bytes) = (ctx.steps() + UPKEEP_STEPS, ctx.written() + UPKEEP_BYTES);
        let kept = ctx.memory_used();
        let none = DocumentKeys::default();
        let (mut found, mut read, mut ended) = (Vec::new(), 0, true);
        let range = txn.range(Table::Documents, &start, &keys::collection_end(collection.id))?;
        for row in range {
            let full = ctx.steps() >= steps || ctx.written() >= bytes || read >= UPKEEP_BYTES;
            if found.len() >= documents || (full && !found.is_empty()) {
                ended = false;
                break;
            }
            let (_, stored) = row?;
            let document = Row::decode(stored)
                .and_then(|row| Some((row.fields(&wanted)?, document::id_of(row.json)?)));
            let Some((document, id)) = document else {
                return Err(StorageError::Failed("a stored document cannot be read".into()).into());
            };
            read += stored.len() as u64;
            let keys = ctx
                .work(budget::ROW + steps_of(stored.len()))
                .and_then(|()| index.document_keys(&document, &ctx))
                .and_then(|keys| charge_entries(&none, &keys, &ctx).map(|()| keys));
            found.push((id, keys));
        }
        ctx.release(ctx.memory_used().saturating_sub(kept));
        let worked = found.len() as u64;
        let last = found.last().map(|(id, _)| id.clone());
        // In key order the pages of the index are written one after the other.
        found.sort_by(|(_, a), (_, b)| match (a, b) {
            (Ok(a), Ok(b)) => a.entries.keys().next().cmp(&b.entries.keys().next()),
            (a, b) => b.is_err().cmp(&a.is_err()),
        });
        let step = found.into_iter().try_for_each(|(id, keys)| -> ApplyResult<()> {
            let keys = keys?;
            check_unique(txn, collection.id, &index, &id, &none, &keys, &ctx)?;
            self.write_entries(txn, &collection, &index, &id, &none, &keys)
        });
        let failed = settle(step)?.err();
        let state = match failed {
            Some(error) => IndexState::Failed(Box::new(error)),
            None if ended => IndexState::Ready,
            None => IndexState::Building { after: last.or(after), done: done + worked },
        };
        if !matches!(state, IndexState::Building { .. }) {
            self.note_collection_changed(namespace);
        }
        let stored = Collection::load(txn, collection.id)?;
        if let Some(stored) = stored.indexes.iter().find(|stored| stored.entry.id == id) {
            self.put_index(txn, collection.id, &IndexEntry { state, ..stored.entry.clone() })?;
        }
        if index.entry.spec.sequential {
            self.start_numbers(txn, &collection, &index)?;
        }
        let paused = !ended && worked < documents as u64;
        Ok(if paused { Outcome::Paused(worked) } else { Outcome::Worked(worked) })
    }

    /// Sets the last number of a sequential index to the largest one that is there.
    fn start_numbers(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
        index: &Index,
    ) -> Result<()> {
        let mut start = index.start();
        start.push(Class::Number as u8);
        let mut end = index.start();
        end.push(Class::Number as u8 + 1);
        let (start, end, back) = match index.descending[0] {
            false => (start, end, true),
            true => {
                encode::reverse(&mut start[4..]);
                encode::reverse(&mut end[4..]);
                end.pop();
                end.push(!(Class::Number as u8));
                (end, [&index.start()[..], &[!(Class::Number as u8) + 1]].concat(), false)
            }
        };
        let rows = match back {
            true => txn.range_back(Table::Indexes, &start, &end)?,
            false => txn.range(Table::Indexes, &start, &end)?,
        };
        let mut largest = None;
        for row in rows {
            let (key, value) = row?;
            let value = Entry::new(key, value).field(0, index.descending[0]).flatten();
            // Infinity and fractions are no sequential numbers.
            largest = value.and_then(|value| value.as_int());
            if largest.is_some() {
                break;
            }
        }
        let stats = self.stats(txn, collection, index)?;
        stats.last_number = stats.last_number.max(largest.unwrap_or(0));
        Ok(())
    }
}

/// The name of an existing index with the same definition; a clash with another is refused.
fn known_index(collection: &Collection, spec: &IndexSpec) -> ApplyResult<Option<String>> {
    let refused = |message: String, hint: &str| {
        Err(ApplyError::Refused(Error::new(Kind::IndexConflict, message).hint(hint)))
    };
    let specs = || collection.indexes.iter().map(|index| &index.entry.spec);
    let same = |index: &&Arc<Index>| {
        index.entry.spec.same_definition(spec) && index.entry.state.error().is_none()
    };
    if let Some(known) = collection.indexes.iter().find(same) {
        return Ok(Some(known.entry.spec.name.clone()));
    }
    if let Some(known) = specs().find(|known| known.name == spec.name) {
        return refused(
            format!("an index {:?} exists, and is not the same", known.name),
            "drop it first, or give the new one another name",
        );
    }
    if let Some(known) = specs().find(|known| known.excludes(spec)) {
        return refused(
            format!("the index {:?} is on the same fields, and differs in its options", known.name),
            "drop it first; a second index on the same fields must be unique, sparse or partial where the first is not",
        );
    }
    if collection.indexes.len() >= INDEXES_MAX {
        return refused(
            format!("a collection can have {INDEXES_MAX} indexes"),
            "drop one that is not used",
        );
    }
    Ok(None)
}
