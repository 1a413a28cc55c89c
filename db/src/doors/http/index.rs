//! Indexes of a collection, and what it holds.

use super::call::Call;
use super::document::{check_collection, readable_place, writable_place};
use super::query::{self, in_background};
use super::reply::Reply;
use crate::engine::catalog::{self, Collection};
use crate::engine::command::{Command, Outcome};
use crate::engine::index::{ID_INDEX, Index, IndexSpec, IndexState};
use crate::engine::query::context::At;
use crate::engine::query::source::open;
use crate::engine::system;
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use crate::storage::env::StorageError;
use crate::storage::{Read, ReadTxn, Table, keys};
use jettra_driver::wire::{
    CollectionHash, HashReply, IndexBody, IndexInfo, IndexStateName, StatsReply,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

/// Pause between two looks at an index that is being built.
const BUILD_PAUSE: Duration = Duration::from_millis(10);

fn info(read: &ReadTxn<'_>, collection: &Collection, index: &Index) -> Result<IndexInfo> {
    let spec = &index.entry.spec;
    let (state, done, error) = match &index.entry.state {
        IndexState::Building { done, .. } => (IndexStateName::Building, Some(*done), None),
        IndexState::Ready => (IndexStateName::Ready, None, None),
        failed @ IndexState::Failed(_) => {
            (IndexStateName::Failed, None, failed.error().map(|error| error.to_string()))
        }
    };
    let keys = index
        .names()
        .map(|(name, descending)| (name.to_owned(), json!(if descending { -1 } else { 1 })));
    let partial = spec.partial.as_ref().and_then(|text| serde_json::from_str(text).ok());
    Ok(IndexInfo {
        name: spec.name.clone(),
        keys: keys.collect(),
        unique: spec.unique,
        sparse: spec.sparse,
        sequential: spec.sequential,
        partial_filter_expression: partial,
        expire_after_seconds: spec.expire_after,
        state,
        done,
        total: done.map(|_| collection.documents(read)).transpose()?,
        error,
        entries: collection.stats(read, index.entry.id)?.entries,
        multikey: index.entry.multikey,
    })
}

fn infos(read: &ReadTxn<'_>, collection: &Collection) -> Result<Vec<IndexInfo>> {
    collection.indexes.iter().map(|index| info(read, collection, index)).collect()
}

/// The indexes of the collection that a call names, beside the one on `_id`.
pub async fn indexes(call: &Call) -> Result<(Vec<IndexInfo>, u64)> {
    let (database, collection) = readable_place(call)?;
    let (read, index) = call.group()?.read_with_index()?;
    let collection = open(&read, database, collection)?;
    Ok((infos(&read, &collection)?, index))
}

/// `GET …/indexes`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let (indexes, index) = indexes(&call).await?;
    Ok(Reply::json(&json!({"indexes": indexes})).at(index))
}

/// Creates an index and, if wished, waits until it is built; gives its name and whether it
/// is new.
///
/// # Errors
/// `invalid_query`, `index_conflict`; `unique_violation` and `not_indexable` when the documents
/// that are there do not allow it: then there is no such index.
pub async fn run_create(call: &Call, body: IndexBody) -> Result<(String, bool, u64)> {
    let (database, collection) = writable_place(call)?;
    create_at(call, database, collection, body).await
}

/// As [`run_create`], in a collection named otherwise than by the address.
pub async fn create_at(
    call: &Call,
    database: &str,
    collection: &str,
    body: IndexBody,
) -> Result<(String, bool, u64)> {
    check_collection(call, collection)?;
    let keys = query::value(body.keys, "keys")?;
    let options = query::value(serde_json::Value::Object(body.options), "options")?;
    let Value::Object(options) = options else {
        return Err(At::root("options").invalid("must be an object"));
    };
    let spec = IndexSpec::parse(&keys, &options)?;
    if spec.is_on_id() {
        return create_id_index(call, database, collection).await;
    }
    let group = call.group()?;
    let (database, collection) = (database.to_owned(), collection.to_owned());
    let command =
        Command::CreateIndex { database: database.clone(), collection: collection.clone(), spec };
    let applied = call.propose(command).await?;
    let Outcome::Index { name, created } = applied.outcome else {
        return Err(Error::new(Kind::Internal, "unexpected outcome"));
    };
    if !body.wait {
        return Ok((name, created, applied.index));
    }
    let limit = Duration::from_millis(call.cluster().config.query_timeout_ms);
    let deadline = Instant::now() + limit;
    group.wait_visible(applied.index).await?;
    loop {
        let state = {
            let read = group.read()?;
            open(&read, &database, &collection)?.index(&name).map(|index| index.entry.state.clone())
        };
        match state {
            None | Some(IndexState::Ready) => return Ok((name, created, applied.index)),
            Some(failed @ IndexState::Failed(_)) => {
                call.send(Command::DropIndex { database, collection, name }).await?;
                return Err(failed.error().unwrap_or_else(no_index));
            }
            // It goes on being built; the list of indexes tells how far it is.
            Some(IndexState::Building { .. }) if Instant::now() > deadline => {
                return Ok((name, created, applied.index));
            }
            Some(IndexState::Building { .. }) => tokio::time::sleep(BUILD_PAUSE).await,
        }
    }
}

