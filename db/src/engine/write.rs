//! Applying writes of documents: rules, schema and indexes are kept here, in one place.
//!
//! A document is checked against everything before anything is written, so one that is refused
//! leaves no trace; what writes many documents does so in a nested transaction.

use super::apply::{
    Applied, Applier, Place, collection_not_found, database_not_found, document_not_found,
};
use super::catalog::{self, Collection};
use super::command::{
    Change, Operation, Outcome, PutMode, Returning, Select, Target, Write, WriteLimits, Wrote,
};
use super::document::{self, Revision};
use super::index::keys::DocumentKeys;
use super::index::stats::IndexStats;
use super::index::{self, Entry, Index, entry_value, id_value};
use super::query::context::{At, Context, Fields};
use super::query::exec::{Counters, Execution};
use super::query::filter::{Filter, Test};
use super::query::merge_patch::merge_patch;
use super::query::path::Path;
use super::query::plan::{self, Hint, Wanted};
use super::query::sort::Sort;
use super::query::update::{Update, upsert_base};
use super::rules::{References, Rules, Violation, referenced_error, violation_error};
use super::schema::Schema;
use super::system;
use super::value::{Object, Value, parse_fields, parse_stored};
use crate::error::{self, Error, Kind};
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, StorageError, Table, WriteTxn};
use jettra_driver::DocumentId;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Why a step of a write ended: a refusal, or a storage failure that stops the node.
pub(super) enum Stop {
    Refused(Error),
    Failed(StorageError),
}

pub(super) type Step<T> = std::result::Result<T, Stop>;

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Stop::Failed(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind {
            // Queries report what the storage says as these two; other replicas may be well.
            Kind::Internal | Kind::StorageFull => {
                Stop::Failed(StorageError::Failed(error.to_string()))
            }
            _ => Stop::Refused(error),
        }
    }
}

