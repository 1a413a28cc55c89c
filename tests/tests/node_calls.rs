//! Calls between nodes that an attacker forges, alters, replays or delays, and addresses that a
//! registration must not make a node call.

use jettra_tests::signer::{PEER_HEADER, PROCESS_HEADER, SignedCall};
use jettra_tests::{Answer, Cluster, Http, Node, send};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Sends a signed call with a body that may differ from the signed one.
async fn call(node: &Node, call: &SignedCall, body: &[u8]) -> Answer {
    call_as(node, call, &call.signature(), body).await
}

async fn call_as(node: &Node, call: &SignedCall, signature: &str, body: &[u8]) -> Answer {
    let http = Http::new(&node.url());
    let request = http.request(&call.method, &call.target).header(PEER_HEADER, signature);
    let request = match &call.user {
        Some(user) => request.header("x-jettra-user", user),
        None => request,
    };
    send(request.body(body.to_vec())).await
}

/// The name of a node's process, which it reveals to callers that know the secret.
async fn process_of(node: &Node, sequence: u64) -> String {
    let question = SignedCall { sequence, ..SignedCall::new("GET", "/raft/rpc/identity", "-") };
    let answer = call(node, &question, b"").await;
    answer.refused(421, "wrong_process");
    answer.header(PROCESS_HEADER).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_accepted_once_unaltered_in_time_and_by_its_process() {
    let mut cluster = Cluster::start("node-calls", 2).await;
    let to = process_of(&cluster.nodes[0], 1).await;
    let node = &cluster.nodes[0];
    let mut sequence = 10;
    let mut identity = || {
        sequence += 1;
        SignedCall { sequence, ..SignedCall::new("GET", "/raft/rpc/identity", &to) }
    };

    // Accepted once; a replay is refused, also after other calls.
    let genuine = identity();
    call(node, &genuine, b"").await.ok();
    call(node, &genuine, b"").await.refused(401, "replayed_call");
    call(node, &identity(), b"").await.ok();
    call(node, &genuine, b"").await.refused(401, "replayed_call");

    // Forged: signed with another secret, not signed, or with exchanged parts of a genuine signature.
    let forged = SignedCall { secret: "a-secret-of-somebody-else".into(), ..identity() };
    let refused = call(node, &forged, b"").await;
    refused.refused(401, "bad_cluster_secret");
    assert_eq!(refused.header(PROCESS_HEADER), "", "strangers learn nothing");
    let (one, other) = (identity(), identity());
    let signature = one.signature();
    let mac = signature.rsplit(' ').next().expect("a mac");
    let text = other.signature();
    let said = text.rsplit_once(' ').expect("what is said").0;
    for signature in ["", "x", &format!("{said} {mac}"), &signature[..signature.len() - 2]] {
        call_as(node, &one, signature, b"").await.refused(401, "bad_cluster_secret");
    }

    // Another target, another user, another method.
    let elsewhere = SignedCall { target: "/raft/rpc/status".into(), ..one.clone() };
    call_as(node, &elsewhere, &one.signature(), b"").await.refused(401, "bad_cluster_secret");
    let target = "/api/dbs".to_owned();
    let (read, write) = (
        SignedCall { target: target.clone(), ..identity() },
        SignedCall { target, method: "POST".into(), ..identity() },
    );
    call_as(node, &write, &read.signature(), b"").await.refused(401, "bad_cluster_secret");
    let login =
        SignedCall { user: Some("admin 0".into()), target: "/api/dbs".into(), ..identity() };
    let nobody = SignedCall { user: None, ..login.clone() };
    call_as(node, &login, &nobody.signature(), b"").await.refused(401, "bad_cluster_secret");

    // An altered body of a call between nodes and of a forwarded one.
    let body = serde_json::to_vec(&json!({"cluster_id": "x", "node_id": "n", "raft_id": 9}));
    let body = body.expect("JSON");
    let hello = SignedCall {
        method: "POST".into(),
        target: "/raft/rpc/hello".into(),
        body: body.clone(),
        ..identity()
    };
    let changed = String::from_utf8(body.clone()).expect("text").replace('9', "1");
    call(node, &hello, changed.as_bytes()).await.refused(401, "bad_cluster_secret");
    let again = SignedCall { sequence: identity().sequence, ..hello.clone() };
    call(node, &again, &body).await.ok();
    let empty = SignedCall { sequence: identity().sequence, ..hello };
    call(node, &empty, b"").await.refused(401, "bad_cluster_secret");

    // For another node, and for a process that has ended: a restart does not forget replays.
    let other = process_of(&cluster.nodes[1], 1).await;
    let misled = SignedCall { to: other, ..identity() };
    call(node, &misled, b"").await.refused(421, "wrong_process");
    let held_back = identity();
    cluster.crash_and_restart(0);
    cluster.wait_active(2).await;
    let node = &cluster.nodes[0];
    call(node, &held_back, b"").await.refused(421, "wrong_process");
    call(node, &genuine, b"").await.refused(421, "wrong_process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_format_is_refused_with_both_numbers() {
    let cluster = Cluster::start("node-format", 1).await;
    let node = &cluster.nodes[0];
    let to = process_of(node, 1).await;
    for (format, advice) in [(1, "on the calling node"), (3, "on this node")] {
        let other = SignedCall { format, ..SignedCall::new("POST", "/raft/rpc/vote", &to) };
        let answer = call(node, &other, b"").await;
        answer.refused(421, "misdirected");
        let said = format!("{answer:?}");
        for part in [&format!("format {format} of messages"), "this node reads 2", advice] {
            assert!(said.contains(part), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_for_another_cluster_group_or_node_are_refused() {
    let cluster = Cluster::start("node-misdirected", 1).await;
    let node = &cluster.nodes[0];
    let to = process_of(node, 1).await;
    let identity = std::fs::read(node.data_dir().join("identity.json")).expect("an identity");
    let identity: serde_json::Value = serde_json::from_slice(&identity).expect("JSON");
    let id = identity["cluster_id"].as_str().expect("a cluster");
    for (number, (target, status)) in [
        ("cluster=other&group=0&from=2&to=1".to_owned(), 421),
        (format!("cluster={id}&group=7&from=2&to=1"), 421),
        (format!("cluster={id}&group=0&from=2&to=5"), 421),
        (format!("cluster={id}&group=0&from=2&to=1"), 400),
    ]
    .into_iter()
    .enumerate()
    {
        for name in ["vote", "pre-vote", "transfer-leader", "read-index"] {
            let target = format!("/raft/rpc/{name}?{target}");
            let sequence = 100 + number as u64 * 10 + name.len() as u64 % 10;
            let vote = SignedCall { sequence, ..SignedCall::new("POST", &target, &to) };
            let vote = SignedCall { process: format!("{name}-{number}"), ..vote };
            let answer = call(node, &vote, b"").await;
            assert_eq!(answer.status, status, "{target}: {answer:?}");
        }
        let target = format!("/raft/rpc/snapshot?{target}");
        let copy = SignedCall::new("GET", &target, &to);
        let copy = SignedCall { process: format!("snapshot-{number}"), ..copy };
        let answer = call(node, &copy, b"").await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
    }
}

/// A server with the same response to every call; counts the connections.
async fn server(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut request = vec![0; 8192];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).to_lowercase();
            assert!(!text.contains("authorization") && !text.contains("cookie"), "{text}");
            assert!(!text.contains(jettra_tests::SECRET), "{text}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, visits)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_makes_a_node_call_nodes_only() {
    let cluster = Cluster::start("node-ssrf", 1).await;
    let register = async |url: &str| {
        cluster.nodes[0].http().post("/api/cluster/register", &json!({"url": url})).await
    };
    for host in [
        "169.254.169.254",
        "169.254.0.7:8080",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "2852039166",
        "0xA9FEA9FE",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "[::]",
    ] {
        for scheme in ["http", "https"] {
            let answer = register(&format!("{scheme}://{host}")).await;
            answer.refused(422, "address_refused");
            assert!(answer.text.contains("NodeNetworks"), "{answer:?}");
        }
    }
    for url in
        ["ftp://127.0.0.1", "file:///etc/passwd", "gopher://127.0.0.1:1", "http://a@127.0.0.1"]
    {
        register(url).await.refused(400, "invalid_url");
    }

    // A redirect is not followed.
    let (inner, visits) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi".into()).await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} x\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\n\
             connection: close\r\n\r\n"
        );
        let (outer, asked) = server(answer).await;
        register(&format!("http://{outer}")).await.refused(422, "not_a_node");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "it was asked");
    }
    assert_eq!(visits.load(Ordering::Relaxed), 0, "nobody was led on");

    // A server that names a process gets one more call, addressed to it, and no further one.
    let answer = "HTTP/1.1 421 x\r\nx-jettra-process: any\r\ncontent-length: 0\r\n\
                  connection: close\r\n\r\n";
    let (outer, asked) = server(answer.into()).await;
    register(&format!("http://{outer}")).await.refused(422, "not_a_node");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_outside_of_the_networks_configured_are_not_called() {
    let cluster = Cluster::start_with("node-networks", 1, |settings| {
        settings.key("NodeNetworks", json!(["10.1.0.0/16", "::1"]))
    })
    .await;
    let (address, visits) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()).await;
    let port = address.port();
    for url in [format!("http://127.0.0.1:{port}"), format!("http://[::ffff:127.0.0.1]:{port}")] {
        let body = json!({"url": url});
        let answer = cluster.nodes[0].http().post("/api/cluster/register", &body).await;
        answer.refused(422, "address_refused");
        assert!(answer.text.contains("NodeNetworks"), "{answer:?}");
    }
    assert_eq!(visits.load(Ordering::Relaxed), 0);
}
