//! Documents, as REST. `compat::jettra` gives the same functions the ancestor's shapes.

use super::call::Call;
use super::reply::Reply;
use crate::engine::apply::{collection_not_found, database_not_found, document_not_found};
use crate::engine::catalog;
use crate::engine::command::{Command, Outcome, PutMode, Target};
use crate::engine::document::{self, NewDocument, Revision, parse_document};
use crate::engine::system::{self, check_name};
use crate::error::{Error, Kind, Result};
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, ReadTxn, Table};
use base64::Engine;
use jettra_driver::DocumentId;
use jettra_driver::wire::{CountReply, WriteReply};
use std::rc::Rc;

/// Cursor and place of a listing.
const CURSOR: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;
const PAGE_DEFAULT: u64 = 100;
/// Bytes after which a page ends, whatever the limit; the cursor leads on.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Bytes past which a page is refused that must be whole, because no cursor leads on.
const WHOLE_PAGE_BYTES_MAX: usize = 64 << 20;

/// `GET …/documents/{id}`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    call.wait_for_level().await?;
    let (database, collection) = readable_place(&call)?;
    let target = call.target_document()?;
    // The index first: the view may be newer than what the answer says, never older.
    let index = call.group()?.visible_index();
    let read = call.group()?.read()?;
    let id = find_collection(&read, database, collection)?;
    let (revision, json) = find(&read, id, &target)?;
    Ok(Reply::bytes(json).etag(revision).at(index))
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
    let if_match = call.if_match()?;
    let command = put_command(&call, target, new.body, PutMode::Upsert, if_match, false)?;
    write(&call, command).await
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
    let command = Command::Delete {
        database: database.into(),
        collection: collection.into(),
        target: call.target_document()?,
        if_match: call.if_match()?,
    };
    let applied = call.group()?.propose(command).await?;
    Ok(Reply::empty().at(applied.index))
}

/// `GET …/count`
pub async fn count(call: Rc<Call>) -> Result<Reply> {
    call.wait_for_level().await?;
    let (database, collection) = readable_place(&call)?;
    // The index first: the view may be newer than what the answer says, never older.
    let index = call.group()?.visible_index();
    let read = call.group()?.read()?;
    let id = find_collection(&read, database, collection)?;
    Ok(Reply::json(&CountReply { count: catalog::count(&read, id)? }).at(index))
}

/// `GET …/documents`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    // Who counts documents would miss those that were cut off.
    let whole = call.parameter(&["offset"]).is_some();
    let (page, index) = page(&call, whole).await?;
    let mut body = b"{\"documents\":".to_vec();
    body.extend_from_slice(&page.documents);
    if let Some(cursor) = page.cursor {
        body.extend_from_slice(format!(",\"cursor\":\"{cursor}\"").as_bytes());
    }
    body.push(b'}');
    Ok(Reply::bytes(body).at(index))
}

/// A page of documents.
pub struct Page {
    /// A JSON array.
    pub documents: Vec<u8>,
    /// Where the next page begins.
    pub cursor: Option<String>,
}

/// Reads the page that a call asks for, on the pool for longer reads.
///
/// # Errors
/// `too_large` for a `whole` page past the bound; others end there.
pub async fn page(call: &Call, whole: bool) -> Result<(Page, u64)> {
    call.wait_for_level().await?;
    let (database, collection) = readable_place(call)?;
    let (database, collection) = (database.to_owned(), collection.to_owned());
    let max = call.cluster().config.page_max as u64;
    let limit = call.number("limit", PAGE_DEFAULT.min(max), max)? as usize;
    let offset = call.number("offset", 0, u64::MAX)?;
    let after = call.parameter(&["cursor"]).map(parse_cursor).transpose()?;
    let group = call.group()?.clone();
    let reading = actix_web::web::block(move || {
        let index = group.visible_index();
        let read = group.read()?;
        let id = find_collection(&read, &database, &collection)?;
        let bytes_max = if whole { WHOLE_PAGE_BYTES_MAX } else { PAGE_BYTES_MAX };
        let page = read_page(&read, id, limit, offset, after, bytes_max)?;
        if whole && page.documents.len() > bytes_max {
            return Err(page_too_large());
        }
        Ok((page, index))
    });
    reading.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))?
}

