//! A cluster over TLS: which certificates are trusted or refused, and certificates that change.

use jettra_tests::certs::{Certs, first_in, http_client, shown_at};
use jettra_tests::signer::{PEER_HEADER, SignedCall};
use jettra_tests::{
    ADMIN, Bed, Cluster, DEADLINE, Http, Node, PASSWORD, Role, Settings, program, try_send,
    wait_until,
};
use serde_json::{Value, json};
use std::process::Output;

async fn create_database(cluster: &Cluster) {
    cluster.client().create_collection("shop", "people").await.expect("a collection");
}

async fn put(node: &Node, id: &str) {
    let target = format!("/api/v1/databases/shop/collections/people/documents/{id}");
    node.http().json("PUT", &target, &json!({"name": id})).await.ok();
}

async fn count(node: &Node) -> Value {
    node.http().get("/api/count?db=shop&col=people").await.ok().json()["count"].clone()
}

async fn shell(url: &str, authority: Option<&Certs>, statement: &str) -> Output {
    let mut command = tokio::process::Command::new(program("jettra"));
    command.args(["--url", url, "--timeout", "3s", "-e", statement]);
    command.env("JETTRA_PASSWORD", PASSWORD).env_remove("JETTRA_CA_FILE");
    if let Some(certs) = authority {
        command.arg("--ca-file").arg(certs.authority());
    }
    command.output().await.expect("jettra runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_works_like_any_other() {
    let (mut cluster, certs) = Cluster::start_with_tls("tls", 3).await;
    create_database(&cluster).await;
    for (index, node) in cluster.nodes.iter().enumerate() {
        assert!(node.url().starts_with("https://"));
        put(node, &format!("p{index}")).await;
    }
    let leader = cluster.leader().await;
    cluster.nodes[leader].kill();
    let people = cluster.client().collection::<Value>("shop", "people");
    people.insert(&json!({"name": "after the leader's end"})).await.expect("a new leader");
    cluster.nodes[leader].start();
    cluster.wait_active(3).await;
    for node in &cluster.nodes {
        assert_eq!(count(node).await, 4);
    }
    cluster.wait_equal("shop", "after the leader's end").await;

    // The client sends no password to a server that it does not trust.
    let url = cluster.nodes[0].url();
    let stranger = Http::over(http_client(None, None), &url).login(ADMIN, PASSWORD);
    let error = stranger.try_get("/api/dbs").await.expect_err("an unknown authority");
    assert!(error.contains("UnknownIssuer"), "{error}");
    let clear = Http::new(&url.replace("https:", "http:"));
    assert!(clear.try_get("/health").await.is_err(), "the port serves https only");

    let body = json!({"username": ADMIN, "password": PASSWORD});
    let login = cluster.nodes[0].http().post("/api/login", &body).await.ok();
    assert!(login.header("set-cookie").contains("; Secure"), "{login:?}");

    let shown = shell(&url, Some(&certs), "show dbs").await;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && text.contains("shop"), "{shown:?}");
    let unknown = shell(&url, None, "show dbs").await;
    assert!(!unknown.status.success(), "{unknown:?}");
    let connected = shell(&url, Some(&certs), &format!("connect {url}")).await;
    assert!(connected.status.success(), "{connected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_with_certificates_of_the_authority_may_call_nodes() {
    let (cluster, certs) = Cluster::start_with_tls("tls-nodes", 2).await;
    let node = &cluster.nodes[0];
    let to = process_of(node, &certs).await;
    let strangers = Certs::make(cluster.bed.dir().join("strangers"), &[]);
    // A certificate of the right authority, but not for the name that the call claims.
    let elsewhere = |call: SignedCall| SignedCall { host: "node9.example".into(), ..call };
    let identity = |sequence: u64| SignedCall {
        sequence,
        ..SignedCall::new("GET", "/raft/rpc/identity", &to)
    };
    let vote = |sequence: u64| SignedCall {
        sequence,
        ..SignedCall::new("POST", "/raft/rpc/vote?cluster=x&group=0&from=2&to=1", &to)
    };
    let forwarded = SignedCall {
        user: Some("admin 0".into()),
        sequence: 900,
        ..SignedCall::new("GET", "/api/dbs", &to)
    };
    for call in [identity(901), vote(902), forwarded.clone()] {
        let plain = Http::over(http_client(Some(&certs.authority()), None), &node.url());
        send(&plain, &call).await.refused(403, "bad_certificate");
    }
    // Either the handshake fails or the first call over the connection.
    let foreign = http_client(Some(&certs.authority()), Some(&strangers));
    let foreign = Http::over(foreign, &node.url());
    assert!(try_call(&foreign, &identity(903)).await.is_err());
    let genuine = Http::over(http_client(Some(&certs.authority()), Some(&certs)), &node.url());
    send(&genuine, &identity(904)).await.ok();
    send(&genuine, &elsewhere(identity(905))).await.refused(403, "bad_certificate");
    send(&genuine, &vote(906)).await.refused(421, "misdirected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_authority_does_not_join() {
    let (mut cluster, certs) = Cluster::start_with_tls("tls-join", 1).await;
    let strangers = Certs::make(cluster.bed.dir().join("strangers"), &[]);
    let peers = json!([cluster.nodes[0].url()]);
    let settings = strangers.settings(Settings::new(Role::Waiting)).key("Peers", peers.clone());
    let mut stranger = cluster.bed.node("stranger", settings);
    stranger.start();
    wait_until("the stranger says why it is not let in", async || {
        let log = stranger.log();
        if log.contains("UnknownIssuer") && log.contains("TlsCa") { Ok(()) } else { Err(log) }
    })
    .await;
    let body = json!({"url": stranger.url()});
    let answer = cluster.nodes[0].http().post("/api/cluster/register", &body).await;
    answer.refused(422, "node_unreachable");
    let plain = cluster.bed.node("plain", Settings::new(Role::Waiting));
    let body = json!({"url": plain.url()});
    let answer = cluster.nodes[0].http().post("/api/cluster/register", &body).await;
    answer.refused(400, "invalid_url");
    assert_eq!(cluster.members(0).await.expect("the members").len(), 1);
    drop(stranger);

    let settings = certs.settings(Settings::new(Role::Waiting)).key("Peers", peers);
    let mut friend = cluster.bed.node("friend", settings);
    friend.start();
    cluster.nodes.push(friend);
    cluster.wait_active(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_are_used_without_a_restart() {
    let (cluster, certs) = Cluster::start_with_tls("tls-reload", 2).await;
    create_database(&cluster).await;
    let pids: Vec<u32> = cluster.nodes.iter().map(Node::pid).collect();
    let first = first_in(&certs.certificate());
    // A key that does not match the certificate: the old pair stays in use, and the log reports it.
    let key = std::fs::read(certs.key()).expect("the key");
    std::fs::write(certs.key(), b"no key").expect("a broken file");
    for node in &cluster.nodes {
        node.signal("HUP");
        wait_until("the broken file is reported", async || {
            let log = node.log();
            if log.contains("TlsKey") { Ok(()) } else { Err(log) }
        })
        .await;
        assert_eq!(shown_at(node.port, &certs.authority()).await.expect("it serves"), first);
    }
    std::fs::write(certs.key(), key).expect("the key is back");
    // One node gets a signal, the other notices the new files by itself.
    Certs::make(cluster.bed.dir().join("certs"), &[]);
    let second = first_in(&certs.certificate());
    assert_ne!(first, second);
    cluster.nodes[0].signal("HUP");
    for node in &cluster.nodes {
        wait_until("the new certificate is shown", async || {
            let shown = shown_at(node.port, &certs.authority()).await?;
            if shown == second { Ok(()) } else { Err("the old one".into()) }
        })
        .await;
    }

    // Another authority: first together with the old one, then alone.
    let old = std::fs::read(certs.authority()).expect("the authority");
    let next = Certs::make(cluster.bed.dir().join("next"), &[]);
    let new = std::fs::read(next.authority()).expect("the new authority");
    let reload = async |what: &str, serving: &[u8], trusted: &std::path::Path| {
        for node in &cluster.nodes {
            node.signal("HUP");
            wait_until(what, async || {
                let shown = shown_at(node.port, trusted).await?;
                if shown == serving { Ok(()) } else { Err("another certificate".into()) }
            })
            .await;
        }
    };
    std::fs::write(certs.authority(), [old, new.clone()].concat()).expect("both authorities");
    reload("both authorities", &second, &certs.authority()).await;
    std::fs::copy(next.certificate(), certs.certificate()).expect("the new certificate");
    std::fs::copy(next.key(), certs.key()).expect("the new key");
    let third = first_in(&next.certificate());
    reload("the certificate of the new authority", &third, &next.authority()).await;
    std::fs::write(certs.authority(), new).expect("the new authority alone");
    put(&cluster.nodes[1], "ada").await;
    let leader = cluster.leader().await;
    cluster.lead_with(1 - leader).await;
    put(&cluster.nodes[leader], "bob").await;
    assert_eq!(count(&cluster.nodes[leader]).await, 2);
    assert_eq!(cluster.nodes.iter().map(Node::pid).collect::<Vec<_>>(), pids);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_unusable_files_name_the_key() {
    let bed = Bed::new("tls-files").await;
    let certs = Certs::make(bed.dir().join("certs"), &[]);
    let others = Certs::make(bed.dir().join("others"), &[]);
    let path = |path: std::path::PathBuf| path.display().to_string();
    let good = || certs.settings(Settings::new(Role::First));
    for (key, settings) in [
        ("TlsCert", good().key("TlsCert", "/nowhere.pem")),
        ("TlsKey", good().key("TlsKey", path(others.key()))),
        ("TlsKey", good().key("TlsKey", path(certs.certificate()))),
        ("TlsCa", good().key("TlsCa", path(certs.key()))),
        ("TlsCert", good().key("TlsCa", path(others.authority()))),
        ("TlsCert", good().key("AdvertiseUrl", "https://elsewhere.example:1")),
        ("AdvertiseUrl", good().key("AdvertiseUrl", "http://127.0.0.1:1")),
    ] {
        let command = bed.node("wrong", settings).command();
        let mut command = tokio::process::Command::from(command);
        let ending = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await;
        let output = ending.unwrap_or_else(|_| panic!("it starts, {key} wrong")).expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("jettradb: {key}")), "{key}: {text}");
    }
}

/// The name of a node's process, which it reveals to other nodes only.
async fn process_of(node: &Node, certs: &Certs) -> String {
    let http = Http::over(http_client(Some(&certs.authority()), Some(certs)), &node.url());
    let call = SignedCall { sequence: 800, ..SignedCall::new("GET", "/raft/rpc/identity", "-") };
    let answer = send(&http, &call).await;
    answer.refused(421, "wrong_process");
    answer.header(jettra_tests::signer::PROCESS_HEADER).to_owned()
}

async fn send(http: &Http, call: &SignedCall) -> jettra_tests::Answer {
    try_call(http, call).await.expect("an answer")
}

async fn try_call(http: &Http, call: &SignedCall) -> Result<jettra_tests::Answer, String> {
    let request = http.request(&call.method, &call.target).header(PEER_HEADER, call.signature());
    let request = match &call.user {
        Some(user) => request.header("x-jettra-user", user),
        None => request,
    };
    try_send(request.body(call.body.clone())).await
}
