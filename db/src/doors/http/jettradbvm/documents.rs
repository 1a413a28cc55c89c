//! JettraDBVM's document calls: its parameters and answers, on the functions of
//! `api/document.rs`.

use crate::config::PAGE_DEFAULT;
use crate::doors::http::call::Call;
use crate::doors::http::query::Find;
use crate::doors::http::reply::Reply;
use crate::doors::http::{catalog, document, index, query};
use crate::engine::command::PutMode;
use crate::engine::document::parse_document;
use crate::engine::system::check_name;
use crate::error::{Error, Kind, Result};
use jettra_driver::wire::{CountReply, IndexBody};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};
use std::rc::Rc;

/// `POST /api/doc`: saves a document, over one of the same `_id`; makes what is missing.
pub async fn save(call: Rc<Call>) -> Result<Reply> {
    let new = parse_document(&call.body, &call.cluster().config.limits())?;
    let creates = call.may_create(call.place()?.0)?;
    let (written, index) = document::put_new(&call, new, PutMode::Upsert, creates).await?;
    Ok(Reply::json(&json!({"id": written.id})).etag(written.revision).at(index))
}

/// `GET /api/doc`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    document::get(call).await
}

/// `PUT /api/doc`: the address says which document it is, whatever `_id` the body has.
pub async fn replace(call: Rc<Call>) -> Result<Reply> {
    let target = call.target_document()?;
    let new = parse_document(&call.body, &call.cluster().config.limits())?;
    let creates = call.may_create(call.place()?.0)?;
    let (written, _, index) = document::put_guarded(&call, &target, &new.body, creates).await?;
    Ok(Reply::status("ok").etag(written.revision).at(index))
}

/// Whether an error says that what is asked for does not exist. JettraDBVM knows no difference
/// between a collection that does not exist and an empty one.
pub(in crate::doors::http) fn is_absent(error: &Error) -> bool {
    matches!(error.kind, Kind::DatabaseNotFound | Kind::CollectionNotFound | Kind::DocumentNotFound)
}

/// `DELETE /api/doc`: a success as well when there is no such document.
pub async fn delete(call: Rc<Call>) -> Result<Reply> {
    match document::delete(call).await {
        Ok(reply) => Ok(Reply { index: reply.index, ..Reply::status("deleted") }),
        Err(error) if is_absent(&error) => Ok(Reply::status("deleted")),
        Err(error) => Err(error),
    }
}

/// `GET /api/query`: documents as a bare array; takes `filter`, `sort` and `fields` too. A limit
/// of 0 or less gives all of them.
pub async fn query(call: Rc<Call>) -> Result<Reply> {
    let limit = match call.parameter(&["limit"]) {
        None => PAGE_DEFAULT,
        Some(text) => match text.parse::<i64>() {
            Ok(limit) => u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
            Err(_) => return Err(wrong_limit(text)),
        },
    };
    let find = query::find_from_parameters(&call, limit, u64::MAX)?;
    let (page, index) = match query::find_page(&call, Find { whole: true, ..find }).await {
        Err(error) if is_absent(&error) => return Ok(Reply::json(&json!([]))),
        page => page?,
    };
    let reply = match page.explained {
        Some(explained) => Reply::json(&json!({"explain": explained})),
        None => Reply::bytes(page.documents),
    };
    Ok(reply.at(index))
}

fn wrong_limit(text: &str) -> Error {
    Error::new(Kind::InvalidParameter, format!("limit={text} is not a whole number"))
        .hint("use the number of documents, or 0 for all of them")
}

/// `GET /api/count`
pub async fn count(call: Rc<Call>) -> Result<Reply> {
    match query::count(call).await {
        Err(error) if is_absent(&error) => Ok(Reply::json(&CountReply { count: 0 })),
        counted => counted,
    }
}

/// `GET /api/dbs/{db}/cols`
pub async fn list_collections(call: Rc<Call>) -> Result<Reply> {
    match catalog::collections(call).await {
        Err(error) if is_absent(&error) => Ok(Reply::json(&json!([]))),
        listed => listed,
    }
}

/// `GET /api/index`: field, unique and sequential of each index.
pub async fn list_indexes(call: Rc<Call>) -> Result<Reply> {
    let (indexes, at) = match index::indexes(&call).await {
        Err(error) if is_absent(&error) => return Ok(Reply::json(&json!([]))),
        listed => listed?,
    };
    let list = indexes.iter().map(|one| {
        json!({
            "field": index::field_list(one),
            "unique": one.unique,
            "sequential": one.sequential,
            "name": one.name,
            "state": one.state,
        })
    });
    Ok(Reply::json(&list.collect::<Vec<_>>()).at(at))
}

/// Body of `POST /api/index`.
#[derive(Deserialize, JsonSchema)]
pub(in crate::doors::http) struct NewIndex {
    /// The database, or `db`.
    #[serde(alias = "db")]
    database: String,
    /// The collection, or `col`.
    #[serde(alias = "col")]
    collection: String,
    /// The field, or several with commas between them.
    field: String,
    /// No two documents may have the same values.
    #[serde(default)]
    unique: bool,
    /// A document without the field gets the next number.
    #[serde(default)]
    sequential: bool,
}

/// `POST /api/index`: makes its database if need be, as `POST /api/cols` does.
pub async fn create_index(call: Rc<Call>) -> Result<Reply> {
    let NewIndex { database, collection, field, unique, sequential } = call.json()?;
    check_name("database", &database, call.cluster().config.name_bytes_max)?;
    let options = [("unique", unique), ("sequential", sequential)];
    let options = options.map(|(name, value)| (name.to_owned(), json!(value)));
    let body = IndexBody { keys: json!(field), wait: true, options: Map::from_iter(options) };
    call.check_creates(&database).await?;
    index::create_place(&call, &database, &collection).await?;
    let (_, _, at) = index::create_at(&call, &database, &collection, body).await?;
    Ok(Reply::status("created").at(at))
}

/// `DELETE /api/index`: a success as well when there is no such index.
pub async fn drop_index(call: Rc<Call>) -> Result<Reply> {
    let field = call.required(&["field", "name"])?.to_owned();
    match index::run_drop(&call, &field).await {
        Ok(at) => Ok(Reply::status("deleted").at(at)),
        Err(error) if error.kind == Kind::IndexNotFound || is_absent(&error) => {
            Ok(Reply::status("deleted"))
        }
        Err(error) => Err(error),
    }
}
