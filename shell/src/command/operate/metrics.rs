//! `metrics`: shows what the nodes use.

use super::{bytes, grouped, percent, report, titled};
use crate::command::{Action, Command, action};
use crate::print::{Format, boxed};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{ClusterMetrics, NodeMetrics};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["metrics"],
    help: "Show the nodes' use of processors, memory and disk",
    driver: &["cluster_metrics"],
    parse: |_| action(Metrics),
    ..Command::READ
};

#[derive(Debug)]
struct Metrics;

impl Action for Metrics {
    async fn run(self, session: &mut Session) -> StatementResult {
        let seen = session.client.cluster_metrics().await?;
        let format = session.format();
        Ok(report(&seen, format, || table(&seen, format), || compact(&seen)))
    }
}

/// The figures of the cluster, then those of each node.
pub(super) fn table(seen: &ClusterMetrics, format: Format) -> String {
    let mut fields = vec![
        ("CPU Usage", percent(seen.cpu_usage)),
        ("Memory Usage", percent(seen.memory_usage)),
        ("Disk Usage", percent(seen.disk_usage)),
        ("Documents", grouped(seen.documents)),
        ("Data", bytes(seen.bytes)),
        ("Nodes Reporting", format!("{} of {}", seen.reporting_nodes, seen.total_nodes)),
    ];
    fields.extend(seen.missing.iter().map(|missing| ("Missing", missing.clone())));
    let rows: Vec<_> = seen.nodes.iter().map(row).collect();
    titled("Cluster Metrics", &fields) + "\n" + &boxed(&rows, format)
}

fn row(node: &NodeMetrics) -> Value {
    let figure = |figure: Option<String>| figure.unwrap_or_else(|| "unknown".to_owned());
    let usage = node.usage.as_ref();
    json!({
        "Node ID": node.node_id,
        "CPU": percent(usage.map(|usage| usage.cpu_usage)),
        "Node CPU": percent(usage.map(|usage| usage.process_cpu_usage)),
        "Memory": percent(usage.map(|usage| usage.memory_usage)),
        "Node Memory": figure(usage.map(|usage| bytes(usage.resident_bytes))),
        "Disk": percent(usage.map(|usage| usage.disk_usage)),
        "Node Disk": figure(usage.map(|usage| bytes(usage.data_bytes))),
    })
}

fn compact(seen: &ClusterMetrics) -> String {
    format!(
        "cpu: {} | memory: {} | disk: {} | {} documents | {} of {} nodes report",
        percent(seen.cpu_usage),
        percent(seen.memory_usage),
        percent(seen.disk_usage),
        grouped(seen.documents),
        seen.reporting_nodes,
        seen.total_nodes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_figures_is_named_with_none() {
        let reason = Some("n3 does not answer".to_owned());
        let node = NodeMetrics { node_id: "n3".into(), reachable: false, reason, usage: None };
        let row = row(&node);
        assert_eq!((&row["Node ID"], &row["CPU"]), (&json!("n3"), &json!("unknown")));
        assert_eq!(row["Node Disk"], "unknown");
    }
}
