//! Writing by query over HTTP: update, replace, delete, find-and-modify, bulk.

use super::call::Call;
use super::describe::{CHANGE_ERRORS, QUERIES, SELECTION_ERRORS, describe};
use super::endpoint::Endpoint;
use super::find::{explain_level, explain_reply, optional, value};
use super::reply::{IDS, Reply, Values, error_detail, warnings};
use crate::config::Limits;
use crate::engine::DocumentId;
use crate::engine::document::{NewDocument, Rewritten};
use crate::engine::query::context::At;
use crate::error::{Error, Kind, Result};
use crate::service::Response;
use crate::service::bulk::{self, BulkOperation as Operation, BulkResult};
use crate::service::explain::Explained;
use crate::service::writes::{
    self, Delete, FindAndModify, Modification, Modified, Replace, Selection, Update, Updated,
};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    BulkBody, BulkOperation, BulkReply, DeleteBody, DeleteReply, ExplainLevel, ExplainReply,
    FindAndModifyBody, FindAndModifyReply, ReplaceBody, ReturnForm, UpdateBody, UpdateReply,
};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::rc::Rc;

fn selection(filter: Json, sort: Option<Json>, hint: Option<Json>) -> Result<Selection> {
    Ok(Selection {
        filter: value(filter, "filter")?,
        sort: optional(sort, "sort")?,
        hint: optional(hint, "hint")?,
    })
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

/// An update as a part of several operations.
pub fn update_part(body: UpdateBody, multi: bool) -> Result<Update> {
    not_explained(body.explain)?;
    update_request(UpdateBody { multi, ..body })
}

/// A deletion as a part of several operations.
pub fn delete_part(body: DeleteBody, multi: bool) -> Result<Delete> {
    not_explained(body.explain)?;
    delete_request(DeleteBody { multi, ..body })
}

fn update_request(body: UpdateBody) -> Result<Update> {
    Ok(Update {
        selection: selection(body.filter, body.sort, body.hint)?,
        update: value(body.update, "update")?,
        array_filters: optional(body.array_filters, "arrayFilters")?,
        multi: body.multi,
        upsert: body.upsert,
    })
}

fn replace_request(body: ReplaceBody) -> Result<Replace> {
    Ok(Replace {
        selection: selection(body.filter, body.sort, body.hint)?,
        replacement: value(body.replacement, "replacement")?,
        upsert: body.upsert,
    })
}

fn delete_request(body: DeleteBody) -> Result<Delete> {
    let selection = selection(body.filter, body.sort, body.hint)?;
    Ok(Delete { selection, multi: body.multi })
}

fn find_and_modify_request(body: FindAndModifyBody) -> Result<FindAndModify> {
    let change = match (body.update, body.replacement, body.remove) {
        (Some(update), None, false) => Modification::Update(value(update, "update")?),
        (None, Some(new), false) => Modification::Replace(value(new, "replacement")?),
        (None, None, true) => Modification::Delete,
        _ => {
            return Err(Error::new(
                Kind::InvalidBody,
                "exactly one of update, replacement and remove must be given",
            )
            .hint("\"remove\": true deletes the document, update changes it"));
        }
    };
    Ok(FindAndModify {
        selection: selection(body.filter, body.sort, body.hint)?,
        change,
        array_filters: optional(body.array_filters, "arrayFilters")?,
        projection: optional(body.projection, "projection")?,
        upsert: body.upsert,
        return_after: matches!(body.returning, ReturnForm::After),
    })
}

/// What an update did, as the interface represents it.
pub fn update_reply(updated: Updated) -> UpdateReply {
    let Updated { matched, modified, upserted_id, warnings: texts } = updated;
    let upserted_id = upserted_id.map(IntoWire::into_wire);
    UpdateReply { matched, modified, upserted_id, warnings: warnings(texts) }
}

/// `POST …/update`
pub const UPDATE: Endpoint = Endpoint::new(
    |call| Box::pin(update(call)),
    || {
        describe(QUERIES, "Update the first document that matches, or all")
            .query("confirm")
            .fails(&[Kind::NeedsConfirmation])
            .body::<UpdateBody>()
            .gives::<UpdateReply>(200)
            .gives::<ExplainReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(SELECTION_ERRORS)
    },
);

async fn update(call: Rc<Call>) -> Result<Reply> {
    let body: UpdateBody = call.json()?;
    let explain = body.explain.map(explain_level);
    let (namespace, request) = (call.namespace()?, update_request(body)?);
    if let Some(explain) = explain {
        request.clone().operation()?;
        let Update { selection, multi, .. } = request;
        let explained = Explained::Update { selection, multi };
        return explain_reply(&call, &namespace, explained, explain).await;
    }
    let updated = writes::update(&call.session, namespace, request).await?;
    Ok(Reply::of(updated.map(|updated| Reply::json(&update_reply(updated)).values(IDS))))
}

/// `POST …/replace`
pub const REPLACE: Endpoint = Endpoint::new(
    |call| Box::pin(replace(call)),
    || {
        describe(QUERIES, "Replace the first document that matches")
            .body::<ReplaceBody>()
            .gives::<UpdateReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(SELECTION_ERRORS)
    },
);

async fn replace(call: Rc<Call>) -> Result<Reply> {
    let request = replace_request(call.json()?)?;
    let replaced = writes::replace(&call.session, call.namespace()?, request).await?;
    Ok(Reply::of(replaced.map(|updated| Reply::json(&update_reply(updated)).values(IDS))))
}

/// `POST …/delete`
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(QUERIES, "Delete the first document that matches, or all")
            .query("confirm")
            .fails(&[Kind::NeedsConfirmation])
            .body::<DeleteBody>()
            .gives::<DeleteReply>(200)
            .gives::<ExplainReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(SELECTION_ERRORS)
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let body: DeleteBody = call.json()?;
    let explain = body.explain.map(explain_level);
    let (namespace, request) = (call.namespace()?, delete_request(body)?);
    if let Some(explain) = explain {
        return explain_reply(&call, &namespace, Explained::Delete(request), explain).await;
    }
    let deleted = writes::delete(&call.session, namespace, request).await?;
    Ok(Reply::of(deleted.map(|deleted| Reply::json(&DeleteReply { deleted }))))
}

