//! `dev test`: checks that every node accepts writes, and that every node shows them.

use super::files::{Cluster, Node};
use super::health;
use crate::check::{self, CALL_MAX, COLLECTION, NodeCheck, Target};
use crate::failure::{Failure, exit};
use crate::print::say;

/// The database of the test; it is dropped at the end.
const DATABASE: &str = "jettra_dev_test";

/// Runs all checks and prints a line for each; the exit code.
pub(crate) async fn run(cluster: &Cluster) -> Result<u8, Failure> {
    let client = cluster.client()?;
    client.create_collection(DATABASE, COLLECTION).await?;
    let mut passed = true;
    for node in &cluster.nodes {
        passed &= check_health(cluster, node).await;
    }
    let targets: Result<Vec<Target>, Failure> =
        cluster.nodes.iter().map(|node| target(cluster, node)).collect();
    for node in check::run(targets?, DATABASE).await {
        report_node(&node);
        passed &= node.ok;
    }
    client.drop_database(DATABASE).await?;
    say(if passed { "All checks passed.\n" } else { "Some checks failed.\n" });
    Ok(if passed { exit::OK } else { exit::STATEMENT })
}

async fn check_health(cluster: &Cluster, node: &Node) -> bool {
    let status = health(cluster, node).await.map(|health| health.status);
    let found = status.unwrap_or("no answer".into());
    report(found == "ok", &format!("health of {}: {found}", node.name))
}

/// A node with a client that calls no other.
fn target(cluster: &Cluster, node: &Node) -> Result<Target, Failure> {
    let client = cluster
        .builder()?
        .seeds([node.url()])
        .stay_on_seed()
        .credentials("admin", &cluster.password()?)
        .deadline(CALL_MAX)
        .build()?;
    Ok(Target { name: node.name.clone(), url: node.url(), client })
}

fn report_node(node: &NodeCheck) {
    let reader = &node.node_id;
    for writer in &node.shows {
        report(true, &format!("written through {writer}, read from {reader}"));
    }
    for failure in &node.failures {
        report(false, &format!("{reader}: {failure}"));
    }
}

fn report(passed: bool, what: &str) -> bool {
    let word = if passed { "ok    " } else { "FAILED" };
    say(&format!("{word} {what}\n"));
    passed
}
