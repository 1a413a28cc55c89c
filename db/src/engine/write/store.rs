//! Storing one document, with all that depends on it.

use super::select::{Stored, find, matching};
use super::{Step, Stop, as_json, damaged, fields, json_of};
use crate::engine::apply::{Applier, Place};
use crate::engine::catalog::{self, Collection};
use crate::engine::change::Changed;
use crate::engine::document::{self, Revision};
use crate::engine::index::keys::DocumentKeys;
use crate::engine::index::stats::IndexStats;
use crate::engine::index::{Entry, Index, entry_value};
use crate::engine::query::context::{At, Context, Fields};
use crate::engine::query::filter::{Filter, Test};
use crate::engine::query::path::Path;
use crate::engine::rules::{References, Rules, Violation, referenced_error, violation_error};
use crate::engine::schema::Schema;
use crate::engine::system;
use crate::engine::value::{Value, parse_fields, parse_stored};
use crate::error::{self, Error, Kind};
use crate::storage::env::Result;
use crate::storage::keys;
use crate::storage::{Read, Table, WriteTxn};
use jettra_driver::DocumentId;
use jettra_driver::wire::ChangeKind;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// Sequential indexes with the last number of each.
type Numbered = Vec<(Arc<Index>, i64)>;

impl Applier {
    /// Writes a document over what is there, with all that depends on it.
    pub(in crate::engine) fn store(
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
        self.change_indexes(txn, collection, id, old.and_then(Stored::in_indexes), Some(json))?;
        let kind = if old.is_none() { ChangeKind::Insert } else { ChangeKind::Update };
        self.keep_version(txn, collection, id, old, kind)?;
        txn.put(Table::Documents, &keys::document_key(collection.id, id), &stored)?;
        let (before, after) = (old.map(|old| &old.json[..]), Some(json));
        let changed = Changed {
            kind,
            id: Some(id),
            revision: Some(revision),
            before,
            after,
            renamed_to: None,
        };
        self.note_change(txn, place, changed)?;
        for (index, number) in numbers {
            self.stats(txn, collection, &index)?.last_number = number;
        }
        self.numbers.revision = revision;
        let index = self.now.index;
        let totals = self.totals(txn, collection.id)?;
        totals.changed = index;
        totals.documents += u64::from(old.is_none());
        totals.bytes += json.len() as u64;
        totals.bytes = totals.bytes.saturating_sub(old.map_or(0, |old| old.json.len() as u64));
        if place.collection == system::RULES {
            self.rules_changed(txn, place.database)?;
        }
        Ok((revision, warnings))
    }

    /// Deletes a document with all that depends on it.
    pub(in crate::engine) fn remove(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> Step<()> {
        self.check_still_referenced(txn, place, old, None)?;
        self.change_indexes(txn, collection, &old.id, old.in_indexes(), None)?;
        let kind = ChangeKind::Delete;
        self.keep_version(txn, collection, &old.id, Some(old), kind)?;
        txn.delete(Table::Documents, &keys::document_key(collection.id, &old.id))?;
        let before = Some(&old.json[..]);
        let changed = Changed {
            kind,
            id: Some(&old.id),
            revision: None,
            before,
            after: None,
            renamed_to: None,
        };
        self.note_change(txn, place, changed)?;
        let index = self.now.index;
        let totals = self.totals(txn, collection.id)?;
        totals.changed = index;
        totals.documents = totals.documents.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(old.json.len() as u64);
        if place.collection == system::RULES {
            self.rules_changed(txn, place.database)?;
        }
        Ok(())
    }

    /// Deletes a document whose time has passed; one that is still referenced stays.
    pub(in crate::engine) fn expire_document(
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
                    self.numbered.insert(index.entry.id);
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
        let Some(schema) = collection.options.schema.as_ref().filter(|_| !self.checked) else {
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

    pub(super) fn check_rules(
        &mut self,
        txn: &WriteTxn<'_>,
        place: Place<'_>,
        json: &[u8],
    ) -> Step<()> {
        if self.checked {
            return Ok(());
        }
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
        if self.checked {
            return Ok(());
        }
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

    /// Takes a document out of the indexes.
    pub(in crate::engine) fn unindex(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> Step<()> {
        self.change_indexes(txn, collection, &old.id, Some(&old.json), None)
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
    pub(in crate::engine) fn write_entries(
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

    pub(in crate::engine) fn stats<'s>(
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

/// Refuses a key that another document has in a unique index.
pub(in crate::engine) fn check_unique(
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
