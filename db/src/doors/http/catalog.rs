//! Databases and collections, with JettraDBVM's shapes.

use super::call::Call;
use super::dispatch::check_serving;
use super::reply::Reply;
use crate::auth::Permission;
use crate::engine::apply::database_not_found;
use crate::engine::catalog;
use crate::engine::command::Command;
use crate::engine::system::{self, check_name};
use crate::error::Result;
use jettra_driver::wire::DatabaseInfo;
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
    /// The database, or `db`; made if need be.
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

/// Checks a name from a call.
fn checked<'n>(call: &Call, field: &str, name: &'n str) -> Result<&'n str> {
    check_name(field, name, call.cluster().config.name_bytes_max).map(|()| name)
}

async fn run(call: &Call, command: Command, status: &str) -> Result<Reply> {
    let applied = call.propose(command).await?;
    Ok(Reply::status(status).at(applied.index))
}

fn is_admin(call: &Call) -> bool {
    call.user.as_ref().is_some_and(|user| user.rights.is_admin())
}

/// `GET /api/dbs`: those that the caller may read.
pub async fn databases(call: Rc<Call>) -> Result<Reply> {
    check_serving(&call)?;
    let rights = &call.user()?.rights;
    let index = call.group()?.visible_index();
    let all = catalog::databases(&call.group()?.read()?)?;
    let seen = all.into_iter().filter(|(name, _)| rights.may(Permission::Read, name));
    let list: Vec<_> =
        seen.map(|(name, entry)| DatabaseInfo { name, engine: entry.engine }).collect();
    Ok(Reply::json(&list).at(index))
}

/// `POST /api/dbs`
pub async fn create_database(call: Rc<Call>) -> Result<Reply> {
    let new: NewDatabase = call.json()?;
    let name = checked(&call, "name", &new.name)?.to_owned();
    let engine = new.engine.unwrap_or_else(|| catalog::ENGINE_DEFAULT.into());
    checked(&call, "engine", &engine)?;
    run(&call, Command::CreateDatabase { name, engine }, "created").await
}

/// `DELETE /api/dbs?name=`
pub async fn drop_database(call: Rc<Call>) -> Result<Reply> {
    let name = checked(&call, "name", call.required(&["name", "db", "database"])?)?.to_owned();
    run(&call, Command::DropDatabase { name }, "deleted").await
}

/// `POST /api/dbs/rename`
pub async fn rename_database(call: Rc<Call>) -> Result<Reply> {
    let names: DatabaseRename = call.json()?;
    let from = checked(&call, "oldName", &names.old_name)?.to_owned();
    let to = checked(&call, "newName", &names.new_name)?.to_owned();
    run(&call, Command::RenameDatabase { from, to }, "renamed").await
}

/// `GET /api/dbs/{db}/cols`
pub async fn collections(call: Rc<Call>) -> Result<Reply> {
    let database = call.required(&["db"])?;
    call.authorize(Permission::Read, database)?;
    let (read, index) = call.group()?.read_with_index()?;
    if catalog::database(&read, database)?.is_none() {
        return Err(database_not_found(database));
    }
    let all = catalog::collections(&read, database)?;
    let hidden = |name: &String| {
        let secret = database == system::DATABASE && system::is_secret(name);
        let system = name.starts_with('_') && !is_admin(&call);
        secret || system || name.starts_with(system::ASIDE)
    };
    let names: Vec<_> =
        all.into_iter().map(|(name, _)| name).filter(|name| !hidden(name)).collect();
    Ok(Reply::json(&names).at(index))
}

/// `POST /api/cols`
pub async fn create_collection(call: Rc<Call>) -> Result<Reply> {
    let new: NewCollection = call.json()?;
    let database = checked(&call, "database", &new.database)?.to_owned();
    call.authorize(Permission::Write, &database)?;
    call.check_creates(&database).await?;
    let collection = checked(&call, "collection", &new.collection)?.to_owned();
    run(&call, Command::CreateCollection { database, collection }, "created").await
}

/// `DELETE /api/cols?database=&collection=`
pub async fn drop_collection(call: Rc<Call>) -> Result<Reply> {
    let (database, collection) = call.place()?;
    let database = checked(&call, "database", database)?.to_owned();
    let collection = checked(&call, "collection", collection)?.to_owned();
    run(&call, Command::DropCollection { database, collection }, "deleted").await
}

/// `POST /api/cols/rename`
pub async fn rename_collection(call: Rc<Call>) -> Result<Reply> {
    let names: CollectionRename = call.json()?;
    let database = checked(&call, "database", &names.database)?.to_owned();
    let from = checked(&call, "oldName", &names.old_name)?.to_owned();
    let to = checked(&call, "newName", &names.new_name)?.to_owned();
    run(&call, Command::RenameCollection { database, from, to }, "renamed").await
}
