//! Nodes crash under load: writers continue, and no acknowledged write is lost.

use jettra_driver::wire::ReadLevel;
use jettra_tests::load::{COUNTER, DATABASE, INSERTS, Load, WriteOutcomes, tokens};
use jettra_tests::{Cluster, Settings, raw, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The ids of all documents in a node's own copy.
async fn ids(cluster: &Cluster, index: usize, collection: &str) -> BTreeSet<String> {
    let documents = cluster.client_of(index).collection::<Value>(DATABASE, collection);
    let documents = documents.with_level(ReadLevel::Local);
    tokens(&documents).await.expect("the tokens")
}

async fn start(name: &str, adjust: impl Fn(Settings) -> Settings) -> Cluster {
    let cluster = Cluster::start_with(name, 3, adjust).await;
    let client = cluster.client();
    client.create_collection(DATABASE, INSERTS).await.expect("a collection");
    client.create_collection(DATABASE, COUNTER).await.expect("a collection");
    cluster
}

/// Kills the leader under load, waits until writes succeed again, and returns its index.
async fn kill_leader(cluster: &mut Cluster, load: &Load) -> usize {
    load.wait_successes(50).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].kill();
    load.wait_successes(200).await;
    leader
}

async fn check_inserts(cluster: &Cluster, load: Load) {
    check_outcomes(cluster, load.finish().await).await;
}