/// Makes the collection that an index is for, and its database; nothing when it exists.
pub async fn create_place(call: &Call, database: &str, collection: &str) -> Result<()> {
    check_collection(call, collection)?;
    if catalog::collection(&call.group()?.read()?, database, collection)?.is_some() {
        return Ok(());
    }
    let (database, collection) = (database.to_owned(), collection.to_owned());
    call.propose(Command::CreateCollection { database, collection }).await?;
    Ok(())
}

/// The index on `_id` is there when the collection is.
async fn create_id_index(
    call: &Call,
    database: &str,
    collection: &str,
) -> Result<(String, bool, u64)> {
    let known = {
        let (read, index) = call.group()?.read_with_index()?;
        match open(&read, database, collection) {
            Ok(_) => Some(index),
            Err(error) if error.kind == Kind::CollectionNotFound => None,
            Err(error) => return Err(error),
        }
    };
    let index = match known {
        Some(index) => index,
        None => {
            let (database, collection) = (database.to_owned(), collection.to_owned());
            call.propose(Command::CreateCollection { database, collection }).await?.index
        }
    };
    Ok((ID_INDEX.to_owned(), false, index))
}

fn id_info(read: &ReadTxn<'_>, collection: &Collection) -> Result<IndexInfo> {
    Ok(IndexInfo {
        name: ID_INDEX.to_owned(),
        keys: [("_id".to_owned(), json!(1))].into_iter().collect(),
        unique: true,
        sparse: false,
        sequential: false,
        partial_filter_expression: None,
        expire_after_seconds: None,
        state: IndexStateName::Ready,
        done: None,
        total: None,
        error: None,
        entries: collection.documents(read)?,
        multikey: false,
    })
}

fn no_index() -> Error {
    Error::new(Kind::NotIndexable, "the index could not be built")
}

/// `POST …/indexes`
pub async fn create(call: Rc<Call>) -> Result<Reply> {
    let (name, created, index) = run_create(&call, call.json()?).await?;
    let group = call.group()?;
    group.wait_visible(index).await?;
    let read = group.read()?;
    let (database, collection) = call.place()?;
    let collection = open(&read, database, collection)?;
    let made = match name == ID_INDEX {
        true => Some(id_info(&read, &collection)?),
        false => {
            collection.index(&name).map(|index| info(&read, &collection, index)).transpose()?
        }
    };
    Ok(Reply::json(&made).with_status(if created { 201 } else { 200 }).at(index))
}

/// Drops an index by name, or by its fields.
pub async fn run_drop(call: &Call, name: &str) -> Result<u64> {
    let (database, collection) = writable_place(call)?;
    let command = Command::DropIndex {
        database: database.to_owned(),
        collection: collection.to_owned(),
        name: name.to_owned(),
    };
    Ok(call.propose(command).await?.index)
}

/// `DELETE …/indexes/{name}`
pub async fn drop(call: Rc<Call>) -> Result<Reply> {
    let index = run_drop(&call, call.required(&["name"])?).await?;
    Ok(Reply::empty().at(index))
}

/// `GET …/stats`
pub async fn stats(call: Rc<Call>) -> Result<Reply> {
    let (database, collection) = readable_place(&call)?;
    let (read, index) = call.group()?.read_with_index()?;
    let collection = open(&read, database, collection)?;
    let totals = catalog::totals(&read, collection.id)?;
    let reply = StatsReply {
        documents: totals.documents,
        bytes: totals.bytes,
        average_bytes: totals.bytes.checked_div(totals.documents).unwrap_or(0),
        indexes: infos(&read, &collection)?,
        schema: collection.options.schema.is_some(),
    };
    Ok(Reply::json(&reply).at(index))
}

/// `GET /api/v1/databases/{db}/hash`
pub async fn hash(call: Rc<Call>) -> Result<Reply> {
    let database = call.required(&["db"])?.to_owned();
    let (mut reply, index) = in_background(&call, move |read, ctx| {
        if catalog::database(read, &database)?.is_none() {
            return Err(crate::engine::apply::database_not_found(&database));
        }
        let mut collections = BTreeMap::new();
        for (name, id) in catalog::collections(read, &database)? {
            if database == system::DATABASE && system::is_secret(&name) {
                continue;
            }
            let collection = Collection::load(read, id)?;
            let table = |table, id| -> Result<Xxh3> {
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
                Ok(hash)
            };
            let documents = table(Table::Documents, collection.id)?.digest();
            let mut indexes = Xxh3::new();
            for index in &collection.indexes {
                indexes.update(index.entry.spec.name.as_bytes());
                indexes.update(&table(Table::Indexes, index.entry.id)?.digest().to_be_bytes());
            }
            let hashes = CollectionHash {
                documents: format!("{documents:016x}"),
                versions: match collection.options.versions {
                    None => None,
                    Some(versions) => {
                        Some(format!("{:016x}", table(Table::Versions, versions.space)?.digest()))
                    }
                },
                indexes: format!("{:016x}", indexes.digest()),
            };
            collections.insert(name, hashes);
        }
        Ok(HashReply { index: 0, collections })
    })
    .await?;
    reply.index = index;
    Ok(Reply::json(&reply).at(index))
}

/// The ancestor's way to name fields, `a,b`, from the fields of an index.
pub fn field_list(info: &IndexInfo) -> String {
    info.keys.keys().map(String::as_str).collect::<Vec<_>>().join(",")
}
