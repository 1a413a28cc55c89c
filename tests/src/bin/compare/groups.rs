//! Groups of replicas of a cluster, each with a database: what the measurements of them share.

use crate::jettra::Jettra;
use crate::process::wait_for;
use jettra_tests::measure::Failure;
use serde_json::{Value, json};

/// The name of the database in a group.
pub(crate) fn database(group: u64) -> String {
    format!("b{group}")
}

/// All groups but the system group, in the order of their numbers.
pub(crate) fn list(jettra: &Jettra) -> Result<Vec<Value>, Failure> {
    let reply = jettra.http().get(&jettra.url("/api/v1/groups"))?;
    let groups = reply.as_array().ok_or_else(|| format!("groups: {reply}"))?;
    let mut groups: Vec<_> = groups.iter().filter(|group| group["id"] != 0).cloned().collect();
    groups.sort_by_key(|group| group["id"].as_u64());
    Ok(groups)
}

/// Creates the groups with the numbers 1 to `count`, each with a voter on three nodes, and waits until
/// all serve.
pub(crate) fn create(jettra: &Jettra, count: u64) -> Result<(), Failure> {
    for id in 1..=count {
        jettra.post("/api/v1/groups", &json!({"id": id}))?;
    }
    wait_for("all groups", || {
        let groups = list(jettra)?;
        let serves = |group: &&Value| group["ready"] == true && group["state"] == "ACTIVE";
        match groups.iter().filter(serves).count() as u64 == count {
            true => Ok(()),
            false => Err("not all of them serve".into()),
        }
    })
}

/// Creates a database in each of the groups.
pub(crate) fn create_databases(jettra: &Jettra, count: u64) -> Result<(), Failure> {
    for group in 1..=count {
        jettra.post("/api/dbs", &json!({"name": database(group), "group": group}))?;
    }
    Ok(())
}

/// The number of the node that leads a group.
pub(crate) fn leader(group: &Value) -> Option<usize> {
    group["leader"].as_str()?.strip_prefix('n')?.parse().ok()
}

/// Lets the nodes lead the groups in turn.
pub(crate) fn spread_leaders(jettra: &Jettra, nodes: usize) -> Result<(), Failure> {
    let node = |group: &Value| group["id"].as_u64().unwrap_or_default() as usize % nodes;
    for group in list(jettra)? {
        let path = format!("/api/v1/groups/{}/leader", group["id"]);
        let body = json!({"node": format!("n{}", node(&group))});
        jettra.http().put(&jettra.url(&path), body.to_string())?;
    }
    wait_for("the leaders of the groups", || {
        let groups = list(jettra)?;
        match groups.iter().all(|group| leader(group) == Some(node(group))) {
            true => Ok(()),
            false => Err("not all of them lead".into()),
        }
    })
}
