//! JettraDBVM's calls about collections and indexes.

use super::documents::is_absent;
use crate::doors::http::call::Call;
use crate::doors::http::catalog as catalog_door;
use crate::doors::http::describe::{CATALOG, JETTRADBVM, NAME_ERRORS, NAMESPACE_ERRORS, describe};
use crate::doors::http::endpoint::Endpoint;
use crate::doors::http::indexes::{field_list, index_info};
use crate::doors::http::reply::Reply;
use crate::engine::Namespace;
use crate::engine::system::check_name;
use crate::engine::value::{Object, Value};
use crate::error::{Kind, Result};
use crate::service::indexes::{self, NewIndex};
use jettra_driver::wire::{IndexStateName, StatusReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

/// `GET /api/dbs/{db}/cols`
pub const COLLECTIONS: Endpoint = Endpoint::new(
    |call| Box::pin(collections(call)),
    || {
        describe(CATALOG, "List the names of a database's collections")
            .gives::<Vec<String>>(200)
            .reads()
            .fails(&[Kind::DatabaseNotFound])
    },
);

async fn collections(call: Rc<Call>) -> Result<Reply> {
    match catalog_door::collections(call).await {
        Err(error) if is_absent(&error) => Ok(Reply::json(&json!([]))),
        listed => listed,
    }
}

/// An index in the answer to `GET /api/index`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it gives a shape only")]
struct JettraDbvmIndex {
    /// Its fields, with commas between them.
    field: String,
    /// No two documents may have the same values.
    unique: bool,
    /// A document without the field gets the next number.
    sequential: bool,
    /// Its name.
    name: String,
    /// How far it is.
    state: IndexStateName,
}

/// `GET /api/index`: field, unique and sequential of each index.
pub const INDEXES: Endpoint = Endpoint::new(
    |call| Box::pin(indexes(call)),
    || {
        describe(JETTRADBVM, "List the indexes of a collection")
            .query("db! col!")
            .gives::<Vec<JettraDbvmIndex>>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
    },
);

async fn indexes(call: Rc<Call>) -> Result<Reply> {
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
pub const CREATE_INDEX: Endpoint = Endpoint::new(
    |call| Box::pin(create_index(call)),
    || {
        describe(JETTRADBVM, "Create an index, and wait until it is built")
            .body::<JettraDbvmNewIndex>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[
                Kind::CollectionNotFound,
                Kind::InvalidQuery,
                Kind::IndexConflict,
                Kind::IndexNotFound,
                Kind::UniqueViolation,
                Kind::NotIndexable,
                Kind::TooLarge,
            ])
    },
);

async fn create_index(call: Rc<Call>) -> Result<Reply> {
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
pub const DROP_INDEX: Endpoint = Endpoint::new(
    |call| Box::pin(drop_index(call)),
    || {
        describe(JETTRADBVM, "Drop an index; succeeds if it does not exist")
            .query("db! col! field!")
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
            .fails(&[Kind::IndexConflict])
    },
);

async fn drop_index(call: Rc<Call>) -> Result<Reply> {
    let field = call.required(&["field", "name"])?;
    match indexes::drop_index(&call.session, &call.namespace()?, field).await {
        Ok(dropped) => Ok(Reply::of(dropped.map(|()| Reply::status("deleted")))),
        Err(error) if error.kind == Kind::IndexNotFound || is_absent(&error) => {
            Ok(Reply::status("deleted"))
        }
        Err(error) => Err(error),
    }
}
