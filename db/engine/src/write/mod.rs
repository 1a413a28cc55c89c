//! Applying writes of documents. What depends on a document (rules, schema, indexes) is kept in
//! `store`, what concerns references to a whole collection in `references`; `select` finds the
//! documents that an operation is for.
//!
//! A document is checked against everything before anything is written, so one that is refused
//! leaves no trace; what writes many documents does so in a nested transaction.

mod references;
mod select;
mod store;

pub(super) use select::{Stored, find, find_target, matching, parse_filter, parse_sort_and_hint};
pub use store::{Schemas, dry_run, waiting_references};
pub(super) use store::{charge_entries, check_unique, finds};

use crate::apply::{
    Applier, ApplyError, ApplyResult, collection_not_found, database_not_found, document_not_found,
    settle,
};
use crate::budget::{self, steps_of};
use crate::catalog::{self, Collection};
use crate::command::{
    Mutation, Operation, OperationResult, Outcome, PutMode, Returning, Select, Target, Write,
    WriteLimits,
};
use crate::document::{self, Revision};
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::index;
use crate::namespace::NamespaceRef;
use crate::query::context::{At, Context, Fields};
use crate::query::filter::Filter;
use crate::query::merge_patch::merge_patch;
use crate::query::update::{Update, upsert_base};
use crate::storage::env::Result;
use crate::storage::keys;
use crate::storage::{Read, StorageError, WriteTxn};
use crate::value::{self, Object, Value, parse_stored};
use crate::versions::version_key_bytes;
use select::select_documents;
use serde_json::json;
use std::sync::Arc;

impl Applier {
    /// [`Command::Put`](super::Command::Put)
    #[allow(clippy::too_many_arguments)] // the fields of one command, unpacked once
    pub(super) fn put(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        target: Target,
        body: &str,
        mode: PutMode,
        if_match: Option<Revision>,
        create_database: bool,
    ) -> ApplyResult {
        let known = self.collection(txn, namespace)?;
        if known.is_none()
            && !create_database
            && catalog::database(txn, namespace.database)?.is_none()
        {
            return Err(database_not_found(namespace.database).into());
        }
        let (id, current) = match &known {
            Some(collection) => find_target(txn, collection.id, target)?,
            None => (target.id, None),
        };
        if mode == PutMode::Insert && current.is_some() {
            return Err(duplicate(&id).into());
        }
        check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
        check_key(&id)?;
        let collection = match known {
            Some(collection) => collection,
            None => self.create_for_write(txn, namespace, &id, body)?,
        };
        let created = current.is_none();
        let (revision, warnings) =
            self.store(txn, namespace, &collection, &id, current.as_ref(), body.to_owned())?;
        Ok(Outcome::Written { id, revision, created }.with_warnings(warnings))
    }

    /// Makes the collection that a first document is for, unless that will be refused.
    pub(super) fn create_for_write(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: &DocumentId,
        body: &str,
    ) -> ApplyResult<Arc<Collection>> {
        // A collection that does not exist has no indexes and no schema, only rules.
        let document = document::encode(0, id, body);
        self.check_rules(txn, namespace, json_of(&document))?;
        self.ensure_database(txn, namespace.database)?;
        Ok(self.ensure_collection(txn, namespace.database, namespace.collection)?)
    }

