//! The address for nodes (`raft_addr`, `PeerAddress`) beside that for clients.

use super::{conf, example, post, start, started};
use jettra_tests::certs::Certs;
use jettra_tests::{Bed, Cluster, Http, PASSWORD, Role, Settings, free_port, program, wait_until};
use serde_json::{Value, json};
use std::process::Command;

/// An address of the loopback, without credentials.
fn at(port: u16) -> Http {
    Http::new(&format!("http://127.0.0.1:{port}"))
}

/// Waits until the members have this number of addresses for nodes.
async fn wait_peer_urls(cluster: &Cluster, count: usize) -> Vec<Value> {
    wait_until(&format!("{count} members with an address for nodes"), async || {
        let mut shown = Vec::new();
        for node in &cluster.nodes {
            let answer = node.http().try_get("/raft/rpc/status").await?;
            let members = answer.json().as_array().cloned().ok_or(answer.text)?;
            let urls: Vec<Value> = members
                .iter()
                .map(|it| it["peer_url"].clone())
                .filter(|it| !it.is_null())
                .collect();
            if urls.len() != count {
                return Err(format!("{members:?}"));
            }
            shown = urls;
        }
        Ok(shown)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_serves_its_own_calls_only() {
    let (cluster, ports) = started("s3-listeners").await;
    let urls = wait_peer_urls(&cluster, 3).await;
    for (node, port) in cluster.nodes.iter().zip(&ports) {
        assert!(urls.contains(&json!(format!("http://127.0.0.1:{port}"))), "{urls:?}");
        // What is for clients, and the page.
        for target in ["/health", "/get?key=a", "/api/cluster", "/openapi.json", "/", "/no/such"] {
            let answer = at(*port).get(target).await;
            answer.refused(421, "misdirected");
            assert!(answer.text.contains(&node.url()), "it names the address: {}", answer.text);
        }
        let login = json!({"username": "admin", "password": "x"});
        at(*port).post("/api/login", &login).await.refused(421, "misdirected");
        // What is for nodes.
        for (method, target) in [
            ("GET", "/raft/rpc/view"),
            ("GET", "/raft/rpc/stream"),
            ("GET", "/raft/rpc/snapshot"),
            ("POST", "/raft/rpc/vote"),
            ("POST", "/raft/rpc/invite"),
            ("POST", "/raft/rpc/found"),
            ("POST", "/raft/rpc/join-token"),
        ] {
            let answer = node.http().json(method, target, &json!({})).await;
            answer.refused(421, "misdirected");
            assert!(answer.text.contains(&port.to_string()), "{}", answer.text);
            let unsigned = at(*port).json(method, target, &json!({})).await;
            assert_ne!(unsigned.status / 100, 2, "{target}: {}", unsigned.text);
            assert_ne!(unsigned.status, 421, "{target}: {}", unsigned.text);
        }
        at(*port).get("/raft/rpc/view").await.refused(401, "bad_cluster_secret");
        // Which node it is may be asked at both, by a node.
        for port in [*port, node.port] {
            at(port).get("/raft/rpc/identity").await.refused(401, "bad_cluster_secret");
        }
    }
    // A client is sent to the address for clients.
    let answer = post(&cluster.nodes[1], "/set?redirect=1", &json!({"key": "a", "value": 1})).await;
    let leader = cluster.leader().await;
    let place = format!("{}/set?redirect=1", cluster.nodes[leader].url());
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, place.as_str()),
        "{}",
        answer.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_registered_by_either_of_its_addresses() {
    let mut cluster = Cluster::start("s3-register", 1).await;
    let mut ports = Vec::new();
    for name in ["node2", "node3"] {
        let port = free_port();
        let settings = Settings::new(Role::Waiting).key("PeerAddress", format!("127.0.0.1:{port}"));
        let mut node = cluster.bed.node(name, settings);
        node.start();
        cluster.nodes.push(node);
        ports.push(port);
    }
    cluster.wait_health(1, "waiting").await;
    cluster.wait_health(2, "waiting").await;
    for url in [cluster.nodes[1].url(), format!("http://127.0.0.1:{}", ports[1])] {
        cluster.act(0, "register", json!({"url": url})).await.ok();
    }
    cluster.wait_active(3).await;
    wait_peer_urls(&cluster, 2).await;
    for index in [1, 2] {
        let members = cluster.members(0).await.expect("the members");
        let url = cluster.nodes[index].url();
        assert!(members.iter().any(|node| node["url"] == *url), "{members:?}");
    }
    cluster.nodes[0].kill();
    cluster.leader_among(&[1, 2]).await;
}

/// Symptom: members that were all given an address for nodes at once refused each other's calls, so
/// none of them could ever learn it.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_given_an_address_for_nodes_one_by_one_or_all_at_once() {
    for at_once in [false, true] {
        let mut cluster = Cluster::start(&format!("s3-later-{at_once}"), 3).await;
        for index in 0..3 {
            let address = format!("127.0.0.1:{}", free_port());
            let node = &mut cluster.nodes[index];
            node.settings.config.insert("PeerAddress".into(), json!(address));
            node.kill();
            if !at_once {
                node.start();
                cluster.wait_active(3).await;
                wait_peer_urls(&cluster, index + 1).await;
            }
        }
        if at_once {
            cluster.nodes.iter_mut().for_each(|node| node.start());
            cluster.wait_active(3).await;
        }
        wait_peer_urls(&cluster, 3).await;
        for node in &cluster.nodes {
            node.http().get("/raft/rpc/view").await.refused(421, "misdirected");
        }
        let written =
            post(&cluster.nodes[2], "/api/kv/set", &json!({"key": "a", "value": 1})).await;
        written.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_show_their_certificates_at_the_address_for_nodes() {
    let bed = Bed::new("s3-tls").await;
    let certs = Certs::make(bed.dir().join("certs"), &[]);
    let mut nodes = Vec::new();
    for (name, role) in [("node1", Role::First), ("node2", Role::Waiting), ("node3", Role::Waiting)]
    {
        let address = format!("127.0.0.1:{}", free_port());
        let settings = certs.settings(Settings::new(role)).key("PeerAddress", address);
        nodes.push(bed.node(name, settings));
    }
    let mut cluster = Cluster { nodes, bed };
    cluster.nodes.iter_mut().for_each(|node| node.start());
    cluster.wait_health(0, "ok").await;
    for index in [1, 2] {
        cluster.wait_health(index, "waiting").await;
        cluster.register(index).await;
    }
    cluster.wait_active(3).await;
    let urls = wait_peer_urls(&cluster, 3).await;
    let secured = |url: &Value| url.as_str().is_some_and(|url| url.starts_with("https://"));
    assert!(urls.iter().all(secured), "{urls:?}");
    let through = cluster.follower().await;
    let body = json!({"key": "a", "value": 1});
    cluster.nodes[through].http().post("/api/kv/set", &body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_refused_with_the_key() {
    let (mut cluster, ports) = example("s3-wrong").await;
    let path = conf(&cluster, 0);
    let right = std::fs::read_to_string(&path).expect("a configuration file");
    let http_addr = format!("127.0.0.1:{}", cluster.nodes[0].port);
    for (old, new, expected) in [
        ("max_open_files", "max_open_file", "did you mean \"max_open_files\"?"),
        ("node_id = 1", "node_id = \"one\"", "node_id"),
        ("single = false", "single = 0", "single"),
        ("data_path", "# data_path", "data_path"),
        (http_addr.as_str(), "8001", "http_addr"),
        (&format!("127.0.0.1:{}\"\nhttp", ports[0]), "7001\"\nhttp", "raft_addr"),
        ("node_id = 1", "node_id = 1\nnode_id = 2", "TOML"),
    ] {
        assert!(right.contains(old), "{old}: {right}");
        std::fs::write(&path, right.replace(old, new)).expect("it is written");
        start(&mut cluster, 0);
        let status = cluster.nodes[0].wait_exit().await;
        let log = cluster.nodes[0].log();
        let last = log.lines().last().unwrap_or_default();
        assert_eq!(status.code(), Some(1), "{new}: {log}");
        assert!(last.contains(expected), "{new}: {last}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_needs_no_others() {
    let (mut cluster, _) = example("s3-single").await;
    let path = conf(&cluster, 0);
    let text = std::fs::read_to_string(&path).expect("a configuration file");
    std::fs::write(&path, text.replace("single = false", "single = true")).expect("it is written");
    start(&mut cluster, 0);
    cluster.wait_health(0, "ok").await;
    let node = &cluster.nodes[0];
    // Without a content type, and numbers that programs would write in another way.
    for value in ["1.0", "9007199254740993", "[1,1.0,-0.0]"] {
        let body = format!("{{\"key\": \"a\", \"value\": {value}}}");
        node.http().curl("POST", "/set", &body).await.ok();
        let expected = format!("{{\"key\":\"a\",\"value\":{value}}}");
        assert_eq!(node.http().get("/get?key=a").await.ok().text, expected);
    }
    let shell = async |statement: &str| {
        let mut command = Command::new(program("jettra"));
        command.args(["--url", &node.url(), "-m", "json", "-q", "-e", statement]);
        command.env("JETTRA_PASSWORD", PASSWORD).env("HOME", cluster.bed.dir());
        let running = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
        let output = running.await.expect("no panic");
        assert!(output.status.success(), "{statement}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    shell("kv set b \"Alice\"").await;
    assert_eq!(shell("kv get b").await, "\"Alice\"");
    shell("kv delete b").await;
    assert_eq!(shell("kv get b").await, "null");
    let printed = super::wait_printed(node).await;
    assert!(printed.contains("Initializing 1-node cluster..."), "{printed}");
}
