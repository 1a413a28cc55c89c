//! `status`: shows in a few figures and one word how the cluster is.

use super::{or, report, titled};
use crate::command::{Action, Command, action};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ClusterOverview;

pub(super) static COMMAND: Command = Command {
    names: &["status"],
    help: "Show how the cluster is; cluster status has Raft's figures",
    driver: &["cluster_overview"],
    parse: |_| action(Status),
    ..Command::READ
};

#[derive(Debug)]
struct Status;

impl Action for Status {
    async fn run(self, session: &mut Session) -> StatementResult {
        let seen = session.client.cluster_overview().await?;
        Ok(report(&seen, session.format(), || table(&seen), || compact(&seen)))
    }
}

/// The cluster's figures below a title.
pub(super) fn table(seen: &ClusterOverview) -> String {
    let mut fields = vec![
        ("Master Node", or(seen.master_node.as_deref(), "none")),
        ("Total Nodes", seen.total_nodes.to_string()),
        ("Active Nodes", seen.active_nodes.to_string()),
        ("Total Shards", seen.total_shards.to_string()),
        ("Status", seen.status.to_string()),
        ("Replication Factor", seen.replication_factor.to_string()),
    ];
    fields.extend(seen.reasons.iter().map(|reason| ("Reason", reason.clone())));
    titled("Cluster Status", &fields)
}

fn compact(seen: &ClusterOverview) -> String {
    format!(
        "{} | {} nodes | {} shards | master: {}",
        seen.status,
        seen.total_nodes,
        seen.total_shards,
        or(seen.master_node.as_deref(), "none")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::ClusterHealth;

    #[test]
    fn a_status_is_written_as_operators_know_it() {
        let seen = ClusterOverview {
            master_node: Some("node-master-001".into()),
            total_nodes: 3,
            active_nodes: 3,
            total_shards: 12,
            status: ClusterHealth::Healthy,
            replication_factor: 2,
            unavailable_nodes: Vec::new(),
            under_replicated_shards: Vec::new(),
            reasons: Vec::new(),
        };
        let expected = "Cluster Status\n==============\nMaster Node: node-master-001\n\
                        Total Nodes: 3\nActive Nodes: 3\nTotal Shards: 12\nStatus: HEALTHY\n\
                        Replication Factor: 2\n";
        assert_eq!(table(&seen), expected);
        assert_eq!(compact(&seen), "HEALTHY | 3 nodes | 12 shards | master: node-master-001");
        let reasons = vec!["n3 does not answer".to_owned()];
        let worse = ClusterOverview { master_node: None, reasons, ..seen };
        assert!(table(&worse).ends_with("2\nReason: n3 does not answer\n"));
        assert!(compact(&worse).ends_with("master: none"));
    }
}
