//! JettraDBVM's calls about collections and indexes.

use super::documents::is_absent;
use crate::doors::http::call::Call;
use crate::doors::http::catalog;
use crate::doors::http::indexes::{field_list, index_info};
use crate::doors::http::reply::Reply;
use crate::engine::Namespace;
use crate::engine::system::check_name;
use crate::engine::value::{Object, Value};
use crate::error::{Kind, Result};
use crate::service::indexes::{self, NewIndex};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

/// `GET /api/dbs/{db}/cols`
pub async fn collections(call: Rc<Call>) -> Result<Reply> {
    match catalog::collections(call).await {
        Err(error) if is_absent(&error) => Ok(Reply::json(&json!([]))),
        listed => listed,
    }
}

/// `GET /api/index`: field, unique and sequential of each index.
pub async fn indexes(call: Rc<Call>) -> Result<Reply> {
    let indexes = match indexes::list(&call.session, &call.namespace()?).await {
        Err(error) if is_absent(&error) => return Ok(Reply::json(&json!([]))),
        listed => listed?,
    };
    Ok(Reply::of(indexes.map(|indexes| {
        let list = indexes.into_iter().map(index_info).map(|one| {
            json!({
                "field": field_list(&one),
                "unique": one.unique,
                "sequential": one.sequential,
                "name": one.name,
                "state": one.state,
            })
        });
        Reply::json(&list.collect::<Vec<_>>())
    })))
}

/// Body of `POST /api/index`.
#[derive(Deserialize, JsonSchema)]
pub(in crate::doors::http) struct JettraDbvmNewIndex {
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

/// `POST /api/index`: creates its collection and database if need be, as `POST /api/cols` does.
pub async fn create_index(call: Rc<Call>) -> Result<Reply> {
    let JettraDbvmNewIndex { database, collection, field, unique, sequential } = call.json()?;
    check_name("database", &database, call.session.config().name_bytes_max)?;
    let options = [("unique", unique), ("sequential", sequential)];
    let options = options.map(|(name, value)| (name.to_owned(), Value::Bool(value)));
    let new =
        NewIndex { keys: Value::String(field), options: Object::from_iter(options), wait: true };
    let namespace = Namespace { database, collection };
    let created = indexes::create_with_collection(&call.session, &namespace, new).await?;
    Ok(Reply::of(created.map(|_| Reply::status("created"))))
}

/// `DELETE /api/index`: succeeds if there is no such index.
pub async fn drop_index(call: Rc<Call>) -> Result<Reply> {
    let field = call.required(&["field", "name"])?;
    match indexes::drop_index(&call.session, &call.namespace()?, field).await {
        Ok(dropped) => Ok(Reply::of(dropped.map(|()| Reply::status("deleted")))),
        Err(error) if error.kind == Kind::IndexNotFound || is_absent(&error) => {
            Ok(Reply::status("deleted"))
        }
        Err(error) => Err(error),
    }
}
