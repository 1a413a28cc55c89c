//! Writing by query: update, replace, delete, find-and-modify, bulk and patch.
//!
//! A document that breaks a rule, the schema or a unique index changes nothing, and the error's
//! details say what it breaks.

use crate::collection::{Collection, Document, decode, with_id};
use crate::error::{Error, Result};
use crate::wire::{
    BulkBody, BulkOperation, BulkReply, DeleteBody, DeleteReply, DocumentId, FindAndModifyBody,
    FindAndModifyReply, ReplaceBody, ReturnForm, UpdateBody, UpdateReply,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Filter and update operators, or a pipeline.
impl From<(Value, Value)> for UpdateBody {
    fn from((filter, update): (Value, Value)) -> UpdateBody {
        UpdateBody { filter, update, ..UpdateBody::default() }
    }
}

/// Filter and replacement.
impl From<(Value, Value)> for ReplaceBody {
    fn from((filter, replacement): (Value, Value)) -> ReplaceBody {
        ReplaceBody { filter, replacement, ..ReplaceBody::default() }
    }
}

impl From<Value> for DeleteBody {
    fn from(filter: Value) -> DeleteBody {
        DeleteBody { filter, ..DeleteBody::default() }
    }
}

/// Ends at the first operation that fails.
impl From<Vec<BulkOperation>> for BulkBody {
    fn from(operations: Vec<BulkOperation>) -> BulkBody {
        BulkBody { operations, ordered: true }
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// Updates the first document that matches. Takes filter and update, or an [`UpdateBody`]
    /// for upsert, sort, hint and array filters.
    ///
    /// ```no_run
    /// # async fn example(people: jettra_driver::Collection<serde_json::Value>)
    /// # -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::wire::UpdateBody;
    /// use serde_json::json;
    ///
    /// let (ada, birthday) = (json!({"name": "Ada"}), json!({"$inc": {"age": 1}}));
    /// people.update_one((ada.clone(), birthday.clone())).await?;
    /// let body = UpdateBody { filter: ada, update: birthday, upsert: true, ..Default::default() };
    /// let reply = people.update_one(body).await?;
    /// assert!(reply.matched == 1 || reply.upserted_id.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `invalid_query` with the operator that is wrong, `not_applicable` when the update cannot be
    /// applied to a document, `validation_failed`, `unique_violation`.
    pub async fn update_one(&self, update: impl Into<UpdateBody>) -> Result<UpdateReply> {
        self.change("update", &UpdateBody { multi: false, ..update.into() }).await
    }

    /// Updates all documents that match, in one step: all or none. Takes what
    /// [`Collection::update_one`] takes.
    ///
    /// # Errors
    /// Those of [`Collection::update_one`]; `query_too_large` when too many documents match for one
    /// step; `needs_confirmation` of a client [with
    /// confirmation](crate::Client::with_confirmation).
    pub async fn update_many(&self, update: impl Into<UpdateBody>) -> Result<UpdateReply> {
        self.change_many("update", &UpdateBody { multi: true, ..update.into() }).await
    }

    /// Puts a document in the place of the first that matches; its `_id` stays. Takes filter and
    /// replacement, or a [`ReplaceBody`].
    ///
    /// # Errors
    /// `invalid_query`, `validation_failed`, `unique_violation`.
    pub async fn replace_one(&self, replace: impl Into<ReplaceBody>) -> Result<UpdateReply> {
        self.change("replace", &replace.into()).await
    }

    /// Deletes the first document that matches; returns the number of deleted documents, 0 or 1.
    /// Takes a filter, or a [`DeleteBody`].
    ///
    /// # Errors
    /// `invalid_query`; `referenced` when a rule says that another document needs this one.
    pub async fn delete_one(&self, delete: impl Into<DeleteBody>) -> Result<u64> {
        let body = DeleteBody { multi: false, ..delete.into() };
        Ok(self.change::<DeleteReply>("delete", &body).await?.deleted)
    }

    /// Deletes all documents that match, in one step; returns their number.
    ///
    /// # Errors
    /// Those of [`Collection::delete_one`]; `query_too_large` when too many documents match for one
    /// step; `needs_confirmation` of a client [with
    /// confirmation](crate::Client::with_confirmation).
    pub async fn delete_many(&self, delete: impl Into<DeleteBody>) -> Result<u64> {
        let body = DeleteBody { multi: true, ..delete.into() };
        Ok(self.change_many::<DeleteReply>("delete", &body).await?.deleted)
    }

    /// Updates, replaces or deletes the first document that matches, and returns it as it was
    /// before or is afterwards.
    ///
    /// # Errors
    /// Those of [`Collection::update_one`]; `invalid_body` when not exactly one of `update`,
    /// `replacement` and `remove` is given.
    pub async fn find_and_modify(&self, body: &FindAndModifyBody) -> Result<FindAndModifyReply> {
        self.change("find-and-modify", body).await
    }

    /// Updates the first document that matches and returns it; `None` when none matches.
    ///
    /// # Errors
    /// Those of [`Collection::update_one`].
    pub async fn find_one_and_update(
        &self,
        filter: Value,
        update: Value,
        returning: ReturnForm,
    ) -> Result<Option<T>> {
        let update = Some(update);
        self.modified(FindAndModifyBody { filter, update, returning, ..Default::default() }).await
    }

    /// Replaces the first document that matches and returns it; `None` when none matches.
    ///
    /// # Errors
    /// Those of [`Collection::replace_one`].
    pub async fn find_one_and_replace(
        &self,
        filter: Value,
        replacement: Value,
        returning: ReturnForm,
    ) -> Result<Option<T>> {
        let replacement = Some(replacement);
        let body = FindAndModifyBody { filter, replacement, returning, ..Default::default() };
        self.modified(body).await
    }

    /// Deletes the first document that matches and returns it; `None` when none matches.
    ///
    /// # Errors
    /// Those of [`Collection::delete_one`].
    pub async fn find_one_and_delete(&self, filter: Value) -> Result<Option<T>> {
        self.modified(FindAndModifyBody { filter, remove: true, ..Default::default() }).await
    }

    /// Writes a document at this `_id` and returns the one that was there; `None` when there was
    /// none.
    ///
    /// # Errors
    /// Those of [`Collection::replace_one`].
    pub async fn get_and_set(&self, id: &DocumentId, document: &T) -> Result<Option<T>> {
        let replacement = serde_json::to_value(document);
        self.modified(FindAndModifyBody {
            filter: json!({"_id": id}),
            replacement: Some(replacement.map_err(|error| Error::Invalid(error.to_string()))?),
            upsert: true,
            ..Default::default()
        })
        .await
    }

    async fn modified(&self, body: FindAndModifyBody) -> Result<Option<T>> {
        let reply = self.find_and_modify(&body).await?;
        match reply.document_forgotten {
            true => Err(Error::Forgotten { revision: None }),
            false => reply.document.map(decode).transpose(),
        }
    }

    /// Many writes in one step. Takes the operations, which then end at the first that fails, or
    /// a [`BulkBody`].
    ///
    /// # Errors
    /// That of the first operation that failed. The others may have been carried out: the error's
    /// `details.result` is a [`BulkReply`] that says which. `needs_confirmation` of a client [with
    /// confirmation](crate::Client::with_confirmation); then nothing was carried out.
    pub async fn bulk(&self, bulk: impl Into<BulkBody>) -> Result<BulkReply> {
        self.change_many("bulk", &bulk.into()).await
    }

    /// Inserts documents in one step; the driver generates the `_id`s that are missing (UUIDv7).
    /// Ends at the first that fails.
    ///
    /// # Errors
    /// Those of [`Collection::bulk`], such as `duplicate_id`.
    pub async fn insert_many(&self, documents: &[T]) -> Result<BulkReply> {
        let operation =
            |document| with_id(document).map(|document| BulkOperation::InsertOne { document });
        self.bulk(documents.iter().map(operation).collect::<Result<Vec<_>>>()?).await
    }

    /// Changes a document: a JSON Merge Patch (RFC 7396, `null` removes a field), or update
    /// operators. With a revision only if it still has that one. Returns the new document.
    ///
    /// ```no_run
    /// # async fn example(people: jettra_driver::Collection<serde_json::Value>)
    /// # -> Result<(), jettra_driver::Error> {
    /// use serde_json::json;
    ///
    /// let ada = people.patch(&"ada".into(), &json!({"city": "London"}), None).await?;
    /// people.patch(&"ada".into(), &json!({"$inc": {"age": 1}}), Some(ada.revision)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `document_not_found`, `revision_mismatch` (412), and those of [`Collection::update_one`].
    pub async fn patch(
        &self,
        id: &DocumentId,
        patch: &Value,
        revision: Option<u64>,
    ) -> Result<Document<T>> {
        let mut call = self.document_call(Method::PATCH, id).body(patch);
        if let Some(revision) = revision {
            call = call.if_match(revision);
        }
        let reply = self.client().send(call).await?;
        if reply.is_forgotten() {
            return Err(Error::Forgotten { revision: reply.revision() });
        }
        Ok(Document { value: reply.json()?, revision: reply.revision().unwrap_or(0) })
    }

    async fn change<R: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<R> {
        let call = self.call(Method::POST, path).body(body).long();
        self.client().send(call).await?.json()
    }

    /// As `change`, of all documents that match.
    async fn change_many<R: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<R> {
        let call = self.call(Method::POST, path).body(body).long().confirms();
        self.client().send(call).await?.json()
    }
}
