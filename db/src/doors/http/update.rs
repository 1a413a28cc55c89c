//! Writing by query: update, replace, delete, find-and-modify, bulk, patch, and the result of
//! a pipeline.

use super::aggregate::{self, Aggregate};
use super::call::{Call, pooled};
use super::confirm::{self, Action};
use super::document::writable_place;
use super::explain::Explained;
use super::precondition::guarded;
use super::query;
use super::reply::Reply;
use crate::config::Limits;
use crate::engine::DocumentId;
use crate::engine::budget::WRITTEN_MAX;
use crate::engine::command::{
    Change, Command, Operation, Outcome, Part, Returning, Select, Write, WriteLimits, Wrote,
    WroteTotals,
};
use crate::engine::document::{NewDocument, check_document, parse_json, with_id};
use crate::engine::index::{IndexSpec, document_id};
use crate::engine::query::aggregate::{Output, WhenMatched, WhenNotMatched};
use crate::engine::query::context::{At, Context};
use crate::engine::query::filter::Filter;
use crate::engine::query::path::Path;
use crate::engine::query::plan::Hint;
use crate::engine::query::project::Projection;
use crate::engine::query::sort::Sort;
use crate::engine::query::source::open;
use crate::engine::query::update::Update;
use crate::engine::value::{Object, Value, parse_stored};
use crate::engine::{retry, system};
use crate::error::{Class, Error, Kind, Result};
use crate::raft::groups::AppliedCommand;
use crate::wire::IntoWire;
use jettra_driver::wire::{
    BulkBody, BulkOperation, BulkReply, DeleteBody, DeleteReply, ErrorDetail, ExplainLevel,
    FindAndModifyBody, FindAndModifyReply, ForgottenReply, ReplaceBody, ReturnForm, UpdateBody,
    UpdateReply,
};
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;

/// Documents of a pipeline's result that go into one log entry.
const OUTPUT_BATCH: usize = 500;
/// Bytes of them after which the log entry ends. Others' writes wait while it is applied.
const OUTPUT_BYTES: usize = 1 << 20;

/// How often a part of a call is proposed again when others' writes leave no room for it, and the
/// pause before.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

fn new_id() -> DocumentId {
    // A UUIDv7 grows with time, so new documents lie side by side in the tree.
    DocumentId::String(uuid::Uuid::now_v7().to_string())
}

/// The text of a filter, checked.
pub(super) fn checked_filter(filter: serde_json::Value) -> Result<String> {
    let filter = query::value(filter, "filter")?;
    Filter::parse(&filter, At::root("filter"))?;
    Ok(filter.to_json())
}

/// The filter, sort and hint of an operation, checked.
fn select(
    filter: serde_json::Value,
    sort: Option<serde_json::Value>,
    hint: Option<serde_json::Value>,
) -> Result<Select> {
    let filter = checked_filter(filter)?;
    let sort = sort.map(|sort| query::value(sort, "sort")).transpose()?;
    if let Some(sort) = &sort {
        Sort::parse(sort, At::root("sort"))?;
    }
    let hint = hint.map(|hint| query::value(hint, "hint")).transpose()?;
    if let Some(hint) = &hint {
        Hint::parse(hint, At::root("hint"))?;
    }
    Ok(Select::Filter {
        filter,
        sort: sort.map(|sort| sort.to_json()),
        hint: hint.map(|hint| hint.to_json()),
    })
}

fn update(update: serde_json::Value, array_filters: Option<serde_json::Value>) -> Result<Change> {
    let update = query::value(update, "update")?;
    let filters = array_filters.map(|filters| query::value(filters, "arrayFilters")).transpose()?;
    Update::parse(&update, filters.as_ref(), At::root("update"))?;
    Ok(Change::Update {
        update: update.to_json(),
        array_filters: filters.map(|filters| filters.to_json()),
    })
}

/// A new document of a body: its `_id`, made if need be, and the rest.
pub(super) fn new_document(call: &Call, json: serde_json::Value) -> Result<(DocumentId, String)> {
    let NewDocument { id, body } = document(call, json, "document")?;
    Ok((id.unwrap_or_else(new_id), body))
}

