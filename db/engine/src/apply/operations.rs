//! Applying operations: those of a write, which may change any number of documents, and of a batch.
//!
//! A document is checked against everything before anything is written, so one that is refused
//! leaves no trace; what writes many documents does so in a nested transaction.

use crate::apply::Applier;
use crate::apply::result::{ApplyResult, settle};
use crate::apply::select::select_documents;
use crate::apply::stored::{damaged, find, text};
use crate::budget::{self, steps_of};
use crate::catalog::{self, Collection};
use crate::command::texts::{ParsedMutation, check_key, parse_filter};
use crate::command::{Operation, OperationResult, Outcome, Returning, Select, Write, WriteLimits};
use crate::document;
use crate::error::{self, Error, collection_not_found, database_not_found, duplicate};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::query::context::{At, Context};
use crate::query::filter::Filter;
use crate::query::update::upsert_base;
use crate::storage::WriteTxn;
use crate::value::{self, Value, parse_stored};
use std::sync::Arc;

/// Where an operation takes place, and within which bounds.
#[derive(Clone, Copy)]
pub(super) struct OperationScope<'a> {
    pub(super) namespace: NamespaceRef<'a>,
    pub(super) limits: &'a WriteLimits,
    pub(super) ctx: &'a Context<'a>,
}

/// An [`Operation::Modify`] that was read.
struct Modification {
    change: ParsedMutation,
    multi: bool,
    upsert: Option<DocumentId>,
    returning: Returning,
}

impl Applier {
    /// [`Command::Write`](super::Command::Write)
    pub(super) fn write_many(&mut self, txn: &mut WriteTxn<'_>, write: Write) -> ApplyResult {
        let namespace = write.namespace.borrowed();
        if !write.create_database && catalog::database(txn, namespace.database)?.is_none() {
            return Err(database_not_found(namespace.database).into());
        }
        let ctx = self.context(write.time_ms);
        let scope = OperationScope { namespace, limits: &write.limits, ctx: &ctx };
        let mut results = Vec::with_capacity(write.operations.len());
        let mut full = None;
        for operation in write.operations {
            let kept = ctx.memory_used();
            let result = match &full {
                Some(error) => Err(Error::clone(error)),
                None => settle(self.operation(txn, scope, operation))?,
            };
            // Its memory is released, except that of its result.
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
        scope: OperationScope<'_>,
        operation: Operation,
    ) -> ApplyResult<OperationResult> {
        let OperationScope { namespace, ctx, .. } = scope;
        ctx.work(budget::LOOK_UP)?;
        match operation {
            Operation::Insert { id, body } => self.insert(txn, namespace, id, body, false),
            Operation::Delete { select, multi, returning } => {
                let Some(collection) = self.collection(txn, namespace)? else {
                    return missing_for(select, namespace);
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    this.delete_matching(txn, scope, &collection, &select, multi, returning)
                })
            }
            Operation::Modify { select, mutation, multi, upsert, returning } => {
                let change = ParsedMutation::parse(&mutation)?;
                ctx.work(change.steps())?;
                let modification = Modification { change, multi, upsert, returning };
                let Some(collection) = self.collection(txn, namespace)? else {
                    return match (&select, &modification.upsert) {
                        (Select::Filter { filter, .. }, Some(id)) => {
                            let filter = parse_filter(filter)?;
                            ctx.work(filter.parse_steps())?;
                            self.upsert(txn, scope, &filter, &modification, id)
                        }
                        _ => missing_for(select, namespace),
                    };
                };
                self.settle_numbers(txn, &collection, &select)?;
                self.all_or_nothing(txn, multi, |this, txn| {
                    this.change_matching(txn, scope, &collection, &select, &modification)
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

    pub(super) fn insert(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        id: DocumentId,
        body: String,
        upserted: bool,
    ) -> ApplyResult<OperationResult> {
        // An upsert takes the _id from a filter; its length is not checked yet.
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

    fn delete_matching(
        &mut self,
        txn: &mut WriteTxn<'_>,
        scope: OperationScope<'_>,
        collection: &Arc<Collection>,
        select: &Select,
        multi: bool,
        returning: Returning,
    ) -> ApplyResult<OperationResult> {
        let OperationScope { namespace, limits, ctx } = scope;
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

    fn change_matching(
        &mut self,
        txn: &mut WriteTxn<'_>,
        scope: OperationScope<'_>,
        collection: &Arc<Collection>,
        select: &Select,
        modification: &Modification,
    ) -> ApplyResult<OperationResult> {
        let OperationScope { namespace, limits, ctx } = scope;
        let Modification { change, multi, upsert, returning } = modification;
        let (multi, returning) = (*multi, *returning);
        let (found, filter) = select_documents(txn, collection, select, multi, limits, ctx)?;
        if found.is_empty()
            && let (Some(id), Some(filter)) = (upsert, &filter)
        {
            return self.upsert(txn, scope, filter, modification, id);
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

    fn upsert(
        &mut self,
        txn: &mut WriteTxn<'_>,
        scope: OperationScope<'_>,
        filter: &Filter,
        modification: &Modification,
        made: &DocumentId,
    ) -> ApplyResult<OperationResult> {
        let OperationScope { namespace, limits, ctx } = scope;
        let Modification { change, returning, .. } = modification;
        let mut document = upsert_base(filter, At::root("filter"))?;
        change.apply(&mut document, Some(filter), true, ctx)?;
        let id = match document.as_object().and_then(|fields| fields.get("_id")) {
            None => made.clone(),
            Some(id) => DocumentId::new(id.clone()).ok_or_else(document::no_id)?,
        };
        let body = body_of(document, &id, limits)?;
        let mut wrote = self.insert(txn, namespace, id.clone(), body, true)?;
        if *returning == Returning::After
            && let Some(collection) = self.collection(txn, namespace)?
        {
            wrote.document = find(txn, collection.id, &id)?.map(|stored| text(stored.json));
        }
        Ok(wrote)
    }
}

/// Bytes that the result of an operation takes in memory.
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

/// The result of an operation on a collection that does not exist.
fn missing_for(select: Select, namespace: NamespaceRef<'_>) -> ApplyResult<OperationResult> {
    match select {
        Select::Filter { .. } => Ok(OperationResult::default()),
        Select::Id { .. } => {
            Err(collection_not_found(namespace.database, namespace.collection).into())
        }
    }
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
