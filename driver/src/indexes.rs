//! Indexes of a collection.

use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::wire::{IndexBody, IndexInfo, IndexesReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The options of an index.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexOptions {
    /// Its name; derived from its fields when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// No two documents may have the same values.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Documents without any of the fields are left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// A document without the field gets the next number.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sequential: bool,
    /// Only documents that match this are held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_filter_expression: Option<Value>,
    /// Documents are deleted this number of seconds after the date in the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_after_seconds: Option<u64>,
    /// Return at once instead of when the index is built; [`Collection::list_indexes`] shows its
    /// progress.
    #[serde(skip)]
    pub background: bool,
}

impl IndexOptions {
    /// Only `unique`.
    pub fn unique() -> IndexOptions {
        IndexOptions { unique: true, ..IndexOptions::default() }
    }

    fn body(&self, keys: Value) -> Result<IndexBody> {
        let options = serde_json::to_value(self)
            .and_then(serde_json::from_value::<Map<String, Value>>)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(IndexBody { keys, wait: !self.background, options })
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// The indexes beside the one on `_id`, with their state and size.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn list_indexes(&self) -> Result<Vec<IndexInfo>> {
        let call = self.call(Method::GET, "indexes").level(self.level());
        Ok(self.client().send(call).await?.json::<IndexesReply>()?.indexes)
    }

    /// Creates an index on fields, such as `{"city": 1, "age": -1}`; succeeds if it exists. Returns
    /// when it is built, or when the node stops waiting: then its state is `building`.
    ///
    /// # Errors
    /// `invalid_query`, `index_conflict` when the name or the fields are those of another index;
    /// `unique_violation` and `not_indexable` when the documents do not allow it, and then there
    /// is no such index.
    pub async fn create_index(
        &self,
        keys: impl Into<Value>,
        options: &IndexOptions,
    ) -> Result<IndexInfo> {
        let call = self.call(Method::POST, "indexes").body(&options.body(keys.into())?);
        self.client().send(call.long()).await?.json()
    }

    /// Drops an index by its name, or by its fields as in `city,age`.
    ///
    /// # Errors
    /// `index_not_found`.
    pub async fn drop_index(&self, name: &str) -> Result<()> {
        self.client().send(self.part_call(Method::DELETE, "indexes", name)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_stand_beside_the_keys() {
        let options = IndexOptions {
            name: Some("ages".into()),
            expire_after_seconds: Some(0),
            ..IndexOptions::unique()
        };
        let body = options.body(json!({"age": 1})).unwrap();
        let expected = json!({
            "keys": {"age": 1}, "wait": true, "name": "ages", "unique": true,
            "expireAfterSeconds": 0,
        });
        assert_eq!(json!(body), expected);
    }
}