/// `POST …/find-and-modify`
pub const FIND_AND_MODIFY: Endpoint = Endpoint::new(
    |call| Box::pin(find_and_modify(call)),
    || {
        describe(QUERIES, "Change the first document that matches, and give it")
            .body::<FindAndModifyBody>()
            .gives::<FindAndModifyReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(SELECTION_ERRORS)
    },
);

async fn find_and_modify(call: Rc<Call>) -> Result<Reply> {
    let request = find_and_modify_request(call.json()?)?;
    let modified = writes::find_and_modify(&call.session, call.namespace()?, request).await?;
    Ok(Reply::of(modified.map(|Modified { document, upserted_id, forgotten }| {
        let document = document.map(|document| json!(document));
        let upserted_id = upserted_id.map(IntoWire::into_wire);
        Reply::json(&FindAndModifyReply { document, upserted_id, document_forgotten: forgotten })
            .values(Values::In(&["document", "upsertedId"]))
    })))
}

/// `POST …/bulk`
pub const BULK: Endpoint = Endpoint::new(
    |call| Box::pin(bulk(call)),
    || {
        describe(QUERIES, "Carry out many changes in one step")
            .query("confirm")
            .fails(&[Kind::NeedsConfirmation])
            .body::<BulkBody>()
            .gives::<BulkReply>(200)
            .writes()
            .fails(CHANGE_ERRORS)
            .fails(SELECTION_ERRORS)
    },
);

/// Levels of objects and arrays around a document in the body of [`BULK`].
const AROUND_INSERTED: usize = 4;

/// The body of [`BULK`] when it does nothing but insert, as that of a large import does: its documents
/// are rewritten without a tree of values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inserts {
    operations: Vec<Insert>,
    #[serde(default = "ordered")]
    ordered: bool,
}

fn ordered() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Insert {
    InsertOne { document: Rewritten },
}

/// The documents of such a body, and whether the first that is refused ends it. `None` for any other
/// body: also for one that is refused, for a reason that is found when all of it is read.
fn inserts(body: &[u8], limits: &Limits) -> Option<(Vec<NewDocument>, bool)> {
    if body.len() > limits.document_bytes_max || body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let Inserts { operations, ordered } = serde_json::from_slice(body).ok()?;
    let documents = operations.into_iter();
    let documents = documents
        .map(|Insert::InsertOne { document }| document.within(limits, AROUND_INSERTED))
        .collect::<Option<_>>()?;
    Some((documents, ordered))
}