/// A document of a body, without its `_id`.
fn document(call: &Call, json: serde_json::Value, name: &str) -> Result<NewDocument> {
    check_document(query::value(json, name)?, &call.cluster().config.limits())
}

fn replacement(call: &Call, json: serde_json::Value) -> Result<Change> {
    let mut names = json.as_object().into_iter().flat_map(|fields| fields.keys());
    let operator = names.find(|name| name.starts_with('$')).cloned();
    let NewDocument { id, body } = document(call, json, "replacement")?;
    if let Some(name) = operator {
        return Err(At::root("replacement")
            .invalid(format!("must be a document, and {name} is an update operator"))
            .hint("use update instead of replacement to change parts of a document"));
    }
    // An _id goes along: apply compares it with that of the document which is found.
    Ok(Change::Replace(match id {
        Some(id) => with_id(&id, &body),
        None => body,
    }))
}

/// Refuses to explain one of several operations.
fn not_explained(explain: Option<ExplainLevel>) -> Result<()> {
    match explain {
        None => Ok(()),
        Some(_) => Err(At::root("explain")
            .invalid("cannot stand in one of several operations")
            .hint("explain it with a call of its own")),
    }
}

pub(super) fn update_operation(body: UpdateBody, multi: bool) -> Result<Operation> {
    not_explained(body.explain)?;
    Ok(Operation::Change {
        select: select(body.filter, body.sort, body.hint)?,
        change: update(body.update, body.array_filters)?,
        multi,
        upsert: body.upsert.then(new_id),
        returning: Returning::Nothing,
    })
}

fn replace_operation(call: &Call, body: ReplaceBody) -> Result<Operation> {
    Ok(Operation::Change {
        select: select(body.filter, body.sort, body.hint)?,
        change: replacement(call, body.replacement)?,
        multi: false,
        upsert: body.upsert.then(new_id),
        returning: Returning::Nothing,
    })
}

pub(super) fn delete_operation(body: DeleteBody, multi: bool) -> Result<Operation> {
    not_explained(body.explain)?;
    Ok(Operation::Delete {
        select: select(body.filter, body.sort, body.hint)?,
        multi,
        returning: Returning::Nothing,
    })
}

/// Inserts a document given as JSON.
pub fn insert_operation(call: &Call, json: serde_json::Value) -> Result<Operation> {
    new_document(call, json).map(|(id, body)| Operation::Insert { id, body })
}

/// The bounds of a write.
pub(super) fn write_limits(call: &Call) -> WriteLimits {
    let config = &call.cluster().config;
    WriteLimits {
        documents_max: config.write_documents_max,
        document_bytes_max: config.document_bytes_max as u64,
        depth_max: config.depth_max as u32,
        memory_max: (config.query_memory_mb as u64) << 20,
        steps_max: config.write_steps_max,
        written_max: WRITTEN_MAX,
    }
}

/// Proposes operations as one log entry.
pub async fn write(
    call: &Call,
    operations: Vec<Operation>,
    ordered: bool,
) -> Result<(Vec<Result<Wrote>>, u64)> {
    let (database, collection) = writable_place(call)?;
    write_to(call, database, collection, operations, ordered).await
}

