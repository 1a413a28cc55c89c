//! Writing by query: update, replace, delete, find-and-modify, bulk, patch, and the result of
//! a pipeline.

use super::aggregate::{self, Aggregate};
use super::call::Call;
use super::document::writable_place;
use super::query;
use super::reply::Reply;
use crate::config::Limits;
use crate::engine::command::{
    Change, Command, Operation, Outcome, Returning, Select, Write, WriteLimits, Wrote,
};
use crate::engine::document::{NewDocument, check_document, parse_json};
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
use crate::engine::system;
use crate::engine::value::{Object, Value, parse_stored};
use crate::error::{Error, Kind, Result};
use jettra_driver::DocumentId;
use jettra_driver::wire::{
    BulkBody, BulkOperation, BulkReply, DeleteBody, DeleteReply, ErrorDetail, FindAndModifyBody,
    FindAndModifyReply, ReplaceBody, ReturnForm, UpdateBody, UpdateReply,
};
use serde_json::json;
use std::rc::Rc;
use xxhash_rust::xxh3::xxh3_64;

/// Documents of a pipeline's result that go into one log entry.
const OUTPUT_BATCH: usize = 500;

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
    if id.is_some() {
        return Err(At::root("replacement")
            .invalid("must be without _id")
            .hint("an _id cannot be changed; name it in the filter"));
    }
    Ok(Change::Replace(body))
}

