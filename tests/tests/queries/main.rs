//! Queries and updates over HTTP, on three nodes through a follower.

mod cursors;
mod explain;
mod find;
mod pipelines;
mod writes;

use jettra_tests::{Bed, Cluster, Documents, Node, Role, Settings};
use serde_json::json;

/// A cluster of three nodes, and the collection `shop.c` through a follower.
async fn three(name: &str) -> (Cluster, Documents) {
    let cluster = Cluster::start(name, 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let http = cluster.nodes[cluster.follower().await].http();
    (cluster, Documents::new(http, "shop", "c"))
}

/// A node that runs alone, and its collection `shop.c`.
async fn alone(name: &str) -> (Bed, Node, Documents) {
    let bed = Bed::new(name).await;
    let mut node = bed.node("alone", Settings::new(Role::Alone));
    node.start();
    jettra_tests::wait_until("the node is well", async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == "ok" { Ok(()) } else { Err(health.text) }
    })
    .await;
    node.http().post("/api/dbs", &json!({"name": "shop"})).await.ok();
    let documents = Documents::new(node.http(), "shop", "c");
    (bed, node, documents)
}
