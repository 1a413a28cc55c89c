//! Documents, as REST. `jettradbvm::documents` gives the same functions the ancestor's shapes.

use super::call::Call;
use super::precondition::{Guard, Preconditions, guarded};
use super::reply::Reply;
use super::view::{Source, reading};
use crate::auth::Permission;
use crate::engine::DocumentId;
use crate::engine::apply::{collection_not_found, database_not_found, document_not_found};
use crate::engine::catalog;
use crate::engine::command::{Command, Outcome, PutMode, Target};
use crate::engine::document::{self, NewDocument, Revision, parse_document};
use crate::engine::system::{self, check_name};
use crate::error::{Error, Kind, Result};
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Table};
use crate::wire::IntoWire;
use jettra_driver::wire::WriteReply;
use std::rc::Rc;

/// `GET …/documents/{id}`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let (database, collection) = readable_place(&call)?;
    let target = call.target_document()?;
    if !matches!(Source::of(&call)?, Source::Now) {
        let ((revision, json), index) =
            reading(&call, move |read, collection, _| find(read, collection.id, &target)).await?;
        return read_reply(&call, revision, json, index);
    }
    let (read, index) = call.group()?.read_with_index()?;
    let id = find_collection(&read, database, collection)?;
    let (revision, json) = find(&read, id, &target)?;
    read_reply(&call, revision, json, index)
}

/// A document for a reader, unless it has it already.
fn read_reply(call: &Call, revision: Revision, json: Vec<u8>, index: u64) -> Result<Reply> {
    let reply = match Preconditions::of(call)?.is_known(revision) {
        true => Reply::empty().with_status(304),
        false => Reply::bytes(json),
    };
    Ok(reply.etag(revision).at(index))
}

/// `POST …/documents`
pub async fn insert(call: Rc<Call>) -> Result<Reply> {
    let new = parse_document(&call.body, &call.cluster().config.limits())?;
    let (written, index) = put_new(&call, new, PutMode::Insert, false).await?;
    let (database, collection) = call.place()?;
    let id = segment(&written.id.to_string());
    let place = format!(
        "/api/v1/databases/{}/collections/{}/documents/{id}",
        segment(database),
        segment(collection)
    );
    Ok(Reply::json(&written)
        .with_status(201)
        .etag(written.revision)
        .header("location", place)
        .at(index))
}

/// Puts a document at the address's `_id`; tells what was written and whether it is new.
pub async fn replace(call: Rc<Call>) -> Result<(WriteReply, bool, u64)> {
    let target = call.target_document()?;
    let mut new = parse_document(&call.body, &call.cluster().config.limits())?;
    let named = [Some(&target.id), target.or.as_ref()];
    if let Some(id) = new.id.take()
        && !named.contains(&Some(&id))
    {
        let message = format!("the body has _id {id}, the address names {}", target.id);
        return Err(
            Error::new(Kind::InvalidId, message).hint("an _id cannot be changed; leave it out")
        );
    }
    put_guarded(&call, &target, &new.body, false).await
}

/// Puts a document at an `_id` if the preconditions of the call hold.
pub async fn put_guarded(
    call: &Call,
    target: &Target,
    body: &str,
    create_database: bool,
) -> Result<(WriteReply, bool, u64)> {
    guarded(call, target, true, async |Guard { mode, if_match }| {
        let (target, body) = (target.clone(), body.to_owned());
        write(call, put_command(call, target, body, mode, if_match, create_database)?).await
    })
    .await
}

/// `PUT …/documents/{id}`
pub async fn put(call: Rc<Call>) -> Result<Reply> {
    let (written, created, index) = replace(call).await?;
    let status = if created { 201 } else { 200 };
    Ok(Reply::json(&written).with_status(status).etag(written.revision).at(index))
}

/// `DELETE …/documents/{id}`
pub async fn delete(call: Rc<Call>) -> Result<Reply> {
    let (database, collection) = writable_place(&call)?;
    let target = call.target_document()?;
    let applied = guarded(&call, &target, false, async |guard| {
        let command = Command::Delete {
            database: database.into(),
            collection: collection.into(),
            target: target.clone(),
            if_match: guard.if_match,
        };
        call.propose(command).await
    });
    Ok(Reply::empty().at(applied.await?.index))
}

/// Writes a new document and gives what was written.
pub async fn put_new(
    call: &Call,
    new: NewDocument,
    mode: PutMode,
    create_database: bool,
) -> Result<(WriteReply, u64)> {
    // A UUIDv7 grows with time, so new documents lie side by side in the tree.
    let id = new.id.unwrap_or_else(|| DocumentId::String(uuid::Uuid::now_v7().to_string()));
    let command = put_command(call, id.into(), new.body, mode, None, create_database)?;
    write(call, command).await.map(|(written, _, index)| (written, index))
}

