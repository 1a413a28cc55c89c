//! The walk-through of seed document 004, step by step.

use jettra_tests::{Bed, Cluster, Node, Role, Settings, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

/// Registers a node as the document's `curl -d` does, with `localhost` as the host.
async fn register(cluster: &Cluster, through: usize, index: usize) {
    let body = format!("{{\"url\": \"http://localhost:{}\"}}", cluster.nodes[index].port);
    let http = cluster.nodes[through].http();
    let answer = http.curl("POST", "/api/cluster/register", &body).await.ok();
    assert_eq!(answer.text, "Node registered");
}

fn field<'v>(members: &'v [Value], name: &str, field: &str) -> &'v str {
    let node = members.iter().find(|node| node["_id"] == name);
    node.and_then(|node| node[field].as_str()).unwrap_or("")
}

/// Starts node1 to node3 in sequence, as the document says.
async fn follow_the_document(name: &str) -> Cluster {
    let bed = Bed::new(name).await;
    let nodes = vec![
        bed.node("node1", Settings::new(Role::First)),
        bed.node("node2", Settings::new(Role::Waiting)),
        bed.node("node3", Settings::new(Role::Waiting)),
    ];
    let mut cluster = Cluster { nodes, bed };
    cluster.nodes[0].start();
    cluster.wait_health(0, "ok").await;
    let alone = cluster.members(0).await.expect("the collection");
    assert_eq!(field(&alone, "node1", "role"), "LEADER", "{alone:?}");
    for index in [1, 2] {
        cluster.nodes[index].start();
        cluster.wait_health(index, "waiting").await;
        register(&cluster, 0, index).await;
    }
    cluster.wait_active(3).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_are_set_up_as_the_document_says() {
    let cluster = follow_the_document("walk-setup").await;
    let members = cluster.members(0).await.expect("the collection");
    for (name, role) in [("node1", "LEADER"), ("node2", "FOLLOWER"), ("node3", "FOLLOWER")] {
        assert_eq!(field(&members, name, "role"), role, "{members:?}");
        assert_eq!(field(&members, name, "status"), "ACTIVE", "{members:?}");
        let url = cluster.nodes[cluster.index_of(name)].url();
        // The address with which it was registered.
        let url = if name == "node1" { url } else { url.replace("127.0.0.1", "localhost") };
        assert_eq!(field(&members, name, "url"), url, "{members:?}");
    }
    // Again, by its other address: nothing changes.
    let again = json!({"url": cluster.nodes[1].url()});
    cluster.act(0, "register", again).await.ok();
    assert_eq!(cluster.members(0).await.expect("the collection"), members);
    for node in &cluster.nodes {
        check_reports(node).await;
    }
    let databases = cluster.nodes[2].http().get("/api/dbs").await.ok().json();
    assert_eq!(databases[0]["name"], "_system");
}

async fn check_reports(node: &Node) {
    let report = node.http().get("/api/cluster").await.ok().json();
    assert_eq!(report["enabled"], true);
    assert_eq!(report["nodeId"], *node.name);
    assert_eq!(report["leaderId"], "node1");
    assert_eq!(report["quorum"], 2);
    assert_eq!(report["health"], "All 3 nodes are active; the cluster tolerates 1 failure.");
    let state = if node.name == "node1" { "LEADER" } else { "FOLLOWER" };
    assert_eq!(report["state"], state);
    let list = node.http().get("/raft/rpc/status").await.ok().json();
    for members in [&report["nodes"], &list] {
        let members = members.as_array().expect("a list");
        assert_eq!(members.len(), 3);
        for member in members {
            assert_eq!(member["_id"], member["id"]);
            let role = if member["_id"] == "node1" { "LEADER" } else { "FOLLOWER" };
            assert_eq!((&member["role"], &member["status"]), (&json!(role), &json!("ACTIVE")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_removed_and_comes_back_with_an_empty_disk_only() {
    let mut cluster = follow_the_document("walk-remove").await;
    let body = format!("{{\"url\": \"http://localhost:{}\"}}", cluster.nodes[2].port);
    let http = cluster.nodes[0].http();
    let answer = http.curl("POST", "/api/cluster/deregister", &body).await.ok();
    assert_eq!(answer.json(), json!({"status": "deregistered"}));
    wait_until("node3 knows that it was removed", async || {
        let health = cluster.nodes[2].http().try_get("/health").await?;
        if health.json()["status"] == "removed" { Ok(()) } else { Err(health.text) }
    })
    .await;
    cluster.nodes[2].kill();
    cluster.wait_active(2).await;
    cluster.nodes[2].wipe();
    cluster.nodes[2].start();
    cluster.wait_health(2, "waiting").await;
    register(&cluster, 1, 2).await;
    cluster.wait_active(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_stopped_by_url_and_by_name_and_returns_without_registration() {
    let mut cluster = follow_the_document("walk-stop").await;
    let names = [cluster.nodes[1].url(), "node3".to_owned()];
    for (index, name) in [1, 2].into_iter().zip(names) {
        let body = json!({"node": name}).to_string();
        let http = cluster.nodes[0].http();
        let watching = watch_status(&cluster.nodes[0], &cluster.nodes[index].name);
        let answer = http.curl("POST", "/api/cluster/stop", &body).await.ok();
        assert_eq!(answer.json(), json!({"status": "stop_sent"}));
        let exit = cluster.nodes[index].wait_exit().await;
        assert_eq!(exit.code(), Some(0));
        let name = cluster.nodes[index].name.clone();
        cluster.wait_status(&name, "INACTIVE").await;
        // Symptom: INACTIVE, ACTIVE, INACTIVE.
        let seen = watching.await.expect("no panic");
        assert!(seen == ["ACTIVE", "INACTIVE"] || seen == ["INACTIVE"], "{seen:?}");
        cluster.nodes[index].start();
        cluster.wait_active(3).await;
    }
}

/// The statuses of a member in sequence as one node shows them, until some time after it has become
/// inactive.
fn watch_status(shown_by: &Node, name: &str) -> tokio::task::JoinHandle<Vec<String>> {
    let (http, name) = (shown_by.http(), name.to_owned());
    tokio::spawn(async move {
        let (mut seen, mut looks_left) = (Vec::new(), 40);
        while looks_left > 0 {
            let report = http.get("/api/cluster").await.ok().json();
            let members = report["nodes"].as_array().expect("the members");
            let status = field(members, &name, "status").to_owned();
            looks_left -= i32::from(status == "INACTIVE");
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_can_be_stopped_through_a_follower() {
    let mut cluster = follow_the_document("walk-stop-leader").await;
    let leader = cluster.leader().await;
    let name = cluster.nodes[leader].name.clone();
    let through = cluster.follower().await;
    cluster.act(through, "stop", json!({"node": name})).await.ok();
    assert_eq!(cluster.nodes[leader].wait_exit().await.code(), Some(0));
    cluster.wait_status(&name, "INACTIVE").await;
    cluster.nodes[leader].start();
    cluster.wait_active(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_node_serves_no_calls_until_it_is_resumed() {
    let cluster = follow_the_document("walk-pause").await;
    for index in [1, cluster.leader().await] {
        let name = cluster.nodes[index].name.clone();
        let answer = cluster.act(2, "pause", json!({"node": name})).await.ok();
        assert_eq!(answer.text, "Node paused");
        cluster.wait_status(&name, "PAUSED").await;
        cluster.wait_health(index, "paused").await;
        cluster.nodes[index].http().get("/api/dbs").await.refused(503, "paused");
        wait_until("a paused node does not lead", async || {
            let leader = cluster.leader().await;
            if leader == index { Err(name.clone()) } else { Ok(()) }
        })
        .await;
        cluster.nodes[2].http().post("/api/dbs", &json!({"name": "paused"})).await.ok();
        let report = cluster.nodes[2].http().get("/api/cluster").await.ok().json();
        let health = report["health"].as_str().expect("a sentence");
        assert!(health.starts_with(&format!("{name} is PAUSED;")), "{health}");
        let answer = cluster.act(index, "resume", json!({"node": name})).await.ok();
        assert_eq!(answer.text, "Node resumed");
        cluster.wait_active(3).await;
        cluster.nodes[index].http().get("/api/dbs").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_transfers_leadership_to_the_called_or_named_node() {
    let cluster = follow_the_document("walk-promote").await;
    let answer = cluster.nodes[1].http().curl("POST", "/api/cluster/promote", "").await.ok();
    assert_eq!(answer.text, "Promoted to Leader");
    assert_eq!(cluster.leader().await, 1);
    cluster.act(0, "promote", json!({"node": "node3"})).await.ok();
    assert_eq!(cluster.leader().await, 2);
    cluster.act(0, "promote", json!({"node": "node9"})).await.refused(404, "node_not_found");
    cluster
        .wait_members("node3 is shown as leader", |members| {
            field(members, "node3", "role") == "LEADER"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_is_restarted_through_any_node() {
    let cluster = follow_the_document("walk-restart").await;
    for (through, node) in [(2, 1), (1, 0), (2, 2)] {
        let name = cluster.nodes[node].name.clone();
        let starts = starts(&cluster.nodes[node]);
        let body = if through == node { json!({}) } else { json!({"node": name}) };
        let answer = cluster.act(through, "restart", body).await.ok();
        assert_eq!(answer.json(), json!({"status": "restarting"}));
        wait_until(&format!("{name} has started again"), async || {
            let found = self::starts(&cluster.nodes[node]);
            if found == starts + 1 { Ok(()) } else { Err(format!("{found} starts")) }
        })
        .await;
        cluster.wait_active(3).await;
    }
}

fn starts(node: &Node) -> usize {
    node.log().matches(&format!(" node {}\n", node.name)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_peers_joins_by_itself() {
    let mut cluster = Cluster::start("walk-peers", 1).await;
    let seeds = json!(["http://127.0.0.1:1", cluster.nodes[0].url()]);
    let settings = Settings::new(Role::Waiting).key("Peers", seeds);
    let mut joining = cluster.bed.node("node2", settings);
    joining.start();
    cluster.nodes.push(joining);
    cluster.wait_active(2).await;
}
