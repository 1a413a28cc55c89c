//! `dev test`: checks that every node accepts writes, and that every node shows them.

use super::files::{Cluster, Node};
use super::health;
use crate::failure::{Failure, exit};
use crate::print::say;
use jettra_driver::{Collection, DocumentId};
use serde_json::{Value, json};
use std::time::Duration;

/// The database of the test; it is dropped at the end.
const DATABASE: &str = "jettra_dev_test";
const COLLECTION: &str = "checks";
const CALL_MAX: Duration = Duration::from_secs(10);

/// Runs all checks and prints a line for each; the exit code.
pub(crate) async fn run(cluster: &Cluster) -> Result<u8, Failure> {
    let client = cluster.client()?;
    client.create_collection(DATABASE, COLLECTION).await?;
    let mut passed = true;
    for node in &cluster.nodes {
        passed &= check_health(cluster, node).await;
        passed &= check_writes(cluster, node).await?;
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

/// Writes a document through one node and reads it from all.
async fn check_writes(cluster: &Cluster, writer: &Node) -> Result<bool, Failure> {
    let id = DocumentId::from(writer.name.as_str());
    let document = json!({"written_through": writer.name});
    let written = collection(cluster, writer)?.save(&id, &document).await;
    if let Err(error) = written {
        return Ok(report(false, &format!("write through {}: {error}", writer.name)));
    }
    let mut passed = true;
    for reader in &cluster.nodes {
        let what = format!("written through {}, read from {}", writer.name, reader.name);
        passed &= match collection(cluster, reader)?.get(&id).await {
            Ok(Some(found)) if found.value["written_through"] == writer.name.as_str() => {
                report(true, &what)
            }
            Ok(found) => report(false, &format!("{what}: found {found:?}")),
            Err(error) => report(false, &format!("{what}: {error}")),
        };
    }
    Ok(passed)
}

/// The test's collection, through this node only.
fn collection(cluster: &Cluster, node: &Node) -> Result<Collection<Value>, Failure> {
    let client = cluster
        .builder()?
        .seeds([node.url()])
        .stay_on_seed()
        .credentials("admin", &cluster.password()?)
        .deadline(CALL_MAX)
        .build()?;
    Ok(client.collection(DATABASE, COLLECTION))
}

fn report(passed: bool, what: &str) -> bool {
    let word = if passed { "ok    " } else { "FAILED" };
    say(&format!("{word} {what}\n"));
    passed
}
