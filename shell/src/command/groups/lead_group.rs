//! `group lead`: says which node is to lead a group.

use super::number;
use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["group lead"],
    arguments: &[Required(Kind::Other("number")), Required(Kind::Node)],
    help: "Say which node is to lead a group; \"any\" lets the cluster choose",
    examples: &["group lead 3 n2", "group lead 3 any"],
    driver: &["set_group_leader"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct LeadGroup {
    group: u64,
    /// None: any.
    node: Option<String>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let group = number(words)?;
    let node = words.required("the node, or \"any\",")?;
    action(LeadGroup { group, node: (node != "any").then_some(node) })
}

impl Action for LeadGroup {
    async fn run(self, session: &mut Session) -> StatementResult {
        let LeadGroup { group, node } = self;
        session.client.set_group_leader(group, node.as_deref()).await?;
        done(match node {
            Some(node) => format!("{node} is to lead group {group}; it takes over in a moment."),
            None => format!("Any node may lead group {group}."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn any_names_no_node() {
        let lead = |node: Option<&str>| LeadGroup { group: 3, node: node.map(str::to_owned) };
        assert_eq!(parsed::<LeadGroup>("group lead 3 n2"), lead(Some("n2")));
        assert_eq!(parsed::<LeadGroup>("group lead 3 any"), lead(None));
    }
}
