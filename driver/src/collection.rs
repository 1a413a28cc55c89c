//! Typed documents of one collection.

use crate::call::Call;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::wire::{CountReply, DocumentId, ListReply, ReadLevel, WriteReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;

/// One collection whose documents are read and written as `T`.
///
/// `T` must serialise to a JSON object. Use [`serde_json::Value`] for free documents.
pub struct Collection<T> {
    client: Client,
    database: String,
    name: String,
    level: ReadLevel,
    documents: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Collection {
            client: self.client.clone(),
            database: self.database.clone(),
            name: self.name.clone(),
            level: self.level,
            documents: PhantomData,
        }
    }
}

/// A document with the revision it was read at.
#[derive(Debug, Clone, PartialEq)]
pub struct Document<T> {
    /// The document.
    pub value: T,
    /// Its revision; pass it to [`Collection::replace`] to write only if it has not changed since.
    pub revision: u64,
}

/// Result of a write to one document.
pub type WriteResult = WriteReply;

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The documents; in `_id` order (integers before strings) when no other was asked for.
    pub documents: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub cursor: Option<String>,
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    pub(crate) fn new(client: Client, database: &str, name: &str) -> Self {
        Collection {
            client,
            database: database.to_owned(),
            name: name.to_owned(),
            level: ReadLevel::default(),
            documents: PhantomData,
        }
    }

    /// The same collection with its documents as `U`, for example for a projection.
    pub fn with_type<U: Serialize + DeserializeOwned>(&self) -> Collection<U> {
        Collection::new(self.client.clone(), &self.database, &self.name).with_level(self.level)
    }

    /// The same collection with another read level for its reads.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::ReadLevel;
    /// let people = client.collection::<serde_json::Value>("shop", "people");
    /// // What this client has written, from whichever node answers.
    /// let mine = people.clone().with_level(ReadLevel::Session(0)).count().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_level(mut self, level: ReadLevel) -> Self {
        self.level = level;
        self
    }

    /// The same collection with this idempotency key for its next write; see
    /// [`Client::with_idempotency_key`].
    pub fn with_idempotency_key(mut self, key: &str) -> Self {
        self.client = self.client.with_idempotency_key(key);
        self
    }

    /// The same collection, read as it was after the log entry `index`. The collection must [keep
    /// versions](Collection::keep_versions), and what this returns cannot be written to
    /// ([`Error::Invalid`]).
    ///
    /// ```no_run
    /// # async fn example(people: jettra_driver::Collection<serde_json::Value>)
    /// # -> Result<(), jettra_driver::Error> {
    /// let before = people.clone().at(1200).find_all(serde_json::json!({"city": "Lima"})).await?;
    /// let yesterday = people.as_of("2026-03-01T12:00:00Z").count().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Its reads can fail with `too_old` (410) when that state is no longer kept, `versions_off`
    /// (409) when the collection keeps no versions, and `invalid_parameter` (400) for the future.
    pub fn at(mut self, index: u64) -> Self {
        self.client = self.client.at_moment("at", index.to_string());
        self
    }

    /// As [`Collection::at`], at a time: ISO 8601, or milliseconds since 1970.
    pub fn as_of(mut self, time: &str) -> Self {
        self.client = self.client.at_moment("asOf", time.to_owned());
        self
    }

    /// Inserts a document. Without an `_id` the driver generates one (UUIDv7).
    ///
    /// # Errors
    /// `duplicate_id` (409) when the `_id` is taken.
    pub async fn insert(&self, document: &T) -> Result<WriteResult> {
        let call = self.call(Method::POST, "documents").body(&with_id(document)?);
        self.client.send(call).await?.json()
    }

    /// Reads one document; `None` when there is none with this `_id`.
    pub async fn get(&self, id: &DocumentId) -> Result<Option<Document<T>>> {
        let call = self.document_call(Method::GET, id).level(self.level);
        match self.client.send(call).await {
            Ok(reply) => {
                let revision = reply.revision().unwrap_or(0);
                Ok(Some(Document { value: reply.json()?, revision }))
            }
            Err(error) if error.code() == Some("document_not_found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a document at this `_id`, whether or not there was one.
    pub async fn save(&self, id: &DocumentId, document: &T) -> Result<WriteResult> {
        self.client.send(self.document_call(Method::PUT, id).body(document)).await?.json()
    }

    /// Puts a document at this `_id` only if it still has `revision`.
    ///
    /// # Errors
    /// `revision_mismatch` (412) when it was changed or deleted since.
    pub async fn replace(
        &self,
        id: &DocumentId,
        document: &T,
        revision: u64,
    ) -> Result<WriteResult> {
        let call = self.document_call(Method::PUT, id).body(document).if_match(revision);
        self.client.send(call).await?.json()
    }

    /// Deletes a document; `false` when there was none.
    pub async fn delete(&self, id: &DocumentId) -> Result<bool> {
        self.deleted(self.document_call(Method::DELETE, id)).await
    }

    /// Deletes a document only if it still has `revision`; `false` when there was none.
    ///
    /// # Errors
    /// `revision_mismatch` (412) when it was changed since.
    pub async fn delete_revision(&self, id: &DocumentId, revision: u64) -> Result<bool> {
        self.deleted(self.document_call(Method::DELETE, id).if_match(revision)).await
    }

    async fn deleted(&self, call: Call) -> Result<bool> {
        match self.client.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("document_not_found") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Number of documents.
    pub async fn count(&self) -> Result<u64> {
        let call = self.call(Method::GET, "count").level(self.level);
        Ok(self.client.send(call).await?.json::<CountReply>()?.count)
    }

    /// One page of at most `limit` documents, from the start or after `cursor`.
    pub async fn list(&self, limit: usize, cursor: Option<&str>) -> Result<Page<T>> {
        let mut call = self
            .call(Method::GET, "documents")
            .level(self.level)
            .query("limit", &limit.to_string());
        if let Some(cursor) = cursor {
            call = call.query("cursor", cursor);
        }
        self.page(call).await
    }

    /// One page of at most `limit` documents after the first `offset`.
    pub async fn list_from(&self, limit: usize, offset: u64) -> Result<Page<T>> {
        let call = self
            .call(Method::GET, "documents")
            .level(self.level)
            .query("limit", &limit.to_string())
            .query("offset", &offset.to_string());
        self.page(call).await
    }

    pub(crate) async fn page(&self, call: Call) -> Result<Page<T>> {
        let reply: ListReply = self.client.send(call).await?.json()?;
        let documents = reply.documents.into_iter().map(decode).collect::<Result<_>>()?;
        Ok(Page { documents, cursor: reply.cursor })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Names of the database and of the collection.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.database, &self.name)
    }

    /// The read level of calls that name no other.
    pub(crate) fn level(&self) -> ReadLevel {
        self.level
    }

    /// A call to a path below the collection.
    pub(crate) fn call(&self, method: Method, last: &str) -> Call {
        Call::new(
            method,
            &["api", "v1", "databases", &self.database, "collections", &self.name, last],
        )
    }

    /// A call to a named part below a path of the collection.
    pub(crate) fn part_call(&self, method: Method, path: &str, part: &str) -> Call {
        Call::new(
            method,
            &["api", "v1", "databases", &self.database, "collections", &self.name, path, part],
        )
    }

    pub(crate) fn document_call(&self, method: Method, id: &DocumentId) -> Call {
        self.document_part_call(method, id, &[])
    }

    /// A call to a path below a document.
    pub(crate) fn document_part_call(
        &self,
        method: Method,
        id: &DocumentId,
        parts: &[&str],
    ) -> Call {
        let (id, kind) = id.in_address();
        let collection = [self.database.as_str(), "collections", &self.name, "documents", &id];
        let path = [&["api", "v1", "databases"], &collection[..], parts].concat();
        Call::new(method, &path).query("id_type", kind)
    }
}

/// A value of an answer as `T`.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::Decode(error.to_string()))
}

/// The document as JSON, with an `_id` (UUIDv7) when it has none.
pub(crate) fn with_id(document: &impl Serialize) -> Result<Value> {
    let mut value =
        serde_json::to_value(document).map_err(|error| Error::Invalid(error.to_string()))?;
    let object = value
        .as_object_mut()
        .ok_or_else(|| Error::Invalid("a document must be a JSON object".into()))?;
    if !object.contains_key("_id") {
        object.shift_insert(0, "_id".into(), Value::from(uuid::Uuid::now_v7().to_string()));
    }
    Ok(value)
}
