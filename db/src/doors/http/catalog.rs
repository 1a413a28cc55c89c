//! Databases and collections over HTTP, with JettraDBVM's shapes.

use super::call::Call;
use super::describe::{CATALOG, NAME_ERRORS, STRUCTURE, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::engine::Namespace;
use crate::error::{Kind, Result};
use crate::service::Response;
use crate::service::catalog::{self, CollectionHashes, DatabaseEntry};
use jettra_driver::wire::{CollectionHash, DatabaseInfo, HashReply, StatusReply};
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
    /// The group of replicas that is to hold it; default: where it is, else the system group, 0.
    #[serde(default)]
    group: Option<u32>,
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

/// A database as the interface represents it.
pub fn database_info(entry: DatabaseEntry) -> DatabaseInfo {
    let DatabaseEntry { name, engine, group } = entry;
    DatabaseInfo { name, engine, group: group.into() }
}

/// `GET /api/dbs`: those that the caller may read.
pub const DATABASES: Endpoint = Endpoint::new(
    |call| Box::pin(databases(call)),
    || describe(CATALOG, "List the databases").gives::<Vec<DatabaseInfo>>(200).reads(),
);

async fn databases(call: Rc<Call>) -> Result<Reply> {
    let databases = catalog::databases(&call.session).await?;
    Ok(Reply::of(databases.map(|databases| {
        Reply::json(&databases.into_iter().map(database_info).collect::<Vec<_>>())
    })))
}

/// `POST /api/dbs`
pub const CREATE_DATABASE: Endpoint = Endpoint::new(
    |call| Box::pin(create_database(call)),
    || {
        describe(CATALOG, "Create a database; succeeds if it exists")
            .body::<NewDatabase>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[Kind::GroupNotFound, Kind::NameTaken, Kind::NotPossibleNow])
    },
);

async fn create_database(call: Rc<Call>) -> Result<Reply> {
    let NewDatabase { name, engine, group } = call.json()?;
    let created = catalog::create_database(&call.session, name, engine, group).await?;
    Ok(status(created, "created"))
}

/// `DELETE /api/dbs?name=`
pub const DROP_DATABASE: Endpoint = Endpoint::new(
    |call| Box::pin(drop_database(call)),
    || {
        describe(CATALOG, "Drop a database; succeeds if it does not exist")
            .query("name!")
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[Kind::NotPossibleNow])
    },
);

async fn drop_database(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["name", "db", "database"])?.to_owned();
    Ok(status(catalog::drop_database(&call.session, name).await?, "deleted"))
}

/// `POST /api/dbs/rename`
pub const RENAME_DATABASE: Endpoint = Endpoint::new(
    |call| Box::pin(rename_database(call)),
    || {
        describe(CATALOG, "Give a database another name")
            .body::<DatabaseRename>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[Kind::NameTaken, Kind::NotPossibleNow])
    },
);

async fn rename_database(call: Rc<Call>) -> Result<Reply> {
    let DatabaseRename { old_name, new_name } = call.json()?;
    Ok(status(catalog::rename_database(&call.session, old_name, new_name).await?, "renamed"))
}

/// The names of the collections of the database that a call names.
pub async fn collections(call: Rc<Call>) -> Result<Reply> {
    let names = catalog::collections(&call.session, call.required(&["db"])?).await?;
    Ok(Reply::of(names.map(|names| Reply::json(&names))))
}

/// `POST /api/cols`
pub const CREATE_COLLECTION: Endpoint = Endpoint::new(
    |call| Box::pin(create_collection(call)),
    || {
        describe(CATALOG, "Create a collection, and its database if need be; succeeds if it exists")
            .body::<NewCollection>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
    },
);

async fn create_collection(call: Rc<Call>) -> Result<Reply> {
    let NewCollection { database, collection } = call.json()?;
    let namespace = Namespace { database, collection };
    Ok(status(catalog::create_collection(&call.session, namespace).await?, "created"))
}

/// `DELETE /api/cols?database=&collection=`
pub const DROP_COLLECTION: Endpoint = Endpoint::new(
    |call| Box::pin(drop_collection(call)),
    || {
        describe(CATALOG, "Drop a collection; succeeds if it does not exist")
            .query("database! collection!")
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[Kind::Referenced, Kind::QueryTooLarge])
    },
);

async fn drop_collection(call: Rc<Call>) -> Result<Reply> {
    let dropped = catalog::drop_collection(&call.session, call.namespace()?).await?;
    Ok(status(dropped, "deleted"))
}

/// `POST /api/cols/rename`
pub const RENAME_COLLECTION: Endpoint = Endpoint::new(
    |call| Box::pin(rename_collection(call)),
    || {
        describe(CATALOG, "Give a collection another name")
            .body::<CollectionRename>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(&[
                Kind::CollectionNotFound,
                Kind::NameTaken,
                Kind::InvalidQuery,
                Kind::TooLarge,
                Kind::QueryTooLarge,
            ])
    },
);

async fn rename_collection(call: Rc<Call>) -> Result<Reply> {
    let CollectionRename { database, old_name, new_name } = call.json()?;
    let namespace = Namespace { database, collection: old_name };
    Ok(status(catalog::rename_collection(&call.session, namespace, new_name).await?, "renamed"))
}

/// `GET /api/v1/databases/{db}/hash`
pub const HASH: Endpoint = Endpoint::new(
    |call| Box::pin(hash(call)),
    || {
        describe(STRUCTURE, "Hash a database, to compare nodes")
            .gives::<HashReply>(200)
            .reads()
            .fails(&[Kind::DatabaseNotFound, Kind::TimeLimit])
    },
);

async fn hash(call: Rc<Call>) -> Result<Reply> {
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
