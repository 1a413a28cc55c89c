//! Sessions, the catalog of databases and collections, and the cluster's members.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{ClusterReply, DatabaseInfo, HealthReply, LoginReply, NodeInfo, SessionReply};
use reqwest::Method;
use serde_json::{Value, json};

impl Client {
    /// Checks the credentials and tells the role.
    pub async fn login(&self, username: &str, password: &str) -> Result<LoginReply> {
        let call = Call::plain(Method::POST, &["api", "login"])
            .body(&json!({"username": username, "password": password}));
        self.send(call).await?.json()
    }

    /// Ends the session that a cookie names. With Basic credentials there is none to end.
    pub async fn logout(&self) -> Result<()> {
        self.send(Call::plain(Method::POST, &["api", "logout"])).await.map(drop)
    }

    /// Who the cluster takes this client for.
    pub async fn session(&self) -> Result<SessionReply> {
        self.send(Call::plain(Method::GET, &["api", "v1", "session"])).await?.json()
    }

    /// Changes the password of the user of this client.
    pub async fn change_password(&self, old_password: &str, new_password: &str) -> Result<()> {
        let call = Call::plain(Method::POST, &["api", "change-password"])
            .body(&json!({"oldPassword": old_password, "newPassword": new_password}));
        self.send(call).await.map(drop)
    }

    /// The databases this user may see.
    pub async fn list_databases(&self) -> Result<Vec<DatabaseInfo>> {
        self.send(Call::new(Method::GET, &["api", "dbs"])).await?.json()
    }

    /// Creates a database; a success as well when it exists.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let call = Call::new(Method::POST, &["api", "dbs"]).body(&json!({"name": name}));
        self.send(call).await.map(drop)
    }

    /// Drops a database with all its collections; a success as well when there is none.
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

    /// Creates a collection, and its database when there is none.
    pub async fn create_collection(&self, database: &str, collection: &str) -> Result<()> {
        let body = json!({"database": database, "collection": collection});
        let call = Call::new(Method::POST, &["api", "cols"]).body(&body);
        self.send(call).await.map(drop)
    }

    /// Drops a collection with its documents; a success as well when there is none.
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

    /// Members, roles and states as the answering node knows them.
    pub async fn cluster_status(&self) -> Result<ClusterReply> {
        self.send(Call::plain(Method::GET, &["api", "cluster"])).await?.json()
    }

    /// The members only, as `GET /raft/rpc/status` lists them.
    pub async fn cluster_nodes(&self) -> Result<Vec<NodeInfo>> {
        self.send(Call::plain(Method::GET, &["raft", "rpc", "status"])).await?.json()
    }

    /// The health answer of a node, whether it serves calls or says why it does not; needs no
    /// credentials.
    pub async fn health(&self) -> Result<HealthReply> {
        self.send(Call::plain(Method::GET, &["health"]).tells_health()).await?.json()
    }

    /// The description of the interface, an OpenAPI 3.1 document; needs no credentials.
    pub async fn openapi(&self) -> Result<Value> {
        self.send(Call::plain(Method::GET, &["openapi.json"])).await?.json()
    }

    /// Admits the node at `url`. Registering the same node again is a success.
    ///
    /// Returns when the node is admitted; it becomes `ACTIVE` once it has caught up.
    pub async fn cluster_register(&self, url: &str, description: Option<&str>) -> Result<()> {
        let body = json!({"url": url, "description": description});
        let call = Call::plain(Method::POST, &["api", "cluster", "register"]).body(&body);
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// Removes a node, named by `NodeID` or URL. Removing an unknown one is a success.
    ///
    /// `force` removes it even when the remaining voters would have no live quorum.
    pub async fn cluster_deregister(&self, node: &str, force: bool) -> Result<()> {
        let body = json!({"node": node, "force": force});
        let call = Call::plain(Method::POST, &["api", "cluster", "deregister"]).body(&body);
        self.send(call.safe_to_repeat()).await.map(drop)
    }

    /// Stops the process of a node and marks it `INACTIVE`.
    ///
    /// `force` stops it even when the cluster loses its quorum by it.
    pub async fn cluster_stop(&self, node: &str, force: bool) -> Result<()> {
        self.cluster_action("stop", json!({"node": node, "force": force})).await
    }

    /// Takes client calls and leadership away from a node; it goes on voting.
    pub async fn cluster_pause(&self, node: &str) -> Result<()> {
        self.cluster_action("pause", json!({"node": node})).await
    }

    /// Ends [`Client::cluster_pause`].
    pub async fn cluster_resume(&self, node: &str) -> Result<()> {
        self.cluster_action("resume", json!({"node": node})).await
    }

    /// Hands leadership to a node, or to the one that answers.
    pub async fn cluster_promote(&self, node: Option<&str>) -> Result<()> {
        self.cluster_action("promote", json!({"node": node})).await
    }

    /// Restarts the process of a node, or of the one that answers.
    pub async fn cluster_restart(&self, node: Option<&str>) -> Result<()> {
        self.cluster_action("restart", json!({"node": node})).await
    }

    async fn cluster_action(&self, action: &str, body: Value) -> Result<()> {
        self.send(Call::plain(Method::POST, &["api", "cluster", action]).body(&body))
            .await
            .map(drop)
    }
}
