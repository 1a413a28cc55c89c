//! Documents as they are stored, and their fields.

use crate::apply::result::{ApplyError, ApplyResult};
use crate::command::Target;
use crate::document::{self, Revision};
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::query::context::Fields;
use crate::row::{self, Row};
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Result, StorageError, Table};
use crate::value::Value;

/// A document as it is stored.
pub(crate) struct Stored {
    pub(crate) id: DocumentId,
    pub(crate) revision: Revision,
    pub(crate) json: Vec<u8>,
    /// Bytes of its row.
    pub(crate) row_bytes: usize,
    /// Whether it is in the indexes.
    pub(crate) indexed: bool,
}

impl Stored {
    /// As it lies in the table.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        row::encode(self.revision, &self.json)
    }

    /// Its text, as far as the indexes have it.
    pub(super) fn in_indexes(&self) -> Option<&[u8]> {
        self.indexed.then_some(&self.json)
    }
}

pub(crate) fn find(
    read: &impl Read,
    collection: CollectionId,
    id: &DocumentId,
) -> Result<Option<Stored>> {
    let key = keys::document_key(collection, id);
    if key.len() > keys::KEY_BYTES_MAX {
        // Nothing was ever stored under it.
        return Ok(None);
    }
    let Some(stored) = read.get(Table::Documents, &key)? else { return Ok(None) };
    Ok(Row::decode(stored).map(|row| Stored {
        // A number may have been given with another type.
        id: document::id_of(row.json).unwrap_or_else(|| id.clone()),
        revision: row.revision,
        json: row.json.to_vec(),
        row_bytes: stored.len(),
        indexed: true,
    }))
}

/// Which document a target means, and what is stored of it.
pub(crate) fn find_target(
    read: &impl Read,
    collection: CollectionId,
    target: Target,
) -> Result<(DocumentId, Option<Stored>)> {
    for id in [Some(&target.id), target.or.as_ref()].into_iter().flatten() {
        if let Some(found) = find(read, collection, id)? {
            return Ok((found.id.clone(), Some(found)));
        }
    }
    Ok((target.id, None))
}

/// What is stored cannot be read. Never for what a command brings: see [`command_value`].
pub(super) fn damaged() -> ApplyError {
    ApplyError::Failed(StorageError::Failed("a stored document cannot be read".into()))
}

/// The refusal of a document in a command that cannot be read.
pub(super) fn unreadable() -> ApplyError {
    Error::new(Kind::InvalidJson, "the document cannot be read: it is not JSON, or nested too deep")
        .into()
}

pub(super) fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}

/// The fields of a stored document.
pub(super) fn fields(json: &[u8], wanted: &Fields) -> ApplyResult<Value> {
    document::parse_wanted(json, wanted).ok_or_else(damaged)
}

/// The fields of a document that a command brings.
pub(super) fn new_fields(json: &[u8], wanted: &Fields) -> ApplyResult<Value> {
    document::parse_wanted(json, wanted).ok_or_else(unreadable)
}
