//! Network faults between the nodes, on one link or many, in one direction or both: a node without a
//! majority refuses calls, the majority continues, and no acknowledged write is lost.

use jettra_tests::load::{COUNTER, DATABASE, INSERTS, Load, WriteOutcomes};
use jettra_tests::{Cluster, Documents, Fault, Http, Links, Settings, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A delay below the election timeout.
const SLOW: Duration = Duration::from_millis(60);
/// Bytes after which a connection breaks: within the append messages of some writes.
const MIDST: usize = 3_000;

/// Short time limits, since the nodes of a minority wait in vain.
fn hasty(settings: Settings) -> Settings {
    settings.key("RequestTimeoutMs", 1500)
}

async fn start(name: &str) -> (Cluster, Links) {
    let (cluster, links) = Cluster::start_with_links(name, 3, hasty).await;
    let client = cluster.client();
    for collection in [INSERTS, COUNTER] {
        client.create_collection(DATABASE, collection).await.expect("a collection");
    }
    (cluster, links)
}

fn others(node: usize) -> [usize; 2] {
    [(node + 1) % 3, (node + 2) % 3]
}

fn inserts(http: Http) -> Documents {
    Documents::new(http, DATABASE, INSERTS)
}

/// Compares the outcomes of writes with every node's own copy.
async fn check_inserts(cluster: &Cluster, outcomes: &WriteOutcomes) {
    cluster.wait_caught_up().await;
    for node in &cluster.nodes {
        let copy = inserts(node.http()).with("level=local");
        let found = copy.pages(&json!({}), 1000, async || {}).await;
        let ids = found.iter().map(|document| document["_id"].as_str().expect("a text").to_owned());
        outcomes.check(&ids.collect(), &node.name);
    }
}

async fn check_appends(cluster: &Cluster, outcomes: &WriteOutcomes) {
    let list = Documents::new(cluster.nodes[0].http(), DATABASE, COUNTER).one(json!("list")).await;
    let tokens: Vec<String> = serde_json::from_value(list["tokens"].clone()).expect("texts");
    let there: BTreeSet<String> = tokens.iter().cloned().collect();
    assert_eq!(tokens.len(), there.len(), "a write happened twice");
    outcomes.check(&there, "the list");
}

/// Checks that a node without a majority refuses writes and linearizable reads, and serves local ones.
async fn check_minority(cluster: &Cluster, node: usize) {
    let documents = inserts(cluster.nodes[node].http());
    let read = documents.post("find", json!({"filter": {}})).await;
    assert!(matches!(read.status, 503 | 504), "{} {}", read.status, read.text);
    let write = documents.post("update", json!({"filter": {}, "update": {"$set": {"old": 1}}}));
    let write = write.await;
    assert!(matches!(write.status, 503 | 504), "{} {}", write.status, write.text);
    let local = documents.with("level=local").find(json!({"limit": 1})).await;
    assert_eq!(local.len(), 1, "{local:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_leader_is_replaced_refuses_calls_and_comes_back_without_loss() {
    let (cluster, links) = start("partitions-leader").await;
    let load = Load::inserts(&cluster.client(), 4);
    for fault in [Fault::Blackhole, Fault::Cut] {
        load.wait_successes(50).await;
        let old = cluster.leader().await;
        links.isolate(old, fault);
        let new = cluster.leader_among(&others(old)).await;
        assert_ne!(new, old);
        check_minority(&cluster, old).await;
        load.wait_successes(100).await;
        links.heal();
        cluster.wait_active(3).await;
    }
    load.wait_successes(20).await;
    assert!(links.hits() > 0, "no fault met anything");
    check_inserts(&cluster, &load.finish().await).await;
    let changed = inserts(cluster.nodes[0].http()).count(json!({"old": 1})).await;
    assert_eq!(changed, 0, "a write was carried out that a minority took");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_dead_in_one_direction_lose_and_repeat_nothing() {
    let (cluster, links) = start("partitions-one-way").await;
    let load = Load::appends(&cluster.client(), 4).await;
    for (outward, near) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
        load.wait_successes(20).await;
        let leader = cluster.leader().await;
        eprintln!("from the leader: {outward}, links: {near}");
        for other in &others(leader)[..near] {
            match outward {
                true => links.blackhole(leader, *other),
                false => links.blackhole(*other, leader),
            }
        }
        load.wait_successes(20).await;
        links.heal();
        cluster.wait_active(3).await;
    }
    assert!(links.hits() > 0, "no fault met anything");
    check_appends(&cluster, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_within_messages_lose_and_repeat_nothing() {
    let (cluster, links) = start("partitions-midst").await;
    let inserting = Load::inserts(&cluster.client(), 3);
    let appending = Load::appends(&cluster.client(), 2).await;
    inserting.wait_successes(20).await;
    for broken in 0..3 {
        links.isolate(broken, Fault::CutAfter(MIDST));
        let hits = links.hits();
        wait_until("connections break", async || match links.hits() - hits {
            broken @ ..10 => Err(format!("{broken} so far")),
            _ => Ok(()),
        })
        .await;
        appending.wait_successes(10).await;
        links.heal();
        cluster.wait_active(3).await;
    }
    let (inserts, appends) = (inserting.finish().await, appending.finish().await);
    check_inserts(&cluster, &inserts).await;
    check_appends(&cluster, &appends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_links_cost_time_only() {
    let (cluster, links) = start("partitions-slow").await;
    let leader = cluster.leader().await;
    let load = Load::inserts(&cluster.client(), 8);
    load.wait_successes(20).await;
    for other in others(leader) {
        links.delay(leader, other, SLOW);
        links.delay(other, leader, SLOW);
    }
    load.wait_successes(60).await;
    let documents = inserts(cluster.nodes[others(leader)[0]].http());
    documents.ask("count", json!({"filter": {}})).await;
    assert_eq!(cluster.leader().await, leader, "a slow leader was replaced");
    links.heal();
    load.wait_successes(20).await;
    let outcomes = load.finish().await;
    assert!(outcomes.unknown.is_empty() && outcomes.refused.is_empty(), "{outcomes:?}");
    check_inserts(&cluster, &outcomes).await;
}

/// An isolated leader still appends writes for a while; none of them may take effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_only_a_minority_has_is_not_applied_later() {
    let (cluster, links) = start("partitions-minority").await;
    let old = cluster.leader().await;
    let documents = Documents::new(cluster.nodes[old].http(), DATABASE, COUNTER);
    documents.insert_all([json!({"_id": "n", "value": "first"})]).await;
    links.isolate(old, Fault::Blackhole);
    let set = |value: &str| json!({"filter": {"_id": "n"}, "update": {"$set": {"value": value}}});
    let lost = documents.post("update", set("minority")).await;
    assert!(matches!(lost.status, 503 | 504), "{} {}", lost.status, lost.text);
    let new = cluster.leader_among(&others(old)).await;
    let majority = documents.through(cluster.nodes[new].http());
    assert_eq!(majority.one(json!("n")).await["value"], "first");
    majority.ask("update", set("majority")).await;
    links.heal();
    cluster.wait_active(3).await;
    for node in &cluster.nodes {
        let found: Value = documents.through(node.http()).one(json!("n")).await;
        assert_eq!(found["value"], "majority", "{}", node.name);
    }
}
