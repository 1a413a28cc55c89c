//! Databases and collections: creating, dropping, renaming, and what they hold.

use crate::call::Call;
use crate::client::Client;
use crate::collection::Collection;
use crate::error::Result;
use crate::wire::{DatabaseInfo, HashReply, StatsReply};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

impl Client {
    /// The databases this user may see.
    pub async fn list_databases(&self) -> Result<Vec<DatabaseInfo>> {
        self.send(Call::new(Method::GET, &["api", "dbs"])).await?.json()
    }

    /// Creates a database; succeeds if it exists.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let call = Call::new(Method::POST, &["api", "dbs"]).body(&json!({"name": name}));
        self.send(call).await.map(drop)
    }

    /// Creates a database in a group of replicas; succeeds if it is there.
    ///
    /// # Errors
    /// `group_not_found`; `name_taken` if it is in another group.
    pub async fn create_database_in(&self, name: &str, group: u64) -> Result<()> {
        let body = json!({"name": name, "group": group});
        self.send(Call::new(Method::POST, &["api", "dbs"]).body(&body)).await.map(drop)
    }

    /// Drops a database with all its collections; succeeds if it does not exist.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        self.send(Call::new(Method::DELETE, &["api", "dbs"]).query("name", name)).await.map(drop)
    }

    /// Gives a database another name.
    pub async fn rename_database(&self, from: &str, to: &str) -> Result<()> {
        let body = json!({"oldName": from, "newName": to});
        self.send(Call::new(Method::POST, &["api", "dbs", "rename"]).body(&body)).await.map(drop)
    }

    /// The names of a database's collections.
    pub async fn list_collections(&self, database: &str) -> Result<Vec<String>> {
        self.send(Call::new(Method::GET, &["api", "dbs", database, "cols"])).await?.json()
    }

    /// Creates a collection, and its database if it does not exist.
    pub async fn create_collection(&self, database: &str, collection: &str) -> Result<()> {
        let body = json!({"database": database, "collection": collection});
        let call = Call::new(Method::POST, &["api", "cols"]).body(&body);
        self.send(call).await.map(drop)
    }

    /// Drops a collection with its documents; succeeds if it does not exist.
    pub async fn drop_collection(&self, database: &str, collection: &str) -> Result<()> {
        let call = Call::new(Method::DELETE, &["api", "cols"])
            .query("database", database)
            .query("collection", collection);
        self.send(call).await.map(drop)
    }

    /// Gives a collection another name inside its database.
    pub async fn rename_collection(&self, database: &str, from: &str, to: &str) -> Result<()> {
        let body = json!({"database": database, "oldName": from, "newName": to});
        self.send(Call::new(Method::POST, &["api", "cols", "rename"]).body(&body)).await.map(drop)
    }

    /// The hashes of a database's collections and indexes, and the log index of the state that was
    /// hashed. Equal on all nodes at the same log index.
    ///
    /// # Errors
    /// `database_not_found`, `time_limit`.
    pub async fn hash(&self, database: &str) -> Result<HashReply> {
        let segments = ["api", "v1", "databases", database, "hash"];
        self.send(Call::new(Method::GET, &segments).long()).await?.json()
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// Number and size of the documents, and the indexes.
    ///
    /// # Errors
    /// `database_not_found`, `collection_not_found`.
    pub async fn stats(&self) -> Result<StatsReply> {
        let call = self.call(Method::GET, "stats").level(self.level());
        self.client().send(call).await?.json()
    }
}
