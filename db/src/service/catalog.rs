//! Databases and collections: listed, created, dropped and renamed; what a collection holds.

use super::bounds::in_background;
use super::{Response, Session, Step, Steps, groups};
use crate::auth::Permission;
use crate::engine::Command;
use crate::engine::Namespace;
use crate::engine::catalog::{self, Collection};
use crate::engine::command::Placement;
use crate::engine::placement::{self, DatabaseDocument, DatabaseState};
use crate::engine::query::context::Context;
use crate::engine::system::{self, check_name};
use crate::error::database_not_found;
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::raft::types::SYSTEM_GROUP;
use crate::storage::{Read, ReadTxn, StorageError, Table, keys};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// A database as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseEntry {
    /// Its name.
    pub name: String,
    /// A name that JettraDBVM's clients give; kept, and without meaning.
    pub engine: String,
    /// The group that holds it.
    pub group: GroupId,
}

/// Hashes of a collection, to compare nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionHashes {
    /// Of its documents.
    pub documents: u64,
    /// Of its indexes.
    pub indexes: u64,
    /// Of the versions that it keeps; none when it keeps none.
    pub versions: Option<u64>,
}

fn check(session: &Session, field: &str, name: &str) -> Result<()> {
    check_name(field, name, session.config().name_bytes_max)
}

async fn run(session: &Session, command: Command) -> Result<Response<()>> {
    let mut steps = Steps::new(session);
    let done = steps.propose(Step::Keyed, command).await;
    steps.finish(done.map(|applied| Response::at((), applied.index)))
}

/// Lists the databases that the caller may read.
///
/// # Errors
/// `removed`, `paused`.
pub async fn databases(session: &Session) -> Result<Response<Vec<DatabaseEntry>>> {
    session.service().check_serving()?;
    let rights = &session.user()?.rights;
    let (read, index) = session.system()?.read_with_index()?;
    let own = catalog::databases(&read)?.into_iter();
    let own =
        own.map(|(name, entry)| DatabaseEntry { name, engine: entry.engine, group: SYSTEM_GROUP });
    let there =
        |state: &DatabaseState| !matches!(state, DatabaseState::Creating | DatabaseState::Reserved);
    let placed = placement::databases(&read)?.into_iter().filter(|known| there(&known.state));
    let placed = placed.map(|known| {
        let DatabaseDocument { name, engine, group, .. } = known;
        DatabaseEntry { name, engine, group }
    });
    let mut all: Vec<_> =
        own.chain(placed).filter(|entry| rights.may(Permission::Read, &entry.name)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Response::at(all, index))
}

/// The database as the placement has it, if it is in a group other than the system group, or is to be
/// there.
async fn placed(session: &Session, name: &str) -> Result<Option<DatabaseDocument>> {
    let view = session.service().cluster.confirmed_placement().await?;
    Ok(view.databases.get(name).cloned())
}

/// Has a database changed that is in a group other than the system group, and waits until it is done.
async fn change_placed(
    session: &Session,
    name: &str,
    placement: Placement,
) -> Result<Response<()>> {
    let done = run(session, Command::Placement(Box::new(placement))).await?;
    let epoch = done.index.unwrap_or_default();
    let system = session.system()?;
    system.wait_visible(epoch).await?;
    session.service().cluster.placements.refresh(system)?;
    let view = session.service().cluster.placements.view();
    // Another caller may have asked for the same before.
    let epoch = view.databases.get(name).map_or(epoch, |known| known.epoch);
    groups::wait_for_database(session, name, epoch).await?;
    Ok(done)
}

/// Creates a database, in the group that is named if it does not exist; succeeds if it is there.
///
/// # Errors
/// `invalid_name`, `group_not_found`, `forbidden`; `name_taken` if it is in another group.
pub async fn create_database(
    session: &Session,
    name: String,
    engine: Option<String>,
    group: Option<GroupId>,
) -> Result<Response<()>> {
    check(session, "name", &name)?;
    let engine = engine.unwrap_or_else(|| catalog::ENGINE_DEFAULT.into());
    check(session, "engine", &engine)?;
    let known = placed(session, &name).await?;
    let group = group.or(known.map(|known| known.group)).unwrap_or(SYSTEM_GROUP);
    if group == SYSTEM_GROUP {
        let create = Command::CreateDatabase { name: name.clone(), engine };
        return run(session, create).await.map_err(taken(&name));
    }
    let create = Placement::CreateDatabase { name: name.clone(), engine, group };
    change_placed(session, &name, create).await
}

/// What a database that is in another group means for a caller that creates it in the system group.
fn taken(name: &str) -> impl FnOnce(Error) -> Error + '_ {
    move |error| match error.kind {
        Kind::PlacementChanged => {
            Error::new(Kind::NameTaken, format!("there is a database {name:?} in another group"))
                .hint("choose another name or drop it first")
        }
        _ => error,
    }
}

