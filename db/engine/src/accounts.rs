//! Applying what concerns users and their tokens. Passwords and secrets arrive as hashes.

use crate::catalog;
use crate::command::CredentialRevisions;
use crate::error::{Error, Kind};
use crate::row::Row;
use crate::storage::{Read, Result, StorageError, Table, keys};
use crate::system::{self, TokenDocument};
use serde::de::DeserializeOwned;

/// A document of the `_system` database, with its revision.
pub fn stored<T: DeserializeOwned>(
    read: &impl Read,
    collection: &str,
    id: &str,
) -> Result<Option<(u64, T)>> {
    let Some(collection) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(None);
    };
    let found = read.get(Table::Documents, &keys::document_key(collection, &id.into()))?;
    found.map(parsed).transpose()
}

/// The revision of a document of the `_system` database.
pub fn revision(read: &impl Read, collection: &str, id: &str) -> Result<Option<u64>> {
    let Some(collection) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(None);
    };
    let found = read.get(Table::Documents, &keys::document_key(collection, &id.into()))?;
    Ok(found.and_then(Row::decode).map(|row| row.revision))
}

/// Whether what has let a user in still holds.
pub fn holds(read: &impl Read, user: &str, credentials: &CredentialRevisions) -> Result<bool> {
    let token = match &credentials.token {
        None => true,
        Some((id, known)) => revision(read, system::TOKENS, id)? == Some(*known),
    };
    Ok(token && revision(read, system::USERS, user)? == Some(credentials.user))
}

/// The error when the credentials of a user are no longer valid.
pub fn user_changed(name: &str) -> Error {
    let message = format!("user {name:?}, or its session or key, was changed at this moment");
    Error::new(Kind::UserChanged, message).hint("send the call again")
}

/// All documents of a collection of the `_system` database.
pub fn all<T: DeserializeOwned>(read: &impl Read, collection: &str) -> Result<Vec<T>> {
    let Some(id) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(Vec::new());
    };
    let rows =
        read.range(Table::Documents, &keys::collection_start(id), &keys::collection_end(id))?;
    rows.map(|row| Ok(parsed(row?.1)?.1)).collect()
}

pub(crate) fn parsed<T: DeserializeOwned>(stored: &[u8]) -> Result<(u64, T)> {
    let found = Row::decode(stored).and_then(|row| Some((row.revision, system::parse(row.json)?)));
    found.ok_or_else(|| StorageError::Failed("a document of _system is damaged".into()))
}

/// Whether a token has ended at this time.
pub fn has_ended(token: &TokenDocument, now_ms: u64) -> bool {
    token.expires_ms.is_some_and(|end| end <= now_ms)
}