async fn check_outcomes(cluster: &Cluster, outcomes: WriteOutcomes) {
    cluster.wait_caught_up().await;
    for index in 0..cluster.nodes.len() {
        let there = ids(cluster, index, INSERTS).await;
        outcomes.check(&there, &cluster.nodes[index].name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_continue_after_a_crash_of_the_leader_and_it_catches_up_by_log() {
    let mut cluster = start("failover-log", |settings| settings).await;
    let load = Load::inserts(&cluster.client(), 6);
    for _ in 0..2 {
        let dead = kill_leader(&mut cluster, &load).await;
        cluster.nodes[dead].start();
        cluster.wait_active(3).await;
        assert!(!cluster.nodes[dead].log().contains("installed a snapshot"));
    }
    check_inserts(&cluster, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_purged_entries_catches_up_by_snapshot() {
    let adjust = |settings: Settings| settings.env("JETTRA_SNAPSHOT_EVERY", "50");
    let mut cluster = start("failover-snapshot", adjust).await;
    let load = Load::inserts(&cluster.client(), 6);
    let dead = kill_leader(&mut cluster, &load).await;
    let client = cluster.client();
    let lacks = client.group(0).await.expect("the group").last_log_index;
    wait_until("the log that it lacks is purged", async || {
        let group = client.group(0).await.map_err(|error| error.to_string())?;
        if group.first_log_index > lacks { Ok(()) } else { Err(format!("{group:?}")) }
    })
    .await;
    cluster.nodes[dead].start();
    cluster.wait_active(3).await;
    check_inserts(&cluster, load).await;
    let log = cluster.nodes[dead].log();
    assert!(log.contains("installed a snapshot"), "it caught up without a snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn compare_and_set_loses_and_repeats_nothing_while_leaders_crash() {
    let mut cluster = start("failover-set", |settings| settings).await;
    let client = cluster.client();
    let load = Load::appends(&client, 4).await;
    for _ in 0..3 {
        load.wait_successes(30).await;
        let leader = cluster.leader().await;
        cluster.nodes[leader].kill();
        load.wait_successes(30).await;
        cluster.nodes[leader].start();
        cluster.wait_active(3).await;
    }
    let outcomes = load.finish().await;
    let list = client.collection::<Value>(DATABASE, COUNTER).get(&"list".into()).await;
    let list = list.expect("an answer").expect("the list").value;
    let tokens: Vec<String> = serde_json::from_value(list["tokens"].clone()).expect("texts");
    let there: BTreeSet<String> = tokens.iter().cloned().collect();
    assert_eq!(tokens.len(), there.len(), "a write happened twice");
    outcomes.check(&there, "the list");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_when_all_nodes_crash_at_once() {
    let mut cluster = start("failover-all", |settings| settings).await;
    for _ in 0..2 {
        let load = Load::inserts(&cluster.client(), 6);
        load.wait_successes(300).await;
        cluster.nodes.iter_mut().for_each(|node| node.kill());
        cluster.nodes.iter_mut().for_each(|node| node.start());
        cluster.wait_active(3).await;
        load.wait_successes(20).await;
        check_inserts(&cluster, load).await;
        cluster.client().drop_collection(DATABASE, INSERTS).await.expect("dropped");
        cluster.client().create_collection(DATABASE, INSERTS).await.expect("a collection");
    }
}

/// Symptom: no leader was elected as long as clients waited for one. Cause: calls that waited for a
/// leader spun on the threads that serve HTTP, so that no thread was free for votes.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_leader_responds_while_many_calls_wait_for_one() {
    let mut cluster = start("failover-spinning", |settings| settings).await;
    let left = cluster.follower().await;
    let token = raw::token(&cluster.nodes[left]).await;
    for index in (0..3).filter(|index| *index != left) {
        cluster.nodes[index].kill();
    }
    cluster.wait_health(left, "no_leader").await;
    let mut waiting = Vec::new();
    for _ in 0..24 {
        let call = format!("POST /api/doc?db={DATABASE}&col={INSERTS}");
        waiting.push(raw::queue(&cluster.nodes[left], &token, &call, "{}").await);
    }
    for _ in 0..4 {
        assert_eq!(cluster.nodes[left].http().get("/health").await.status, 503);
    }
    let ended = waiting.iter().filter(|call| call.is_answered()).count();
    assert_eq!(ended, 0, "the node answered only after the waiting calls had ended");
}

/// The same with the calls between nodes.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_elected_while_many_clients_wait_for_one_at_every_node() {
    let mut cluster = start("failover-waiting", |settings| settings).await;
    let leader = cluster.leader().await;
    let [left, back] = [(leader + 1) % 3, (leader + 2) % 3];
    let loads = [left, back].map(|index| Load::inserts(&cluster.client_of(index), 24));
    for load in &loads {
        load.wait_successes(20).await;
    }
    cluster.nodes[leader].kill();
    cluster.nodes[back].kill();
    cluster.wait_health(left, "no_leader").await;
    cluster.nodes[back].start();
    for load in &loads {
        load.wait_successes(100).await;
    }
    cluster.nodes[leader].start();
    cluster.wait_active(3).await;
    let mut outcomes = WriteOutcomes::default();
    for load in loads {
        outcomes.merge(load.finish().await);
    }
    check_outcomes(&cluster, outcomes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_leader_is_shown_inactive_everywhere_until_it_is_back() {
    let mut cluster = Cluster::start("failover-status", 3).await;
    let dead = cluster.leader().await;
    let name = cluster.nodes[dead].name.clone();
    let follower = cluster.follower().await;
    let before = cluster.nodes[follower].http().get("/api/cluster").await.ok().json();
    assert_eq!(before["view"]["leader"], true, "{before}");
    cluster.nodes[dead].kill();
    wait_until("a follower shows the dead leader to be silent", async || {
        let after = cluster.nodes[follower].http().try_get("/api/cluster").await?.json();
        let view = &after["view"];
        let rows = after["nodes"].as_array().ok_or("no members")?;
        let row = rows.iter().find(|row| row["_id"] == *name).ok_or("no row")?;
        let silent = row["status"] == "INACTIVE" && row["silent_ms"].is_u64();
        assert!(view["leader"] == true || view["note"].is_string(), "{after}");
        if silent { Ok(()) } else { Err(after.to_string()) }
    })
    .await;
    cluster.wait_status(&name, "INACTIVE").await;
    let leader = cluster.leader().await;
    let new = cluster.nodes[leader].name.clone();
    let members = cluster
        .wait_members("the new leader is shown", |members| role(members, &new) == "LEADER")
        .await;
    assert_eq!(role(&members, &name), "FOLLOWER");
    for index in cluster.running() {
        let report = cluster.nodes[index].http().get("/api/cluster").await.ok().json();
        assert_eq!(report["leaderId"], *new);
        let health = report["health"].as_str().expect("a sentence");
        assert!(health.contains(&format!("{name} is INACTIVE")), "{health}");
        assert_eq!(
            (&report["view"]["from"], &report["view"]["leader"]),
            (&json!(new), &json!(true))
        );
        let rows = report["nodes"].as_array().expect("the members");
        let row = rows.iter().find(|row| row["_id"] == *name).expect("the dead one");
        assert!(row["silent_ms"].is_u64(), "{row}");
        assert!(rows.iter().all(|row| row["last_seen_ms"].is_u64()), "{rows:?}");
    }
    cluster.nodes[dead].start();
    cluster.wait_active(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_follower_is_shown_inactive_and_writes_continue() {
    let mut cluster = start("failover-follower", |settings| settings).await;
    let follower = cluster.follower().await;
    let name = cluster.nodes[follower].name.clone();
    let load = Load::inserts(&cluster.client(), 3);
    load.wait_successes(20).await;
    cluster.nodes[follower].kill();
    cluster.wait_status(&name, "INACTIVE").await;
    load.wait_successes(50).await;
    cluster.nodes[follower].start();
    cluster.wait_active(3).await;
    check_inserts(&cluster, load).await;
}

fn role<'m>(members: &'m [Value], name: &str) -> &'m str {
    let found = members.iter().find(|node| node["_id"] == name);
    found.and_then(|node| node["role"].as_str()).unwrap_or("")
}
