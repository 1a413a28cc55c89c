//! `node-health`: asks a node how it is.

use super::{bytes, named, or, percent, report, titled};
use crate::command::Argument::Valued;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{HeldReplica, NodeHealthReply, NodeUsage};

pub(super) static COMMAND: Command = Command {
    names: &["node-health"],
    arguments: &[Valued("--node-id", "name", Kind::Node)],
    help: "Ask a node how it is, what it uses and holds",
    examples: &["node-health --node-id node-worker-001"],
    driver: &["node_health"],
    parse: |words| {
        let [node_id] = named(words, ["--node-id"], 0)?;
        action(NodeHealth { node_id })
    },
    ..Command::READ
};

#[derive(Debug)]
struct NodeHealth {
    node_id: String,
}

impl Action for NodeHealth {
    async fn run(self, session: &mut Session) -> StatementResult {
        let seen = session.client.node_health(&self.node_id).await?;
        let shown = || titled(&format!("Node {}", seen.node_id), &fields(&seen));
        Ok(report(&seen, session.format(), shown, || compact(&seen)))
    }
}

/// What is known of a node, field by field.
pub(super) fn fields(seen: &NodeHealthReply) -> Vec<(&'static str, String)> {
    let number = |number: Option<u64>, unit: &str| {
        number.map_or_else(|| "unknown".to_owned(), |number| format!("{number}{unit}"))
    };
    let mut fields = vec![
        ("Role", seen.role.to_string()),
        ("Address", seen.address.clone()),
        ("Status", seen.status.to_string()),
        ("Reachable", if seen.reachable { "yes" } else { "no" }.to_owned()),
    ];
    fields.extend(seen.reason.iter().map(|reason| ("Reason", reason.clone())));
    fields.extend([
        ("Shards", seen.shards.to_string()),
        ("Last Seen", number(seen.last_seen_ms, " ms ago")),
        ("Lag", number(seen.lag, " entries")),
        ("Version", or(seen.version.as_deref(), "unknown")),
    ]);
    fields.extend(seen.feature_level.iter().map(|level| ("Feature Level", level.to_string())));
    fields.extend(seen.usage.iter().flat_map(usage));
    fields.extend(seen.groups.iter().map(|held| ("Group", group(held))));
    fields.extend(seen.warnings.iter().map(|warning| ("Warning", warning.clone())));
    fields
}

fn usage(usage: &NodeUsage) -> [(&'static str, String); 4] {
    let of = |part: u64, whole: u64, used: f64| {
        format!("{} ({} of {} free)", percent(Some(used)), bytes(part), bytes(whole))
    };
    let own = percent(Some(usage.process_cpu_usage));
    [
        (
            "CPU",
            format!(
                "{} of {} processors, {own} by the node",
                percent(Some(usage.cpu_usage)),
                usage.processors
            ),
        ),
        ("Memory", of(usage.memory_available_bytes, usage.memory_bytes, usage.memory_usage)),
        ("Disk", of(usage.disk_free_bytes, usage.disk_bytes, usage.disk_usage)),
        (
            "Node Uses",
            format!(
                "{} of memory, {} of disk; up for {} s",
                bytes(usage.resident_bytes),
                bytes(usage.data_bytes),
                usage.uptime_ms / 1000
            ),
        ),
    ]
}

fn group(held: &HeldReplica) -> String {
    let role = held.role.map_or_else(|| "STOPPED".to_owned(), |role| role.to_string());
    let why = held.failure.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} {role}, term {}, applied {}{why}", held.group, held.term, held.applied_index)
}

fn compact(seen: &NodeHealthReply) -> String {
    let cpu = seen.usage.map(|usage| usage.cpu_usage);
    let memory = seen.usage.map(|usage| usage.memory_usage);
    let disk = seen.usage.map(|usage| usage.disk_usage);
    format!(
        "{} | {} | {} | cpu: {} | memory: {} | disk: {}",
        seen.status,
        seen.node_id,
        seen.role,
        percent(cpu),
        percent(memory),
        percent(disk)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::{NodeCondition, NodeRank};

    #[test]
    fn a_node_that_does_not_answer_has_no_figures() {
        let seen = NodeHealthReply {
            node_id: "n3".into(),
            role: NodeRank::Worker,
            address: "10.0.0.3:8080".into(),
            status: NodeCondition::Unreachable,
            reachable: false,
            reason: Some("n3 does not answer".into()),
            shards: 2,
            raft_id: 17,
            last_seen_ms: None,
            lag: Some(4),
            version: None,
            feature_level: None,
            usage: None,
            groups: Vec::new(),
            warnings: Vec::new(),
        };
        let fields = fields(&seen);
        for expected in [
            ("Status", "UNREACHABLE"),
            ("Reachable", "no"),
            ("Reason", "n3 does not answer"),
            ("Last Seen", "unknown"),
            ("Lag", "4 entries"),
        ] {
            assert!(fields.contains(&(expected.0, expected.1.to_owned())), "{fields:?}");
        }
        assert!(!fields.iter().any(|(name, _)| *name == "CPU"), "{fields:?}");
        assert_eq!(
            compact(&seen),
            "UNREACHABLE | n3 | WORKER | cpu: unknown | memory: unknown | disk: unknown"
        );
    }
}
