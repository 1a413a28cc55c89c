//! JettraDBVM's document calls: its parameters and answers, on the functions of
//! `api/document.rs`.

use crate::api::call::Call;
use crate::api::document;
use crate::api::reply::Reply;
use crate::engine::command::PutMode;
use crate::engine::document::parse_document;
use crate::error::{Kind, Result};
use serde_json::json;
use std::rc::Rc;

/// `POST /api/doc`: saves a document, over one of the same `_id`; makes what is missing.
pub async fn save(call: Rc<Call>) -> Result<Reply> {
    let new = parse_document(&call.body, &call.cluster().config.limits())?;
    let (written, index) = document::put_new(&call, new, PutMode::Upsert, true).await?;
    Ok(Reply::json(&json!({"id": written.id})).etag(written.revision).at(index))
}

/// `GET /api/doc`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    document::get(call).await
}

/// `PUT /api/doc`
pub async fn replace(call: Rc<Call>) -> Result<Reply> {
    let (written, _, index) = document::replace(call).await?;
    Ok(Reply::status("ok").etag(written.revision).at(index))
}

/// `DELETE /api/doc`: a success as well when there is no such document.
pub async fn delete(call: Rc<Call>) -> Result<Reply> {
    match document::delete(call).await {
        Ok(reply) => Ok(Reply { index: reply.index, ..Reply::status("deleted") }),
        Err(error) if error.kind == Kind::DocumentNotFound => Ok(Reply::status("deleted")),
        Err(error) => Err(error),
    }
}

/// `GET /api/query`: a page as a bare array, which has no place for a cursor.
pub async fn query(call: Rc<Call>) -> Result<Reply> {
    let (page, index) = document::page(&call, true).await?;
    Ok(Reply::bytes(page.documents).at(index))
}
