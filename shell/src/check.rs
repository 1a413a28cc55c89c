//! Writes a document through each node of a cluster, and reads all of them through each node.

use jettra_driver::{Client, Collection, DocumentId, Error};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The collection of the documents.
pub(crate) const COLLECTION: &str = "checks";
/// Longest time of one call.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(10);

/// A node, with a client that calls no other.
#[derive(Clone)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) url: String,
    /// Calls this node only.
    pub(crate) client: Client,
}

/// What a node has done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct NodeCheck {
    /// Its name.
    pub(crate) node_id: String,
    /// Its address.
    pub(crate) address: String,
    /// Whether it has done all that it was asked.
    pub(crate) ok: bool,
    /// Whether it has answered.
    pub(crate) answers: bool,
    /// Milliseconds that the write through it took; absent when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) write_ms: Option<f64>,
    /// Names of the nodes whose documents it shows.
    pub(crate) shows: Vec<String>,
    /// What has failed, in sentences.
    pub(crate) failures: Vec<String>,
}

impl NodeCheck {
    /// A node that was asked nothing, because of this.
    pub(crate) fn failed(target: &Target, why: String) -> NodeCheck {
        NodeCheck { answers: true, failures: vec![why], ..NodeCheck::of(target) }
    }

    fn of(target: &Target) -> NodeCheck {
        NodeCheck {
            node_id: target.name.clone(),
            address: target.url.clone(),
            ..NodeCheck::default()
        }
    }

    /// Notes an error; one that says that the node does not answer ends the check of it.
    fn note(&mut self, what: &str, error: &Error) {
        self.answers &= !is_silence(error);
        self.failures.push(format!("{what}: {error}"));
    }
}

/// Whether a node did not answer.
fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. } | Error::Unavailable { .. } | Error::Unknown { .. })
}

/// Writes through each node, then reads through each; the collection must be there.
pub(crate) async fn run(targets: Vec<Target>, database: &str) -> Vec<NodeCheck> {
    let of = |target: &Target| target.client.collection::<Value>(database, COLLECTION);
    let writing: Vec<_> = targets
        .into_iter()
        .map(|target| (tokio::spawn(write(of(&target), target.clone())), of(&target)))
        .collect();
    let mut checks = Vec::new();
    for (check, collection) in writing {
        if let Ok(check) = check.await {
            checks.push((check, collection));
        }
    }
    let written: Vec<String> = checks
        .iter()
        .filter(|(check, _)| check.write_ms.is_some())
        .map(|(check, _)| check.node_id.clone())
        .collect();
    let reading: Vec<_> = checks
        .into_iter()
        .map(|(check, collection)| tokio::spawn(read(collection, check, written.clone())))
        .collect();
    let mut done = Vec::new();
    for check in reading {
        done.extend(check.await);
    }
    done
}

async fn write(collection: Collection<Value>, target: Target) -> NodeCheck {
    let mut check = NodeCheck { answers: true, ..NodeCheck::of(&target) };
    let id = DocumentId::from(target.name.as_str());
    let started = Instant::now();
    match collection.save(&id, &json!({"written_through": target.name})).await {
        Ok(_) => check.write_ms = Some(rounded(started.elapsed())),
        Err(error) => check.note("write", &error),
    }
    check
}

/// Reads the documents that were written through the nodes of these names.
async fn read(
    collection: Collection<Value>,
    mut check: NodeCheck,
    written: Vec<String>,
) -> NodeCheck {
    for name in written {
        if !check.answers {
            break;
        }
        let what = format!("read of what was written through {name}");
        match collection.get(&DocumentId::from(name.as_str())).await {
            Ok(Some(found)) if found.value["written_through"] == name.as_str() => {
                check.shows.push(name);
            }
            Ok(Some(found)) => check.failures.push(format!("{what}: found {}", found.value)),
            Ok(None) => check.failures.push(format!("{what}: it is not there")),
            Err(error) => check.note(&what, &error),
        }
    }
    check.ok = check.failures.is_empty();
    check
}

/// Milliseconds with one digit after the point.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
