//! Each command of the document with its output, in each format, by `jettra` and by the Python file.

use super::{Ended, Folder, address, cluster_with_groups, host_and_port};
use jettra_tests::{Cluster, wait_until};
use serde_json::{Value, json};

/// The names of the ten commands that only read and need no flag of their own.
const PLAIN: [&str; 5] = ["status", "diagnostics", "metrics", "nodes", "shards"];

#[tokio::test(flavor = "multi_thread")]
async fn each_command_prints_what_the_document_shows() {
    let mut cluster =
        cluster_with_groups("seed-s1-commands", &["node1", "node2"], &["node2", "node3"]).await;
    let folder = Folder::new(&cluster.bed, "work", &cluster.nodes[1].url());
    fill(&cluster).await;
    let at = host_and_port(&cluster, 0);
    check_status(&folder, &at).await;
    check_nodes(&cluster, &folder, &at).await;
    check_shards(&cluster, &folder, &at).await;
    check_metrics_and_diagnostics(&folder, &at).await;
    check_python(&folder, &at).await;
    check_node_of_its_own(&mut cluster, &folder, &at).await;
}

/// More than a thousand documents in a shard, so that their number has a separator.
async fn fill(cluster: &Cluster) {
    let http = cluster.nodes[0].http();
    http.post("/api/dbs", &json!({"name": "shop", "group": 1})).await.ok();
    let documents: Vec<Value> = (0..1234).map(|id| json!({"_id": id})).collect();
    let inserts: Vec<_> =
        documents.iter().map(|document| json!({"insertOne": {"document": document}})).collect();
    let path = "/api/v1/databases/shop/collections/vectors/bulk";
    http.post(path, &json!({"operations": inserts})).await.ok();
}

async fn check_status(folder: &Folder, at: &str) {
    let table = folder.jettra(&format!("{at} status")).await.ok();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[..2], ["Cluster Status", "=============="], "{table}");
    let rest = [
        "Total Nodes: 3",
        "Active Nodes: 3",
        "Total Shards: 2",
        "Status: HEALTHY",
        "Replication Factor: 2",
    ];
    assert!(lines[2].starts_with("Master Node: node"), "{table}");
    assert_eq!(lines[3..], rest, "{table}");
    let master = lines[2].trim_start_matches("Master Node: ");
    assert_eq!(folder.jettra("status --format table").await.ok(), table, "without host and port");
    let json = folder.jettra("status --format json").await.json();
    let expected = json!({
        "master_node": master, "total_nodes": 3, "active_nodes": 3, "total_shards": 2,
        "status": "HEALTHY", "replication_factor": 2,
    });
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(&json[name], value, "{json}");
    }
    let line = folder.jettra("status --format compact").await.ok();
    assert_eq!(line, format!("HEALTHY | 3 nodes | 2 shards | master: {master}\n"));
}

async fn check_nodes(cluster: &Cluster, folder: &Folder, at: &str) {
    let box_of_nodes = folder.jettra(&format!("{at} nodes")).await.ok();
    let lines: Vec<&str> = box_of_nodes.lines().collect();
    assert_eq!(cells(lines[1]), ["Node ID", "Role", "Address", "Status", "Shards"]);
    for (start, line) in [('┌', lines[0]), ('├', lines[2]), ('└', lines[6])] {
        assert!(line.starts_with(start) && line.contains('─'), "{box_of_nodes}");
    }
    let rows: Vec<_> = lines[3..6].iter().map(|line| cells(line)).collect();
    for (index, (row, shards)) in rows.iter().zip(["1", "2", "1"]).enumerate() {
        let name = format!("node{}", index + 1);
        assert_eq!(
            [row[0], row[2], row[3], row[4]],
            [name.as_str(), &address(cluster, index), "HEALTHY", shards]
        );
    }
    let masters = rows.iter().filter(|row| row[1] == "MASTER").count();
    let workers = rows.iter().filter(|row| row[1] == "WORKER").count();
    assert_eq!((masters, workers), (1, 2), "{box_of_nodes}");
    let json = folder.jettra("nodes --format json").await.json();
    let names: Vec<_> =
        json.as_array().expect("an array").iter().map(|it| &it["node_id"]).collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    assert_eq!(json[0]["address"], address(cluster, 0).as_str());
    let health = folder.jettra(&format!("{at} node-health --node-id node3")).await.ok();
    assert!(health.starts_with("Node node3\n==========\n"), "{health}");
    for expected in ["Status: HEALTHY", "Reachable: yes", "CPU: ", "Memory: ", "Disk: ", "Group: 5"]
    {
        assert!(health.contains(&format!("\n{expected}")), "{health}");
    }
    let health = folder.jettra("node-health --node-id node3 --format json").await.json();
    assert_eq!((&health["reachable"], &health["status"]), (&json!(true), &json!("HEALTHY")));
    assert!(health["usage"]["resident_bytes"].as_u64() > Some(1 << 20), "{health}");
    assert!(health["usage"]["memory_bytes"].as_u64() > Some(1 << 20), "{health}");
    assert!(health["usage"]["disk_free_bytes"].as_u64() > Some(0), "{health}");
    let groups = health["groups"].as_array().expect("groups");
    assert_eq!(
        groups.iter().map(|group| &group["group"]).collect::<Vec<_>>(),
        [&json!(0), &json!(5)]
    );
    let unknown = folder.jettra("node-health --node-id node9 --format json").await;
    assert_eq!(unknown.code, Some(1), "{}", unknown.out);
    assert_eq!(parsed(&unknown)["code"], "node_not_found", "{}", unknown.out);
}