fn put_command(
    call: &Call,
    target: Target,
    body: String,
    mode: PutMode,
    if_match: Option<Revision>,
    create_database: bool,
) -> Result<Command> {
    let (database, collection) = writable_place(call)?;
    Ok(Command::Put {
        database: database.into(),
        collection: collection.into(),
        target,
        body,
        mode,
        if_match,
        create_database,
    })
}

/// Proposes a write of one document; gives what was written, whether it is new, and where.
pub(super) async fn write(call: &Call, command: Command) -> Result<(WriteReply, bool, u64)> {
    let applied = call.propose(command).await?;
    let (outcome, warnings) = applied.outcome.without_warnings();
    match outcome {
        Outcome::Written { id, revision, created } => {
            let warnings = super::update::warnings(warnings);
            let id = id.into_wire();
            Ok((WriteReply { id, revision, warnings }, created, applied.index))
        }
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

/// The number of a collection.
///
/// # Errors
/// `database_not_found`, `collection_not_found`.
pub fn find_collection(read: &impl Read, database: &str, collection: &str) -> Result<CollectionId> {
    if let Some(id) = catalog::collection(read, database, collection)? {
        return Ok(id);
    }
    match catalog::database(read, database)? {
        Some(_) => Err(collection_not_found(database, collection)),
        None => Err(database_not_found(database)),
    }
}

/// The revision of the document that is meant, as a write of the call finds it; none when there is
/// no such document.
pub(super) async fn current_revision(call: &Call, target: &Target) -> Result<Option<Revision>> {
    let (database, collection) = call.place()?;
    match Source::of(call)? {
        Source::Transaction(open) => {
            let _turn = open.turn().await;
            open.with(|transaction| revision(transaction.view(), database, collection, target))
        }
        _ => {
            let group = call.group()?;
            group.wait_linearizable().await?;
            revision(&group.read()?, database, collection, target)
        }
    }
}

fn revision(
    read: &impl Read,
    database: &str,
    collection: &str,
    target: &Target,
) -> Result<Option<Revision>> {
    let Some(id) = catalog::collection(read, database, collection)? else { return Ok(None) };
    match find(read, id, target) {
        Ok((revision, _)) => Ok(Some(revision)),
        Err(error) if error.kind == Kind::DocumentNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Revision and text of the document that is meant.
fn find(
    read: &impl Read,
    collection: CollectionId,
    target: &Target,
) -> Result<(Revision, Vec<u8>)> {
    for id in [Some(&target.id), target.or.as_ref()].into_iter().flatten() {
        if let Some(stored) = read.get(Table::Documents, &keys::document_key(collection, id))? {
            return decode(stored).map(|(revision, json)| (revision, json.to_vec()));
        }
    }
    Err(document_not_found(&target.id))
}

fn decode(stored: &[u8]) -> Result<(Revision, &[u8])> {
    document::decode(stored)
        .ok_or_else(|| Error::new(Kind::Internal, "a stored document is too short"))
}

/// Database and collection of a read, if the caller may read it. What proves identities is
/// for nobody.
pub(super) fn readable_place(call: &Call) -> Result<(&str, &str)> {
    let (database, collection) = call.place()?;
    call.authorize(Permission::Read, database)?;
    if database == system::DATABASE && system::is_secret(collection) {
        return Err(secret(database, collection));
    }
    Ok((database, collection))
}

/// The error for a collection that holds what nobody may read.
pub(super) fn secret(database: &str, collection: &str) -> Error {
    let message = format!("{database}.{collection} cannot be read as documents");
    Error::new(Kind::Forbidden, message).hint("it has calls of its own")
}

/// Database and collection of a write, with names that are allowed. Whether the caller may
/// write there is checked with what it proposes.
pub(super) fn writable_place(call: &Call) -> Result<(&str, &str)> {
    let (database, collection) = call.place()?;
    check_name("database", database, call.cluster().config.name_bytes_max)?;
    check_collection(call, collection)?;
    Ok((database, collection))
}

/// Checks the name of a collection that is to be written.
pub(super) fn check_collection(call: &Call, collection: &str) -> Result<()> {
    if system::USER_WRITABLE.contains(&collection) {
        return Ok(());
    }
    check_name("collection", collection, call.cluster().config.name_bytes_max)
}

/// A text as one part of a path.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
