//! Databases and collections over HTTP, with JettraDBVM's shapes.

use super::call::Call;
use super::reply::Reply;
use crate::engine::Namespace;
use crate::error::Result;
use crate::service::Response;
use crate::service::catalog::{self, CollectionHashes, DatabaseEntry};
use jettra_driver::wire::{CollectionHash, DatabaseInfo, HashReply};
use schemars::JsonSchema;
use serde::Deserialize;
use std::rc::Rc;

/// A database in a body.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewDatabase {
    /// Its name.
    name: String,
    /// A name that JettraDBVM's clients give; kept, and without meaning.
    #[serde(default)]
    engine: Option<String>,
}

/// Body of `POST /api/dbs/rename`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DatabaseRename {
    /// Its name until now.
    old_name: String,
    /// Its name from now on.
    new_name: String,
}

/// Body of `POST /api/cols`.
#[derive(Deserialize, JsonSchema)]
pub(super) struct NewCollection {
    /// The database, or `db`; created if need be.
    #[serde(alias = "db")]
    database: String,
    /// Its name, or `col`.
    #[serde(alias = "col")]
    collection: String,
}

/// Body of `POST /api/cols/rename`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CollectionRename {
    /// The database, or `db`.
    #[serde(alias = "db")]
    database: String,
    /// Its name until now.
    old_name: String,
    /// Its name from now on.
    new_name: String,
}

fn status(done: Response<()>, text: &str) -> Reply {
    Reply::of(done.map(|()| Reply::status(text)))
}

/// A database as the interface tells it.
pub fn database_info(entry: DatabaseEntry) -> DatabaseInfo {
    DatabaseInfo { name: entry.name, engine: entry.engine }
}

/// `GET /api/dbs`: those that the caller may read.
pub async fn databases(call: Rc<Call>) -> Result<Reply> {
    let databases = catalog::databases(&call.session).await?;
    Ok(Reply::of(databases.map(|databases| {
        Reply::json(&databases.into_iter().map(database_info).collect::<Vec<_>>())
    })))
}

/// `POST /api/dbs`
pub async fn create_database(call: Rc<Call>) -> Result<Reply> {
    let NewDatabase { name, engine } = call.json()?;
    Ok(status(catalog::create_database(&call.session, name, engine).await?, "created"))
}

/// `DELETE /api/dbs?name=`
pub async fn drop_database(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["name", "db", "database"])?.to_owned();
    Ok(status(catalog::drop_database(&call.session, name).await?, "deleted"))
}

/// `POST /api/dbs/rename`
pub async fn rename_database(call: Rc<Call>) -> Result<Reply> {
    let DatabaseRename { old_name, new_name } = call.json()?;
    Ok(status(catalog::rename_database(&call.session, old_name, new_name).await?, "renamed"))
}

/// The names of the collections of the database that a call names.
pub async fn collections(call: Rc<Call>) -> Result<Reply> {
    let names = catalog::collections(&call.session, call.required(&["db"])?).await?;
    Ok(Reply::of(names.map(|names| Reply::json(&names))))
}

/// `POST /api/cols`
pub async fn create_collection(call: Rc<Call>) -> Result<Reply> {
    let NewCollection { database, collection } = call.json()?;
    let namespace = Namespace { database, collection };
    Ok(status(catalog::create_collection(&call.session, namespace).await?, "created"))
}

/// `DELETE /api/cols?database=&collection=`
pub async fn drop_collection(call: Rc<Call>) -> Result<Reply> {
    let dropped = catalog::drop_collection(&call.session, call.namespace()?).await?;
    Ok(status(dropped, "deleted"))
}

/// `POST /api/cols/rename`
pub async fn rename_collection(call: Rc<Call>) -> Result<Reply> {
    let CollectionRename { database, old_name, new_name } = call.json()?;
    let namespace = Namespace { database, collection: old_name };
    Ok(status(catalog::rename_collection(&call.session, namespace, new_name).await?, "renamed"))
}

/// `GET /api/v1/databases/{db}/hash`
pub async fn hash(call: Rc<Call>) -> Result<Reply> {
    let database = call.required(&["db"])?.to_owned();
    let hashes = catalog::hash(&call.session, database).await?;
    let index = hashes.index.unwrap_or_default();
    let text = |hash: u64| format!("{hash:016x}");
    Ok(Reply::of(hashes.map(|hashes| {
        let collections = hashes.into_iter().map(|(name, hashes)| {
            let CollectionHashes { documents, indexes, versions } = hashes;
            let (documents, indexes) = (text(documents), text(indexes));
            (name, CollectionHash { documents, versions: versions.map(text), indexes })
        });
        Reply::json(&HashReply { index, collections: collections.collect() })
    })))
}
