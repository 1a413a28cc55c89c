//! `cluster leader`: shows the leader.

use crate::command::{Action, Command, action};
use crate::failure::Failure;
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ClusterReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["cluster leader", "federated leader", "federated node-leader", ".leader"],
    help: "Show the leader",
    driver: &["cluster_status"],
    parse: |_| action(ShowLeader),
    ..Command::READ
};

#[derive(Debug)]
struct ShowLeader;

impl Action for ShowLeader {
    async fn run(self, session: &mut Session) -> StatementResult {
        leader(&session.client.cluster_status().await?)
    }
}

fn leader(reply: &ClusterReply) -> StatementResult {
    let id = reply.leader_id.as_deref();
    let node = reply.nodes.iter().find(|node| Some(node.key.as_str()) == id);
    let node = node.ok_or_else(|| {
        let text = format!("{} knows of no leader in term {}", reply.node_id, reply.term);
        Failure::Refused(format!("{text}. {}", reply.health))
    })?;
    Ok(Output::Record(json!({
        "leader": node.key, "url": node.url, "status": node.status, "term": reply.term,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::reply;

    #[test]
    fn the_leader_is_named_or_missed() {
        let mut reply = reply();
        let Ok(Output::Record(record)) = leader(&reply) else {
            panic!("no record");
        };
        assert_eq!(record["url"], "http://node1:8080");
        reply.leader_id = None;
        assert!(leader(&reply).unwrap_err().to_string().contains("Two of three."));
    }
}
