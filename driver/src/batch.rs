//! Batches: operations in one log entry, carried out together or not at all, with conditions.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{BatchBody, BatchOperation, BatchReply, Condition, DocumentId, UpdateBody};
use reqwest::Method;
use serde_json::Value;

impl Client {
    /// Carries out `then` when all conditions hold and `else` when one does not: all of it in one
    /// step, or nothing.
    ///
    /// ```no_run
    /// # async fn example(client: jettra_driver::Client) -> Result<(), jettra_driver::Error> {
    /// use jettra_driver::wire::{BatchBody, BatchOperation, Condition};
    /// use serde_json::json;
    ///
    /// let batch = BatchBody::default()
    ///     .when(Condition::absent("shop", "orders", 7))
    ///     .then(BatchOperation::insert("shop", "orders", json!({"_id": 7, "item": "pen"})))
    ///     .then(BatchOperation::update(
    ///         "shop",
    ///         "stock",
    ///         (json!({"_id": "pen"}), json!({"$inc": {"left": -1}})),
    ///     ))
    ///     .otherwise(BatchOperation::get("shop", "orders", 7));
    /// let reply = client.batch(&batch).await?;
    /// assert_eq!(reply.results.len(), if reply.succeeded { 2 } else { 1 });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the first operation that fails, its message beginning with the place, as in
    /// `then[1]: …`; `needs_confirmation` of a client [with
    /// confirmation](Client::with_confirmation). Nothing was changed then.
    pub async fn batch(&self, batch: &BatchBody) -> Result<BatchReply> {
        let call = Call::new(Method::POST, &["api", "v1", "batch"]).body(batch).long().confirms();
        self.send(call).await?.json()
    }
}

impl BatchBody {
    /// Adds a condition; all must hold.
    pub fn when(mut self, condition: Condition) -> BatchBody {
        self.conditions.push(condition);
        self
    }

    /// Adds an operation that is carried out when the conditions hold.
    pub fn then(mut self, operation: BatchOperation) -> BatchBody {
        self.then.push(operation);
        self
    }

    /// Adds an operation that is carried out when a condition does not hold.
    pub fn otherwise(mut self, operation: BatchOperation) -> BatchBody {
        self.otherwise.push(operation);
        self
    }
}

impl Condition {
    fn on(database: &str, collection: &str, id: Option<DocumentId>) -> Condition {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        Condition { database, collection, id, ..Condition::default() }
    }

    /// There is a document with this `_id`.
    pub fn exists(database: &str, collection: &str, id: impl Into<DocumentId>) -> Condition {
        Condition::on(database, collection, Some(id.into()))
    }

    /// There is no document with this `_id`.
    pub fn absent(database: &str, collection: &str, id: impl Into<DocumentId>) -> Condition {
        Condition { exists: Some(false), ..Condition::exists(database, collection, id) }
    }

    /// The document has this revision.
    pub fn revision(
        database: &str,
        collection: &str,
        id: impl Into<DocumentId>,
        revision: u64,
    ) -> Condition {
        Condition { revision: Some(revision), ..Condition::exists(database, collection, id) }
    }

    /// The document matches a filter.
    pub fn matches(
        database: &str,
        collection: &str,
        id: impl Into<DocumentId>,
        filter: Value,
    ) -> Condition {
        Condition { filter: Some(filter), ..Condition::exists(database, collection, id) }
    }

    /// Some document matches a filter.
    pub fn any(database: &str, collection: &str, filter: Value) -> Condition {
        Condition { filter: Some(filter), ..Condition::on(database, collection, None) }
    }

    /// No document matches a filter.
    pub fn none(database: &str, collection: &str, filter: Value) -> Condition {
        Condition { exists: Some(false), ..Condition::any(database, collection, filter) }
    }
}

impl BatchOperation {
    /// Inserts a document that must not exist.
    pub fn insert(database: &str, collection: &str, document: Value) -> BatchOperation {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        BatchOperation::Insert { database, collection, document }
    }

    /// Writes a document at its `_id`, whether or not there was one.
    pub fn save(database: &str, collection: &str, document: Value) -> BatchOperation {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        BatchOperation::Save { database, collection, document }
    }

    /// Updates documents. Takes filter and update, or an [`UpdateBody`].
    pub fn update(
        database: &str,
        collection: &str,
        update: impl Into<UpdateBody>,
    ) -> BatchOperation {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        BatchOperation::Update { database, collection, body: update.into() }
    }

    /// Deletes the first document that matches, or with `multi` all.
    pub fn delete(database: &str, collection: &str, filter: Value, multi: bool) -> BatchOperation {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        BatchOperation::Delete { database, collection, filter, multi }
    }

    /// Reads a document as the operations before this one have left it.
    pub fn get(database: &str, collection: &str, id: impl Into<DocumentId>) -> BatchOperation {
        let (database, collection) = (database.to_owned(), collection.to_owned());
        BatchOperation::Get { database, collection, id: id.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_say_no_more_than_they_mean() {
        let place = |more: Value| {
            let mut whole = json!({"database": "d", "collection": "c"});
            for (key, value) in more.as_object().unwrap() {
                whole[key] = value.clone();
            }
            whole
        };
        let filter = || json!({"a": 1});
        let table = [
            (Condition::exists("d", "c", 7), json!({"id": 7})),
            (Condition::absent("d", "c", "7"), json!({"id": "7", "exists": false})),
            (Condition::revision("d", "c", 7, 3), json!({"id": 7, "revision": 3})),
            (Condition::matches("d", "c", 7, filter()), json!({"id": 7, "filter": {"a": 1}})),
            (Condition::any("d", "c", filter()), json!({"filter": {"a": 1}})),
            (Condition::none("d", "c", filter()), json!({"filter": {"a": 1}, "exists": false})),
        ];
        for (condition, expected) in table {
            assert_eq!(json!(condition), place(expected));
        }
    }

    #[test]
    fn a_batch_is_read_back_as_it_was_built() {
        let batch = BatchBody::default()
            .when(Condition::exists("d", "c", 7))
            .then(BatchOperation::update("d", "c", (json!({"_id": 7}), json!({"$set": {"a": 1}}))))
            .then(BatchOperation::delete("d", "c", json!({}), true))
            .otherwise(BatchOperation::get("d", "c", "x"));
        let sent = json!(batch);
        assert_eq!(sent["then"][0]["update"]["filter"], json!({"_id": 7}));
        assert_eq!(sent["else"], json!([{"get": {"database": "d", "collection": "c", "id": "x"}}]));
        assert_eq!(serde_json::from_value::<BatchBody>(sent).unwrap(), batch);
    }
}
