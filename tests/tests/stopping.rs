//! A node shuts down cleanly, whatever it is doing.

use jettra_tests::{Bed, Cluster, Node, Role, Settings, free_port, try_send, wait_until};
use serde_json::json;

/// The bit of SIGTERM in the mask of handled signals.
const TERM_BIT: u64 = 1 << 14;

/// Waits until the process handles SIGTERM.
async fn wait_follows_signals(node: &Node) {
    let path = format!("/proc/{}/status", node.pid());
    wait_until("signals are followed", async || {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        if mask.is_some_and(|mask| mask & TERM_BIT != 0) { Ok(()) } else { Err(text) }
    })
    .await;
}

async fn check_ends(node: &mut Node, signal: &str) {
    wait_follows_signals(node).await;
    node.signal(signal);
    assert_eq!(node.wait_exit().await.code(), Some(0), "{}", node.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_starting_shuts_down_cleanly() {
    let bed = Bed::new("stopping-starting").await;
    let mut node = bed.node("first", Settings::new(Role::First));
    for round in 0..6 {
        node.start();
        check_ends(&mut node, ["TERM", "INT"][round % 2]).await;
    }
    node.start();
    wait_until("it serves", async || {
        let health = node.http().try_get("/health").await?;
        if health.status == 200 { Ok(()) } else { Err(health.text) }
    })
    .await;
}

/// Symptom: such a node was killed by the signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_requests_the_cluster_secret_shuts_down_cleanly() {
    let bed = Bed::new("stopping-asking").await;
    let peers = json!([format!("http://127.0.0.1:{}", free_port())]);
    let settings = Settings::new(Role::Waiting).key("Peers", peers);
    let settings = settings.key("JoinToken", format!("jettra_join_{}_{}", "0".repeat(16), "00"));
    let mut node = bed.node("asking", settings);
    for signal in ["TERM", "INT"] {
        let mut command = node.command();
        command.env_remove("JETTRA_CLUSTER_SECRET");
        node.spawn(command);
        check_ends(&mut node, signal).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_node_at_once() {
    let mut cluster = Cluster::start("stopping-twice", 3).await;
    let leader = cluster.leader().await;
    for index in (0..3).filter(|index| *index != leader) {
        cluster.nodes[index].signal("STOP");
    }
    // No other node can take over leadership.
    cluster.nodes[leader].signal("TERM");
    let node = &cluster.nodes[leader];
    wait_until("it is stopping", async || {
        if node.log().contains("stopping") { Ok(()) } else { Err(node.log()) }
    })
    .await;
    node.signal("INT");
    assert_eq!(cluster.nodes[leader].wait_exit().await.code(), Some(1));
    assert!(cluster.nodes[leader].log().contains("second signal"));
}

/// Symptom: the leader waited 5 s for a node that had ended before it could take over.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_does_not_wait_for_nodes_that_stop_at_the_same_time() {
    let adjust = |settings: Settings| settings.key("LogLevel", "debug");
    let mut cluster = Cluster::start_with("stopping-all", 3, adjust).await;
    let leader = cluster.leader().await;
    for node in &cluster.nodes {
        node.signal("TERM");
    }
    for node in &mut cluster.nodes {
        assert_eq!(node.wait_exit().await.code(), Some(0), "{}", node.log());
    }
    let log = cluster.nodes[leader].log();
    assert!(!log.contains("did not take over in time"), "{log}");
}

/// Symptom: the connection was reset.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_when_a_node_stops_get_a_response() {
    let few = |settings: Settings| settings.key("CallsPerUserMax", 4);
    let mut cluster = Cluster::start_with("stopping-stopping", 2, few).await;
    cluster.nodes[1].kill();
    cluster.wait_health(0, "no_leader").await;
    let http = cluster.nodes[0].http();
    let write = |number: i32| {
        let http = http.clone();
        let body = json!({"name": format!("db{number}")});
        async move {
            loop {
                let answer = try_send(http.request("POST", "/api/dbs").json(&body)).await;
                // The call that checks whether all of them are in progress had the last permit.
                if !answer.as_ref().is_ok_and(|answer| answer.status == 429) {
                    return answer;
                }
            }
        }
    };
    let waiting: Vec<_> = (0..4).map(|number| tokio::spawn(write(number))).collect();
    wait_until("all of them are under way", async || {
        let answer = http.try_get("/api/cluster").await?;
        answer.fault(429, "overloaded").map_or(Ok(()), Err)
    })
    .await;
    cluster.nodes[0].signal("TERM");
    for call in waiting {
        let answer = call.await.expect("no panic").expect("an answer");
        let code = answer.code();
        assert!(
            ["stopping", "no_leader", "outcome_unknown"].contains(&code.as_str()),
            "{}",
            answer.text
        );
    }
    assert_eq!(cluster.nodes[0].wait_exit().await.code(), Some(0));
}