async fn check_shards(cluster: &Cluster, folder: &Folder, at: &str) {
    let box_of_shards = folder.jettra(&format!("{at} shards")).await.ok();
    let lines: Vec<&str> = box_of_shards.lines().collect();
    let titles = ["Shard ID", "Primary Node", "Replicas", "Vector Count", "Status"];
    assert_eq!(cells(lines[1]), titles);
    let row = cells(lines[3]);
    assert_eq!([row[0], row[2], row[3], row[4]], ["shard-01", "2", "1,234", "HEALTHY"]);
    assert!(row[1].starts_with("node"), "{box_of_shards}");
    assert_eq!(cells(lines[4])[0], "shard-05");
    let json = folder.jettra("shards --format json").await.json();
    assert_eq!(json.as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!((&json[0]["replicas"], &json[0]["vector_count"]), (&json!(2), &json!(1234)));
    let shard = folder.jettra(&format!("{at} shard-status --shard-id shard-01")).await.ok();
    assert!(shard.starts_with("Shard shard-01\n==============\n"), "{shard}");
    assert!(shard.contains("\nNodes: node1, node2\n"), "{shard}");
    let unknown = folder.jettra("shard-status --shard-id shard-99").await;
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(1), ""), "{}", unknown.err);
    // Every strategy there and back; nothing is lost.
    for (strategy, from, to) in [
        ("LIVE_COPY", "node2", "node3"),
        ("SNAPSHOT", "node3", "node2"),
        ("INCREMENTAL", "node2", "node3"),
    ] {
        let words = format!(
            "{at} migrate-shard --shard-id shard-01 --from-node {from} --to-node {to} --strategy {strategy}"
        );
        folder.jettra(&words).await.ok();
        wait_for_shard(folder, "shard-01", &["node1", to]).await;
    }
    let count = cluster.client().collection::<Value>("shop", "vectors").count().await;
    assert_eq!(count.expect("a count"), 1234);
}

async fn check_metrics_and_diagnostics(folder: &Folder, at: &str) {
    let metrics = folder.jettra("metrics --format json").await.json();
    let load = metrics["cpu_usage"].as_f64().expect("a number");
    assert!((0.0..=100.0).contains(&load), "{metrics}");
    assert_eq!((&metrics["documents"], &metrics["reporting_nodes"]), (&json!(1234), &json!(3)));
    for name in ["memory_usage", "disk_usage"] {
        assert!(metrics[name].as_f64() > Some(0.0), "{metrics}");
    }
    for node in metrics["nodes"].as_array().expect("nodes") {
        assert!(node["reachable"] == true && node["usage"]["data_bytes"].as_u64() > Some(0));
    }
    let table = folder.jettra(&format!("{at} metrics")).await.ok();
    assert!(table.starts_with("Cluster Metrics\n===============\nCPU Usage: "), "{table}");
    assert!(table.contains("\nDocuments: 1,234\n") && table.contains("│ node2"), "{table}");
    let all = folder.jettra("diagnostics --format json").await.json();
    let parts = ["topology", "nodes", "shards", "replication", "performance", "errors"];
    for part in parts {
        assert!(!all[part].is_null(), "{part}: {all}");
    }
    let lengths = ["nodes", "shards", "replication"].map(|part| all[part].as_array().map(Vec::len));
    assert_eq!(lengths, [Some(3), Some(2), Some(3)]);
    let now: Vec<_> = all["errors"]
        .as_array()
        .expect("an array")
        .iter()
        .filter(|error| error["time_ms"].is_null())
        .collect();
    assert!(now.is_empty(), "{now:?}");
    for secret in [jettra_tests::PASSWORD, jettra_tests::SECRET] {
        assert!(!all.to_string().contains(secret), "a secret");
    }
    let table = folder.jettra(&format!("{at} diagnostics")).await.ok();
    for title in
        ["Cluster Status", "Node node1", "Shards", "Replication", "Cluster Metrics", "Errors"]
    {
        let underlined = format!("{title}\n{}\n", "=".repeat(title.len()));
        assert!(table.contains(&underlined), "{title}: {table}");
    }
}

