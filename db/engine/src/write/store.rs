//! Storing one document, with all that depends on it.

use super::select::{Stored, find, matching};
use super::{damaged, fields, json_of, new_fields, unreadable};
use crate::apply::{Applier, ApplyError, ApplyResult};
use crate::budget::{self, steps_of};
use crate::catalog::{self, Collection};
use crate::changes::ChangeDetails;
use crate::changes::ChangeKind;
use crate::document::{self, Revision};
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::index::keys::DocumentKeys;
use crate::index::stats::IndexStats;
use crate::index::{self, Entry, Index, entry_value};
use crate::namespace::NamespaceRef;
use crate::query::context::{At, Context, Fields};
use crate::query::filter::{Filter, Test};
use crate::query::path::Path;
use crate::query::plan::Hint;
use crate::rules::{
    RULES_BYTES_MAX, RULES_MAX, Reference, References, Rules, Violation, referenced_error,
    violation_error,
};
use crate::schema::Schema;
use crate::storage::env::Result;
use crate::storage::keys;
use crate::storage::{Read, Table, WriteTxn};
use crate::system;
use crate::value::{Value, parse_fields, parse_stored};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Sequential indexes with the last number of each.
type Numbered = Vec<(Arc<Index>, i64)>;

impl Applier {
    /// Writes a document over what is there, with all that depends on it.
    pub(crate) fn store(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&Stored>,
        body: String,
    ) -> ApplyResult<(Revision, Vec<String>)> {
        if namespace.collection != system::RULES {
            return self.store_document(txn, namespace, collection, id, old, body);
        }
        // Rules bring indexes, which may not be possible.
        self.few_or_nothing(txn, |this, txn| {
            this.check_rules_fit(txn, namespace, collection, old, &body)?;
            let (revision, mut warnings) =
                this.store_document(txn, namespace, collection, id, old, body.clone())?;
            let document = document::encode(revision, id, &body);
            warnings.extend(this.rules_changed(txn, namespace.database, json_of(&document))?);
            Ok((revision, warnings))
        })
    }

    /// Counts the work and the bytes of writing one document, before any of it is done.
    fn charge_document(
        &self,
        collection: &Collection,
        steps: u64,
        old: usize,
        new: usize,
    ) -> ApplyResult<()> {
        let ctx = self.context(0);
        ctx.work(steps + steps_of(2 * (old + new)))?;
        // The document itself, both its forms for those who watch, and the former one once more.
        let versions = usize::from(collection.options.versions.is_some());
        Ok(ctx.write(budget::ROW_BYTES + (2 * new + (1 + versions) * old) as u64)?)
    }

    fn store_document(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
        old: Option<&Stored>,
        body: String,
    ) -> ApplyResult<(Revision, Vec<String>)> {
        document::check_body(&body)?;
        let former = old.map_or(0, |old| old.json.len());
        self.charge_document(collection, budget::STORE, former, body.len())?;
        let (body, numbers) = self.number_document(txn, collection, body, old.is_none())?;
        let revision = self.numbers.revision + 1;
        let stored = document::encode(revision, id, &body);
        let json = json_of(&stored);
        let warnings = self.check_document(txn, namespace, collection, json)?;
        if let Some(old) = old {
            self.check_still_referenced(txn, namespace, old, Some(json))?;
        }
        self.change_indexes(txn, collection, id, old.and_then(Stored::in_indexes), Some(json))?;
        let kind = if old.is_none() { ChangeKind::Insert } else { ChangeKind::Update };
        self.keep_version(txn, collection, id, old, kind)?;
        txn.put(Table::Documents, &keys::document_key(collection.id, id), &stored)?;
        let (before, after) = (old.map(|old| &old.json[..]), Some(json));
        let changed = ChangeDetails {
            kind,
            id: Some(id),
            revision: Some(revision),
            before,
            after,
            renamed_to: None,
        };
        self.note_change(txn, namespace, changed)?;
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
        Ok((revision, warnings))
    }

