//! JettraDBVM's calls about documents: its parameters and answers.

use crate::config::PAGE_DEFAULT;
use crate::doors::http::call::Call;
use crate::doors::http::describe::{
    AnyDocument, CHANGE_ERRORS, DOCUMENT_ERRORS, JETTRADBVM, NAMESPACE_ERRORS, QUERY_ERRORS,
    describe,
};
use crate::doors::http::documents::{self as documents_door, condition};
use crate::doors::http::endpoint::Endpoint;
use crate::doors::http::find::{self as find_door, find_from_parameters};
use crate::doors::http::reply::Reply;
use crate::engine::command::PutMode;
use crate::engine::document::parse_document;
use crate::error::{Error, Kind, Result};
use crate::service::documents::{self, Written};
use crate::service::find::{self, Find};
use jettra_driver::wire::{CountReply, DocumentId, ExplainReply, StatusReply};
use schemars::JsonSchema;
use serde_json::json;
use std::rc::Rc;

/// Whether an error says that what is asked for does not exist. JettraDBVM knows no difference
/// between a collection that does not exist and an empty one.
pub fn is_absent(error: &Error) -> bool {
    matches!(error.kind, Kind::DatabaseNotFound | Kind::CollectionNotFound | Kind::DocumentNotFound)
}

/// The answer to `POST /api/doc`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it gives a shape only")]
struct Saved {
    /// The document's `_id`.
    id: DocumentId,
}

/// `POST /api/doc`: saves a document, over one of the same `_id`; creates what does not exist.
pub const SAVE: Endpoint = Endpoint::new(
    |call| Box::pin(save(call)),
    || {
        describe(
            JETTRADBVM,
            "Save a document, over one of the same `_id`; creates database and collection if need be",
        )
        .query("db! col!")
        .body::<AnyDocument>()
        .gives::<Saved>(200)
        .writes()
        .fails(CHANGE_ERRORS)
    },
);

async fn save(call: Rc<Call>) -> Result<Reply> {
    let new = parse_document(&call.body, &call.session.limits())?;
    let namespace = call.namespace()?;
    let creates = call.session.may_create(&namespace.database)?;
    let saved = documents::insert(&call.session, namespace, new, PutMode::Upsert, creates).await?;
    Ok(Reply::of(
        saved.map(|Written { id, revision, .. }| Reply::json(&json!({"id": id})).etag(revision)),
    ))
}

/// `GET /api/doc`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(documents_door::get(call)),
    || {
        describe(JETTRADBVM, "Read a document")
            .query("db! col! id! id_type")
            .gives::<AnyDocument>(200)
            .gives_known()
            .reads()
            .fails(DOCUMENT_ERRORS)
    },
);

/// `PUT /api/doc`: the address says which document it is, whatever `_id` the body has.
pub const REPLACE: Endpoint = Endpoint::new(
    |call| Box::pin(replace(call)),
    || {
        describe(JETTRADBVM, "Put a document at an `_id`, whether or not there was one")
            .query("db! col! id! id_type")
            .body::<AnyDocument>()
            .gives::<StatusReply>(200)
            .writes()
            .if_match()
            .fails(CHANGE_ERRORS)
    },
);

async fn replace(call: Rc<Call>) -> Result<Reply> {
    let target = call.target_document()?;
    let new = parse_document(&call.body, &call.session.limits())?;
    let (namespace, condition) = (call.namespace()?, condition(&call)?);
    let creates = call.session.may_create(&namespace.database)?;
    let body = &new.body;
    let put = documents::put(&call.session, &namespace, &target, body, &condition, creates).await?;
    Ok(Reply::of(put.map(|written| Reply::status("ok").etag(written.revision))))
}

/// `DELETE /api/doc`: succeeds if there is no such document.
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(JETTRADBVM, "Delete a document; succeeds if it does not exist")
            .query("db! col! id! id_type")
            .gives::<StatusReply>(200)
            .writes()
            .if_match()
            .fails(CHANGE_ERRORS)
            .fails(NAMESPACE_ERRORS)
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let condition = condition(&call)?;
    match documents::delete(&call.session, &namespace, &target, &condition).await {
        Ok(deleted) => Ok(Reply::of(deleted.map(|()| Reply::status("deleted")))),
        Err(error) if is_absent(&error) => Ok(Reply::status("deleted")),
        Err(error) => Err(error),
    }
}

/// `GET /api/query`: documents as a bare array; takes `filter`, `sort` and `fields` too. A limit
/// of 0 or less gives all of them.
pub const QUERY: Endpoint = Endpoint::new(
    |call| Box::pin(query(call)),
    || {
        describe(JETTRADBVM, "Read documents, as a bare array")
            .query("db! col! limit offset filter sort fields skip cursor hint explain")
            .gives::<Vec<AnyDocument>>(200)
            .gives::<ExplainReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn query(call: Rc<Call>) -> Result<Reply> {
    let limit = match call.parameter(&["limit"]) {
        None => PAGE_DEFAULT,
        Some(text) => match text.parse::<i64>() {
            Ok(limit) => u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
            Err(_) => return Err(wrong_limit(text)),
        },
    };
    let request = Find { whole: true, ..find_from_parameters(&call, limit, None)? };
    let page = match find::find(&call.session, &call.namespace()?, request).await {
        Err(error) if is_absent(&error) => return Ok(Reply::json(&json!([]))),
        page => page?,
    };
    Ok(Reply::of(page.map(|page| match page.explained {
        Some(explained) => Reply::json(&json!({"explain": explained})),
        None => Reply::value(page.documents.into_array()),
    })))
}

fn wrong_limit(text: &str) -> Error {
    Error::new(Kind::InvalidParameter, format!("limit={text} is not a whole number"))
        .hint("use the number of documents, or 0 for all of them")
}

/// `GET /api/count`
pub const COUNT: Endpoint = Endpoint::new(
    |call| Box::pin(count(call)),
    || {
        describe(JETTRADBVM, "Count documents")
            .query("db! col! filter")
            .gives::<CountReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn count(call: Rc<Call>) -> Result<Reply> {
    match find_door::count(call).await {
        Err(error) if is_absent(&error) => Ok(Reply::json(&CountReply { count: 0 })),
        counted => counted,
    }
}
