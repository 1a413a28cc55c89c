//! Join tokens: one new node obtains the cluster secret with a token, and no one else does.

use jettra_tests::{Cluster, Http, Node, Role, SECRET, Settings, wait_until};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};

async fn make_token(node: &Node, body: Value) -> String {
    let made = node.http().post("/api/v1/cluster/tokens", &body).await.ok();
    made.json()["token"].as_str().expect("a token").to_owned()
}

/// A node with nothing but a token and the addresses of peers.
fn newcomer(cluster: &Cluster, name: &str, peers: Value, token: &str) -> Node {
    let settings = Settings::new(Role::Waiting).key("Peers", peers).key("JoinToken", token);
    cluster.bed.node(name, settings)
}

fn start_without_secret(node: &mut Node) {
    let mut command = node.command();
    command.env_remove("JETTRA_CLUSTER_SECRET");
    node.spawn(command);
}

/// Waits until the process has refused to start, and returns its log.
async fn refusal(node: &mut Node) -> String {
    assert_eq!(node.wait_exit().await.code(), Some(1), "{}", node.log());
    node.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_node_in() {
    let mut cluster = Cluster::start("join-token", 2).await;
    let follower = cluster.follower().await;
    let token = make_token(&cluster.nodes[0], json!({})).await;
    assert!(token.starts_with("jettra_join_"), "{token}");
    // Also through a follower.
    let peers = json!([cluster.nodes[follower].url()]);
    let mut third = newcomer(&cluster, "node3", peers.clone(), &token);
    start_without_secret(&mut third);
    cluster.nodes.push(third);
    cluster.wait_active(3).await;
    let kept = cluster.nodes[2].data_dir().join("cluster-secret");
    assert_eq!(std::fs::read_to_string(&kept).expect("the secret").trim(), SECRET);
    let mode = kept.metadata().expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!cluster.nodes[2].log().contains(SECRET), "the secret is in the log");

    // Later starts need no token, although it has been used.
    cluster.nodes[2].kill();
    start_without_secret(&mut cluster.nodes[2]);
    cluster.wait_active(3).await;

    for (name, token) in [
        ("used", token.clone()),
        ("unknown", "jettra_join_0123456789abcdef_00".into()),
        ("ended", make_token(&cluster.nodes[0], json!({"expires_in_ms": 1})).await),
        ("wrong-secret", format!("{}00", make_token(&cluster.nodes[0], json!({})).await)),
    ] {
        let mut node = newcomer(&cluster, name, peers.clone(), &token);
        start_without_secret(&mut node);
        let log = refusal(&mut node).await;
        assert!(log.contains("the join token is unknown, was used, or has expired"), "{log}");
        assert!(log.contains("jettra cluster token"), "it says what to do: {log}");
        assert!(!node.data_dir().join("cluster-secret").exists());
    }
    let mut key = newcomer(&cluster, "no-token", peers, "jettra_0123456789abcdef_00");
    start_without_secret(&mut key);
    assert!(refusal(&mut key).await.contains("JoinToken"));
    assert_eq!(cluster.members(0).await.expect("the members").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_no_secret_is_obtained_or_accepted() {
    let cluster = Cluster::start("join-proof", 1).await;
    let node = &cluster.nodes[0];
    let token = make_token(node, json!({})).await;
    let id = token.split('_').nth(2).expect("an id");
    let ask = async |body: Value| Http::new(&node.url()).post("/raft/rpc/join-token", &body).await;
    let request = json!({"token": id, "node": "x", "nonce": "00", "proof": "00".repeat(32)});
    ask(request.clone()).await.refused(401, "bad_join_token");
    ask(json!({"token": id})).await.refused(400, "invalid_body");
    // Sessions and API keys are not accepted as join tokens.
    let key = node.http().post("/api/v1/tokens", &json!({"name": "k"})).await.ok();
    let key = key.json()["id"].as_str().expect("an id").to_owned();
    let mut other = request;
    other["token"] = json!(key);
    ask(other).await.refused(401, "bad_join_token");

    // A false member cannot pass a secret of its own, and the token stays valid.
    let (address, _) = false_member().await;
    let mut fooled = newcomer(&cluster, "fooled", json!([format!("http://{address}")]), &token);
    start_without_secret(&mut fooled);
    wait_until("it notices", async || {
        let log = fooled.log();
        if log.contains("does not know the join token") { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(!fooled.data_dir().join("cluster-secret").exists());
    fooled.kill();
    fooled.settings.config.insert("Peers".into(), json!([node.url()]));
    start_without_secret(&mut fooled);
    wait_until("it joins", async || if fooled.has_joined() { Ok(()) } else { Err(fooled.log()) })
        .await;
}

/// Responds to a request for the secret as a member would, but without the token's key.
async fn false_member() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 8192]).await;
            let body = json!({"nonce": "00".repeat(32), "secret": "11".repeat(48)}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (address, serving)
}

/// Forwards bytes to a node and records them.
async fn listen_in(port: u16) -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    async fn pass(
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        heard: Arc<Mutex<Vec<u8>>>,
    ) {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut part).await {
            heard.lock().expect("what was heard").extend(&part[..length]);
            if to.write_all(&part[..length]).await.is_err() {
                return;
            }
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let all = heard.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(node) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((client_in, client_out), (node_in, node_out)) =
                (client.into_split(), node.into_split());
            tokio::spawn(pass(client_in, node_out, all.clone()));
            tokio::spawn(pass(node_in, client_out, all.clone()));
        }
    });
    (address, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eavesdropper_learns_no_secret() {
    let cluster = Cluster::start("join-heard", 1).await;
    let token = make_token(&cluster.nodes[0], json!({})).await;
    let (address, heard) = listen_in(cluster.nodes[0].port).await;
    let peers = json!([format!("http://{address}")]);
    let mut node = newcomer(&cluster, "node2", peers, &token);
    start_without_secret(&mut node);
    wait_until("it joins", async || if node.has_joined() { Ok(()) } else { Err(node.log()) }).await;
    let bytes = heard.lock().expect("what was heard").clone();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("/raft/rpc/join-token"), "it was heard");
    let secret = token.rsplit('_').next().expect("the secret of the token");
    assert!(!text.contains(secret) && !text.contains(SECRET));
    let digits: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.contains(&digits));
}
