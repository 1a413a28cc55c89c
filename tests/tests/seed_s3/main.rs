//! The walk-through of rockraft's cluster example, with its configuration files: every call, the
//! output of the start, who founds the cluster, the addresses for clients and nodes, and the verbs of
//! its `start.sh`.

mod dev;
mod founding;
mod listeners;

use jettra_tests::source::root;
use jettra_tests::{
    Answer, Bed, Cluster, Http, Node, PASSWORD, Role, Settings, free_port, program, wait_until,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// A cluster of the example's three nodes, none of which runs yet, and their ports for nodes. Ports and
/// directories are others than in the files of the example.
async fn example(name: &str) -> (Cluster, Vec<u16>) {
    let bed = Bed::new(name).await;
    let nodes = ["node1", "node2", "node3"].map(|it| bed.node(it, Settings::new(Role::Waiting)));
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let cluster = Cluster { nodes: nodes.into(), bed };
    for index in 0..3 {
        let path = root().join(format!("packaging/rockraft/conf/node{}.toml", index + 1));
        let mut text = std::fs::read_to_string(path).expect("a file of the example");
        for (index, node) in cluster.nodes.iter().enumerate() {
            let number = index + 1;
            let data = node.data_dir().display().to_string();
            for (old, new) in [
                (format!("127.0.0.1:700{number}"), format!("127.0.0.1:{}", ports[index])),
                (format!("127.0.0.1:800{number}"), format!("127.0.0.1:{}", node.port)),
                (format!("/tmp/rockraft_cluster/node{number}"), data),
            ] {
                text = text.replace(&old, &new);
            }
        }
        std::fs::write(conf(&cluster, index), text).expect("a configuration file");
    }
    (cluster, ports)
}

/// The configuration file of a node.
fn conf(cluster: &Cluster, index: usize) -> PathBuf {
    cluster.bed.dir().join(format!("node{}.toml", index + 1))
}

/// Starts a node of the example as a person does, with a home directory that the nodes share.
fn start(cluster: &mut Cluster, index: usize) {
    let mut command = Command::new(program("jettradb"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JETTRA_") {
            command.env_remove(name);
        }
    }
    command.arg("--conf").arg(conf(cluster, index)).env("HOME", cluster.bed.dir());
    command.env("JETTRA_ADMIN_PASSWORD", PASSWORD).env("JETTRA_OPEN_ON_LOOPBACK", "true");
    cluster.nodes[index].spawn(command);
}

/// The cluster of all three nodes, started one after the other.
async fn started(name: &str) -> (Cluster, Vec<u16>) {
    let (mut cluster, ports) = example(name).await;
    (0..3).for_each(|index| start(&mut cluster, index));
    cluster.wait_active(3).await;
    (cluster, ports)
}

/// What a node has printed, without its log.
fn printed(node: &Node) -> String {
    let log = node.log();
    let is_log = |line: &&str| line.starts_with(|first: char| first.is_ascii_digit());
    log.lines().filter(|line| !is_log(line)).collect::<Vec<_>>().join("\n")
}

/// A call without credentials, as the example's `curl` sends it.
async fn post(node: &Node, target: &str, body: &Value) -> Answer {
    Http::new(&node.url()).post(target, body).await
}

/// The same without a body.
async fn get(node: &Node, target: &str) -> Answer {
    Http::new(&node.url()).get(target).await
}

async fn health(node: &Node) -> Value {
    get(node, "/health").await.json()
}

/// Waits until a node has printed the last line of its start.
async fn wait_printed(node: &Node) -> String {
    wait_until(&format!("{} has started", node.name), async || {
        let text = printed(node);
        if text.ends_with("Press Ctrl+C to shutdown...") { Ok(text) } else { Err(node.log()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_example_answers_as_it_is_written() {
    let (cluster, _) = started("s3-calls").await;
    let [one, two, three] = &cluster.nodes[..] else { panic!("three nodes") };

    // `GET /health`: numbers where the names of the nodes are numbers.
    let first = health(one).await;
    for (field, value) in [
        ("status", json!("ok")),
        ("node_id", json!(1)),
        ("is_leader", json!(true)),
        ("current_leader", json!(1)),
        ("current_term", json!(1)),
        ("state", json!("Leader")),
        ("raft_id", json!(1)),
        ("leader_raft_id", json!(1)),
    ] {
        assert_eq!(first[field], value, "{field}: {first}");
    }
    let second = health(two).await;
    assert_eq!((&second["node_id"], &second["state"]), (&json!(2), &json!("Follower")), "{second}");
    assert_eq!(second["current_leader"], 1, "{second}");
    assert!(second["raft_id"].as_u64().is_some_and(|id| id > 2), "{second}");

    // `GET /metrics`.
    let metrics = get(one, "/metrics").await.ok().json();
    for (field, value) in
        [("node_id", json!(1)), ("current_leader", json!(1)), ("state", json!("Leader"))]
    {
        assert_eq!(metrics[field], value, "{field}: {metrics}");
    }
    assert!(metrics["current_term"].is_u64() && metrics["last_log_index"].is_u64(), "{metrics}");
    assert!(metrics["last_applied"].is_object() && metrics["membership"].is_object(), "{metrics}");

    // `GET /get`, `POST /set` and `POST /delete` on the leader.
    let answer = get(one, "/get?key=mykey").await.ok();
    assert_eq!(answer.text, r#"{"key":"mykey","value":null}"#);
    let answer = post(one, "/set", &json!({"key": "mykey", "value": "myvalue"})).await.ok();
    assert_eq!(answer.text, r#"{"success":true,"message":"Key 'mykey' set successfully"}"#);
    let answer = get(one, "/get?key=mykey").await.ok();
    assert_eq!(answer.text, r#"{"key":"mykey","value":"myvalue"}"#);
    let answer = post(one, "/delete", &json!({"key": "mykey"})).await.ok();
    assert_eq!(answer.text, r#"{"success":true,"message":"Key 'mykey' deleted successfully"}"#);
    let answer = get(one, "/get?key=mykey").await.ok();
    assert_eq!(answer.json()["value"], Value::Null);

    // Step 3 of the example: any node serves the reads.
    for (key, value) in [("user:1", "Alice"), ("user:2", "Bob"), ("config:theme", "dark")] {
        post(one, "/set", &json!({"key": key, "value": value})).await.ok();
    }
    for node in &cluster.nodes {
        let answer = get(node, "/get?key=user:1").await.ok();
        assert_eq!(answer.text, r#"{"key":"user:1","value":"Alice"}"#);
    }
    post(one, "/delete", &json!({"key": "config:theme"})).await.ok();

    // A follower forwards the writes, unless it is not to.
    post(two, "/set", &json!({"key": "through", "value": {"node": 2}})).await.ok();
    let answer = get(three, "/get?key=through").await.ok();
    assert_eq!(answer.json()["value"], json!({"node": 2}));
    for target in ["/set?noforward", "/api/kv/set?noforward=true", "/delete?noforward"] {
        let mut body = json!({"key": "refused"});
        if !target.starts_with("/delete") {
            body["value"] = json!(1);
        }
        let answer = post(two, target, &body).await;
        answer.refused(503, "not_leader");
        let text = "This node is not the leader. Current leader: 1";
        assert_eq!(answer.json()["error"], text, "{}", answer.text);
    }
    post(one, "/set?noforward", &json!({"key": "led", "value": 1})).await.ok();
    let answer = get(two, "/get?key=refused&noforward").await.ok();
    assert_eq!(answer.json()["value"], Value::Null);

    // The same under `/api/kv`.
    assert_eq!(get(two, "/api/kv/get?key=led").await.ok().json()["value"], 1);

    // `max_open_files`.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", one.pid())).expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let soft: u64 = files.split_whitespace().nth(3).and_then(|it| it.parse().ok()).expect(files);
    assert!(soft <= 10_000, "{files}");
}

/// The example's calls carry no credentials.
#[tokio::test(flavor = "multi_thread")]
async fn every_curl_of_the_example_works_as_it_is_written() {
    let (cluster, _) = started("s3-curl").await;
    let curl = |command: &str| {
        let moved = (1..=3).fold(command.to_owned(), |text, number: usize| {
            let port = cluster.nodes[number - 1].port;
            text.replace(&format!("800{number}"), &port.to_string())
        });
        let output = Command::new("bash").args(["-c", &format!("{moved} -s")]).output();
        let output = output.expect("bash and curl");
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| {
            panic!("{moved}: {error}: {}", String::from_utf8_lossy(&output.stdout))
        })
    };
    let done = |text: &str| json!({"success": true, "message": text});
    let set = r#"curl -X POST http://localhost:8001/set \
  -H "Content-Type: application/json" \
  -d '{"key": "user:1", "value": "Alice"}'"#;
    assert_eq!(curl(set), done("Key 'user:1' set successfully"));
    for port in [8001, 8002, 8003] {
        let got = curl(&format!("curl \"http://localhost:{port}/get?key=user:1\""));
        assert_eq!(got, json!({"key": "user:1", "value": "Alice"}));
        assert_eq!(curl(&format!("curl http://localhost:{port}/health"))["status"], "ok");
    }
    let delete = r#"curl -X POST http://localhost:8001/delete \
  -H "Content-Type: application/json" \
  -d '{"key": "user:1"}'"#;
    assert_eq!(curl(delete), done("Key 'user:1' deleted successfully"));
    assert_eq!(curl("curl \"http://localhost:8001/get?key=user:1\"")["value"], Value::Null);

    let metrics = curl("curl http://localhost:8001/metrics");
    for (field, value) in [
        ("node_id", json!(1)),
        ("current_leader", json!(1)),
        ("current_term", json!(1)),
        ("state", json!("Leader")),
    ] {
        assert_eq!(metrics[field], value, "{field}: {metrics}");
    }
    assert!(metrics["last_applied"]["index"].is_u64(), "{metrics}");
    assert!(metrics["last_log_index"].is_u64() && metrics["membership"].is_object(), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_is_printed_as_in_the_example() {
    let (mut cluster, ports) = started("s3-banner").await;
    let head = |cluster: &Cluster, index: usize, join: &[u16]| {
        let node = &cluster.nodes[index];
        let join: Vec<_> = join.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        format!(
            "Configuration loaded:\n  node_id: {}\n  raft_addr: 127.0.0.1:{}\n  http_addr: 127.0.0.1:{}\n  \
             data_path: {}\n  single: false\n  join: [{}]\n\nCreating Raft node...\n\
             ✓ Raft node created successfully!\n\n",
            index + 1,
            ports[index],
            node.port,
            node.data_dir().display(),
            join.join(", ")
        )
    };
    let tail = |node: &Node| {
        let url = node.url();
        format!(
            "Waiting for initial log to be committed...\n✓ Initial log committed successfully!\n\n\
             HTTP server listening on {url}\n\nAvailable endpoints:\n\
             \x20 GET  {url}/get?key=<key>    - Get a value by key\n\
             \x20 POST {url}/set             - Set a key-value pair\n\
             \x20 POST {url}/delete          - Delete a key\n\
             \x20 GET  {url}/health          - Health check\n\
             \x20 GET  {url}/metrics         - Cluster metrics\n\n\
             Press Ctrl+C to shutdown..."
        )
    };
    let founds = "Initializing 3-node cluster...\n✓ Cluster initialized successfully!\n\n";
    let expected = head(&cluster, 0, &ports[1..]) + founds + &tail(&cluster.nodes[0]);
    assert_eq!(wait_printed(&cluster.nodes[0]).await, expected);
    let waits = "Waiting for cluster to be ready...\n";
    for index in [1, 2] {
        let expected = head(&cluster, index, &ports[..1]) + waits + &tail(&cluster.nodes[index]);
        assert_eq!(wait_printed(&cluster.nodes[index]).await, expected);
    }

    // Ctrl+C ends a node in good order.
    cluster.nodes[2].signal("INT");
    assert!(cluster.nodes[2].wait_exit().await.success(), "{}", cluster.nodes[2].log());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_leads_when_the_first_fails_and_the_data_stays() {
    let (mut cluster, _) = started("s3-failover").await;
    let body = |key: &str| json!({"key": key, "value": key});
    post(&cluster.nodes[0], "/set", &body("before")).await.ok();
    cluster.nodes[0].kill();
    let leader = cluster.leader().await;
    assert_ne!(leader, 0);
    let shown = health(&cluster.nodes[leader]).await;
    assert_eq!(shown["current_leader"], leader + 1, "{shown}");
    let follower = 3 - leader;
    wait_until("a write after the failure of the leader", async || {
        let answer = post(&cluster.nodes[follower], "/set", &body("after")).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    start(&mut cluster, 0);
    cluster.wait_active(3).await;
    for key in ["before", "after"] {
        let answer = get(&cluster.nodes[0], &format!("/get?key={key}")).await.ok();
        assert_eq!(answer.json()["value"], key);
    }
    // A member that starts again founds nothing.
    let again = printed(&cluster.nodes[0]);
    assert_eq!(again.matches("Initializing").count(), 1, "{again}");
}