/// Drops a database with all that it holds; succeeds if it does not exist.
///
/// # Errors
/// `invalid_name`, `forbidden`.
pub async fn drop_database(session: &Session, name: String) -> Result<Response<()>> {
    check(session, "name", &name)?;
    if placed(session, &name).await?.is_some() {
        let drop = Placement::DropDatabase { name: name.clone() };
        return change_placed(session, &name, drop).await;
    }
    run(session, Command::DropDatabase { name }).await
}

/// Renames a database.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `name_taken`, `forbidden`.
pub async fn rename_database(session: &Session, from: String, to: String) -> Result<Response<()>> {
    check(session, "oldName", &from)?;
    check(session, "newName", &to)?;
    if placed(session, &from).await?.is_some() {
        let rename = Placement::RenameDatabase { from: from.clone(), to };
        return change_placed(session, &from, rename).await;
    }
    run(session, Command::RenameDatabase { from, to }).await
}

/// Lists the names of a database's collections; the system's own only for administrators.
///
/// # Errors
/// `database_not_found`, `forbidden`.
pub async fn collections(session: &Session, database: &str) -> Result<Response<Vec<String>>> {
    session.authorize(Permission::Read, database)?;
    let is_admin = session.user()?.rights.is_admin();
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    if catalog::database(&read, database)?.is_none() {
        return Err(database_not_found(database));
    }
    let all = catalog::collections(&read, database)?;
    let hidden = |name: &String| {
        let secret = database == system::DATABASE && system::is_secret(name);
        let system = name.starts_with('_') && !is_admin;
        secret || system || name.starts_with(system::ASIDE)
    };
    let names = all.into_iter().map(|(name, _)| name).filter(|name| !hidden(name)).collect();
    Ok(Response::at(names, index))
}

/// Creates a collection, and its database if the caller may; succeeds if it exists.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `forbidden`.
pub async fn create_collection(session: &Session, namespace: Namespace) -> Result<Response<()>> {
    check(session, "database", &namespace.database)?;
    session.authorize(Permission::Write, &namespace.database)?;
    session.check_creates(&namespace.database).await?;
    check(session, "collection", &namespace.collection)?;
    run(session, Command::CreateCollection { namespace }).await
}

/// Drops a collection; succeeds if it does not exist.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `referenced`, `forbidden`.
pub async fn drop_collection(session: &Session, namespace: Namespace) -> Result<Response<()>> {
    check(session, "database", &namespace.database)?;
    check(session, "collection", &namespace.collection)?;
    run(session, Command::DropCollection { namespace }).await
}

/// Renames a collection.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `collection_not_found`, `name_taken`, `forbidden`.
pub async fn rename_collection(
    session: &Session,
    namespace: Namespace,
    to: String,
) -> Result<Response<()>> {
    let Namespace { database, collection: from } = namespace;
    check(session, "database", &database)?;
    check(session, "oldName", &from)?;
    check(session, "newName", &to)?;
    run(session, Command::RenameCollection { database, from, to }).await
}

/// Hashes every collection of a database.
///
/// # Errors
/// `database_not_found`, `forbidden`, `time_limit`.
pub async fn hash(
    session: &Session,
    database: String,
) -> Result<Response<BTreeMap<String, CollectionHashes>>> {
    session.require(Permission::Admin)?;
    let hashing = in_background(session, move |read, ctx| {
        if catalog::database(read, &database)?.is_none() {
            return Err(database_not_found(&database));
        }
        let mut hashes = BTreeMap::new();
        for (name, id) in catalog::collections(read, &database)? {
            if database != system::DATABASE || !system::is_secret(&name) {
                hashes.insert(name, hash_collection(read, &Collection::load(read, id)?, ctx)?);
            }
        }
        Ok(hashes)
    });
    hashing.await.map(|(hashes, index)| Response::at(hashes, index))
}

fn hash_collection(
    read: &ReadTxn<'_>,
    collection: &Collection,
    ctx: &Context<'_>,
) -> Result<CollectionHashes> {
    let mut indexes = Xxh3::new();
    for index in &collection.indexes {
        indexes.update(index.entry.spec.name.as_bytes());
        let rows = hash_rows(read, Table::Indexes, index.entry.id, ctx)?;
        indexes.update(&rows.to_be_bytes());
    }
    let versions = collection.options.versions;
    Ok(CollectionHashes {
        documents: hash_rows(read, Table::Documents, collection.id, ctx)?,
        indexes: indexes.digest(),
        versions: versions
            .map(|versions| hash_rows(read, Table::Versions, versions.space, ctx))
            .transpose()?,
    })
}

fn hash_rows(read: &ReadTxn<'_>, table: Table, id: u32, ctx: &Context<'_>) -> Result<u64> {
    let mut hash = Xxh3::new();
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    for row in read.range(table, &start, &end)? {
        let (key, value) = row.map_err(|error: StorageError| Error::from(error))?;
        ctx.step()?;
        // Lengths too, so that bytes cannot move from one row to the next unseen.
        hash.update(&(key.len() as u64).to_be_bytes());
        hash.update(&key[4..]);
        hash.update(&(value.len() as u64).to_be_bytes());
        hash.update(value);
    }
    Ok(hash.digest())
}