    /// [`Command::Delete`](super::Command::Delete)
    pub(super) fn delete(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        target: Target,
        if_match: Option<Revision>,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Err(missing_place(txn, namespace)?.into());
        };
        let (id, current) = find_target(txn, collection.id, target)?;
        check_revision(&id, if_match, current.as_ref().map(|stored| stored.revision))?;
        let Some(current) = current else {
            return Err(document_not_found(&id).into());
        };
        self.remove(txn, namespace, &collection, &current)?;
        Ok(Outcome::Deleted)
    }

    /// [`Command::Write`](super::Command::Write)
    pub(super) fn write_many(&mut self, txn: &mut WriteTxn<'_>, write: Write) -> ApplyResult {
        let namespace = NamespaceRef { database: &write.database, collection: &write.collection };
        if !write.create_database && catalog::database(txn, namespace.database)?.is_none() {
            return Err(database_not_found(namespace.database).into());
        }
        let ctx = self.context(write.time_ms);
        let mut results = Vec::with_capacity(write.operations.len());
        let mut full = None;
        for operation in write.operations {
            let kept = ctx.memory_used();
            let result = match &full {
                Some(error) => Err(Error::clone(error)),
                None => settle(self.operation(txn, namespace, operation, &write.limits, &ctx))?,
            };
            // What it has kept in memory goes, but for its result.
            ctx.release(ctx.memory_used().saturating_sub(kept));
            full = full.or(ctx.charge(result_bytes(&result), "the list of results").err());
            let failed = result.is_err();
            results.push(result);
            if failed && write.ordered {
                break;
            }
        }
        Ok(Outcome::OperationResults(results))
    }

    pub(super) fn operation(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        operation: Operation,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> ApplyResult<OperationResult> {
        ctx.work(budget::LOOK_UP)?;
        match operation {
            Operation::Insert { id, body } => self.insert(txn, namespace, id, body, false),
            Operation::Delete { select, multi, returning } => {
                let Some(collection) = self.collection(txn, namespace)? else {
                    return missing_for(select, namespace);
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    this.delete_matching(
                        txn,
                        namespace,
                        &collection,
                        &select,
                        multi,
                        returning,
                        limits,
                        ctx,
                    )
                })
            }
            Operation::Modify { select, mutation, multi, upsert, returning } => {
                let parsed = ParsedMutation::parse(&mutation)?;
                ctx.work(parsed.steps())?;
                let Some(collection) = self.collection(txn, namespace)? else {
                    return match (&select, upsert) {
                        (Select::Filter { filter, .. }, Some(id)) => {
                            let filter = parse_filter(filter)?;
                            ctx.work(filter.parse_steps())?;
                            self.upsert(
                                txn, namespace, &filter, &parsed, id, returning, limits, ctx,
                            )
                        }
                        _ => missing_for(select, namespace),
                    };
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    let target = MutationTarget { namespace, collection: &collection, returning };
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
    ) -> ApplyResult<()> {
        let Select::Filter { filter, .. } = select else { return Ok(()) };
        // Choosing a plan, and storing the statistics of each index for it.
        let indexes = collection.indexes.len() as u64;
        let each = budget::PLAN + steps_of(filter.len());
        self.context(0).work(each * (1 + indexes) + budget::STATISTICS * indexes)?;
        if indexes > 0 { Ok(self.flush(txn)?) } else { Ok(()) }
    }

    /// Runs a step so that it leaves no trace when it is refused half way.
    pub(super) fn all_or_nothing<T>(
        &mut self,
        txn: &mut WriteTxn<'_>,
        many: bool,
        step: impl FnOnce(&mut Self, &mut WriteTxn<'_>) -> ApplyResult<T>,
    ) -> ApplyResult<T> {
        if !many {
            return step(self, txn);
        }
        if txn.is_marked() {
            return self.few_or_nothing(txn, step);
        }
        self.context(0).work(budget::NESTED)?;
        // What is noted so far is stored by the mark, and stays counted.
        let mark = self.mark_changes(txn)?;
        let (numbers, effects) = (self.numbers.clone(), self.effects.len());
        let mut nested = txn.nested()?;
        let done = step(self, &mut nested);
        if done.is_ok() {
            nested.commit()?;
        } else {
            drop(nested);
            self.numbers = numbers;
            self.effects.truncate(effects);
            self.take_back_changes(mark);
            self.forget_all();
        }
        done
    }

    /// As [`Applier::all_or_nothing`], for steps that change few documents: what was there is
    /// kept in memory meanwhile.
    pub(super) fn few_or_nothing<T>(
        &mut self,
        txn: &mut WriteTxn<'_>,
        step: impl FnOnce(&mut Self, &mut WriteTxn<'_>) -> ApplyResult<T>,
    ) -> ApplyResult<T> {
        let noted = self.mark_changes(txn)?;
        let (numbers, effects) = (self.numbers.clone(), self.effects.len());
        let mark = txn.mark();
        let done = step(self, txn);
        if done.is_ok() {
            txn.release(mark);
        } else {
            txn.roll_back(mark)?;
            self.numbers = numbers;
            self.effects.truncate(effects);
            self.take_back_changes(noted);
            self.forget_all();
        }
        done
    }

    fn insert(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: DocumentId,
        body: String,
        upserted: bool,
    ) -> ApplyResult<OperationResult> {
        // An upsert takes the _id from a filter, which nobody has checked for its length.
        check_key(&id)?;
        let collection = match self.collection(txn, namespace)? {
            Some(collection) => collection,
            None => self.create_for_write(txn, namespace, &id, &body)?,
        };
        if find(txn, collection.id, &id)?.is_some() {
            return Err(duplicate(&id).into());
        }
        let (revision, warnings) = self.store(txn, namespace, &collection, &id, None, body)?;
        let (inserted, revision) = (Some(id), Some(revision));
        Ok(OperationResult { inserted, upserted, revision, warnings, ..OperationResult::default() })
    }

    #[allow(clippy::too_many_arguments)]
    fn delete_matching(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &Arc<Collection>,
        select: &Select,
        multi: bool,
        returning: Returning,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> ApplyResult<OperationResult> {
        let (found, _) = select_documents(txn, collection, select, multi, limits, ctx)?;
        let mut wrote = OperationResult::default();
        for id in found {
            let stored = find(txn, collection.id, &id)?.ok_or_else(damaged)?;
            if returning != Returning::Nothing {
                ctx.charge(stored.json.len(), "the deleted document")?;
            }
            self.remove(txn, namespace, collection, &stored)?;
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
        target: MutationTarget<'_>,
        select: &Select,
        change: &ParsedMutation,
        multi: bool,
        upsert: Option<DocumentId>,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> ApplyResult<OperationResult> {
        let MutationTarget { namespace, collection, returning } = target;
        let (found, filter) = select_documents(txn, collection, select, multi, limits, ctx)?;
        if found.is_empty()
            && let (Some(id), Some(filter)) = (upsert, &filter)
        {
            return self.upsert(txn, namespace, filter, change, id, returning, limits, ctx);
        }
        let mut wrote =
            OperationResult { matched: found.len() as u64, ..OperationResult::default() };
        for id in found {
            let stored = find(txn, collection.id, &id)?.ok_or_else(damaged)?;
            ctx.work(budget::LOOK_UP + steps_of(2 * stored.json.len()))?;
            if returning == Returning::Before {
                ctx.charge(stored.json.len(), "the document that is returned")?;
            }
            let mut document = parse_stored(&stored.json).ok_or_else(damaged)?;
            let changed = change.apply(&mut document, filter.as_ref(), false, ctx)?;
            wrote.revision = Some(stored.revision);
            if changed {
                let body = body_of(document, &stored.id, limits)?;
                if returning == Returning::After {
                    ctx.charge(body.len(), "the document that is returned")?;
                }
                let (revision, warnings) =
                    self.store(txn, namespace, collection, &stored.id, Some(&stored), body)?;
                wrote.modified += 1;
                wrote.revision = Some(revision);
                if multi {
                    let bytes = warnings.iter().map(|warning| 32 + warning.len()).sum();
                    ctx.charge(bytes, "the list of warnings")?;
                }
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
        namespace: NamespaceRef<'_>,
        filter: &Filter,
        change: &ParsedMutation,
        made: DocumentId,
        returning: Returning,
        limits: &WriteLimits,
        ctx: &Context<'_>,
    ) -> ApplyResult<OperationResult> {
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
        let mut wrote = self.insert(txn, namespace, id.clone(), body, true)?;
        if returning == Returning::After
            && let Some(collection) = self.collection(txn, namespace)?
        {
            wrote.document = find(txn, collection.id, &id)?.map(|stored| text(stored.json));
        }
        Ok(wrote)
    }
}

#[derive(Clone, Copy)]
struct MutationTarget<'a> {
    namespace: NamespaceRef<'a>,
    collection: &'a Arc<Collection>,
    returning: Returning,
}

/// A change, parsed once for all documents.
pub(super) enum ParsedMutation {
    Update(Box<Update>),
    Merge(Object),
    Replace(Object),
}

impl ParsedMutation {
    pub(super) fn parse(mutation: &Mutation) -> ApplyResult<ParsedMutation> {
        let object = |text: &String, name| match command_value(text, name)? {
            Value::Object(fields) => Ok(fields),
            _ => Err(At::root(name).invalid("must be an object")),
        };
        Ok(match mutation {
            Mutation::Update { update, array_filters } => {
                let filters = array_filters.as_ref();
                let filters =
                    filters.map(|text| command_value(text, "arrayFilters")).transpose()?;
                let update = command_value(update, "update")?;
                let update = Update::parse(&update, filters.as_ref(), At::root("update"))?;
                ParsedMutation::Update(Box::new(update))
            }
            Mutation::Merge(patch) => ParsedMutation::Merge(object(patch, "patch")?),
            Mutation::Replace(body) => ParsedMutation::Replace(object(body, "replacement")?),
        })
    }

    /// The steps of work that parsing it was, beside reading its text.
    fn steps(&self) -> u64 {
        match self {
            ParsedMutation::Update(update) => update.parse_steps(),
            ParsedMutation::Merge(_) | ParsedMutation::Replace(_) => 0,
        }
    }

    /// Changes the document; tells whether it is another one now.
    fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> ApplyResult<bool> {
        match (self, document) {
            (ParsedMutation::Update(update), document) => {
                Ok(update.apply(document, filter, inserting, ctx)?)
            }
            (ParsedMutation::Merge(patch), Value::Object(fields)) => {
                Ok(merge_patch(fields, patch)?)
            }
            (ParsedMutation::Replace(body), Value::Object(fields)) => {
                check_same_id(fields.get("_id"), body.get("_id"))?;
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

/// Refuses a replacement whose `_id` is not that of the document.
fn check_same_id(known: Option<&Value>, given: Option<&Value>) -> error::Result<()> {
    let (Some(known), Some(given)) = (known, given) else { return Ok(()) };
    if known == given {
        return Ok(());
    }
    let (known, given) = (known.to_json(), given.to_json());
    let message = format!("has the _id {given}, and the document has {known}");
    Err(At::root("replacement")
        .error(Kind::InvalidId, message)
        .hint("an _id cannot be changed: leave it out, or let the filter find the document by it"))
}

/// What the result of an operation takes in memory.
pub(super) fn result_bytes(result: &error::Result<OperationResult>) -> usize {
    const FRAME: usize = 256;
    let wrote = match result {
        Ok(wrote) => wrote,
        Err(error) => {
            let details = error.details.as_ref().map_or(0, |details| details.to_string().len());
            return FRAME + error.message.len() + details;
        }
    };
    let warnings: usize = wrote.warnings.iter().map(|warning| 32 + warning.len()).sum();
    FRAME + wrote.document.as_ref().map_or(0, String::len) + warnings
}

/// What an operation on a collection that does not exist comes to.
fn missing_for(select: Select, namespace: NamespaceRef<'_>) -> ApplyResult<OperationResult> {
    match select {
        Select::Filter { .. } => Ok(OperationResult::default()),
        Select::Id { .. } => {
            Err(collection_not_found(namespace.database, namespace.collection).into())
        }
    }
}

/// What is stored cannot be read. Never for what a command brings: see [`command_value`].
pub(super) fn damaged() -> ApplyError {
    ApplyError::Failed(StorageError::Failed("a stored document cannot be read".into()))
}

/// The value of a text in a command. One that cannot be read is refused, as on every replica.
pub(super) fn command_value(text: &str, name: &str) -> error::Result<Value> {
    parse_stored(text.as_bytes())
        .ok_or_else(|| At::root(name).invalid("cannot be read: it is not JSON, or nested too deep"))
}

fn json_of(stored: &[u8]) -> &[u8] {
    stored.get(8..).unwrap_or_default()
}

pub(super) fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}

/// The fields of a stored document.
fn fields(json: &[u8], wanted: &Fields) -> ApplyResult<Value> {
    document::parse_wanted(json, wanted).ok_or_else(damaged)
}

/// The fields of a document that a command brings.
fn new_fields(json: &[u8], wanted: &Fields) -> ApplyResult<Value> {
    document::parse_wanted(json, wanted).ok_or_else(unreadable)
}

/// The refusal of a document in a command that cannot be read.
fn unreadable() -> ApplyError {
    Error::new(Kind::InvalidJson, "the document cannot be read: it is not JSON, or nested too deep")
        .into()
}

/// The text of a document without its `_id`.
fn body_of(document: Value, id: &DocumentId, limits: &WriteLimits) -> ApplyResult<String> {
    let Value::Object(mut fields) = document else { return Err(damaged()) };
    fields.shift_remove("_id");
    let document = Value::Object(fields);
    document::check_names(&document)?;
    value::check_depth(&document, limits.depth_max as usize, format_args!("the document {id}"))?;
    let body = document.to_json();
    document::check_bytes(body.len(), limits.document_bytes_max as usize)?;
    Ok(body)
}

/// Refuses an `_id` that makes a key, of the document or of its versions, which the storage does
/// not take.
pub(super) fn check_key(id: &DocumentId) -> error::Result<()> {
    let key = version_key_bytes(&keys::document_key(0, id));
    if key <= keys::KEY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("an _id that makes a key of {key} bytes is too long");
    Err(Error::new(Kind::InvalidId, message).hint("use a shorter identifier"))
}

pub(super) fn duplicate(id: &DocumentId) -> Error {
    Error::new(Kind::DuplicateId, format!("a document {id} exists"))
        .hint("use another _id, or replace the document")
        .details(json!({"id": id}))
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

fn missing_place(read: &impl Read, namespace: NamespaceRef<'_>) -> Result<Error> {
    Ok(match catalog::database(read, namespace.database)? {
        None => database_not_found(namespace.database),
        Some(_) => collection_not_found(namespace.database, namespace.collection),
    })
}
