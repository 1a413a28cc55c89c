//! `node list`: the members by their addresses.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["node list"],
    help: "Show the members by their addresses, and whether they run",
    driver: &["node_list"],
    parse: |_| action(ListNodes),
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ListNodes;

impl Action for ListNodes {
    async fn run(self, session: &mut Session) -> StatementResult {
        let nodes = session.client.node_list().await?.nodes;
        Ok(Output::Rows(nodes.iter().map(|node| json!(node)).collect()))
    }
}
