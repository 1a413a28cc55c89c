//! `add-node`: adds the node of a name at an address.

use super::named;
use crate::command::Argument::Valued;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["add-node"],
    arguments: &[
        Valued("--node-id", "name", Kind::Other("name")),
        Valued("--address", "host:port", Kind::Other("host:port")),
    ],
    help: "Add the node of this name at this address",
    examples: &["add-node --node-id node-worker-003 --address 192.168.1.13:8080"],
    driver: &["cluster_add_node"],
    parse: |words| {
        let [node_id, address] = named(words, ["--node-id", "--address"], 0)?;
        action(AddNode { node_id, address })
    },
    ..Command::WRITE
};

#[derive(Debug)]
struct AddNode {
    node_id: String,
    address: String,
}

impl Action for AddNode {
    async fn run(self, session: &mut Session) -> StatementResult {
        let added = session.client.cluster_add_node(&self.node_id, &self.address).await?;
        let text = format!("Added {} at {}.", added.node_id, added.address);
        Ok(Output::Changed { text, answer: json!(added) })
    }
}
