//! `nodes`: lists the nodes, and how each is.

use super::report;
use crate::command::{Action, Command, action};
use crate::print::{Format, boxed};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::NodeOverview;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["nodes"],
    help: "List the nodes with role, address, health and shards",
    driver: &["list_nodes"],
    parse: |_| action(Nodes),
    ..Command::READ
};

#[derive(Debug)]
struct Nodes;

impl Action for Nodes {
    async fn run(self, session: &mut Session) -> StatementResult {
        let nodes = session.client.list_nodes().await?;
        let format = session.format();
        Ok(report(&nodes, format, || table(&nodes, format), || compact(&nodes)))
    }
}

fn table(nodes: &[NodeOverview], format: Format) -> String {
    let row = |node: &NodeOverview| -> Value {
        json!({
            "Node ID": node.node_id, "Role": node.role.to_string(), "Address": node.address,
            "Status": node.status.to_string(), "Shards": node.shards,
        })
    };
    boxed(&nodes.iter().map(row).collect::<Vec<_>>(), format)
}

fn compact(nodes: &[NodeOverview]) -> String {
    let line = |node: &NodeOverview| {
        let NodeOverview { node_id, role, address, status, shards, .. } = node;
        format!("{node_id} | {role} | {address} | {status} | {shards} shards\n")
    };
    nodes.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::Mode;
    use jettra_driver::wire::{NodeCondition, NodeRank};

    #[test]
    fn nodes_stand_in_a_box() {
        let node = |node_id: &str, role| NodeOverview {
            node_id: node_id.into(),
            role,
            address: "192.168.1.10:8080".into(),
            status: NodeCondition::Healthy,
            shards: 4,
            last_seen_ms: None,
            lag: None,
            version: None,
            zone: None,
            reason: None,
        };
        let nodes =
            [node("node-master-001", NodeRank::Master), node("node-worker-001", NodeRank::Worker)];
        let expected = "\
┌─────────────────┬────────┬───────────────────┬─────────┬────────┐
│ Node ID         │ Role   │ Address           │ Status  │ Shards │
├─────────────────┼────────┼───────────────────┼─────────┼────────┤
│ node-master-001 │ MASTER │ 192.168.1.10:8080 │ HEALTHY │ 4      │
│ node-worker-001 │ WORKER │ 192.168.1.10:8080 │ HEALTHY │ 4      │
└─────────────────┴────────┴───────────────────┴─────────┴────────┘";
        assert_eq!(table(&nodes, Format::plain(Mode::Table)), expected);
        let line = "node-master-001 | MASTER | 192.168.1.10:8080 | HEALTHY | 4 shards\n";
        assert!(compact(&nodes).starts_with(line));
    }
}
