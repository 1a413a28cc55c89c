//! `cluster status`: shows the state of the cluster in figures.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ClusterReply;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["cluster status", "federated status"],
    help: "Show health, leader, term and quorum, as Raft has them",
    driver: &["cluster_status"],
    parse: |_| action(ShowStatus),
    ..Command::READ
};

#[derive(Debug)]
struct ShowStatus;

impl Action for ShowStatus {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(Output::Record(record(&session.client.cluster_status().await?)))
    }
}

/// The cluster's state without the members, and which node knows it.
fn record(reply: &ClusterReply) -> Value {
    let mut record = json!({
        "health": reply.health, "node": reply.node_id, "role": reply.state,
        "leader": reply.leader_id, "term": reply.term, "members": reply.nodes.len(),
        "quorum": reply.quorum, "applied_index": reply.applied_index,
        "cluster": reply.cluster_id, "distributed": reply.enabled,
        "feature_level": reply.feature_level(),
    });
    if let Some(max) = reply.max_feature_level {
        record["max_feature_level"] = json!(max);
    }
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
    use crate::command::cluster::reply;
    use jettra_driver::wire::ClusterView;

    #[test]
    fn the_node_that_knows_it_is_named() {
        assert!(record(&reply()).get("known_by").is_none());
        let view = ClusterView { from: "node1".into(), leader: true, age_ms: 40, note: None };
        let record = record(&ClusterReply { view: Some(view), ..reply() });
        assert_eq!((&record["known_by"], &record["known_ms_ago"]), (&json!("node1"), &json!(40)));
    }
}