pub(super) fn update_operation(body: UpdateBody, multi: bool) -> Result<Operation> {
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
    let write = Write {
        database: database.to_owned(),
        collection: collection.to_owned(),
        create_database: false,
        operations,
        ordered,
        time_ms: call.group()?.time_ms(),
        limits: write_limits(call),
    };
    let applied = call.propose(Command::Write(Box::new(write))).await?;
    match applied.outcome {
        Outcome::Wrote(results) => Ok((results, applied.index)),
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

/// Proposes one operation.
pub async fn write_one(call: &Call, operation: Operation) -> Result<(Wrote, u64)> {
    let (results, index) = write(call, vec![operation], true).await?;
    let wrote = results.into_iter().next().unwrap_or_else(|| Ok(Wrote::default()))?;
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
        upserted_id: wrote.inserted,
        warnings: warnings(wrote.warnings),
    }
}

/// Updates documents.
pub async fn run_update(call: &Call, body: UpdateBody) -> Result<(UpdateReply, u64)> {
    let multi = body.multi;
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
    Ok((FindAndModifyReply { document, upserted_id: wrote.inserted }, index))
}

/// Carries out many operations; an operation that fails becomes the error, with the rest in
/// its details.
pub async fn run_bulk(
    call: &Call,
    operations: Vec<Operation>,
    ordered: bool,
) -> Result<(BulkReply, u64)> {
    let inserts: Vec<bool> =
        operations.iter().map(|one| matches!(one, Operation::Insert { .. })).collect();
    let (results, index) = write(call, operations, ordered).await?;
    let mut reply = BulkReply::default();
    let mut first: Option<(usize, Error)> = None;
    for (at, (result, insert)) in results.into_iter().zip(inserts).enumerate() {
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
                    ids.insert(at, id);
                }
            }
            Err(error) => {
                let detail = ErrorDetail {
                    code: error.kind.code().into(),
                    message: error.message.clone(),
                    hint: error.hint.clone(),
                    details: error.details.as_deref().cloned(),
                    request_id: String::new(),
                };
                reply.errors.insert(at, detail);
                first.get_or_insert((at, error));
            }
        }
    }
    match first {
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
    let (reply, index) = run_update(&call, call.json()?).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/replace`
pub async fn replace_document(call: Rc<Call>) -> Result<Reply> {
    let (reply, index) = run_replace(&call, call.json()?).await?;
    Ok(Reply::json(&reply).at(index))
}

/// `POST …/delete`
pub async fn delete_documents(call: Rc<Call>) -> Result<Reply> {
    let (reply, index) = run_delete(&call, call.json()?).await?;
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
    let operations = body.operations.into_iter().enumerate().map(|(at, operation)| {
        let checked = match operation {
            BulkOperation::InsertOne { document } => insert_operation(&call, document),
            BulkOperation::UpdateOne(body) => update_operation(body, false),
            BulkOperation::UpdateMany(body) => update_operation(body, true),
            BulkOperation::ReplaceOne(body) => replace_operation(&call, body),
            BulkOperation::DeleteOne(body) => delete_operation(body, false),
            BulkOperation::DeleteMany(body) => delete_operation(body, true),
        };
        checked.map_err(|error| Error {
            message: format!("operations[{at}]: {}", error.message),
            ..error
        })
    });
    let operations = operations.collect::<Result<Vec<_>>>()?;
    let (reply, index) = run_bulk(&call, operations, body.ordered).await?;
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
    let select = Select::Id { target: call.target_document()?, if_match: call.if_match()? };
    let operation = Operation::Change {
        select,
        change,
        multi: false,
        upsert: None,
        returning: Returning::After,
    };
    let (wrote, index) = write_one(&call, operation).await?;
    let reply = Reply::bytes(wrote.document.unwrap_or_default()).at(index);
    Ok(reply.etag(wrote.revision.unwrap_or_default()))
}

/// Writes the result of a pipeline that ends with `$out` or `$merge`.
pub async fn write_output(call: &Call, pipeline: Aggregate) -> Result<Reply> {
    let (database, _) = writable_place(call)?;
    call.authorize(crate::auth::Permission::Write, database)?;
    call.wait_for_level().await?;
    let Some(output) = pipeline.output().cloned() else {
        return Ok(Reply::empty());
    };
    let documents = aggregate::aggregate_documents(call, pipeline).await?;
    let count = documents.len();
    let index = match output {
        Output::Out { collection } => {
            replace_collection(call, database, &collection, documents).await?
        }
        Output::Merge { into, on, when_matched, when_not_matched } => {
            super::document::check_collection(call, &into)?;
            let mut index = 0;
            for batch in documents.chunks(OUTPUT_BATCH) {
                // At a repetition of the call there may be others.
                let texts: Vec<String> = batch.iter().map(Value::to_json).collect();
                call.proposed.content.set(xxh3_64(texts.concat().as_bytes()));
                let limits = call.cluster().config.limits();
                let operations = batch.iter().map(|document| {
                    merge_operation(document, &on, when_matched, when_not_matched, &limits)
                });
                let operations: Vec<_> = operations.collect::<Result<_>>()?;
                let (results, at) = write_to(call, database, &into, operations, true).await?;
                index = at;
                for (wrote, document) in results.into_iter().zip(batch) {
                    let wrote = wrote?;
                    let missing = wrote.matched == 0 && wrote.inserted.is_none();
                    if missing && when_not_matched == WhenNotMatched::Fail {
                        let message =
                            format!("$merge found no document for {}", document.to_json());
                        return Err(Error::new(Kind::NotApplicable, message)
                            .hint("documents before it are merged already"));
                    }
                }
            }
            index
        }
    };
    Ok(Reply::json(&json!({"documents": [], "written": count})).at(index))
}

/// Puts documents in the place of a collection, under its indexes, in one step at the end.
async fn replace_collection(
    call: &Call,
    database: &str,
    collection: &str,
    documents: Vec<Value>,
) -> Result<u64> {
    system::check_name("collection", collection, call.cluster().config.name_bytes_max)?;
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
    // Filling it is nobody's business; only taking the place is done once.
    call.proposed.unkeyed.set(true);
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
        for batch in documents.chunks(OUTPUT_BATCH) {
            let operations = batch.iter().map(|document| insert_value(call, document.clone()));
            let operations = operations.collect::<Result<Vec<_>>>()?;
            let (results, _) = write_to(call, &database, &aside, operations, true).await?;
            results.into_iter().collect::<Result<Vec<_>>>()?;
        }
        let (from, to) = (aside.clone(), collection.to_owned());
        call.proposed.unkeyed.set(false);
        call.propose(Command::ReplaceCollection { database: database.clone(), from, to }).await
    };
    let filled = filled.await;
    if !matches!(&filled, Ok(applied) if !applied.repeated) {
        // What stays behind after a failure here is dropped by upkeep.
        let drop = place(|database, collection| Command::DropCollection { database, collection });
        let _ = group.propose(drop).await;
    }
    filled.map(|applied| applied.index)
}

fn insert_value(call: &Call, document: Value) -> Result<Operation> {
    let NewDocument { id, body } = check_document(document, &call.cluster().config.limits())?;
    Ok(Operation::Insert { id: id.unwrap_or_else(new_id), body })
}

/// What `$merge` does with one document.
fn merge_operation(
    document: &Value,
    on: &[String],
    when_matched: WhenMatched,
    when_not_matched: WhenNotMatched,
    limits: &Limits,
) -> Result<Operation> {
    // The command holds it as text, which must be readable again.
    check_document(document.clone(), limits)?;
    let mut filter = Object::new();
    for path in on {
        let value = Path::parse(path, At::root("on"))?.get(document).cloned();
        let value = value.ok_or_else(|| {
            Error::new(Kind::NotApplicable, format!("$merge: a document has no {path}"))
                .hint("every document of the result needs the fields named in on")
        })?;
        filter.insert(path.clone(), value);
    }
    let mut fields = document.as_object().cloned().unwrap_or_default();
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
