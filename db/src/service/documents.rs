//! Single documents: read, inserted, put, changed and deleted by their `_id`.

use super::precondition::{Guarded, Precondition};
use super::read::{State, reading};
use super::writes::{self, WriteResult};
use super::{Response, Session, Step, Steps};
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::catalog;
use crate::engine::command::{
    Command, Mutation, Operation, Outcome, Put, PutMode, Returning, Select, Target, Write,
};
use crate::engine::document::{NewDocument, Revision};
use crate::engine::row::Row;
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use crate::error::{collection_not_found, database_not_found, document_not_found};
use crate::raft::groups::AppliedCommand;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Table};

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its revision.
    pub revision: Revision,
    /// Its JSON text, with `_id` first.
    pub json: Vec<u8>,
}

/// What the write of one document did.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The document's `_id`.
    pub id: DocumentId,
    /// Its revision afterwards.
    pub revision: Revision,
    /// Whether it did not exist.
    pub created: bool,
    /// What a schema that only warns has found, each as JSON text.
    pub warnings: Vec<String>,
}

/// What the change of a document left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// The document's revision afterwards.
    pub revision: Revision,
    /// The document, or the `_id` of one that is not kept any more.
    pub document: std::result::Result<String, DocumentId>,
}

/// A new `_id`. A UUIDv7 grows with time, so new documents lie side by side in the tree.
pub fn new_id() -> DocumentId {
    DocumentId::from(uuid::Uuid::now_v7().to_string())
}

/// Reads a document.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `document_not_found`, `forbidden`, and those of
/// [`State::of`].
pub async fn get(
    session: &Session,
    namespace: &Namespace,
    target: Target,
) -> Result<Response<Document>> {
    session.check_readable(namespace)?;
    if !State::of(session)?.is_now() {
        let reading = reading(session, namespace, move |read, collection, _| {
            find(read, collection.id, &target)
        });
        return reading.await.map(|(document, index)| Response::at(document, index));
    }
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    let id = find_collection(&read, namespace)?;
    Ok(Response::at(find(&read, id, &target)?, index))
}

/// Inserts a document, with a new `_id` if it has none; creates its collection if need be, and its
/// database if `create_database` says so.
///
/// # Errors
/// `duplicate_id` if it exists and `mode` does not allow that; `database_not_found`,
/// `invalid_name`, and those of rules, schema and indexes.
pub async fn insert(
    session: &Session,
    namespace: Namespace,
    new: NewDocument,
    mode: PutMode,
    create_database: bool,
) -> Result<Response<Written>> {
    session.check_writable(&namespace)?;
    let target = Target::from(new.id.unwrap_or_else(new_id));
    let (body, if_match) = (new.body, None);
    let command = Command::Put(Put { namespace, target, body, mode, if_match, create_database });
    let mut steps = Steps::new(session);
    let written = steps.propose(Step::Keyed, command).await.and_then(written);
    steps.finish(written)
}

/// Puts a document at an `_id`, whether or not there was one.
///
/// # Errors
/// `revision_mismatch`, and those of [`insert`].
pub async fn put(
    session: &Session,
    namespace: &Namespace,
    target: &Target,
    body: &str,
    condition: &Precondition,
    create_database: bool,
) -> Result<Response<Written>> {
    let mut steps = Steps::new(session);
    let guarded = Guarded { namespace, target, condition, puts: true };
    let put = guarded.propose(&mut steps, |guard| {
        Command::Put(Put {
            namespace: namespace.clone(),
            target: target.clone(),
            body: body.to_owned(),
            mode: guard.mode,
            if_match: guard.if_match,
            create_database,
        })
    });
    let written = put.await.and_then(written);
    steps.finish(written)
}

/// Changes a document: by update operators if the patch has them, else as JSON Merge Patch.
///
/// # Errors
/// `document_not_found`, `revision_mismatch`, `invalid_query`, and those of rules, schema and
/// indexes.
pub async fn patch(
    session: &Session,
    namespace: &Namespace,
    target: &Target,
    patch: Value,
    condition: &Precondition,
) -> Result<Response<Patched>> {
    let operators = match &patch {
        Value::Object(fields) => fields.keys().any(|name| name.starts_with('$')),
        _ => true,
    };
    let change = match operators {
        true => writes::update_change(patch, None)?,
        false => Mutation::Merge(patch.to_json()),
    };
    let time_ms = session.group()?.time_ms();
    let mut steps = Steps::new(session);
    let guarded = Guarded { namespace, target, condition, puts: false };
    let patched = guarded.propose(&mut steps, |guard| {
        let operation = Operation::Modify {
            select: Select::Id { target: target.clone(), if_match: guard.if_match },
            mutation: change.clone(),
            multi: false,
            upsert: None,
            returning: Returning::After,
        };
        Command::Write(Box::new(Write {
            namespace: namespace.clone(),
            create_database: false,
            operations: vec![operation],
            ordered: true,
            time_ms,
            limits: writes::write_limits(session),
        }))
    });
    let patched = patched.await.and_then(|applied| {
        let WriteResult { wrote, index } = writes::only_result(applied)?;
        steps.note_forgotten(wrote.forgotten.is_some());
        let document = match wrote.forgotten {
            Some(id) => Err(id),
            None => Ok(wrote.document.unwrap_or_default()),
        };
        Ok(Response::at(Patched { revision: wrote.revision.unwrap_or_default(), document }, index))
    });
    steps.finish(patched)
}

/// Deletes a document.
///
/// # Errors
/// `document_not_found`, `revision_mismatch`, `referenced`, `validation_failed`.
pub async fn delete(
    session: &Session,
    namespace: &Namespace,
    target: &Target,
    condition: &Precondition,
) -> Result<Response<()>> {
    let mut steps = Steps::new(session);
    let guarded = Guarded { namespace, target, condition, puts: false };
    let deleted = guarded.propose(&mut steps, |guard| Command::Delete {
        namespace: namespace.clone(),
        target: target.clone(),
        if_match: guard.if_match,
    });
    let deleted = deleted.await.map(|applied| Response::at((), applied.index));
    steps.finish(deleted)
}

/// What the write of one document did.
///
/// # Errors
/// `internal` for the outcome of another command.
pub fn written(applied: AppliedCommand) -> Result<Response<Written>> {
    let (outcome, warnings) = applied.outcome.without_warnings();
    match outcome {
        Outcome::Written { id, revision, created } => {
            Ok(Response::at(Written { id, revision, created, warnings }, applied.index))
        }
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

/// The number of a collection.
///
/// # Errors
/// `database_not_found`, `collection_not_found`.
pub fn find_collection(read: &impl Read, namespace: &Namespace) -> Result<CollectionId> {
    let Namespace { database, collection } = namespace;
    if let Some(id) = catalog::collection(read, database, collection)? {
        return Ok(id);
    }
    match catalog::database(read, database)? {
        Some(_) => Err(collection_not_found(database, collection)),
        None => Err(database_not_found(database)),
    }
}

/// The document that is meant.
///
/// # Errors
/// `document_not_found`.
pub fn find(read: &impl Read, collection: CollectionId, target: &Target) -> Result<Document> {
    for id in [Some(&target.id), target.or.as_ref()].into_iter().flatten() {
        if let Some(stored) = read.get(Table::Documents, &keys::document_key(collection, id))? {
            let row = Row::decode(stored)
                .ok_or_else(|| Error::new(Kind::Internal, "a stored document is damaged"))?;
            return Ok(Document { revision: row.revision, json: row.json.to_vec() });
        }
    }
    Err(document_not_found(&target.id))
}
