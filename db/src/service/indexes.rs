//! Indexes of a collection, and what the collection holds.

use super::{Response, Session, Step, Steps};
use crate::engine::Namespace;
use crate::engine::catalog::{self, Collection};
use crate::engine::command::{Command, Outcome};
use crate::engine::index::{ID_INDEX, Index, IndexSpec, IndexState};
use crate::engine::query::context::At;
use crate::engine::query::source::open;
use crate::engine::value::{Object, Value};
use crate::error::{Error, Kind, Result};
use crate::storage::Read;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two looks at an index that is being built.
const BUILD_PAUSE: Duration = Duration::from_millis(10);

/// An index as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexEntry {
    /// Its name.
    pub name: String,
    /// Its fields in their order, and whether each descends.
    pub keys: Vec<(String, bool)>,
    /// No two documents may have the same values.
    pub unique: bool,
    /// Documents without the fields are not in it.
    pub sparse: bool,
    /// A document without the field gets the next number.
    pub sequential: bool,
    /// The filter that its documents match, as JSON text.
    pub partial: Option<String>,
    /// Seconds after the date in its field after which a document expires.
    pub expire_after: Option<u64>,
    /// How far it is.
    pub state: IndexState,
    /// Documents of the collection while it is being built.
    pub total: Option<u64>,
    /// Its entries.
    pub entries: u64,
    /// Whether a document has several entries.
    pub multikey: bool,
}

/// An index that is to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIndex {
    /// Its fields and directions; a text lists fields.
    pub keys: Value,
    /// `name`, `unique`, `sparse` and so on.
    pub options: Object,
    /// Whether to wait until it is built.
    pub wait: bool,
}

/// An index that exists now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedIndex {
    /// Its name.
    pub name: String,
    /// Whether it is new.
    pub created: bool,
}

/// What a collection holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// How many documents.
    pub documents: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Its indexes.
    pub indexes: Vec<IndexEntry>,
    /// Whether it has a schema.
    pub schema: bool,
}

fn entry(read: &impl Read, collection: &Collection, index: &Index) -> Result<IndexEntry> {
    let spec = &index.entry.spec;
    let building = matches!(index.entry.state, IndexState::Building { .. });
    Ok(IndexEntry {
        name: spec.name.clone(),
        keys: index.names().map(|(name, descending)| (name.to_owned(), descending)).collect(),
        unique: spec.unique,
        sparse: spec.sparse,
        sequential: spec.sequential,
        partial: spec.partial.clone(),
        expire_after: spec.expire_after,
        state: index.entry.state.clone(),
        total: building.then(|| collection.documents(read)).transpose()?,
        entries: collection.stats(read, index.entry.id)?.entries,
        multikey: index.entry.multikey,
    })
}

/// The index on `_id`, which every collection has.
fn id_entry(read: &impl Read, collection: &Collection) -> Result<IndexEntry> {
    Ok(IndexEntry {
        name: ID_INDEX.to_owned(),
        keys: vec![("_id".to_owned(), false)],
        unique: true,
        sparse: false,
        sequential: false,
        partial: None,
        expire_after: None,
        state: IndexState::Ready,
        total: None,
        entries: collection.documents(read)?,
        multikey: false,
    })
}

fn entries(read: &impl Read, collection: &Collection) -> Result<Vec<IndexEntry>> {
    collection.indexes.iter().map(|index| entry(read, collection, index)).collect()
}

/// Lists the indexes of a collection, but for the one on `_id`.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn list(session: &Session, namespace: &Namespace) -> Result<Response<Vec<IndexEntry>>> {
    session.check_readable(namespace)?;
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    Ok(Response::at(entries(&read, &collection)?, index))
}

/// An index by its name, as this node sees it from a log index on; none when it does not exist.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `timeout`.
pub async fn get(
    session: &Session,
    namespace: &Namespace,
    name: &str,
    from_index: u64,
) -> Result<Option<IndexEntry>> {
    let group = session.group()?;
    group.wait_visible(from_index).await?;
    let read = group.read()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    match name == ID_INDEX {
        true => id_entry(&read, &collection).map(Some),
        false => collection.index(name).map(|index| entry(&read, &collection, index)).transpose(),
    }
}

/// What a collection holds.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn statistics(session: &Session, namespace: &Namespace) -> Result<Response<Statistics>> {
    session.check_readable(namespace)?;
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    let totals = catalog::totals(&read, collection.id)?;
    let statistics = Statistics {
        documents: totals.documents,
        bytes: totals.bytes,
        indexes: entries(&read, &collection)?,
        schema: collection.options.schema.is_some(),
    };
    Ok(Response::at(statistics, index))
}

/// Creates an index and, if wished, waits until it is built. Creates its collection if need be.
///
/// # Errors
/// `invalid_query`, `index_conflict`; `index_not_found` when it is dropped while it is being built;
/// `unique_violation` and `not_indexable` when the documents
/// that exist do not allow it: then there is no such index.
pub async fn create(
    session: &Session,
    namespace: &Namespace,
    new: NewIndex,
) -> Result<Response<CreatedIndex>> {
    let mut steps = Steps::new(session);
    let created = create_once(&mut steps, namespace, new).await;
    steps.finish(created)
}