/// The Python file prints the same; what changes from call to call is left out.
async fn check_python(folder: &Folder, at: &str) {
    for format in ["table", "compact"] {
        for command in ["status", "nodes", "shards", "shard-status --shard-id shard-05"] {
            let words = format!("{at} {command} --format {format}");
            let expected = folder.jettra(&words).await.ok();
            assert_eq!(folder.python(&words).await.ok().trim_end(), expected.trim_end(), "{words}");
        }
        for command in ["diagnostics", "metrics", "node-health --node-id node2"] {
            let words = format!("{at} {command} --format {format}");
            let [expected, found] =
                [folder.jettra(&words).await.ok(), folder.python(&words).await.ok()];
            assert_eq!(shape(&found), shape(&expected), "{words}");
        }
    }
    for command in PLAIN {
        let found = folder.python(&format!("--format json {at} {command}")).await.json();
        let expected = folder.jettra(&format!("--format json {at} {command}")).await.json();
        assert_eq!(keys(&found), keys(&expected), "{command}");
    }
    let moved = "migrate-shard --shard-id shard-05 --from-node node2 --to-node node1";
    folder.python(&format!("{at} {moved} --strategy LIVE_COPY")).await.ok();
    wait_for_shard(folder, "shard-05", &["node1", "node3"]).await;
}

/// Adding a node, moving a shard to it, and removing it, which redistributes the shard.
async fn check_node_of_its_own(cluster: &mut Cluster, folder: &Folder, at: &str) {
    let index = cluster.add_waiting("node-worker-003").await;
    let place = address(cluster, index);
    let add = |name: &str| format!("{at} add-node --node-id {name} --address {place}");
    let other = folder.jettra(&format!("{} --format json", add("node-worker-004"))).await;
    assert_eq!((other.code, &parsed(&other)["code"]), (Some(1), &json!("node_conflict")));
    for name in ["node-worker-003", "node-worker-004"] {
        assert!(other.out.contains(name), "{}", other.out);
    }
    let added = folder.jettra(&add("node-worker-003")).await.ok();
    assert_eq!(added, format!("Added node-worker-003 at {place}.\n"));
    let again = folder.python(&format!("{} --format json", add("node-worker-003"))).await.json();
    assert_eq!(again["address"], place.as_str());
    wait_until("the new node is healthy", async || {
        let health = folder.jettra("node-health --node-id node-worker-003 --format json").await;
        let health = health.json();
        if health["status"] == "HEALTHY" { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
    let live = "migrate-shard --shard-id shard-05 --from-node node1 --to-node node-worker-003 \
                --strategy LIVE_COPY";
    folder.jettra(&format!("{at} {live}")).await.ok();
    wait_for_shard(folder, "shard-05", &["node-worker-003", "node3"]).await;
    let removed = folder.jettra(&format!("{at} remove-node --node-id node-worker-003")).await;
    assert!(removed.out.starts_with("Removed node-worker-003"), "{} {}", removed.out, removed.err);
    let shard = folder.jettra("shard-status --shard-id shard-05 --format json").await.json();
    assert_eq!(shard["replicas"], 2, "{shard}");
    assert!(!shard["nodes"].to_string().contains("worker"), "{shard}");
    let names = folder.jettra("nodes --format compact").await.ok();
    assert_eq!(names.lines().count(), 3, "{names}");
}

async fn wait_for_shard(folder: &Folder, shard: &str, nodes: &[&str]) {
    wait_until(&format!("{shard} on {nodes:?}"), async || {
        let words = format!("shard-status --shard-id {shard} --format json");
        let seen = folder.jettra(&words).await.json();
        let mut on: Vec<_> = seen["nodes"].as_array().expect("nodes").iter().collect();
        on.sort_by_key(|node| node.to_string());
        match seen["health"] == "HEALTHY" && on == nodes {
            true => Ok(()),
            false => Err(seen.to_string()),
        }
    })
    .await;
}

/// The cells of a line of a box.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('│').split('│').map(str::trim).collect()
}

fn parsed(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.out))
}

/// The names of the fields of an answer, or of its first entry.
fn keys(value: &Value) -> Vec<String> {
    let first = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    first.as_object().expect("an object").keys().cloned().collect()
}

/// A text without what changes from one moment to the next: numbers, the unit after them, the width of
/// columns, and what nodes have logged.
fn shape(text: &str) -> String {
    let before_log = text.split("\nErrors\n").next().unwrap_or_default();
    let words = before_log.split_whitespace().filter(|word| {
        let is_number = word.starts_with(|first: char| first.is_ascii_digit() || first == '(');
        let is_unit = ["GB", "MB", "kB", "bytes", "%"].iter().any(|unit| word.starts_with(unit));
        let is_rule = word.chars().all(|letter| "┌┬┐├┼┤└┴┘─│".contains(letter));
        !is_number && !is_unit && !is_rule
    });
    words.collect::<Vec<_>>().join(" ")
}
