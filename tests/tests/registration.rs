//! An impossible registration is refused with the reason, and changes nothing.

use jettra_tests::{Bed, Cluster, Node, Role, Settings, free_port, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Registers `url` through every node, and checks that it is refused and the members are unchanged.
async fn check_refused(cluster: &Cluster, url: &str, status: u16, code: &str) {
    let before = cluster.members(0).await.expect("the members");
    for through in 0..cluster.nodes.len() {
        let answer = cluster.act(through, "register", json!({"url": url})).await;
        answer.refused(status, code);
    }
    cluster.wait_caught_up().await;
    assert_eq!(cluster.members(0).await.expect("the members"), before, "after {url}");
}

async fn started(bed: &Bed, name: &str, settings: Settings) -> Node {
    // A node that creates its cluster waits as well, for a moment.
    let ready = if settings.role == Role::Waiting { "waiting" } else { "ok" };
    let mut node = bed.node(name, settings);
    node.start();
    wait_until(&format!("{name} is {ready}"), async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == ready { Ok(()) } else { Err(health.text) }
    })
    .await;
    node
}

/// An HTTP server that is not a node: its response is always a page.
async fn other_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let page = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
            let _ = stream.write_all(page.as_bytes()).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_a_node_are_refused() {
    let cluster = Cluster::start("register-address", 2).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    check_refused(&cluster, &nobody, 422, "node_unreachable").await;
    check_refused(&cluster, &other_server().await, 422, "not_a_node").await;
    for url in [
        "",
        "node2",
        "ftp://127.0.0.1:1",
        "http://",
        "http://u:p@127.0.0.1:1",
        "http://127.0.0.1:1/x",
    ] {
        check_refused(&cluster, url, 400, "invalid_url").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_other_clusters_are_refused() {
    let cluster = Cluster::start("register-foreign", 2).await;
    let bed = &cluster.bed;
    let mut settings = Settings::new(Role::Waiting);
    settings.secret = "another-secret-of-another-cluster".into();
    let stranger = started(bed, "stranger", settings).await;
    check_refused(&cluster, &stranger.url(), 422, "secret_mismatch").await;
    let foreign = started(bed, "foreign", Settings::new(Role::First)).await;
    check_refused(&cluster, &foreign.url(), 409, "foreign_cluster").await;
    let alone = started(bed, "alone", Settings::new(Role::Alone)).await;
    check_refused(&cluster, &alone.url(), 409, "not_distributed").await;
    for node in [&stranger, &foreign, &alone] {
        let health = node.http().get("/health").await.json();
        assert_eq!(health["node_id"], *node.name);
        assert_ne!(health["status"], "removed", "a refused node is as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_advertised_address_leads_elsewhere_is_refused() {
    let cluster = Cluster::start("register-advertised", 1).await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let settings = Settings::new(Role::Waiting).key("AdvertiseUrl", nobody);
    let lost = started(&cluster.bed, "lost", settings).await;
    check_refused(&cluster, &lost.url(), 422, "node_unreachable").await;
    let url = cluster.nodes[0].url();
    let settings = Settings::new(Role::Waiting).key("AdvertiseUrl", url);
    let posing = started(&cluster.bed, "posing", settings).await;
    check_refused(&cluster, &posing.url(), 422, "node_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_runs_alone_registers_no_other() {
    let bed = Bed::new("register-alone").await;
    let alone = started(&bed, "alone", Settings::new(Role::Alone)).await;
    let waiting = started(&bed, "waiting", Settings::new(Role::Waiting)).await;
    let body = json!({"url": waiting.url()});
    let answer = alone.http().post("/api/cluster/register", &body).await;
    answer.refused(409, "not_distributed");
    let answer = waiting.http().post("/api/cluster/register", &body).await;
    answer.refused(503, "not_registered");
}

/// Symptom: a node that registered itself while the first one created the cluster became a member
/// before the administrator was created, and no one could ever log in.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_register_while_the_cluster_is_created_are_admitted_afterwards() {
    let bed = Bed::new("register-early").await;
    let first = bed.node("node1", Settings::new(Role::First));
    let peers = json!([first.url()]);
    let waiting = |name| bed.node(name, Settings::new(Role::Waiting).key("Peers", peers.clone()));
    let nodes = vec![first, waiting("node2"), waiting("node3")];
    let mut cluster = Cluster { nodes, bed };
    for index in [1, 2, 0] {
        cluster.nodes[index].start();
    }
    cluster.wait_active(3).await;
    cluster.nodes[0].http().get("/api/dbs").await.ok();
}