/// Creates an index, and its collection and database before if they do not exist and the caller
/// may create them.
///
/// # Errors
/// `database_not_found`, and those of [`create`].
pub async fn create_with_collection(
    session: &Session,
    namespace: &Namespace,
    new: NewIndex,
) -> Result<Response<CreatedIndex>> {
    session.check_writable(namespace)?;
    session.check_creates(&namespace.database).await?;
    let mut steps = Steps::new(session);
    let created = async {
        create_collection(&mut steps, namespace).await?;
        create_once(&mut steps, namespace, new).await
    };
    let created = created.await;
    steps.finish(created)
}

/// Creates a collection unless it exists.
async fn create_collection(steps: &mut Steps<'_>, namespace: &Namespace) -> Result<()> {
    let group = steps.session().group()?;
    let read = group.read()?;
    let exists = catalog::collection(&read, &namespace.database, &namespace.collection)?.is_some();
    drop(read);
    if !exists {
        let command = Command::CreateCollection { namespace: namespace.clone() };
        steps.propose(Step::Keyed, command).await?;
    }
    Ok(())
}

async fn create_once(
    steps: &mut Steps<'_>,
    namespace: &Namespace,
    new: NewIndex,
) -> Result<Response<CreatedIndex>> {
    let session = steps.session();
    session.check_writable(namespace)?;
    let spec = IndexSpec::parse(&new.keys, &new.options)?;
    if spec.is_on_id() {
        return create_id_index(steps, namespace).await;
    }
    let command = Command::CreateIndex { namespace: namespace.clone(), spec };
    let applied = steps.propose(Step::Keyed, command).await?;
    let Outcome::Index { name, created } = applied.outcome else {
        return Err(Error::new(Kind::Internal, "unexpected outcome"));
    };
    if new.wait {
        session.group()?.wait_visible(applied.index).await?;
        wait_until_built(steps, namespace, &name).await?;
    }
    Ok(Response::at(CreatedIndex { name, created }, applied.index))
}

/// Waits until an index is built, as long as a query may take; then it goes on being built, and the
/// list of indexes shows its progress. One that cannot be built is dropped.
async fn wait_until_built(steps: &mut Steps<'_>, namespace: &Namespace, name: &str) -> Result<()> {
    let session = steps.session();
    let deadline = Instant::now() + session.time_limit;
    loop {
        match state_of(session, namespace, name)? {
            Some(IndexState::Ready) => return Ok(()),
            None => return Err(dropped_meanwhile(name)),
            Some(IndexState::Failed(error)) => {
                let command =
                    Command::DropIndex { namespace: namespace.clone(), name: name.to_owned() };
                steps.propose_system(Step::Unkeyed, command).await?;
                return Err(*error);
            }
            Some(IndexState::Building { .. }) if Instant::now() > deadline => return Ok(()),
            Some(IndexState::Building { .. }) => tokio::time::sleep(BUILD_PAUSE).await,
        }
    }
}

fn dropped_meanwhile(name: &str) -> Error {
    Error::new(
        Kind::IndexNotFound,
        format!("the index {name:?} was dropped while it was being built"),
    )
    .hint("create it again if it is wanted")
}

fn state_of(session: &Session, namespace: &Namespace, name: &str) -> Result<Option<IndexState>> {
    let group = session.group()?;
    let read = group.read()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    Ok(collection.index(name).map(|index| index.entry.state.clone()))
}

/// The index on `_id` exists when the collection does.
async fn create_id_index(
    steps: &mut Steps<'_>,
    namespace: &Namespace,
) -> Result<Response<CreatedIndex>> {
    let created = CreatedIndex { name: ID_INDEX.to_owned(), created: false };
    if let Some(index) = exists_at(steps.session(), namespace)? {
        return Ok(Response::at(created, index));
    }
    let command = Command::CreateCollection { namespace: namespace.clone() };
    let applied = steps.propose(Step::Keyed, command).await?;
    Ok(Response::at(created, applied.index))
}

/// The log index at which a collection is seen to exist.
fn exists_at(session: &Session, namespace: &Namespace) -> Result<Option<u64>> {
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    match open(&read, &namespace.database, &namespace.collection) {
        Ok(_) => Ok(Some(index)),
        Err(error) if error.kind == Kind::CollectionNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks the options of an index.
///
/// # Errors
/// `invalid_query` when they are no object.
pub fn checked_options(options: Value) -> Result<Object> {
    match options {
        Value::Object(options) => Ok(options),
        _ => Err(At::root("options").invalid("must be an object")),
    }
}

/// Drops an index, by its name or by its fields with commas between them.
///
/// # Errors
/// `index_not_found`, `index_conflict`, and those of the collection.
pub async fn drop_index(
    session: &Session,
    namespace: &Namespace,
    name: &str,
) -> Result<Response<()>> {
    session.check_writable(namespace)?;
    let command = Command::DropIndex { namespace: namespace.clone(), name: name.to_owned() };
    let mut steps = Steps::new(session);
    let done = steps.propose(Step::Keyed, command).await;
    steps.finish(done.map(|applied| Response::at((), applied.index)))
}
