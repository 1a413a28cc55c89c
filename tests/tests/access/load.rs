//! Calls of one user that must not delay those of others.

use super::{WORD, make_place, make_users};
use jettra_tests::{Cluster, Http, Settings, wait_until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn one_user_cannot_use_a_node_up() {
    let few = |settings: Settings| settings.key("CallsPerUserMax", 4);
    let cluster = Cluster::start_with("access-many", 1, few).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let stranger = Http::new(&node.url()).login("reader", WORD);
    // Calls whose bodies do not arrive. One that is sent at the same time as the probe is refused, so
    // more may be needed.
    let mut held = Vec::new();
    let token = jettra_tests::raw::token(node).await;
    wait_until("the places of the user are taken", async || {
        held.push(jettra_tests::raw::begin(node, &token, "POST /api/cols", 1000, b"{").await);
        let answer = admin.get("/api/dbs").await;
        if answer.status == 429 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    admin.get("/api/dbs").await.refused(429, "overloaded");
    stranger.get("/api/dbs").await.ok();
    drop(held);
    wait_until("the places are free again", async || {
        let answer = admin.get("/api/dbs").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

/// An expression that runs for minutes, for a document that is found at once.
fn heavy(items: u32) -> Value {
    let range = json!({"$range": [0, items]});
    let sum = json!({"$add": ["$$value", {"$size": range}]});
    let reduce = json!({"$reduce": {"input": range, "initialValue": 0, "in": sum}});
    json!({"_id": "1", "$expr": {"$gt": [reduce, -1]}})
}

/// Symptom: a reader's queries stopped a node, and a writer's update stopped all nodes.
#[tokio::test(flavor = "multi_thread")]
async fn expensive_expressions_do_not_delay_others() {
    let short =
        |settings: Settings| settings.key("QueryTimeoutMs", 5_000).key("WriteStepsMax", 1_000_000);
    let cluster = Cluster::start_with("access-heavy", 2, short).await;
    let leader = &cluster.nodes[cluster.leader().await];
    let admin = leader.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let things = "/api/v1/databases/shop/collections/things";
    let update = json!({"filter": heavy(100_000), "update": {"$set": {"b": 1}}});
    let writer = Http::new(&leader.url()).login("writer", WORD);
    writer.post(&format!("{things}/update"), &update).await.refused(413, "query_too_large");
    let then = json!({"update": {"database": "shop", "collection": "things",
        "filter": heavy(100_000), "update": {"$set": {"b": 1}}}});
    writer.post("/api/v1/batch", &json!({"then": [then]})).await.refused(413, "query_too_large");
    let reader = Http::new(&leader.url()).login("reader", WORD);
    let find = format!("{things}/find");
    let body = json!({"filter": heavy(100_000)});
    let heavy = futures_util::future::join_all((0..6).map(|_| reader.post(&find, &body)));
    let others = async {
        let mut answered = 0;
        for number in 0..20 {
            admin.get("/health").await.ok();
            let document = json!({"_id": format!("meanwhile-{number}")});
            admin.post(&format!("{things}/documents"), &document).await.ok();
            answered += 1;
        }
        answered
    };
    let (heavy, others) = tokio::join!(heavy, others);
    assert_eq!(others, 20);
    for answer in heavy {
        assert!(
            matches!(answer.code().as_str(), "time_limit" | "query_too_large"),
            "{}",
            answer.text
        );
    }
}
