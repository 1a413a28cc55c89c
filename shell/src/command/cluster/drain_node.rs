//! `drain`: lets the replicas of a node go to others, and removes it.

use super::node;
use crate::command::Argument::{Flag, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["drain"],
    arguments: &[Required(Kind::Node), Flag("--only-unused")],
    help: "Remove a node, after its replicas have gone to other nodes",
    examples: &["drain node3", "drain node3 --only-unused"],
    driver: &["remove_node"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct DrainNode {
    node: String,
    /// Refuse it while the node holds replicas of groups.
    only_unused: bool,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let node = node(words)?;
    action(DrainNode { node, only_unused: words.flag("--only-unused") })
}

impl Action for DrainNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let DrainNode { node, only_unused } = self;
        session.confirm_name(&format!("Removes {node} from the cluster."), &node)?;
        session.client.remove_node(&node, !only_unused).await?;
        done(format!("Removed {node}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_node_is_drained_unless_it_must_be_unused() {
        let drain = |only_unused| DrainNode { node: "n3".into(), only_unused };
        assert_eq!(parsed::<DrainNode>("drain n3"), drain(false));
        assert_eq!(parsed::<DrainNode>("drain n3 --only-unused"), drain(true));
    }
}
