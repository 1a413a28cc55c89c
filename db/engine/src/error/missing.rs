//! Errors that several parts of the engine and of a node make: what is named does not exist, or
//! exists already.

use crate::error::{Error, Kind};
use crate::id::DocumentId;
use serde_json::json;

/// The error for an unknown database.
pub fn database_not_found(name: &str) -> Error {
    Error::new(Kind::DatabaseNotFound, format!("there is no database {name:?}"))
}

/// The error for an unknown collection.
pub fn collection_not_found(database: &str, collection: &str) -> Error {
    let message = format!("there is no collection {collection:?} in database {database:?}");
    Error::new(Kind::CollectionNotFound, message)
}

/// The error for an unknown document.
pub fn document_not_found(id: &DocumentId) -> Error {
    Error::new(Kind::DocumentNotFound, format!("there is no document {id}"))
}

/// The error for an `_id` that is taken.
pub fn duplicate(id: &DocumentId) -> Error {
    Error::new(Kind::DuplicateId, format!("a document {id} exists"))
        .hint("use another _id, or replace the document")
        .details(json!({"id": id}))
}
