//! `endpoint status`: shows the consensus on each node, as etcdctl does.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{Diagnostics, NodeHealthReply, NodeRole};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["endpoint status"],
    help: "Show version, size, role, term and log index of each node",
    driver: &["diagnostics"],
    parse: |_| action(EndpointStatus),
    ..Command::READ
};

#[derive(Debug)]
struct EndpointStatus;

impl Action for EndpointStatus {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(Output::Rows(rows(&session.client.diagnostics().await?)))
    }
}

fn rows(seen: &Diagnostics) -> Vec<Value> {
    seen.nodes.iter().map(row).collect()
}

/// A node; what it says of its replica of the system group is null when it does not answer.
fn row(node: &NodeHealthReply) -> Value {
    let system = node.groups.iter().find(|held| held.group == 0);
    let role = system.and_then(|held| held.role);
    json!({
        "endpoint": node.address, "id": node.node_id, "version": node.version,
        "size": system.map(|held| held.bytes),
        "is leader": role.map(|role| role == NodeRole::Leader),
        "is learner": role.map(|role| role == NodeRole::Learner),
        "raft term": system.map(|held| held.term),
        "raft index": system.map(|held| held.last_log_index),
        "raft applied index": system.map(|held| held.applied_index),
        "errors": node.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_node_has_a_reason_and_no_figures() {
        let node = |answers: bool| {
            let held = json!({
                "group": 0, "role": "LEADER", "term": 3, "last_log_index": 9, "applied_index": 8,
                "bytes": 4096,
            });
            let node = json!({
                "node_id": "n1", "role": "MASTER", "address": "n1:8080", "status": "HEALTHY",
                "reachable": answers, "shards": 0, "raft_id": 1,
                "reason": (!answers).then_some("no answer"),
                "groups": if answers { vec![held] } else { Vec::new() },
            });
            serde_json::from_value::<NodeHealthReply>(node).unwrap()
        };
        let seen = row(&node(true));
        assert_eq!((&seen["is leader"], &seen["raft term"]), (&json!(true), &json!(3)));
        assert_eq!((&seen["raft index"], &seen["errors"]), (&json!(9), &Value::Null));
        let silent = row(&node(false));
        assert_eq!((&silent["is leader"], &silent["errors"]), (&Value::Null, &json!("no answer")));
    }
}
