//! What a node prints at its start under a file of rockraft's cluster example: the example's lines, each
//! when it is true.

use crate::cluster::founding::Part;
use crate::cluster::{Cluster, secrets};
use std::sync::Arc;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

/// Prints the lines of the start, until clients are served or the node ends.
pub(super) async fn print_start(cluster: Arc<Cluster>) {
    tokio::select! {
        () = print_steps(&cluster) => {}
        _ = cluster.ended() => {}
    }
}

async fn print_steps(cluster: &Cluster) {
    println!("Creating Raft node...\n✓ Raft node created successfully!\n");
    let mut part = cluster.part();
    let known = part.wait_for(|part| *part != Part::Open).await.map(|part| *part);
    match known {
        Ok(Part::Founder) => {
            let nodes = cluster.config.peers.len() + 1;
            println!("Initializing {nodes}-node cluster...");
            wait_for(|| cluster.check_started().is_ok()).await;
            println!("✓ Cluster initialized successfully!\n");
            let place = secrets::admin_password_place(&cluster.config);
            tracing::info!("the password of the user admin is in {place}");
        }
        _ => {
            println!("Waiting for cluster to be ready...");
            wait_for(|| cluster.check_started().is_ok()).await;
        }
    }
    println!("Waiting for initial log to be committed...");
    wait_for(|| cluster.health().reason.is_none()).await;
    println!("✓ Initial log committed successfully!\n\n{}", endpoints(&cluster.config.url()));
}

async fn wait_for(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(POLL).await;
    }
}

fn endpoints(url: &str) -> String {
    format!(
        "HTTP server listening on {url}\n\nAvailable endpoints:\n  \
         GET  {url}/get?key=<key>    - Get a value by key\n  \
         POST {url}/set             - Set a key-value pair\n  \
         POST {url}/delete          - Delete a key\n  \
         GET  {url}/health          - Health check\n  \
         GET  {url}/metrics         - Cluster metrics\n\n\
         Press Ctrl+C to shutdown..."
    )
}
