//! The schema of a collection, and validation against it.

use crate::collection::Collection;
use crate::error::Result;
use crate::wire::{SchemaBody, SchemaReply, ValidateBody, ValidateReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// The schema that documents must meet, if there is one.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn schema(&self) -> Result<SchemaReply> {
        let call = self.call(Method::GET, "schema").level(self.level());
        self.client().send(call).await?.json()
    }

    /// Sets the schema for every write from now on; stored documents are not checked, see
    /// [`Collection::validate`].
    ///
    /// # Errors
    /// `invalid_query` with the part that is wrong; `invalid_body` when not exactly one of
    /// `schema` and `definition` is given.
    pub async fn set_schema(&self, schema: &SchemaBody) -> Result<()> {
        self.client().send(self.call(Method::PUT, "schema").body(schema)).await.map(drop)
    }

    /// Removes the schema; succeeds if there is none.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn drop_schema(&self) -> Result<()> {
        self.client().send(self.call(Method::DELETE, "schema")).await.map(drop)
    }

    /// Checks documents against rules and schema and writes nothing: those given, or the stored
    /// ones.
    ///
    /// # Errors
    /// `invalid_query` for a schema to try, `time_limit`.
    pub async fn validate(&self, validate: &ValidateBody) -> Result<ValidateReply> {
        let call = self.call(Method::POST, "validate").level(self.level());
        self.client().send(call.body(validate).reads().long()).await?.json()
    }
}
