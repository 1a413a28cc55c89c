//! Applying what concerns indexes, schemas, expiry and what is left of dropped things.
//!
//! Work that grows with the data is cut into commands of bounded size, which the leader
//! proposes one after the other; where it stands is part of the state, so another leader goes
//! on from there and every replica does the same.

use super::apply::{
    Applier, ApplyError, ApplyResult, SideEffect, collection_not_found, database_not_found, refuse,
    settle,
};
use super::budget::{self, UPKEEP_BYTES, UPKEEP_STEPS, steps_of};
use super::catalog::{self, Collection, Garbage};
use super::check::check_spec;
use super::command::Outcome;
use super::document;
use super::index::keys::DocumentKeys;
use super::index::{Entry, INDEXES_MAX, Index, IndexEntry, IndexId, IndexSpec, IndexState, encode};
use super::query::context::Fields;
use super::query::path::Path;
use super::rules::{Rules, RulesState};
use super::schema::Schema;
use super::system;
use super::value::{Class, Value, parse_stored};
use super::write::{charge_entries, check_unique, finds};
use crate::error::{Error, Kind};
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, StorageError, Table, WriteTxn};
use serde_json::json;
use std::sync::Arc;

/// Documents up to which an index is built by the command that creates it, if they are small.
const BUILD_AT_ONCE: u64 = 1_000;
/// Bytes of such documents.
const BUILD_AT_ONCE_BYTES: u64 = 4 << 20;
/// Bytes of rows that one command clears away.
const CLEAR_BYTES: u64 = 64 << 20;

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
            this.numbers.last_index += 1;
            let id = this.numbers.last_index as IndexId;
            let name = spec.name.clone();
            let state = IndexState::Building { after: None, done: 0 };
            this.put_index(txn, collection.id, &IndexEntry { id, spec, state, multikey: false })?;
            let totals = *this.totals(txn, collection.id)?;
            let few = totals.documents <= BUILD_AT_ONCE && totals.bytes <= BUILD_AT_ONCE_BYTES;
            let used = this.context(0).steps();
            if !few || used > UPKEEP_STEPS {
                this.effects.push(SideEffect::Upkeep);
                return Ok(Outcome::Index { name, created: true });
            }
            if let Outcome::Paused(_) = this.build_index(txn, namespace, id, usize::MAX)? {
                this.effects.push(SideEffect::Upkeep);
            }
            let built = this.collection(txn, namespace)?;
            let built = built.as_ref().and_then(|collection| collection.index(&name));
            match built.and_then(|index| index.entry.state.error()) {
                Some(error) => Err(ApplyError::Refused(error)),
                None => Ok(Outcome::Index { name, created: true }),
            }
        })
    }

    pub(super) fn drop_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        name: &str,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Err(collection_not_found(namespace.database, namespace.collection).into());
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
                    namespace.database, namespace.collection
                ),
                "list the indexes to see their names",
            );
        };
        if found.entry.state.error().is_none()
            && let Some(reference) = self.reference_by(txn, namespace, found)?
        {
            return refuse(
                Kind::IndexConflict,
                format!("the rule of {reference} looks up documents by the index {name:?}"),
                "delete the rule first",
            );
        }
        self.discard_index(txn, collection.id, found.entry.id)?;
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
        self.numbers.stats.remove(&index);
        self.discard(txn, Garbage::Index(index))?;
        self.forget();
        Ok(())
    }

    /// Notes that rows are to be cleared away.
    pub(super) fn discard(&mut self, txn: &mut WriteTxn<'_>, garbage: Garbage) -> Result<()> {
        txn.put(Table::Catalog, &catalog::garbage_key(garbage), &[])?;
        self.effects.push(SideEffect::Upkeep);
        Ok(())
    }

    fn put_index(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        entry: &IndexEntry,
    ) -> Result<()> {
        let key = catalog::index_key(collection, entry.id);
        txn.put(Table::Catalog, &key, &catalog::encode(entry)?)?;
        self.forget();
        Ok(())
    }

    pub(super) fn set_multikey(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        index: &Index,
    ) -> Result<()> {
        // The stored entry may be further than the one at hand.
        let key = catalog::index_key(collection, index.entry.id);
        match catalog::stored::<IndexEntry>(txn, Table::Catalog, &key)? {
            Some(stored) if !stored.multikey => {
                self.put_index(txn, collection, &IndexEntry { multikey: true, ..stored })
            }
            _ => Ok(()),
        }
    }

    /// Adds the next documents to an index, until they are so many or have so many keys and bytes.
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
            let (key, stored) = row?;
            let document = document::decode(stored)
                .and_then(|(_, json)| document::parse_wanted(json, &wanted))
                .zip(keys::document_id(key));
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
            for key in keys.entries.keys() {
                index.entry_key(key, &id)?;
                check_unique(txn, &index, key, &id)?;
            }
            self.write_entries(txn, &collection, &index, &id, &none, &keys)
        });
        let failed = settle(step)?.err();
        let state = match failed {
            Some(error) => IndexState::failed(&error),
            None if ended => IndexState::Ready,
            None => IndexState::Building { after: last.or(after), done: done + worked },
        };
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

    /// Lets a sequential index go on behind the largest number that is there.
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
            // Infinity and fractions are no numbers to go on behind.
            largest = value.and_then(|value| value.as_int());
            if largest.is_some() {
                break;
            }
        }
        let stats = self.stats(txn, collection, index)?;
        stats.last_number = stats.last_number.max(largest.unwrap_or(0));
        Ok(())
    }

    /// Deletes documents whose date in the index lies far enough back.
    pub(super) fn expire(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: IndexId,
        time_ms: i64,
        documents: usize,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Ok(Outcome::Worked(0));
        };
        let index = collection.indexes.iter().find(|index| index.entry.id == id);
        let Some(index) = index.filter(|index| index.is_ready()) else {
            return Ok(Outcome::Worked(0));
        };
        let (ctx, mut deleted) = (self.context(0), 0);
        for key in expired(txn, collection.id, index, time_ms, documents)? {
            if ctx.steps() > UPKEEP_STEPS || ctx.written() > UPKEEP_BYTES {
                // Those that stay, because something refers to them, are not tried again at once.
                let more = if deleted > 0 { Outcome::Paused } else { Outcome::Worked };
                return Ok(more(deleted));
            }
            let Some(id) = keys::document_id(&key) else { continue };
            if let Ok(true) = settle(self.expire_document(txn, namespace, &collection, &id))? {
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

    pub(super) fn set_schema(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        schema: Option<String>,
        warns: bool,
    ) -> ApplyResult {
        if catalog::database(txn, namespace.database)?.is_none() {
            return Err(database_not_found(namespace.database).into());
        }
        if let Some(text) = &schema {
            let schema = serde_json::from_str(text)
                .map_err(|error| Error::new(Kind::InvalidJson, error.to_string()))?;
            Schema::compile(&schema)?;
        }
        let collection = self.ensure_collection(txn, namespace.database, namespace.collection)?;
        let versions = collection.options.versions;
        let options = catalog::Options { schema, schema_warns: warns, versions };
        self.put_options(txn, collection.id, &options)?;
        Ok(Outcome::Done)
    }

    pub(super) fn put_options(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        options: &catalog::Options,
    ) -> Result<()> {
        txn.put(Table::Catalog, &catalog::options_key(collection), &catalog::encode(options)?)?;
        self.forget();
        Ok(())
    }

    /// The rules of a database.
    pub(super) fn rules(&mut self, txn: &WriteTxn<'_>, database: &str) -> Result<Arc<Rules>> {
        if let Some(rules) = self.rules.get(database) {
            return Ok(rules.clone());
        }
        let namespace = NamespaceRef { database, collection: system::RULES };
        let rules = match self.collection(txn, namespace)?.map(|known| known.id) {
            None => Arc::new(Rules::default()),
            Some(collection) => {
                let totals = *self.totals(txn, collection)?;
                // As if they were compiled now: which replica has them compiled must not count.
                // What is too much is refused by what comes next.
                let _ = self.context(0).work(totals.bytes);
                let state = RulesState { collection, changed: totals.changed, bytes: totals.bytes };
                match self.compiled.get(database, state) {
                    Some(rules) => rules,
                    None => {
                        let rules = Arc::new(stored_rules(txn, database)?);
                        self.compiled.insert(database, state, rules.clone());
                        rules
                    }
                }
            }
        };
        self.rules.insert(database.to_owned(), rules.clone());
        Ok(rules)
    }

    /// Forgets rules that were changed.
    pub(super) fn forget_rules(&mut self, database: &str) {
        self.rules.remove(database);
        self.compiled.remove(database);
    }

    /// Gives both sides of every reference in a changed document of `_rules` an index: each write
    /// to either side looks the other one up. Tells which are not in force yet.
    pub(super) fn rules_changed(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        document: &[u8],
    ) -> ApplyResult<Vec<String>> {
        self.forget_rules(database);
        let document = parse_stored(document).unwrap_or_default();
        let mut warnings = Vec::new();
        for reference in Rules::stored([&document]).referenced() {
            let mut waits = Vec::new();
            for (collection, field) in reference.sides() {
                if let Some(reason) = self.index_side(txn, database, collection, field)? {
                    waits.push(reason);
                }
            }
            if !waits.is_empty() {
                let (collection, field) = (&reference.collection, reference.field.as_str());
                let message = format!("not in force until {}", waits.join(" and "));
                let (rule, path) = ("referenced", format!("{collection}.{field}"));
                warnings.push(json!({"path": path, "rule": rule, "message": message}).to_string());
            }
        }
        Ok(warnings)
    }

    /// Gives a field that a reference needs an index. Tells what is to be waited for.
    fn index_side(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        collection: &str,
        field: &Path,
    ) -> ApplyResult<Option<String>> {
        if field.as_str() == "_id" || system::check_name("", collection, usize::MAX).is_err() {
            return Ok(None);
        }
        let namespace = NamespaceRef { database, collection };
        self.context(0).work(budget::LOOK_UP)?;
        let known = self.collection(txn, namespace)?;
        if known.is_some_and(|known| finds(&known, field).is_some()) {
            return Ok(None);
        }
        let name = format!("{collection}.{}", field.as_str());
        let spec = IndexSpec::parse(&Value::from(field.as_str()), &Default::default())?;
        match settle(self.create_index(txn, namespace, spec))? {
            // One that exists with these fields and is complete serves as well.
            Err(error) if error.kind == Kind::IndexConflict => {
                let known = self.collection(txn, namespace)?;
                let index = known.and_then(|known| {
                    known.indexes.iter().find(|index| index.paths == [field.clone()]).cloned()
                });
                return Ok(Some(match index {
                    Some(index) if index.entry.spec.partial.is_none() => {
                        format!("the index on {name} is built")
                    }
                    _ => format!("{name} has an index of every document ({error})"),
                }));
            }
            Err(error) => {
                let message = format!("a reference needs an index on {name}: {}", error.message);
                return Err(ApplyError::Refused(Error { message, ..error }));
            }
            Ok(_) => {}
        }
        let known = self.collection(txn, namespace)?;
        let ready = known.is_some_and(|known| finds(&known, field).is_some());
        Ok((!ready).then(|| format!("the index on {name} is built")))
    }

    /// Gives a collection that has just come to its name the indexes that references need.
    pub(super) fn index_references(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<()> {
        if namespace.collection.starts_with('_') {
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        let references = rules
            .references_of(namespace.collection)
            .chain(rules.referencing(namespace.collection));
        for (collection, field) in references.flat_map(|reference| reference.sides()) {
            if collection == namespace.collection {
                // Without one the reference is not in force, which is all that can be said here.
                let _ = settle(self.index_side(txn, namespace.database, collection, field))?;
            }
        }
        Ok(())
    }
}

/// The name of an index that is the same as the one asked for; a clash is refused.
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

/// The rules that the documents of a database's `_rules` make.
pub fn stored_rules(read: &impl Read, database: &str) -> Result<Rules> {
    let Some(id) = catalog::collection(read, database, system::RULES)? else {
        return Ok(Rules::default());
    };
    let mut documents = Vec::new();
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    for row in read.range(Table::Documents, &start, &end)? {
        let (_, stored) = row?;
        documents.extend(document::decode(stored).and_then(|(_, json)| parse_stored(json)));
    }
    Ok(Rules::stored(&documents))
}

/// Keys of documents whose date in a TTL index lies at least its seconds before `time_ms`.
pub fn expired(
    read: &impl Read,
    collection: CollectionId,
    index: &Index,
    time_ms: i64,
    documents: usize,
) -> Result<Vec<Vec<u8>>> {
    let Some(seconds) = index.entry.spec.expire_after else {
        return Ok(Vec::new());
    };
    let latest = time_ms.saturating_sub_unsigned(seconds.saturating_mul(1000));
    let encoded = |date: i64| {
        let mut bytes = Vec::new();
        encode::encode(&Value::Date(date), &mut bytes);
        bytes
    };
    let (first, last) = (encoded(i64::MIN), [&encoded(latest)[..], &[0xff]].concat());
    let (mut start, mut end) = match index.descending[0] {
        false => (first, last),
        true => {
            let (mut from, mut to) = (encoded(latest), encoded(i64::MIN));
            encode::reverse(&mut from);
            encode::reverse(&mut to);
            to.push(0xff);
            (from, to)
        }
    };
    start.splice(0..0, index.start());
    end.splice(0..0, index.start());
    let mut found = Vec::new();
    for row in read.range(Table::Indexes, &start, &end)?.take(documents) {
        let (key, value) = row?;
        found.push(Entry::new(key, value).document_key(collection, index.id_descending()));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