/// The result of a step as apply gives it.
pub(super) fn settle<T>(step: Step<T>) -> Result<error::Result<T>> {
    match step {
        Ok(done) => Ok(Ok(done)),
        Err(Stop::Refused(error)) => Ok(Err(error)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Sequential indexes with the last number of each.
type Numbered = Vec<(Arc<Index>, i64)>;

/// A document as it is stored.
struct Stored {
    id: DocumentId,
    revision: Revision,
    json: Vec<u8>,
}

impl Applier {
    /// [`Command::Put`](super::Command::Put)
    #[allow(clippy::too_many_arguments)] // the fields of one command, unpacked once
    pub(super) fn put(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        target: Target,
        body: &str,
        mode: PutMode,
        if_match: Option<Revision>,
        create_database: bool,
    ) -> Applied {
        let step = self.put_step(txn, place, target, body, mode, if_match, create_database);
        settle(step)
    }

    #[allow(clippy::too_many_arguments)]
    fn put_step(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        target: Target,
        body: &str,
        mode: PutMode,
        if_match: Option<Revision>,
        create_database: bool,
    ) -> Step<Outcome> {
        let known = self.collection(txn, place)?;
        if known.is_none() && !create_database && catalog::database(txn, place.database)?.is_none()
        {
            return Err(database_not_found(place.database).into());
        }
        let (id, current) = match &known {
            Some(collection) => find_target(txn, collection.id, target)?,
            None => (target.id, None),
        };
        if mode == PutMode::Insert && current.is_some() {
            return Err(duplicate(&id).into());
        }
        check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
        let collection = match known {
            Some(collection) => collection,
            None => self.create_for_write(txn, place, &id, body)?,
        };
        let created = current.is_none();
        let (revision, warnings) =
            self.store(txn, place, &collection, &id, current.as_ref(), body.to_owned())?;
        let outcome = Outcome::Written { id, revision, created };
        Ok(match warnings.is_empty() {
            true => outcome,
            false => Outcome::Warned { outcome: Box::new(outcome), warnings },
        })
    }

    /// Makes the collection that a first document is for, unless that will be refused.
    fn create_for_write(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        id: &DocumentId,
        body: &str,
    ) -> Step<Arc<Collection>> {
        // A collection that does not exist has no indexes and no schema, only rules.
        let document = document::encode(0, id, body);
        self.check_rules(txn, place, json_of(&document))?;
        self.ensure_database(txn, place.database)?;
        Ok(self.ensure_collection(txn, place.database, place.collection)?)
    }

    /// [`Command::Delete`](super::Command::Delete)
    pub(super) fn delete(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        target: Target,
        if_match: Option<Revision>,
    ) -> Applied {
        let Some(collection) = self.collection(txn, place)? else {
            return Ok(Err(missing_place(txn, place)?));
        };
        let step = (|| {
            let (id, current) = find_target(txn, collection.id, target)?;
            check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
            let Some(current) = current else {
                return Err(document_not_found(&id).into());
            };
            self.remove(txn, place, &collection, &current)?;
            Ok(Outcome::Deleted)
        })();
        settle(step)
    }

    /// [`Command::Write`](super::Command::Write)
    pub(super) fn write_many(&mut self, txn: &mut WriteTxn<'_>, write: Write) -> Applied {
        let place = Place { database: &write.database, collection: &write.collection };
        if !write.create_database && catalog::database(txn, place.database)?.is_none() {
            return Ok(Err(database_not_found(place.database)));
        }
        let interrupt = || Ok(());
        let mut results = Vec::with_capacity(write.operations.len());
        for operation in write.operations {
            let memory = usize::try_from(write.limits.memory_max).unwrap_or(usize::MAX);
            let ctx = Context::new(write.time_ms as i64, memory, &interrupt);
            let result = settle(self.operation(txn, place, operation, &write.limits, &ctx))?;
            let failed = result.is_err();
            results.push(result);
            if failed && write.ordered {
                break;
            }
        }
        Ok(Ok(Outcome::Wrote(results)))
    }

    fn operation(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        operation: Operation,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> Step<Wrote> {
        match operation {
            Operation::Insert { id, body } => self.insert(txn, place, id, body, false),
            Operation::Delete { select, multi, returning } => {
                let Some(collection) = self.collection(txn, place)? else {
                    return missing_for(select, place);
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    this.delete_matching(
                        txn,
                        place,
                        &collection,
                        &select,
                        multi,
                        returning,
                        limits,
                        ctx,
                    )
                })
            }
            Operation::Change { select, change, multi, upsert, returning } => {
                let parsed = ParsedChange::parse(&change)?;
                let Some(collection) = self.collection(txn, place)? else {
                    return match (&select, upsert) {
                        (Select::Filter { filter, .. }, Some(id)) => {
                            let filter = parse_filter(filter)?;
                            self.upsert(txn, place, &filter, &parsed, id, returning, limits, ctx)
                        }
                        _ => missing_for(select, place),
                    };
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    let target = ChangeTarget { place, collection: &collection, returning };
                    this.change_matching(txn, target, &select, &parsed, multi, upsert, limits, ctx)
                })
            }
        }
    }

    /// Stores the numbers that the choice of a plan reads. It decides which documents are looked
    /// at, and so whether an operation fails: it must not depend on where a transaction began.
    fn settle_numbers(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
        select: &Select,
    ) -> Result<()> {
        let chooses = matches!(select, Select::Filter { .. }) && !collection.indexes.is_empty();
        if chooses { self.flush(txn) } else { Ok(()) }
    }

    /// Runs a step so that it leaves no trace when it is refused half way.
    pub(super) fn all_or_nothing<T>(
        &mut self,
        txn: &mut WriteTxn<'_>,
        many: bool,
        step: impl FnOnce(&mut Self, &mut WriteTxn<'_>) -> Step<T>,
    ) -> Step<T> {
        if !many {
            return step(self, txn);
        }
        let numbers = self.numbers.clone();
        let mut nested = txn.nested()?;
        let done = step(self, &mut nested);
        if done.is_ok() {
            nested.commit()?;
        } else {
            drop(nested);
            self.numbers = numbers;
            self.forget();
        }
        done
    }

    fn insert(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        id: DocumentId,
        body: String,
        upserted: bool,
    ) -> Step<Wrote> {
        // An upsert takes the _id from a filter, which nobody has checked for its length.
        let key = keys::document_key(0, &id).len();
        if key > keys::KEY_BYTES_MAX {
            let message = format!("an _id that makes a key of {key} bytes is too long");
            return Err(Error::new(Kind::InvalidId, message)
                .hint("use a shorter identifier")
                .into());
        }
        let collection = match self.collection(txn, place)? {
            Some(collection) => collection,
            None => self.create_for_write(txn, place, &id, &body)?,
        };
        if find(txn, collection.id, &id)?.is_some() {
            return Err(duplicate(&id).into());
        }
        let (revision, warnings) = self.store(txn, place, &collection, &id, None, body)?;
        let (inserted, revision) = (Some(id), Some(revision));
        Ok(Wrote { inserted, upserted, revision, warnings, ..Wrote::default() })
    }

    #[allow(clippy::too_many_arguments)]
    fn delete_matching(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        collection: &Arc<Collection>,
        select: &Select,
        multi: bool,
        returning: Returning,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> Step<Wrote> {
        let (found, _) = select_documents(txn, collection, select, multi, limits, ctx)?;
        let mut wrote = Wrote::default();
        for id in found {
            let stored = find(txn, collection.id, &id)?.ok_or_else(damaged)?;
            self.remove(txn, place, collection, &stored)?;
            wrote.deleted += 1;
            if returning != Returning::Nothing {
                wrote.document = Some(text(stored.json));
            }
        }
        Ok(wrote)
    }

    #[allow(clippy::too_many_arguments)]
    fn change_matching(
        &mut self,
        txn: &mut WriteTxn<'_>,
        target: ChangeTarget<'_>,
        select: &Select,
        change: &ParsedChange,
        multi: bool,
        upsert: Option<DocumentId>,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> Step<Wrote> {
        let ChangeTarget { place, collection, returning } = target;
        let (found, filter) = select_documents(txn, collection, select, multi, limits, ctx)?;
        if found.is_empty()
            && let (Some(id), Some(filter)) = (upsert, &filter)
        {
            return self.upsert(txn, place, filter, change, id, returning, limits, ctx);
        }
        let mut wrote = Wrote { matched: found.len() as u64, ..Wrote::default() };
        for id in found {
            let stored = find(txn, collection.id, &id)?.ok_or_else(damaged)?;
            let mut document = parse_stored(&stored.json).ok_or_else(damaged)?;
            let changed = change.apply(&mut document, filter.as_ref(), false, ctx)?;
            wrote.revision = Some(stored.revision);
            if changed {
                let body = body_of(document, &stored.id, limits)?;
                let (revision, warnings) =
                    self.store(txn, place, collection, &stored.id, Some(&stored), body)?;
                wrote.modified += 1;
                wrote.revision = Some(revision);
                wrote.warnings.extend(warnings);
            }
            wrote.document = match returning {
                Returning::Nothing => None,
                Returning::Before => Some(text(stored.json)),
                Returning::After => {
                    find(txn, collection.id, &stored.id)?.map(|stored| text(stored.json))
                }
            };
        }
        Ok(wrote)
    }

    #[allow(clippy::too_many_arguments)]
    fn upsert(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        filter: &Filter,
        change: &ParsedChange,
        made: DocumentId,
        returning: Returning,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> Step<Wrote> {
        let mut document = upsert_base(filter, At::root("filter"))?;
        change.apply(&mut document, Some(filter), true, ctx)?;
        let id = match document.as_object().and_then(|fields| fields.get("_id")) {
            None => made,
            Some(id) => index::document_id(id).ok_or_else(|| {
                Error::new(
                    Kind::InvalidId,
                    format!("_id must be a string or an integer, not {}", id.to_json()),
                )
                .hint("name another _id in the filter, or leave it out")
            })?,
        };
        let body = body_of(document, &id, limits)?;
        let mut wrote = self.insert(txn, place, id.clone(), body, true)?;
        if returning == Returning::After
            && let Some(collection) = self.collection(txn, place)?
        {
            wrote.document = find(txn, collection.id, &id)?.map(|stored| text(stored.json));
        }
        Ok(wrote)
    }

    /// Writes a document over what is there, with all that depends on it.
    fn store(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&Stored>,
        body: String,
    ) -> Step<(Revision, Vec<String>)> {
        let (body, numbers) = self.number_document(txn, collection, body, old.is_none())?;
        let revision = self.numbers.revision + 1;
        let stored = document::encode(revision, id, &body);
        let json = json_of(&stored);
        let warnings = self.check_document(txn, place, collection, json)?;
        if let Some(old) = old {
            self.check_still_referenced(txn, place, old, Some(json))?;
        }
        self.change_indexes(txn, collection, id, old.map(|old| &old.json[..]), Some(json))?;
        txn.put(Table::Documents, &keys::document_key(collection.id, id), &stored)?;
        for (index, number) in numbers {
            self.stats(txn, collection, &index)?.last_number = number;
        }
        self.numbers.revision = revision;
        let totals = self.totals(txn, collection.id)?;
        totals.documents += u64::from(old.is_none());
        totals.bytes += json.len() as u64;
        totals.bytes = totals.bytes.saturating_sub(old.map_or(0, |old| old.json.len() as u64));
        if place.collection == system::RULES {
            self.rules_changed(txn, place.database)?;
        }
        Ok((revision, warnings))
    }

    /// Deletes a document with all that depends on it.
    fn remove(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> Step<()> {
        self.check_still_referenced(txn, place, old, None)?;
        self.change_indexes(txn, collection, &old.id, Some(&old.json), None)?;
        txn.delete(Table::Documents, &keys::document_key(collection.id, &old.id))?;
        let totals = self.totals(txn, collection.id)?;
        totals.documents = totals.documents.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(old.json.len() as u64);
        if place.collection == system::RULES {
            self.rules_changed(txn, place.database)?;
        }
        Ok(())
    }

    /// Deletes a document whose time has passed; one that is still referenced stays.
    pub(super) fn expire_document(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
    ) -> Step<bool> {
        let Some(stored) = find(txn, collection.id, id)? else { return Ok(false) };
        match self.remove(txn, place, collection, &stored) {
            Ok(()) => Ok(true),
            Err(Stop::Refused(_)) => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// Gives a new document the next number of each sequential index whose field it lacks.
    /// Tells the last number of each, which holds once the document is stored.
    fn number_document(
        &mut self,
        txn: &WriteTxn<'_>,
        collection: &Collection,
        mut body: String,
        new: bool,
    ) -> Step<(String, Numbered)> {
        let mut numbers = Vec::new();
        for index in collection.indexes.iter().filter(|index| index.entry.spec.sequential) {
            let field = index.paths[0].as_str();
            let known = parse_fields(body.as_bytes(), |name| name == field).ok_or_else(damaged)?;
            let given = known.as_object().and_then(|fields| fields.get(field));
            // Not yet among the numbers to be stored: the document may be refused.
            let last = match self.numbers.stats.get(&index.entry.id) {
                Some(stats) => stats.last_number,
                None => collection.stats(txn, index.entry.id)?.last_number,
            };
            let number = match given {
                Some(value) => value.as_int().unwrap_or(last).max(last),
                None if !new => continue,
                None => {
                    let next = last.saturating_add(1);
                    let comma = if body.len() > 2 { "," } else { "" };
                    body.truncate(body.len().saturating_sub(1));
                    body.push_str(&format!("{comma}{}:{next}}}", json!(field)));
                    next
                }
            };
            numbers.push((index.clone(), number));
        }
        Ok((body, numbers))
    }

    /// Checks a document against rules and schema; gives the warnings.
    fn check_document(
        &mut self,
        txn: &WriteTxn<'_>,
        place: Place<'_>,
        collection: &Collection,
        json: &[u8],
    ) -> Step<Vec<String>> {
        self.check_rules(txn, place, json)?;
        let Some(schema) = &collection.options.schema else {
            return Ok(Vec::new());
        };
        let found = self.schemas.get(schema)?.check(&as_json(json)?);
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if !collection.options.schema_warns {
            return Err(violation_error(found).into());
        }
        let texts = found.iter().map(|violation| json!(violation).to_string());
        Ok(texts.collect())
    }

    fn check_rules(&mut self, txn: &WriteTxn<'_>, place: Place<'_>, json: &[u8]) -> Step<()> {
        if place.collection == system::RULES {
            let document = parse_stored(json).ok_or_else(damaged)?;
            Rules::parse(&document, At::root(system::RULES))?;
            return Ok(());
        }
        let rules = self.rules(txn, place.database)?;
        let collection = system::final_name(place.collection);
        let mut fields = Fields::default();
        rules.fields(collection).for_each(|path| fields.add(path.as_str()));
        let to_itself = rules.referencing(collection);
        let to_itself = to_itself.filter(|reference| reference.collection == collection);
        to_itself.for_each(|reference| fields.add(reference.target_field.as_str()));
        if fields == Fields::default() {
            return Ok(());
        }
        let document = self::fields(json, &fields)?;
        let lookup = Lookup { read: txn, database: place.database };
        let violations = rules.check(collection, &document, &lookup)?;
        match violations.is_empty() {
            true => Ok(()),
            false => Err(violation_error(violations).into()),
        }
    }

    /// Refuses to take away a value that other documents refer to.
    fn check_still_referenced(
        &mut self,
        txn: &WriteTxn<'_>,
        place: Place<'_>,
        old: &Stored,
        new: Option<&[u8]>,
    ) -> Step<()> {
        let rules = self.rules(txn, place.database)?;
        for reference in rules.referencing(place.collection) {
            let mut wanted = Fields::default();
            wanted.add(reference.target_field.as_str());
            let value = |json: &[u8]| -> Step<Option<Value>> {
                Ok(reference.target_field.get(&fields(json, &wanted)?).cloned())
            };
            let Some(lost) = value(&old.json)? else { continue };
            if let Some(new) = new
                && value(new)?.as_ref() == Some(&lost)
            {
                continue;
            }
            let lookup = Lookup { read: txn, database: place.database };
            // What refers to itself goes with itself, and another document may have the value too.
            let own = |collection: &str| Some(&old.id).filter(|_| collection == place.collection);
            let (from, to) = (&reference.collection, &reference.target);
            let mut referred = false;
            for field in [&reference.field, &reference.inner_field] {
                referred |= lookup.has(from, field, &lost, own(from))?;
            }
            if referred && !lookup.has(to, &reference.target_field, &lost, own(to))? {
                return Err(referenced_error(reference, &lost).into());
            }
        }
        Ok(())
    }

    /// Brings the indexes from one form of a document to the other.
    fn change_indexes(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Step<()> {
        if collection.indexes.is_empty() {
            return Ok(());
        }
        let mut wanted = Fields::default();
        collection.indexes.iter().for_each(|index| index.fields(&mut wanted));
        let parse = |json: Option<&[u8]>| json.map(|json| fields(json, &wanted)).transpose();
        let (old, new) = (parse(old)?, parse(new)?);
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let mut changes = Vec::new();
        for index in collection.indexes.iter().filter(|index| index.holds(id)) {
            let keys = |document: &Option<Value>| match document {
                Some(document) => index.document_keys(document, &ctx),
                None => Ok(DocumentKeys::default()),
            };
            // What is in the index was indexable when it was put there.
            let (old, new) = (keys(&old)?, keys(&new)?);
            for key in new.entries.keys().filter(|key| !old.entries.contains_key(*key)) {
                index.entry_key(key, id)?;
                check_unique(txn, index, key, id)?;
            }
            changes.push((index.clone(), old, new));
        }
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
    ) -> Step<()> {
        for key in old.entries.keys().filter(|key| !new.entries.contains_key(*key)) {
            txn.delete(Table::Indexes, &index.entry_key(key, id)?)?;
            self.stats(txn, collection, index)?.remove();
        }
        for (key, info) in &new.entries {
            let before = old.entries.get(key);
            if before == Some(info) {
                continue;
            }
            txn.put(Table::Indexes, &index.entry_key(key, id)?, &entry_value(info))?;
            if before.is_none() {
                let prefixes = info.ends.iter().filter_map(|end| key.get(..usize::from(*end)));
                self.stats(txn, collection, index)?.add(prefixes);
            }
        }
        if new.multikey && !index.entry.multikey {
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
        Ok(match self.numbers.stats.entry(index.entry.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(collection.stats(txn, index.entry.id)?),
        })
    }
}

#[derive(Clone, Copy)]
struct ChangeTarget<'a> {
    place: Place<'a>,
    collection: &'a Arc<Collection>,
    returning: Returning,
}

/// A change, parsed once for all documents.
enum ParsedChange {
    Update(Box<Update>),
    Merge(Object),
    Replace(Object),
}

impl ParsedChange {
    fn parse(change: &Change) -> Step<ParsedChange> {
        let value = |text: &String| parse_stored(text.as_bytes()).ok_or_else(damaged);
        let object = |text: &String| match value(text)? {
            Value::Object(fields) => Ok(fields),
            _ => Err(damaged()),
        };
        Ok(match change {
            Change::Update { update, array_filters } => {
                let filters = array_filters.as_ref().map(value).transpose()?;
                let update = Update::parse(&value(update)?, filters.as_ref(), At::root("update"))?;
                ParsedChange::Update(Box::new(update))
            }
            Change::Merge(patch) => ParsedChange::Merge(object(patch)?),
            Change::Replace(body) => ParsedChange::Replace(object(body)?),
        })
    }

    /// Changes the document; tells whether it is another one now.
    fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> Step<bool> {
        match (self, document) {
            (ParsedChange::Update(update), document) => {
                Ok(update.apply(document, filter, inserting, ctx)?)
            }
            (ParsedChange::Merge(patch), Value::Object(fields)) => Ok(merge_patch(fields, patch)?),
            (ParsedChange::Replace(body), Value::Object(fields)) => {
                let mut replaced: Object = fields
                    .get_key_value("_id")
                    .into_iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                replaced.extend(body.iter().map(|(name, value)| (name.clone(), value.clone())));
                // Whatever the values are equal to: their texts may differ.
                let before = Value::Object(std::mem::take(fields)).to_json();
                *fields = replaced;
                Ok(inserting || before != serde_json::to_string(&*fields).unwrap_or_default())
            }
            _ => Err(damaged()),
        }
    }
}

/// Looks for values in other collections, by index where there is one.
struct Lookup<'t, R> {
    read: &'t R,
    database: &'t str,
}

impl<R: Read> Lookup<'_, R> {
    /// Whether a document of the collection, other than `except`, has the value in the field.
    fn has(
        &self,
        collection: &str,
        field: &Path,
        value: &Value,
        except: Option<&DocumentId>,
    ) -> error::Result<bool> {
        let Some(id) = catalog::collection(self.read, self.database, collection)? else {
            return Ok(false);
        };
        let collection = Collection::load(self.read, id)?;
        let filter = Filter::Field(field.clone(), Test::Eq(value.clone()));
        let interrupt = || Ok(());
        let ctx = Context::new(0, usize::MAX, &interrupt);
        let found = matching(self.read, &collection, &filter, None, None, 2, &ctx)?;
        Ok(found.iter().any(|id| Some(id) != except))
    }
}

impl<R: Read> References for Lookup<'_, R> {
    fn exists(&self, collection: &str, field: &Path, value: &Value) -> error::Result<bool> {
        self.has(collection, field, value, None)
    }
}

/// The `_id`s of the first `limit` documents that match, in the order of the sort.
fn matching(
    read: &impl Read,
    collection: &Collection,
    filter: &Filter,
    sort: Option<&Sort>,
    hint: Option<&Hint>,
    limit: u64,
    ctx: &Context<'_>,
) -> error::Result<Vec<DocumentId>> {
    let wanted = Wanted { filter, sort, ordered: true, limit: Some(limit), fields: None };
    let (plan, _) = plan::choose(read, collection, wanted, hint)?;
    let (fields, counters) = (Fields::default(), Counters::default());
    let execution = Execution {
        read,
        collection,
        wanted,
        fields: &fields,
        after: None,
        ctx,
        counters: &counters,
    };
    let mut found = Vec::new();
    for document in execution.run(&plan)?.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
        if let Some(id) = document?.id() {
            ctx.charge(id.to_string().len() + 32, "the set of documents to change")?;
            found.push(id);
        }
    }
    Ok(found)
}

/// The `_id`s of the documents an operation is for, and the filter that chose them.
fn select_documents(
    txn: &WriteTxn<'_>,
    collection: &Collection,
    select: &Select,
    multi: bool,
    limits: &WriteLimits,
    ctx: &Context<'_>,
) -> Step<(Vec<DocumentId>, Option<Filter>)> {
    let (filter, sort, hint) = match select {
        Select::Id { target, if_match } => {
            let (id, current) = find_target(txn, collection.id, target.clone())?;
            check_revision(&id, *if_match, current.as_ref().map(|stored| stored.revision))?;
            current.ok_or_else(|| document_not_found(&id))?;
            let filter = Filter::Field(Path::field("_id"), Test::Eq(id_value(&id)));
            return Ok((vec![id], Some(filter)));
        }
        Select::Filter { filter, sort, hint } => (filter, sort, hint),
    };
    let value = |text: &String| parse_stored(text.as_bytes()).ok_or_else(damaged);
    let filter = parse_filter(filter)?;
    let sort = sort
        .as_ref()
        .map(|text| -> Step<Sort> { Ok(Sort::parse(&value(text)?, At::root("sort"))?) });
    let hint = hint
        .as_ref()
        .map(|text| -> Step<Hint> { Ok(Hint::parse(&value(text)?, At::root("hint"))?) });
    let (sort, hint) = (sort.transpose()?, hint.transpose()?);
    let limit = if multi { limits.documents_max.saturating_add(1) } else { 1 };
    let found = matching(txn, collection, &filter, sort.as_ref(), hint.as_ref(), limit, ctx)?;
    if found.len() as u64 > limits.documents_max {
        let message = format!("the operation is for more than {} documents", limits.documents_max);
        return Err(Error::new(Kind::QueryTooLarge, message)
            .hint("do it in parts, with a narrower filter")
            .into());
    }
    Ok((found, Some(filter)))
}

fn parse_filter(text: &str) -> Step<Filter> {
    let value = parse_stored(text.as_bytes()).ok_or_else(damaged)?;
    Ok(Filter::parse(&value, At::root("filter"))?)
}

/// What an operation on a collection that does not exist comes to.
fn missing_for(select: Select, place: Place<'_>) -> Step<Wrote> {
    match select {
        Select::Filter { .. } => Ok(Wrote::default()),
        Select::Id { .. } => Err(collection_not_found(place.database, place.collection).into()),
    }
}

fn damaged() -> Stop {
    Stop::Failed(StorageError::Failed("a document or command cannot be read".into()))
}

fn json_of(stored: &[u8]) -> &[u8] {
    stored.get(8..).unwrap_or_default()
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}

fn as_json(json: &[u8]) -> Step<serde_json::Value> {
    serde_json::from_slice(json).map_err(|_| damaged())
}

fn fields(json: &[u8], wanted: &Fields) -> Step<Value> {
    let parsed = match wanted {
        Fields::All => parse_stored(json),
        some => parse_fields(json, |name| some.contains(name)),
    };
    parsed.ok_or_else(damaged)
}

/// The text of a document without its `_id`.
fn body_of(document: Value, id: &DocumentId, limits: &WriteLimits) -> Step<String> {
    let Value::Object(mut fields) = document else { return Err(damaged()) };
    fields.shift_remove("_id");
    let document = Value::Object(fields);
    document::check_names(&document)?;
    if document.depth() > limits.depth_max as usize {
        let message =
            format!("the document {id} would be nested deeper than {} levels", limits.depth_max);
        return Err(Error::new(Kind::TooDeep, message).hint("flatten the document").into());
    }
    let body = document.to_json();
    if body.len() as u64 > limits.document_bytes_max {
        let message = format!(
            "the document {id} would have {} bytes, {} are allowed",
            body.len(),
            limits.document_bytes_max
        );
        return Err(Error::new(Kind::TooLarge, message)
            .hint("split the data over several documents")
            .into());
    }
    Ok(body)
}

fn find(read: &impl Read, collection: CollectionId, id: &DocumentId) -> Result<Option<Stored>> {
    let stored = read.get(Table::Documents, &keys::document_key(collection, id))?;
    Ok(stored.and_then(document::decode).map(|(revision, json)| Stored {
        id: id.clone(),
        revision,
        json: json.to_vec(),
    }))
}

/// Which document a target means, and what is stored of it.
fn find_target(
    read: &impl Read,
    collection: CollectionId,
    target: Target,
) -> Result<(DocumentId, Option<Stored>)> {
    let current = find(read, collection, &target.id)?;
    if current.is_none()
        && let Some(other) = target.or
        && let Some(found) = find(read, collection, &other)?
    {
        return Ok((other, Some(found)));
    }
    Ok((target.id, current))
}

fn duplicate(id: &DocumentId) -> Error {
    Error::new(Kind::DuplicateId, format!("a document {id} exists"))
        .hint("use another _id, or replace the document")
        .details(json!({"id": id}))
}

/// Refuses a key that another document has in a unique index.
pub(super) fn check_unique(
    read: &impl Read,
    index: &Index,
    values: &[u8],
    id: &DocumentId,
) -> Step<()> {
    if !index.entry.spec.unique {
        return Ok(());
    }
    let start = [&index.start()[..], values].concat();
    let end = [&start[..], &[0xff]].concat();
    for row in read.range(Table::Indexes, &start, &end)? {
        let (key, value) = row?;
        let entry = Entry::new(key, value);
        let other = keys::document_id(&entry.document_key(0, index.id_descending()));
        let Some(other) = other.filter(|other| other != id) else { continue };
        let fields = index.names().enumerate().map(|(at, (name, descending))| {
            let value = entry.field(at, descending).flatten().unwrap_or_default();
            (name.to_owned(), json!(value))
        });
        let fields: serde_json::Map<_, _> = fields.collect();
        let shown = serde_json::Value::Object(fields);
        let name = &index.entry.spec.name;
        let message =
            format!("the index {name:?} is unique, and the document {other} has {shown} already");
        return Err(Error::new(Kind::UniqueViolation, message)
            .hint("use another value, or change the document that has it")
            .details(json!({"index": name, "value": shown, "document": other}))
            .into());
    }
    Ok(())
}

fn check_revision(
    id: &DocumentId,
    wanted: Option<Revision>,
    current: Option<Revision>,
) -> error::Result<()> {
    if wanted.is_none() || wanted == current {
        return Ok(());
    }
    let message = match current {
        Some(revision) => format!("document {id} has revision {revision}"),
        None => format!("there is no document {id}"),
    };
    Err(Error::new(Kind::RevisionMismatch, message)
        .hint("read the document again and repeat the change on what it holds now")
        .details(json!({"wanted": wanted, "current": current})))
}

fn missing_place(read: &impl Read, place: Place<'_>) -> Result<Error> {
    Ok(match catalog::database(read, place.database)? {
        None => database_not_found(place.database),
        Some(_) => collection_not_found(place.database, place.collection),
    })
}

/// What a document breaks, without storing it: for a dry run.
pub fn dry_run(
    read: &impl Read,
    database: &str,
    collection: &str,
    rules: &Rules,
    document: &Value,
) -> error::Result<Vec<Violation>> {
    rules.check(collection, document, &Lookup { read, database })
}

/// Compiled schemas, by their text. Kept over transactions: compiling takes longer than checking.
#[derive(Default)]
pub struct Schemas(HashMap<String, Arc<Schema>>);

/// Schemas that are kept.
const SCHEMAS_MAX: usize = 64;

impl Schemas {
    fn get(&mut self, text: &str) -> Step<Arc<Schema>> {
        if let Some(schema) = self.0.get(text) {
            return Ok(schema.clone());
        }
        if self.0.len() >= SCHEMAS_MAX {
            self.0.clear();
        }
        let schema = Arc::new(Schema::compile(&as_json(text.as_bytes())?)?);
        self.0.insert(text.to_owned(), schema.clone());
        Ok(schema)
    }
}
