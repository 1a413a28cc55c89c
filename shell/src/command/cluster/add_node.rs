//! `cluster add`: admits a node.

use crate::command::Argument::{Optional, Required};
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["cluster add", "cluster register", "federated add", "federated register"],
    arguments: &[Required(Kind::Url), Optional(Kind::Other("description"))],
    help: "Admit the node at this address",
    driver: &["cluster_register"],
    parse: |words| {
        let url = words.required("the address of the new node")?;
        action(AddNode { url, description: words.take_rest() })
    },
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct AddNode {
    url: String,
    description: Option<String>,
}

impl Action for AddNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let AddNode { url, description } = self;
        session.client.cluster_register(&url, description.as_deref()).await?;
        let next = "It is ACTIVE once it has caught up; see: cluster nodes";
        done(format!("Registered {url}. {next}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_description_is_the_rest_of_the_line() {
        let added = parsed::<AddNode>("cluster add http://h:1 the one in the cellar");
        assert_eq!(added.description.as_deref(), Some("the one in the cellar"));
    }
}
