//! The driver reports the outcome of interrupted calls: unknown, unless it is certain.

use jettra_driver::{Client, DocumentId, Error};
use jettra_tests::{ADMIN, Cluster, PASSWORD, free_port};
use serde_json::{Value, json};
use std::time::Duration;

fn impatient(url: String) -> Client {
    let builder = Client::builder().seeds([url]).credentials(ADMIN, PASSWORD);
    let builder = builder.deadline(Duration::from_secs(1));
    builder.attempt_timeout(Duration::from_millis(400)).build().expect("a client")
}

/// The kernel accepts a request for a stopped process, which may carry it out later.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_sent_to_a_stopped_node_has_an_unknown_outcome() {
    let cluster = Cluster::start("interruption-sleep", 1).await;
    cluster.client().create_collection("shop", "stock").await.expect("a collection");
    let stock = impatient(cluster.nodes[0].url()).collection::<Value>("shop", "stock");
    let id = DocumentId::from("apples");
    cluster.nodes[0].signal("STOP");
    let results = [
        ("insert with _id", stock.insert(&json!({"_id": "pears"})).await.map(drop)),
        ("insert without _id", stock.insert(&json!({"n": 1})).await.map(drop)),
        ("save", stock.save(&id, &json!({})).await.map(drop)),
        ("replace", stock.replace(&id, &json!({}), 1).await.map(drop)),
        ("delete", stock.delete(&id).await.map(drop)),
    ];
    cluster.nodes[0].signal("CONT");
    for (call, result) in results {
        assert!(matches!(result, Err(Error::Unknown { .. })), "{call}: {result:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_a_connection_is_known_to_have_no_effect() {
    let nobody = impatient(format!("http://127.0.0.1:{}", free_port()));
    let stock = nobody.collection::<Value>("shop", "stock");
    for document in [json!({"_id": "pears"}), json!({"n": 1})] {
        let result = stock.insert(&document).await;
        assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
    }
}
