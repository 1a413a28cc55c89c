//! Errors that several parts of the engine and of a node make: what is named does not exist,
//! exists already, or was used before.

use crate::error::{Error, Kind};
use crate::id::DocumentId;
use serde_json::{Value, json};

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

/// The error for a key that another call has used.
pub fn key_reused() -> Error {
    let message = "this idempotency key was used for another call";
    Error::new(Kind::IdempotencyKeyReused, message)
        .hint("use a new key for every call, and the same only to repeat one")
}

/// The error for a document with the same value in a unique index as another document.
pub fn unique_violation(index: &str, value: &Value, document: &DocumentId) -> Error {
    let message =
        format!("the index {index:?} is unique, and the document {document} has {value} already");
    Error::new(Kind::UniqueViolation, message)
        .hint("use another value, or change the document that has it")
        .details(json!({"index": index, "value": value, "document": document}))
}
