//! Members join, leave and crash while writers continue. Systems that pass all tests with a stable
//! membership have lost updates in this case.

use jettra_driver::{Client, ReadLevel};
use jettra_tests::load::{COUNTER, DATABASE, INSERTS, Load, tokens};
use jettra_tests::{ADMIN, Cluster, Node, PASSWORD, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A client with the addresses of all nodes, including those that join later.
fn client(nodes: &[Node]) -> Client {
    let builder = Client::builder().seeds(nodes.iter().map(Node::url));
    let builder = builder.credentials(ADMIN, PASSWORD).deadline(Duration::from_secs(25));
    builder.build().expect("a client")
}

/// Registers a node and removes another one, and kills the leader before either is done.
async fn replace(cluster: &mut Cluster, leaving: usize, name: &str, load: &Load) {
    let joining = cluster.index_of(name);
    let through = (leaving + 1) % joining;
    let body = json!({"url": cluster.nodes[joining].url()});
    cluster.act(through, "register", body).await.ok();
    let leader = cluster.leader().await;
    cluster.nodes[leader].kill();
    load.wait_successes(20).await;
    cluster.nodes[leader].start();
    cluster.wait_status(name, "ACTIVE").await;
    let gone = cluster.nodes[leaving].name.clone();
    let removing = json!({"node": gone});
    let leader = cluster.leader().await;
    let asked = cluster.try_act(through, "deregister", removing.clone());
    // The removal is repeated until it is done, so the outcome of this call does not matter.
    drop(tokio::time::timeout(Duration::from_millis(100), asked).await);
    if leader != leaving {
        cluster.nodes[leader].kill();
        cluster.nodes[leader].start();
    }
    wait_until(&format!("{gone} is out"), async || {
        let answer = cluster.try_act(through, "deregister", removing.clone()).await?;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    cluster.nodes[leaving].kill();
    load.wait_successes(20).await;
}

async fn local_ids(cluster: &Cluster, index: usize) -> BTreeSet<String> {
    let documents = cluster.client_of(index).collection::<Value>(DATABASE, INSERTS);
    let documents = documents.with_level(ReadLevel::Local);
    tokens(&documents).await.expect("the tokens")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_is_replaced_under_load_while_leaders_crash() {
    let mut cluster = Cluster::start("churn", 3).await;
    for name in ["node4", "node5", "node6"] {
        cluster.add_waiting(name).await;
    }
    let client = client(&cluster.nodes);
    client.create_collection(DATABASE, INSERTS).await.expect("a collection");
    client.create_collection(DATABASE, COUNTER).await.expect("a collection");
    let inserts = Load::inserts(&client, 3);
    let appends = Load::appends(&client, 2).await;
    for (leaving, name) in [(0, "node4"), (1, "node5"), (2, "node6")] {
        replace(&mut cluster, leaving, name, &inserts).await;
    }
    appends.wait_successes(10).await;
    let (inserts, appends) = (inserts.finish().await, appends.finish().await);
    cluster.nodes.drain(..3);
    cluster.wait_active(3).await;
    cluster.wait_caught_up().await;
    for index in 0..3 {
        inserts.check(&local_ids(&cluster, index).await, &cluster.nodes[index].name);
        let lists = cluster.client_of(index).collection::<Value>(DATABASE, COUNTER);
        let list = lists.with_level(ReadLevel::Local).get(&"list".into()).await;
        let list = list.expect("an answer").expect("the list").value;
        let tokens: Vec<String> = serde_json::from_value(list["tokens"].clone()).expect("texts");
        let there: BTreeSet<String> = tokens.iter().cloned().collect();
        assert_eq!(tokens.len(), there.len(), "a write happened twice");
        appends.check(&there, &cluster.nodes[index].name);
    }
}