    /// Deletes a document with all that depends on it.
    pub(crate) fn remove(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> ApplyResult<()> {
        self.charge_document(collection, budget::REMOVE, old.json.len(), 0)?;
        self.check_still_referenced(txn, namespace, old, None)?;
        self.change_indexes(txn, collection, &old.id, old.in_indexes(), None)?;
        let kind = ChangeKind::Delete;
        self.keep_version(txn, collection, &old.id, Some(old), kind)?;
        txn.delete(Table::Documents, &keys::document_key(collection.id, &old.id))?;
        let before = Some(&old.json[..]);
        let changed = ChangeDetails {
            kind,
            id: Some(&old.id),
            revision: None,
            before,
            after: None,
            renamed_to: None,
        };
        self.note_change(txn, namespace, changed)?;
        let index = self.now.index;
        let totals = self.totals(txn, collection.id)?;
        totals.changed = index;
        totals.documents = totals.documents.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(old.json.len() as u64);
        if namespace.collection == system::RULES {
            self.forget_rules(namespace.database);
        }
        Ok(())
    }

    /// Deletes a document whose time has passed; one that is still referenced stays.
    pub(crate) fn expire_document(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        id: &DocumentId,
    ) -> ApplyResult<bool> {
        let Some(stored) = find(txn, collection.id, id)? else { return Ok(false) };
        match self.remove(txn, namespace, collection, &stored) {
            Ok(()) => Ok(true),
            Err(ApplyError::Refused(_)) => Ok(false),
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
    ) -> ApplyResult<(String, Numbered)> {
        let mut numbers = Vec::new();
        for index in collection.indexes.iter().filter(|index| index.entry.spec.sequential) {
            let field = index.paths[0].as_str();
            let known = parse_fields(body.as_bytes(), |name| name == field);
            let known = known.ok_or_else(unreadable)?;
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
        namespace: NamespaceRef<'_>,
        collection: &Collection,
        json: &[u8],
    ) -> ApplyResult<Vec<String>> {
        self.check_rules(txn, namespace, json)?;
        let Some(schema) = collection.options.schema.as_ref().filter(|_| !self.checked) else {
            return Ok(Vec::new());
        };
        let ctx = self.context(0);
        if self.schemas.is_first(schema) {
            // Compiling takes far longer than reading; whether it is known already must not count.
            ctx.work(10 * schema.len() as u64)?;
        }
        ctx.work((schema.len() + json.len()) as u64 / 8)?;
        let json = serde_json::from_slice(json).map_err(|_| unreadable())?;
        let found = self.schemas.get(schema)?.check(&json);
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
        namespace: NamespaceRef<'_>,
        json: &[u8],
    ) -> ApplyResult<()> {
        if self.checked {
            return Ok(());
        }
        if namespace.collection == system::RULES {
            let document = parse_stored(json).ok_or_else(unreadable)?;
            Rules::parse(&document, At::root(system::RULES))?;
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        let collection = system::final_name(namespace.collection);
        let mut fields = Fields::default();
        rules.fields(collection).for_each(|path| fields.add(path.as_str()));
        let to_itself = rules.references_of(collection);
        let to_itself = to_itself.filter(|reference| reference.target == collection);
        to_itself.for_each(|reference| fields.add(reference.target_field.as_str()));
        if fields == Fields::default() {
            return Ok(());
        }
        let ctx = self.context(0);
        ctx.work(rules.len_of(collection) as u64 * budget::RULE)?;
        let document = new_fields(json, &fields)?;
        let lookup = self.lookup(txn, namespace.database, rules.references_of(collection), &ctx)?;
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
        namespace: NamespaceRef<'_>,
        old: &Stored,
        new: Option<&[u8]>,
    ) -> ApplyResult<()> {
        if self.checked {
            return Ok(());
        }
        let rules = self.rules(txn, namespace.database)?;
        if rules.referencing(namespace.collection).next().is_none() {
            return Ok(());
        }
        let ctx = self.context(0);
        let references = rules.referencing(namespace.collection);
        let lookup = self.lookup(txn, namespace.database, references, &ctx)?;
        for reference in rules.referencing(namespace.collection) {
            ctx.work(budget::RULE)?;
            if !lookup.in_force(reference) {
                continue;
            }
            let mut wanted = Fields::default();
            wanted.add(reference.target_field.as_str());
            let value = |fields: Value| reference.target_field.get(&fields).cloned();
            // Nothing refers to null.
            let lost = value(fields(&old.json, &wanted)?).filter(|lost| *lost != Value::Null);
            let Some(lost) = lost else { continue };
            if let Some(new) = new
                && value(new_fields(new, &wanted)?).as_ref() == Some(&lost)
            {
                continue;
            }
            // What refers to itself goes with itself, and another document may have the value too.
            let own =
                |collection: &str| Some(&old.id).filter(|_| collection == namespace.collection);
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

    /// Prepares to look up values on both sides of references.
    pub(super) fn lookup<'t, 'x>(
        &mut self,
        txn: &'t WriteTxn<'x>,
        database: &str,
        references: impl Iterator<Item = &'t Arc<Reference>>,
        ctx: &'t Context<'static>,
    ) -> Result<Lookup<'t, WriteTxn<'x>>> {
        let mut collections = HashMap::new();
        for (collection, _) in references.flat_map(|reference| reference.sides()) {
            if !collections.contains_key(collection)
                && let Some(known) = self.collection(txn, NamespaceRef { database, collection })?
            {
                collections.insert(collection.to_owned(), known);
            }
        }
        Ok(Lookup { read: txn, collections, ctx })
    }

    /// Refuses rules that are too many or too large together with those that are there.
    fn check_rules_fit(
        &mut self,
        txn: &WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Collection,
        old: Option<&Stored>,
        body: &str,
    ) -> ApplyResult<()> {
        let bytes = self.totals(txn, collection.id)?.bytes;
        // All of them are compiled again.
        self.context(0).work(2 * (bytes + body.len() as u64))?;
        let former = old.map_or(0, |old| old.json.len() as u64);
        let bytes = bytes.saturating_sub(former) + body.len() as u64;
        if bytes > RULES_BYTES_MAX {
            let message = format!(
                "the rules of {:?} would have {bytes} bytes, {RULES_BYTES_MAX} are allowed",
                namespace.database
            );
            return Err(Error::new(Kind::TooLarge, message).hint("delete rules first").into());
        }
        let count = |json: &[u8]| match parse_stored(json) {
            Some(document) => Rules::stored([&document]).len(),
            None => 0,
        };
        let known = self.rules(txn, namespace.database)?.len();
        let known = known.saturating_sub(old.map_or(0, |old| count(&old.json)));
        let rules = known + count(body.as_bytes());
        if rules > RULES_MAX {
            let message = format!(
                "{:?} would have {rules} rules, {RULES_MAX} are allowed",
                namespace.database
            );
            return Err(Error::new(Kind::TooLarge, message).hint("delete rules first").into());
        }
        Ok(())
    }

    /// Takes a document out of the indexes.
    pub(crate) fn unindex(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Arc<Collection>,
        old: &Stored,
    ) -> ApplyResult<()> {
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
            for key in new.entries.keys().filter(|key| !old.entries.contains_key(*key)) {
                index.entry_key(key, id)?;
                check_unique(txn, index, key, id)?;
            }
            changes.push((index.clone(), old, new));
        }
        ctx.release(ctx.memory_used().saturating_sub(kept));
        for (index, old, new) in changes {
            self.write_entries(txn, collection, &index, id, &old, &new)?;
        }
        Ok(())
    }

    /// Replaces the entries of a document in one index.
    pub(crate) fn write_entries(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
        index: &Index,
        id: &DocumentId,
        old: &DocumentKeys,
        new: &DocumentKeys,
    ) -> ApplyResult<()> {
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

    pub(crate) fn stats<'s>(
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

/// Counts the work and the bytes of bringing an index from some keys of a document to others.
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

/// Looks for values in other collections, by index.
pub(super) struct Lookup<'t, R> {
    pub(super) read: &'t R,
    /// Those of the references' collections that exist.
    pub(super) collections: HashMap<String, Arc<Collection>>,
    pub(super) ctx: &'t Context<'t>,
}

/// The index that finds the documents with a value in a field, every one of them.
pub(crate) fn finds<'c>(collection: &'c Collection, field: &Path) -> Option<&'c Arc<Index>> {
    collection.indexes.iter().find(|index| {
        index.is_ready() && index.entry.spec.partial.is_none() && index.paths == [field.clone()]
    })
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
        let Some(collection) = self.collections.get(collection) else { return Ok(false) };
        self.ctx.work(budget::LOOK_UP)?;
        if field.as_str() == "_id" {
            let Some(id) = index::document_id(value).filter(|id| Some(id) != except) else {
                return Ok(false);
            };
            return Ok(find(self.read, collection.id, &id)?.is_some());
        }
        let Some(index) = finds(collection, field) else { return Ok(false) };
        self.ctx.work(budget::PLAN)?;
        // Named, so that no statistics decide how it is found and how many steps that takes.
        let hint = Hint::Name(index.entry.spec.name.clone());
        let filter = Filter::Field(field.clone(), Test::Eq(value.clone()));
        let kept = self.ctx.memory_used();
        let found = matching(self.read, collection, &filter, None, Some(&hint), 2, self.ctx)?;
        self.ctx.release(self.ctx.memory_used().saturating_sub(kept));
        Ok(found.iter().any(|id| Some(id) != except))
    }
}

impl<R: Read> References for Lookup<'_, R> {
    fn exists(&self, collection: &str, field: &Path, value: &Value) -> error::Result<bool> {
        self.has(collection, field, value, None)
    }

    fn in_force(&self, reference: &Reference) -> bool {
        reference.sides().into_iter().all(|(collection, field)| {
            let known = self.collections.get(collection);
            known.is_none_or(|known| field.as_str() == "_id" || finds(known, field).is_some())
        })
    }
}

/// Refuses a key that another document has in a unique index.
pub(crate) fn check_unique(
    read: &impl Read,
    index: &Index,
    values: &[u8],
    id: &DocumentId,
) -> ApplyResult<()> {
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

/// Tells what documents break, without storing them: for a dry run.
///
/// # Errors
/// Storage errors; what it gives fails as look-ups do.
pub fn dry_run<'t>(
    read: &'t impl Read,
    database: &str,
    collection: &'t str,
    rules: &'t Rules,
    ctx: &'t Context<'t>,
) -> Result<impl Fn(&Value) -> error::Result<Vec<Violation>> + 't> {
    let collections = sides(read, database, collection, rules)?;
    let lookup = Lookup { read, collections, ctx };
    Ok(move |document: &Value| rules.check(collection, document, &lookup))
}

/// The references of a collection, as `people.team`, that are not in force because an index of
/// theirs is not ready.
pub fn waiting_references(
    read: &impl Read,
    database: &str,
    collection: &str,
    rules: &Rules,
) -> Result<Vec<String>> {
    let collections = sides(read, database, collection, rules)?;
    let ctx = Context::of(Default::default(), 0);
    let lookup = Lookup { read, collections, ctx: &ctx };
    let waiting = rules.references_of(collection).filter(|reference| !lookup.in_force(reference));
    let named = waiting.map(|reference| format!("{collection}.{}", reference.field.as_str()));
    Ok(named.collect())
}

/// The collections on both sides of a collection's references, as far as they exist.
fn sides(
    read: &impl Read,
    database: &str,
    collection: &str,
    rules: &Rules,
) -> Result<HashMap<String, Arc<Collection>>> {
    let mut collections = HashMap::new();
    for (name, _) in rules.references_of(collection).flat_map(|reference| reference.sides()) {
        if !collections.contains_key(name)
            && let Some(id) = catalog::collection(read, database, name)?
        {
            collections.insert(name.to_owned(), Arc::new(Collection::load(read, id)?));
        }
    }
    Ok(collections)
}

/// Compiled schemas, by their text. Kept over transactions: compiling takes longer than checking.
#[derive(Default)]
pub struct Schemas {
    compiled: HashMap<String, Arc<Schema>>,
    /// Those that the present command has used.
    used: HashSet<String>,
}

/// Schemas that are kept.
const SCHEMAS_MAX: usize = 64;

impl Schemas {
    /// Begins a command.
    pub(crate) fn begin_command(&mut self) {
        self.used.clear();
        if self.compiled.len() > SCHEMAS_MAX {
            self.compiled.clear();
        }
    }

    /// Whether the present command uses it for the first time.
    fn is_first(&mut self, text: &str) -> bool {
        !self.used.contains(text) && self.used.insert(text.to_owned())
    }

    fn get(&mut self, text: &str) -> ApplyResult<Arc<Schema>> {
        if let Some(schema) = self.compiled.get(text) {
            return Ok(schema.clone());
        }
        let schema =
            Arc::new(Schema::compile(&serde_json::from_str(text).map_err(|_| damaged())?)?);
        self.compiled.insert(text.to_owned(), schema.clone());
        Ok(schema)
    }
}
