//! The golden scripts, against a cluster of three nodes, each call to the next node.

use jettra_tests::source::{self, Route};
use jettra_tests::{Cluster, Node, golden};

/// Whether the scripts must call a route: those of the catalog, of documents and of sessions.
fn must_be_called(route: &Route) -> bool {
    let others = ["/raft/", "/api/cluster", "/health", "/openapi.json"];
    !others.iter().any(|prefix| route.path.starts_with(prefix))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_golden_scripts_pass_on_every_node() {
    let mut calls = Vec::new();
    let cluster = Cluster::start("documents", 3).await;
    let nodes: Vec<_> = cluster.nodes.iter().map(Node::http).collect();
    let dir = source::root().join("tests/golden");
    let mut scripts: Vec<_> = std::fs::read_dir(dir)
        .expect("the scripts")
        .map(|entry| entry.expect("a script").path())
        .collect();
    scripts.sort();
    for script in scripts {
        calls.extend(golden::run(&script, &nodes).await);
        for database in databases(&cluster).await {
            cluster.client().drop_database(&database).await.expect("dropped");
        }
    }
    for route in source::routes().iter().filter(|route| must_be_called(route)) {
        assert!(calls.iter().any(|call| route.serves(call)), "no script calls {route:?}");
    }
}

async fn databases(cluster: &Cluster) -> Vec<String> {
    let all = cluster.client().list_databases().await.expect("the databases");
    all.into_iter().map(|database| database.name).filter(|name| name != "_system").collect()
}