fn read_page(
    read: &ReadTxn<'_>,
    collection: CollectionId,
    limit: usize,
    offset: u64,
    after: Option<DocumentId>,
    bytes_max: usize,
) -> Result<Page> {
    let start = match &after {
        Some(id) => keys::successor(keys::document_key(collection, id)),
        None => keys::collection_start(collection),
    };
    let range = read.range(Table::Documents, &start, &keys::collection_end(collection))?;
    let mut entries = range.skip(usize::try_from(offset).unwrap_or(usize::MAX)).peekable();
    let mut documents = vec![b'['];
    let mut last = None;
    for _ in 0..limit {
        let Some(entry) = entries.next() else { break };
        let (key, stored) = entry?;
        if documents.len() > 1 {
            documents.push(b',');
        }
        documents.extend_from_slice(decode(stored)?.1);
        last = keys::document_id(key);
        if documents.len() >= bytes_max {
            break;
        }
    }
    documents.push(b']');
    let more = entries.peek().is_some();
    Ok(Page { documents, cursor: last.filter(|_| more).map(|id| cursor(&id)) })
}

fn page_too_large() -> Error {
    let message = format!("the page has more than {WHOLE_PAGE_BYTES_MAX} bytes");
    Error::new(Kind::TooLarge, message)
        .hint("ask for fewer documents with limit=, or read /api/v1/… without offset, by cursor")
}

fn cursor(id: &DocumentId) -> String {
    CURSOR.encode(serde_json::to_string(id).unwrap_or_default())
}

fn parse_cursor(text: &str) -> Result<DocumentId> {
    let decoded = CURSOR.decode(text).ok();
    decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        Error::new(Kind::InvalidParameter, format!("cursor={text} was not made by this database"))
            .hint("pass the cursor of the page before, or none for the first page")
    })
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

async fn write(call: &Call, command: Command) -> Result<(WriteReply, bool, u64)> {
    let applied = call.group()?.propose(command).await?;
    match applied.outcome {
        Outcome::Written { id, revision, created } => {
            Ok((WriteReply { id, revision }, created, applied.index))
        }
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

/// The number of a collection.
///
/// # Errors
/// `database_not_found`, `collection_not_found`.
pub fn find_collection(
    read: &ReadTxn<'_>,
    database: &str,
    collection: &str,
) -> Result<CollectionId> {
    if let Some(id) = catalog::collection(read, database, collection)? {
        return Ok(id);
    }
    match catalog::database(read, database)? {
        Some(_) => Err(collection_not_found(database, collection)),
        None => Err(database_not_found(database)),
    }
}

/// Revision and text of the document that is meant.
fn find(
    read: &ReadTxn<'_>,
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

/// Database and collection of a read. The system's own are for administrators, and what
/// proves identities is for nobody.
fn readable_place(call: &Call) -> Result<(&str, &str)> {
    let (database, collection) = call.place()?;
    if database != system::DATABASE {
        return Ok((database, collection));
    }
    if call.user()?.role != "admin" || system::is_secret(collection) {
        let message = format!("{database}.{collection} cannot be read as documents");
        return Err(Error::new(Kind::Forbidden, message).hint("it has calls of its own"));
    }
    Ok((database, collection))
}

/// Database and collection of a write, with names that are allowed.
fn writable_place(call: &Call) -> Result<(&str, &str)> {
    let (database, collection) = call.place()?;
    let max = call.cluster().config.name_bytes_max;
    check_name("database", database, max)?;
    check_name("collection", collection, max)?;
    Ok((database, collection))
}

/// A text as one part of a path.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
