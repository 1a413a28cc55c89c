//! Who is calling: passwords, sessions, and what a role may do.

pub mod password;
pub mod policy;
pub mod session;

pub use policy::{Access, Permission};

use crate::engine::system::{self, UserDocument};
use crate::engine::{catalog, document};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::storage::{Read, Table, keys};
use jettra_driver::DocumentId;
use serde::de::DeserializeOwned;

/// A caller whose identity is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The user's role.
    pub role: String,
}

/// The error for a call without credentials.
pub fn not_authenticated() -> Error {
    Error::new(Kind::NotAuthenticated, "this call needs a user name and password")
        .hint("send HTTP Basic credentials, or log in with POST /api/login")
}

/// The error for credentials that are wrong; it does not say which part.
pub fn bad_credentials() -> Error {
    Error::new(Kind::BadCredentials, "the user name or the password is wrong")
        .hint("the first password is in DataDir/admin-password of the node that made the cluster")
}

/// Reads a document of the `_system` database from this node's own state.
pub fn system_document<T: DeserializeOwned>(
    group: &Group,
    collection: &str,
    id: &str,
) -> Result<Option<T>> {
    let read = group.read()?;
    let Some(collection) = catalog::collection(&read, system::DATABASE, collection)? else {
        return Ok(None);
    };
    let key = keys::document_key(collection, &DocumentId::from(id));
    let stored = read.get(Table::Documents, &key)?;
    Ok(stored.and_then(document::decode).and_then(|(_, json)| system::parse(json)))
}

/// The user of this name, as this node knows it.
pub fn user(group: &Group, name: &str) -> Result<Option<UserDocument>> {
    system_document(group, system::USERS, name)
}
