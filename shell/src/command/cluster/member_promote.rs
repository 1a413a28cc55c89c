//! `member promote`: says whether a node votes; the cluster itself gives it the vote.

use super::node;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult, refused};
use jettra_driver::wire::{ClusterReply, NodeRole};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["member promote"],
    arguments: &[Required(Kind::Node)],
    help: "Say whether a node votes: it does by itself once it has caught up",
    examples: &["member promote node3"],
    driver: &["cluster_status"],
    parse: |words| action(MemberPromote { node: node(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct MemberPromote {
    node: String,
}

impl Action for MemberPromote {
    async fn run(self, session: &mut Session) -> StatementResult {
        vote(&session.client.cluster_status().await?, &self.node)
    }
}

fn vote(cluster: &ClusterReply, name: &str) -> StatementResult {
    let Some(node) = cluster.nodes.iter().find(|node| node.key == name || node.url == name) else {
        return refused(format!("there is no node {name}; list them with: member list"));
    };
    let name = &node.key;
    match (node.role, node.lag) {
        (NodeRole::Learner, Some(lag)) if lag > 0 => refused(format!(
            "{name} does not vote: it lacks {lag} entries, and votes once it has caught up, unless MaxVoters \
             nodes vote already"
        )),
        (NodeRole::Learner, _) => refused(format!(
            "{name} does not vote yet: it does in a moment, unless MaxVoters nodes vote already"
        )),
        (role, _) => {
            let answer = json!({"node_id": name, "role": role, "votes": true});
            Ok(Output::Changed { text: format!("{name} votes."), answer })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::cluster::reply;

    #[test]
    fn a_node_that_does_not_vote_says_what_it_waits_for() {
        let mut cluster = reply();
        assert!(vote(&cluster, "node3").is_ok() && vote(&cluster, "http://node3:8080").is_ok());
        cluster.nodes[2].role = NodeRole::Learner;
        for (lag, expected) in [(Some(7), "it lacks 7 entries"), (None, "MaxVoters")] {
            cluster.nodes[2].lag = lag;
            let failure = vote(&cluster, "node3").unwrap_err();
            assert!(failure.to_string().contains(expected), "{failure}");
        }
        assert!(vote(&cluster, "node9").unwrap_err().to_string().contains("member list"));
    }
}