async fn bulk(call: Rc<Call>) -> Result<Reply> {
    if let Some((documents, ordered)) = inserts(&call.body, &call.session.limits()) {
        let namespace = call.namespace()?;
        let done = bulk::insert_checked(&call.session, namespace, documents, ordered).await?;
        let done = bulk_reply(&call, done)?;
        return Ok(Reply::of(done.map(|reply| Reply::json(&reply).values(IDS))));
    }
    let body: BulkBody = call.json()?;
    let operations = body.operations.into_iter().map(|operation| {
        Ok(match operation {
            BulkOperation::InsertOne { document } => {
                Operation::Insert(value(document, "document")?)
            }
            BulkOperation::UpdateOne(body) => Operation::Update(update_part(body, false)?),
            BulkOperation::UpdateMany(body) => Operation::Update(update_part(body, true)?),
            BulkOperation::ReplaceOne(body) => Operation::Replace(replace_request(body)?),
            BulkOperation::DeleteOne(body) => Operation::Delete(delete_part(body, false)?),
            BulkOperation::DeleteMany(body) => Operation::Delete(delete_part(body, true)?),
        })
    });
    let operations = operations.collect();
    let done = bulk::bulk(&call.session, call.namespace()?, operations, body.ordered).await?;
    let done = bulk_reply(&call, done)?;
    Ok(Reply::of(done.map(|reply| Reply::json(&reply).values(IDS))))
}

fn ids(ids: BTreeMap<usize, DocumentId>) -> BTreeMap<usize, jettra_driver::DocumentId> {
    ids.into_iter().map(|(at, id)| (at, id.into_wire())).collect()
}

/// What many operations did, as the interface represents it.
///
/// # Errors
/// That of the first operation that was refused, with what the others did.
pub fn bulk_reply(call: &Call, done: Response<BulkResult>) -> Result<Response<BulkReply>> {
    let (index, repeated) = (done.index, done.repeated);
    let first = done.value.first_error().map(|(at, error)| (at, error.clone()));
    let done = done.map(|result| {
        let errors = result.errors.iter().filter(|_| !result.details_forgotten);
        BulkReply {
            matched: result.matched,
            modified: result.modified,
            deleted: result.deleted,
            inserted: result.inserted,
            errors: errors
                .map(|(at, error)| (*at, error_detail(error, &call.session.request_id)))
                .collect(),
            inserted_ids: ids(result.inserted_ids),
            upserted_ids: ids(result.upserted_ids),
            warnings: warnings(result.warnings),
            details_forgotten: result.details_forgotten,
        }
    });
    let Some((at, error)) = first else { return Ok(done) };
    let message = format!("operation {at}: {}", error.message);
    let details = json!({"operation": at, "details": error.details, "result": done.value});
    Err(Error { message, index, repeated: repeated || error.repeated, ..error }.details(details))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { document_bytes_max: 300, depth_max: 6, id_bytes_max: 20 };

    fn read(body: &str) -> Option<(Vec<NewDocument>, bool)> {
        inserts(body.as_bytes(), &LIMITS)
    }

    #[test]
    fn a_body_that_only_inserts_is_read_without_a_tree_and_any_other_is_left_to_it() {
        let insert = r#"{"insertOne":{"document":{"a":{},"_id":7}}}"#;
        let body = format!(" {{\"operations\":[{insert},{insert}]}} ");
        let (documents, ordered) = read(&body).unwrap();
        assert!(ordered && documents.len() == 2);
        assert_eq!(documents[0].body, r#"{"a":{}}"#);
        assert_eq!(documents[0].id, Some(DocumentId::from(7)));
        let (documents, ordered) = read(r#"{"ordered":false,"operations":[]}"#).unwrap();
        assert!(!ordered && documents.is_empty());
        let deeper = r#"{"insertOne":{"document":{"a":[{}]}}}"#;
        let other = r#"{"deleteOne":{"filter":{}}}"#;
        for body in [
            format!("{{\"operations\":[{insert},{other}]}}"),
            format!("{{\"operations\":[{deeper}]}}"),
            format!("{{\"operations\":[{insert}],\"ordered\":null}}"),
            format!("{{\"operations\":[{insert}],\"x\":1}}"),
            format!("{{\"operations\":[{insert}],\"operations\":[]}}"),
            format!("[[{insert}]]"),
            format!("{{\"operations\":[{}]}}", [insert; 8].join(",")),
        ] {
            assert_eq!(read(&body), None, "{body}");
        }
    }
}