async fn write_to(
    call: &Call,
    database: &str,
    collection: &str,
    operations: Vec<Operation>,
    ordered: bool,
) -> Result<(Vec<Result<Wrote>>, u64)> {
    let applied = propose_write(call, database, collection, operations, ordered).await?;
    match applied.outcome {
        Outcome::Wrote(results) => Ok((results, applied.index)),
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

async fn propose_write(
    call: &Call,
    database: &str,
    collection: &str,
    operations: Vec<Operation>,
    ordered: bool,
) -> Result<AppliedCommand> {
    let write = Write {
        database: database.to_owned(),
        collection: collection.to_owned(),
        create_database: false,
        operations,
        ordered,
        time_ms: call.group()?.time_ms(),
        limits: write_limits(call),
    };
    call.propose(Command::Write(Box::new(write))).await
}

/// Proposes one operation.
pub async fn write_one(call: &Call, operation: Operation) -> Result<(Wrote, u64)> {
    let (results, index) = write(call, vec![operation], true).await?;
    let wrote = results.into_iter().next().unwrap_or_else(|| Ok(Wrote::default()))?;
    call.note_forgotten(wrote.forgotten.is_some());
    Ok((wrote, index))
}

/// Warnings of a schema, as an answer has them.
pub fn warnings(texts: Vec<String>) -> Vec<serde_json::Value> {
    texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}

fn update_reply(wrote: Wrote) -> UpdateReply {
    UpdateReply {
        matched: wrote.matched,
        modified: wrote.modified,
        upserted_id: wrote.inserted.map(IntoWire::into_wire),
        warnings: warnings(wrote.warnings),
    }
}

/// Updates documents.
pub async fn run_update(call: &Call, body: UpdateBody) -> Result<(UpdateReply, u64)> {
    let multi = body.multi;
    if multi {
        confirm::check(call, Action::Update, body.filter.clone()).await?;
    }
    let (wrote, index) = write_one(call, update_operation(body, multi)?).await?;
    Ok((update_reply(wrote), index))
}

/// Replaces a document.
pub async fn run_replace(call: &Call, body: ReplaceBody) -> Result<(UpdateReply, u64)> {
    let (wrote, index) = write_one(call, replace_operation(call, body)?).await?;
    Ok((update_reply(wrote), index))
}

/// Deletes documents.
pub async fn run_delete(call: &Call, body: DeleteBody) -> Result<(DeleteReply, u64)> {
    let multi = body.multi;
    if multi {
        confirm::check(call, Action::Delete, body.filter.clone()).await?;
    }
    let (wrote, index) = write_one(call, delete_operation(body, multi)?).await?;
    Ok((DeleteReply { deleted: wrote.deleted }, index))
}

/// Changes a document and gives it back.
pub async fn run_find_and_modify(
    call: &Call,
    body: FindAndModifyBody,
) -> Result<(FindAndModifyReply, u64)> {
    let projection = match body.projection {
        None => None,
        Some(json) => {
            Some(Projection::parse(&query::value(json, "projection")?, At::root("projection"))?)
        }
    };
    let returning = match body.returning {
        ReturnForm::Before => Returning::Before,
        ReturnForm::After => Returning::After,
    };
    let select = select(body.filter, body.sort, body.hint)?;
    let upsert = body.upsert.then(new_id);
    let change = match (body.update, body.replacement, body.remove) {
        (Some(json), None, false) => Some(update(json, body.array_filters)?),
        (None, Some(json), false) => Some(replacement(call, json)?),
        (None, None, true) => None,
        _ => {
            return Err(Error::new(
                Kind::InvalidBody,
                "exactly one of update, replacement and remove must be given",
            )
            .hint("\"remove\": true deletes the document, update changes it"));
        }
    };
    let operation = match change {
        Some(change) => Operation::Change { select, change, multi: false, upsert, returning },
        None => Operation::Delete { select, multi: false, returning: Returning::Before },
    };
    let (wrote, index) = write_one(call, operation).await?;
    let document = match (wrote.document, projection) {
        (None, _) => None,
        (Some(text), None) => serde_json::from_str(&text).ok(),
        (Some(text), Some(projection)) => {
            let document = parse_stored(text.as_bytes()).unwrap_or_default();
            let (watch, _caller) = query::Watch::new(call);
            let interrupt = || watch.check();
            let memory = call.cluster().config.query_memory_mb << 20;
            let ctx = Context::new(call.group()?.time_ms() as i64, memory, &interrupt);
            // The document is changed by now, whatever becomes of its projection.
            let projected = projection.apply(&document, &ctx).map_err(|error| Error {
                message: format!("the document was changed, but: {}", error.message),
                ..error
            })?;
            Some(json!(projected))
        }
    };
    let document_forgotten = wrote.forgotten.is_some();
    Ok((
        FindAndModifyReply {
            document,
            upserted_id: wrote.inserted.map(IntoWire::into_wire),
            document_forgotten,
        },
        index,
    ))
}

/// Carries out many operations; an operation that fails, as one does that cannot be parsed,
/// becomes the error, with the rest in its details.
pub async fn run_bulk(
    call: &Call,
    operations: Vec<Result<Operation>>,
    ordered: bool,
) -> Result<(BulkReply, u64)> {
    let Parsed { operations, places, refused } = Parsed::new(operations, ordered);
    if operations.is_empty()
        && let Some((at, error)) = refused.first().cloned()
    {
        let message = format!("operations[{at}]: {}", error.message);
        return Err(Error { message, ..error });
    }
    let inserts: Vec<bool> =
        operations.iter().map(|one| matches!(one, Operation::Insert { .. })).collect();
    let (database, collection) = writable_place(call)?;
    let applied = propose_write(call, database, collection, operations, ordered).await?;
    let index = applied.index;
    let results = match applied.outcome {
        Outcome::Wrote(results) => results,
        Outcome::WroteTotals(totals) => {
            return remembered_bulk(*totals, &places, refused, ordered, index);
        }
        other => return Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    };
    let mut reply = BulkReply::default();
    let mut errors = Vec::new();
    for ((result, insert), at) in results.into_iter().zip(inserts).zip(places) {
        match result {
            Ok(wrote) => {
                reply.matched += wrote.matched;
                reply.modified += wrote.modified;
                reply.deleted += wrote.deleted;
                reply.inserted += u64::from(insert);
                reply.warnings.extend(warnings(wrote.warnings));
                if let Some(id) = wrote.inserted {
                    let ids =
                        if insert { &mut reply.inserted_ids } else { &mut reply.upserted_ids };
                    ids.insert(at, id.into_wire());
                }
            }
            Err(error) => errors.push((at, error)),
        }
    }
    if !ordered || errors.is_empty() {
        errors.extend(refused);
    }
    for (at, error) in &errors {
        let request_id = &*call.request_id;
        tracing::debug!(request_id, operation = at, %error, "an operation was refused");
        let detail = ErrorDetail {
            code: error.kind.code().into(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            details: error.details.as_deref().cloned(),
            request_id: call.request_id.to_string(),
        };
        reply.errors.insert(*at, detail);
    }
    bulk_result(reply, errors, index)
}

/// The operations of a bulk write that are carried out.
struct Parsed {
    operations: Vec<Operation>,
    /// Where they stand among those of the call.
    places: Vec<usize>,
    /// Those that cannot be parsed, with their places; the first ends an ordered write.
    refused: Vec<(usize, Error)>,
}

impl Parsed {
    fn new(all: Vec<Result<Operation>>, ordered: bool) -> Parsed {
        let (operations, places, refused) = Default::default();
        let mut parsed = Parsed { operations, places, refused };
        for (at, operation) in all.into_iter().enumerate() {
            match operation {
                Ok(operation) => {
                    parsed.operations.push(operation);
                    parsed.places.push(at);
                }
                Err(error) => parsed.refused.push((at, error)),
            }
            if ordered && !parsed.refused.is_empty() {
                break;
            }
        }
        parsed
    }
}

/// What is remembered of many operations for which a repetition of the call asks.
fn remembered_bulk(
    totals: WroteTotals,
    places: &[usize],
    refused: Vec<(usize, Error)>,
    ordered: bool,
    index: u64,
) -> Result<(BulkReply, u64)> {
    let WroteTotals { matched, modified, deleted, inserted, failed } = totals;
    let details_forgotten = true;
    let reply =
        BulkReply { matched, modified, deleted, inserted, details_forgotten, ..Default::default() };
    let place = |at: u64| places.get(at as usize).copied().unwrap_or_default();
    let mut errors: Vec<_> = failed.into_iter().map(|(at, error)| (place(at), error)).collect();
    if !ordered || errors.is_empty() {
        errors.extend(refused);
    }
    bulk_result(reply, errors, index)
}

fn bulk_result(
    reply: BulkReply,
    errors: Vec<(usize, Error)>,
    index: u64,
) -> Result<(BulkReply, u64)> {
    match errors.into_iter().min_by_key(|(at, _)| *at) {
        None => Ok((reply, index)),
        Some((at, error)) => {
            let message = format!("operation {at}: {}", error.message);
            let details = json!({"operation": at, "details": error.details, "result": reply});
            Err(Error { message, index: Some(index), ..error }.details(details))
        }
    }
}

/// `POST …/update`
pub async fn update_documents(call: Rc<Call>) -> Result<Reply> {
    let body: UpdateBody = call.json()?;
    if let Some(level) = body.explain {
        let body = UpdateBody { explain: None, ..body };
        update_operation(body.clone(), body.multi)?;
        return query::explain(&call, Explained::update(&call, body)?, level).await;
    }
    let (reply, index) = run_update(&call, body).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/replace`
pub async fn replace_document(call: Rc<Call>) -> Result<Reply> {
    let (reply, index) = run_replace(&call, call.json()?).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/delete`
pub async fn delete_documents(call: Rc<Call>) -> Result<Reply> {
    let body: DeleteBody = call.json()?;
    if let Some(level) = body.explain {
        return query::explain(&call, Explained::delete(&call, body)?, level).await;
    }
    let (reply, index) = run_delete(&call, body).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/find-and-modify`
pub async fn find_and_modify(call: Rc<Call>) -> Result<Reply> {
    let (reply, index) = run_find_and_modify(&call, call.json()?).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/bulk`
pub async fn bulk(call: Rc<Call>) -> Result<Reply> {
    let body: BulkBody = call.json()?;
    for operation in &body.operations {
        let (action, filter) = match operation {
            BulkOperation::UpdateMany(body) => (Action::Update, &body.filter),
            BulkOperation::DeleteMany(body) => (Action::Delete, &body.filter),
            _ => continue,
        };
        confirm::check(&call, action, filter.clone()).await?;
    }
    let operations = body.operations.into_iter().map(|operation| match operation {
        BulkOperation::InsertOne { document } => insert_operation(&call, document),
        BulkOperation::UpdateOne(body) => update_operation(body, false),
        BulkOperation::UpdateMany(body) => update_operation(body, true),
        BulkOperation::ReplaceOne(body) => replace_operation(&call, body),
        BulkOperation::DeleteOne(body) => delete_operation(body, false),
        BulkOperation::DeleteMany(body) => delete_operation(body, true),
    });
    let (reply, index) = run_bulk(&call, operations.collect(), body.ordered).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `PATCH …/documents/{id}`: JSON Merge Patch, or update operators when the body has them.
pub async fn patch(call: Rc<Call>) -> Result<Reply> {
    let json = parse_json(&call.body, &call.cluster().config.limits())?;
    let Some(fields) = json.as_object() else {
        return Err(Error::new(Kind::InvalidBody, "a patch must be a JSON object").hint(
            "send the fields to change, or update operators such as {\"$inc\": {\"n\": 1}}",
        ));
    };
    let change = match fields.keys().any(|name| name.starts_with('$')) {
        true => update(json, None)?,
        false => Change::Merge(query::value(json, "patch")?.to_json()),
    };
    let target = call.target_document()?;
    let (wrote, index) = guarded(&call, &target, false, async |guard| {
        let select = Select::Id { target: target.clone(), if_match: guard.if_match };
        let (change, returning) = (change.clone(), Returning::After);
        let operation = Operation::Change { select, change, multi: false, upsert: None, returning };
        write_one(&call, operation).await
    })
    .await?;
    let revision = wrote.revision.unwrap_or_default();
    let reply = match wrote.forgotten {
        Some(id) => {
            Reply::json(&ForgottenReply { id: id.into_wire(), revision, document_forgotten: true })
        }
        None => Reply::bytes(wrote.document.unwrap_or_default()),
    };
    Ok(reply.at(index).etag(revision))
}

/// Writes the result of a pipeline that ends with `$out` or `$merge`, once for a key: the result of
/// a second run could be made of what the first has written.
pub async fn write_output(call: &Call, pipeline: Aggregate) -> Result<Reply> {
    let (database, _) = writable_place(call)?;
    call.authorize(crate::auth::Permission::Write, database)?;
    call.wait_for_level().await?;
    let Some(output) = pipeline.output().cloned() else {
        return Ok(Reply::empty());
    };
    if let Some(earlier) = call.earlier_answer()? {
        return Ok(written_reply(&earlier.outcome, 0).at(earlier.index));
    }
    if let Output::Out { collection } = &output {
        let replaced = call.with_collection(collection);
        confirm::check(&replaced, Action::Overwrite, json!({})).await?;
    }
    let documents = aggregate::aggregate_documents(call, pipeline).await?;
    let count = documents.len() as u64;
    let applied = match output {
        Output::Out { collection } => {
            replace_collection(call, database, &collection, documents).await?
        }
        Output::Merge { into, on, when_matched, when_not_matched } => {
            super::document::check_collection(call, &into)?;
            let limits = call.cluster().config.limits();
            let operations = pooled(move || {
                let operations = documents.into_iter().map(|document| {
                    merge_operation(document, &on, when_matched, when_not_matched, &limits)
                });
                operations.collect::<Result<Vec<_>>>()
            });
            merge(call, database, &into, operations.await?, when_not_matched).await?
        }
    };
    Ok(written_reply(&applied.outcome, count).at(applied.index))
}

/// Says how many documents a pipeline has written; `count`, unless the outcome is an earlier one.
fn written_reply(outcome: &Outcome, count: u64) -> Reply {
    let written = match outcome {
        Outcome::Output { written } => *written,
        _ => count,
    };
    Reply::json(&json!({"documents": [], "written": written}))
}

/// Operations that go into one log entry: the first of these that are few and small enough.
fn next_batch(operations: &mut impl Iterator<Item = Operation>) -> Vec<Operation> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < OUTPUT_BATCH && bytes < OUTPUT_BYTES {
        let Some(operation) = operations.next() else { break };
        bytes += operation.bytes();
        batch.push(operation);
    }
    batch
}

/// Carries out the operations of a `$merge`, some at a time.
async fn merge(
    call: &Call,
    database: &str,
    into: &str,
    operations: Vec<Operation>,
    when_not_matched: WhenNotMatched,
) -> Result<AppliedCommand> {
    let must_match = when_not_matched == WhenNotMatched::Fail;
    let (run, total) = (uuid::Uuid::new_v4().as_u64_pair().0, operations.len() as u64);
    let (mut written, mut index) = (0, call.group()?.visible_index());
    let mut operations = operations.into_iter();
    for number in 0.. {
        let batch = next_batch(&mut operations);
        if batch.is_empty() && !call.is_keyed() {
            break;
        }
        let behind = written + batch.len() as u64;
        // Whether all were found is known only afterwards: then an empty part says so.
        let last = batch.is_empty() || behind == total && !must_match;
        let filters: Vec<String> = match must_match {
            true => batch.iter().filter_map(filter_of).collect(),
            false => Vec::new(),
        };
        let part = Part { run, number, written: behind, total, last };
        let applied = propose_part(call, (database, into), batch, part).await;
        let applied = applied.map_err(|error| interrupted(error, written, total))?;
        let mut first = None;
        let Outcome::Wrote(results) = &applied.outcome else {
            // An earlier call with the key has come first.
            return Ok(applied);
        };
        for (at, result) in results.iter().enumerate() {
            let failed = match result {
                Ok(wrote) if must_match && wrote.matched == 0 && wrote.inserted.is_none() => {
                    let filter = filters.get(at).map_or("", String::as_str);
                    let message = format!("$merge found no document that matches {filter}");
                    Some(Error::new(Kind::NotApplicable, message).hint("others are merged already"))
                }
                Ok(_) => None,
                Err(error) => Some(error.clone()),
            };
            written += u64::from(failed.is_none());
            first = first.or(failed);
        }
        if let Some(error) = first {
            return Err(retry::partly(error, written, total));
        }
        index = applied.index;
        if last {
            break;
        }
    }
    Ok(AppliedCommand { index, outcome: Outcome::Output { written }, repeated: false })
}

/// Proposes a part of a call, again while there is no room for it: then nothing was done, and it is
/// the same part of the same run. All of it is tried, as in MongoDB, also when a document fails.
async fn propose_part(
    call: &Call,
    (database, collection): (&str, &str),
    operations: Vec<Operation>,
    part: Part,
) -> Result<AppliedCommand> {
    for _ in 0..BUSY_TRIES {
        call.proposed.part.set(Some(part));
        match propose_write(call, database, collection, operations.clone(), false).await {
            Err(error) if error.kind == Kind::Overloaded => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
    call.proposed.part.set(Some(part));
    propose_write(call, database, collection, operations, false).await
}

/// Whether an error says nothing of the documents, but that the call could not go on.
fn interrupts(class: Class) -> bool {
    class.may_be_repeated() || matches!(class, Class::Failed | Class::Unknown)
}

/// The error for a call that has written a part of its documents and cannot go on. What it would
/// write now is made of what it has written, so nobody must begin it again.
fn interrupted(error: Error, written: u64, total: u64) -> Error {
    if written == 0 || !interrupts(error.kind.class()) {
        return retry::partly(error, written, total);
    }
    let message = format!("{written} of {total} documents were written, then: {}", error.message);
    let details = json!({"written": written, "documents": total, "cause": error.kind.code()});
    Error::new(Kind::OutcomeUnknown, message)
        .hint("those that are written stay; look at them before you write the rest")
        .details(details)
}

fn filter_of(operation: &Operation) -> Option<String> {
    match operation {
        Operation::Change { select: Select::Filter { filter, .. }, .. } => Some(filter.clone()),
        _ => None,
    }
}

/// Puts documents in the place of a collection, under its indexes, in one step at the end.
async fn replace_collection(
    call: &Call,
    database: &str,
    collection: &str,
    documents: Vec<Value>,
) -> Result<AppliedCommand> {
    system::check_name("collection", collection, call.cluster().config.name_bytes_max)?;
    let count = documents.len() as u64;
    let limits = call.cluster().config.limits();
    let operations = pooled(move || {
        let operations = documents.into_iter().map(|document| insert_value(&limits, document));
        operations.collect::<Result<Vec<_>>>()
    });
    let mut operations = operations.await?.into_iter();
    let group = call.group()?;
    // Its id tells by the log's time when it was made: the leader gives up those of long ago.
    let made = uuid::Timestamp::from_unix(uuid::NoContext, group.time_ms() / 1000, 0);
    let aside = format!("{}{}.{collection}", system::ASIDE, uuid::Uuid::new_v7(made));
    let (specs, options) = {
        let read = group.read()?;
        match open(&read, database, collection) {
            Ok(found) => {
                let specs = found.indexes.iter().map(|index| index.entry.spec.clone());
                (specs.collect::<Vec<IndexSpec>>(), found.options)
            }
            Err(_) => Default::default(),
        }
    };
    let database = database.to_owned();
    let place = |command: fn(String, String) -> Command| command(database.clone(), aside.clone());
    // Filling it is nobody's business; only taking the place is done once. So until then the call
    // may begin anew, also at another leader.
    call.proposed.aside.set(true);
    call.propose(place(|database, collection| Command::CreateCollection { database, collection }))
        .await?;
    let filled = async {
        if options.schema.is_some() {
            let (database, collection) = (database.clone(), aside.clone());
            let (schema, warns) = (options.schema, options.schema_warns);
            call.propose(Command::SetSchema { database, collection, schema, warns }).await?;
        }
        if let Some(versions) = options.versions {
            let (database, collection) = (database.clone(), aside.clone());
            let keep = Some(versions.retention);
            call.propose(Command::SetVersions { database, collection, keep }).await?;
        }
        for spec in specs {
            let (database, collection) = (database.clone(), aside.clone());
            call.propose(Command::CreateIndex { database, collection, spec }).await?;
        }
        loop {
            let batch = next_batch(&mut operations);
            if batch.is_empty() {
                break;
            }
            let (results, _) = write_to(call, &database, &aside, batch, true).await?;
            results.into_iter().collect::<Result<Vec<_>>>()?;
        }
        let (from, to) = (aside.clone(), collection.to_owned());
        call.proposed.aside.set(false);
        let run = uuid::Uuid::new_v4().as_u64_pair().0;
        let part = Part { run, number: 0, written: count, total: count, last: true };
        call.proposed.part.set(Some(part));
        call.propose(Command::ReplaceCollection { database: database.clone(), from, to }).await
    };
    let filled = filled.await;
    if !matches!(&filled, Ok(applied) if !applied.repeated) {
        // What stays behind after a failure here is dropped by upkeep.
        let drop = place(|database, collection| Command::DropCollection { database, collection });
        call.proposed.aside.set(true);
        let _ = call.send(drop).await;
    }
    filled
}

fn insert_value(limits: &Limits, document: Value) -> Result<Operation> {
    let NewDocument { id, body } = check_document(document, limits)?;
    Ok(Operation::Insert { id: id.unwrap_or_else(new_id), body })
}

/// What `$merge` does with one document.
fn merge_operation(
    document: Value,
    on: &[String],
    when_matched: WhenMatched,
    when_not_matched: WhenNotMatched,
    limits: &Limits,
) -> Result<Operation> {
    // The command holds it as text, which must be readable again.
    check_document(document.clone(), limits)?;
    let mut filter = Object::new();
    for path in on {
        let value = Path::parse(path, At::root("on"))?.get(&document).cloned();
        let value = value.ok_or_else(|| {
            Error::new(Kind::NotApplicable, format!("$merge: a document has no {path}"))
                .hint("every document of the result needs the fields named in on")
        })?;
        filter.insert(path.clone(), value);
    }
    let Value::Object(mut fields) = document else {
        return Err(Error::new(Kind::NotApplicable, "$merge: the result is not a document"));
    };
    let id = fields.shift_remove("_id");
    let inserts = when_not_matched == WhenNotMatched::Insert;
    let made = match &id {
        Some(id) => document_id(id).ok_or_else(|| {
            Error::new(
                Kind::InvalidId,
                format!("_id must be a string or an integer, not {}", id.to_json()),
            )
            .hint("give the result another _id with $project")
        })?,
        None => new_id(),
    };
    let text = Value::Object(fields.clone()).to_json();
    let change = match when_matched {
        WhenMatched::Replace => Change::Replace(text),
        WhenMatched::Merge => set(if fields.is_empty() { None } else { Some(("$set", fields)) }),
        WhenMatched::KeepExisting => {
            set(if fields.is_empty() { None } else { Some(("$setOnInsert", fields)) })
        }
        WhenMatched::Fail => return Ok(Operation::Insert { id: made, body: text }),
    };
    Ok(Operation::Change {
        select: Select::Filter { filter: Value::Object(filter).to_json(), sort: None, hint: None },
        change,
        multi: false,
        upsert: inserts.then_some(made),
        returning: Returning::Nothing,
    })
}

/// An update with one operator; one that changes nothing when there are no fields.
fn set(operator: Option<(&str, Object)>) -> Change {
    match operator {
        None => Change::Merge("{}".into()),
        Some((name, fields)) => {
            let update = Object::from_iter([(name.to_owned(), Value::Object(fields))]);
            Change::Update { update: Value::Object(update).to_json(), array_filters: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(bytes: usize) -> Operation {
        Operation::Insert { id: DocumentId::Int(1), body: "x".repeat(bytes) }
    }

    /// Symptom: 500 large documents of a `$merge` made a log entry of gigabytes.
    #[test]
    fn what_a_pipeline_writes_is_cut_by_bytes_and_by_documents() {
        let sizes = |operations: Vec<Operation>| {
            let mut operations = operations.into_iter();
            let batches = std::iter::from_fn(|| Some(next_batch(&mut operations)));
            batches.map(|batch| batch.len()).take_while(|size| *size > 0).collect::<Vec<_>>()
        };
        assert_eq!(sizes((0..1_200).map(|_| insert(10)).collect()), [500, 500, 200]);
        assert_eq!(sizes((0..5).map(|_| insert(OUTPUT_BYTES / 2)).collect()), [2, 2, 1]);
        assert_eq!(sizes((0..3).map(|_| insert(3 * OUTPUT_BYTES)).collect()), [1, 1, 1]);
        assert!(sizes(Vec::new()).is_empty());
    }

    #[test]
    fn an_interrupted_call_says_how_far_it_came() {
        let error = |kind| interrupted(Error::new(kind, "m"), 500, 2_000);
        for kind in [Kind::NoLeader, Kind::UserChanged, Kind::Overloaded, Kind::StorageFull] {
            let told = error(kind);
            assert_eq!(told.kind, Kind::OutcomeUnknown, "{kind:?}");
            let details = told.details.unwrap();
            assert_eq!((&details["written"], &details["documents"]), (&json!(500), &json!(2_000)));
            assert_eq!(details["cause"], kind.code());
            assert_eq!(interrupted(Error::new(kind, "m"), 0, 2_000).kind, kind, "nothing was done");
        }
        let refused = error(Kind::ValidationFailed);
        assert_eq!(refused.kind, Kind::ValidationFailed);
        assert_eq!(refused.details.unwrap()["written"], 500);
    }
}
