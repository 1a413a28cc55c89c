//! The cluster for people: what is known of it, by which node, and how old that is.

use super::{Format, rows, value};
use jettra_driver::wire::{ClusterReply, NodeInfo};
use serde_json::{Value, json};

/// The cluster and its members.
pub(super) fn text(reply: &ClusterReply, format: Format) -> String {
    if format.mode.is_json() {
        return value(&json!(reply), format);
    }
    let leader = reply.leader_id.as_deref().unwrap_or("none");
    format!(
        "{}\nLeader: {leader}, term {}, as {}\n{}",
        reply.health,
        reply.term,
        knowledge(reply),
        rows(&node_rows(&reply.nodes), format)
    )
}

/// Whose knowledge an answer about the cluster is, and how old it is.
fn knowledge(reply: &ClusterReply) -> String {
    let Some(view) = &reply.view else {
        return format!("{} knows it", reply.node_id);
    };
    let age = match view.age_ms {
        0 => format!("{} knows it", view.from),
        age_ms => format!("{} knew it {} ago", view.from, seconds(age_ms)),
    };
    match &view.note {
        Some(note) => format!("{age}. {note}"),
        None => age,
    }
}

fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{:.1} s", ms as f64 / 1e3) }
}

/// The members as rows, without the fields that only repeat others.
pub(crate) fn node_rows(nodes: &[NodeInfo]) -> Vec<Value> {
    nodes.iter().map(node_row).collect()
}

fn node_row(node: &NodeInfo) -> Value {
    let mut row = json!({
        "node": node.key, "url": node.url, "role": node.role, "status": node.status,
        "lag": node.lag, "problem": node.problem, "last_seen_ms": node.last_seen_ms,
        "silent_ms": node.silent_ms,
        "clock_ms_ahead": node.clock_ms_ahead, "description": node.description,
    });
    if let Some(object) = row.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    row
}

/// The cluster's state, without the members, and whose knowledge that is.
pub(crate) fn status_record(reply: &ClusterReply) -> Value {
    let mut record = json!({
        "health": reply.health, "node": reply.node_id, "role": reply.state,
        "leader": reply.leader_id, "term": reply.term, "members": reply.nodes.len(),
        "quorum": reply.quorum, "applied_index": reply.applied_index,
        "cluster": reply.cluster_id, "distributed": reply.enabled,
    });
    if let Some(view) = &reply.view {
        record["known_by"] = json!(view.from);
        record["known_ms_ago"] = json!(view.age_ms);
        if let Some(note) = &view.note {
            record["note"] = json!(note);
        }
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::{ClusterView, NodeRole};

    #[test]
    fn it_is_said_whose_knowledge_it_is_and_how_old() {
        let view = |age_ms, note: Option<&str>| {
            let note = note.map(str::to_owned);
            Some(ClusterView { from: "node1".into(), leader: note.is_none(), age_ms, note })
        };
        let table = [
            (None, "node3 knows it"),
            (view(0, None), "node1 knows it"),
            (view(40, None), "node1 knew it 40 ms ago"),
            (view(2400, Some("No leader.")), "node1 knew it 2.4 s ago. No leader."),
        ];
        for (view, expected) in table {
            let reply = ClusterReply {
                enabled: true,
                node_id: "node3".into(),
                state: NodeRole::Follower,
                leader_id: None,
                term: 4,
                cluster_id: None,
                applied_index: 9,
                quorum: 2,
                health: String::new(),
                nodes: Vec::new(),
                view,
            };
            assert_eq!(knowledge(&reply), expected);
            let record = status_record(&reply);
            assert_eq!(record["known_by"].is_string(), reply.view.is_some(), "{record}");
        }
    }
}
