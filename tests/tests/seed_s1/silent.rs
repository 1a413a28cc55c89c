//! Nodes that do not answer: nobody calls them healthy, and there are no figures of them.

use super::{Folder, cluster_with_groups, host_and_port};
use jettra_tests::{Cluster, wait_until};
use serde_json::{Value, json};

/// All nodes hold all groups, so that one may fail.
const ALL: [&str; 3] = ["node1", "node2", "node3"];

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_shown_as_such_everywhere() {
    let mut cluster = cluster_with_groups("seed-s1-silent", &ALL, &ALL).await;
    let leader = cluster.leader().await;
    let silent = (0..3).find(|index| *index != leader).expect("a follower");
    let name = cluster.nodes[silent].name.clone();
    cluster.nodes[silent].kill();
    let folder = Folder::new(&cluster.bed, "work", &cluster.nodes[leader].url());
    let status = wait_status(&folder, "DEGRADED").await;
    assert_eq!((&status["total_nodes"], &status["active_nodes"]), (&json!(3), &json!(2)));
    assert_eq!(status["unavailable_nodes"], json!([name]), "{status}");
    assert!(status["reasons"].to_string().contains(&name), "{status}");
    let lacking = status["under_replicated_shards"].as_array().expect("shards");
    assert!(!lacking.is_empty(), "{status}");
    let nodes = folder.jettra("nodes --format compact").await.ok();
    let line = nodes.lines().find(|line| line.starts_with(&name)).expect("its line");
    assert!(line.contains("| UNREACHABLE |"), "{nodes}");
    let health = folder.jettra(&format!("node-health --node-id {name} --format json")).await.json();
    assert_eq!((&health["reachable"], &health["status"]), (&json!(false), &json!("UNREACHABLE")));
    assert!(health["reason"].is_string() && health["usage"].is_null(), "{health}");
    let metrics = folder.jettra("metrics --format json").await.json();
    assert_eq!(metrics["reporting_nodes"], 2, "{metrics}");
    let all = metrics["nodes"].as_array().expect("nodes");
    let of = all.iter().find(|node| node["node_id"] == name.as_str()).expect("it is listed");
    assert!(of["reachable"] == false && of["usage"].is_null(), "{of}");
    let compact = folder.jettra("metrics --format compact").await.ok();
    assert!(compact.contains("2 of 3 nodes report"), "{compact}");
    let diagnostics = folder.jettra("diagnostics --format json").await.json();
    let errors = diagnostics["errors"].to_string();
    assert!(errors.contains(&format!("{name} does not answer")), "{errors}");
    let table = folder.jettra("status").await.ok();
    assert!(table.contains("\nStatus: DEGRADED\n") && table.contains("\nReason: "), "{table}");
    check_without_quorum(&mut cluster, leader, &folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_node_is_neither_dead_nor_at_work() {
    let cluster = cluster_with_groups("seed-s1-paused", &ALL, &ALL).await;
    let leader = cluster.leader().await;
    let paused = (0..3).find(|index| *index != leader).expect("a follower");
    let name = cluster.nodes[paused].name.clone();
    let folder = Folder::new(&cluster.bed, "work", &cluster.nodes[leader].url());
    for (action, word, active) in [("pause", "PAUSED", 2), ("resume", "HEALTHY", 3)] {
        cluster.act(leader, action, json!({"node": name})).await.ok();
        wait_until(&format!("{name} is {word}"), async || {
            let health = format!("node-health --node-id {name} --format json");
            let health = folder.jettra(&health).await.json();
            if health["status"] == word { Ok(()) } else { Err(health.to_string()) }
        })
        .await;
        let nodes = folder.jettra("nodes --format compact").await.ok();
        let line = nodes.lines().find(|line| line.starts_with(&name)).expect("its line");
        assert!(line.contains(&format!("| {word} |")), "{nodes}");
        let status = folder.jettra("status --format json").await.json();
        assert_eq!(
            (&status["status"], &status["active_nodes"]),
            (&json!("HEALTHY"), &json!(active))
        );
    }
}

/// With one node of three the cluster is still described, and the exit codes say what is wrong.
async fn check_without_quorum(cluster: &mut Cluster, left: usize, folder: &Folder) {
    let at = host_and_port(cluster, left);
    for index in (0..3).filter(|index| *index != left) {
        cluster.nodes[index].kill();
    }
    let status = wait_status(folder, "UNHEALTHY").await;
    assert_eq!(status["active_nodes"], 1, "{status}");
    let unavailable = status["unavailable_nodes"].as_array().map(Vec::len);
    assert_eq!(unavailable, Some(2), "{status}");
    let nodes = folder.jettra(&format!("{at} nodes --format json")).await.json();
    let fine = |node: &&Value| node["status"] == "HEALTHY";
    let fine: Vec<_> = nodes.as_array().expect("nodes").iter().filter(fine).collect();
    assert!(fine.len() == 1 && fine[0]["node_id"] == cluster.nodes[left].name.as_str(), "{nodes}");
    cluster.nodes[left].kill();
    for command in ["status", "nodes", "shards", "metrics", "diagnostics"] {
        for ended in [
            folder.jettra(&format!("{command} {at} --format json")).await,
            folder.python(&format!("{command} {at} --format json")).await,
        ] {
            assert_eq!(ended.code, Some(3), "{command}: {} {}", ended.out, ended.err);
            let answer: Value = serde_json::from_str(&ended.out).expect("JSON");
            assert!(answer["error"].is_string(), "{command}: {answer}");
        }
    }
}

async fn wait_status(folder: &Folder, word: &str) -> Value {
    wait_until(&format!("the cluster is {word}"), async || {
        let status = folder.jettra("status --format json").await;
        let seen: Value = serde_json::from_str(&status.out).map_err(|_| status.err.clone())?;
        if seen["status"] == word { Ok(seen) } else { Err(seen.to_string()) }
    })
    .await
}
