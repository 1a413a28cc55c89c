//! `shard list`: lists the shards.

use super::row;
use crate::command::{Action, BoxedAction, Command, action};
use crate::print::{Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["shard list", "show shards"],
    help: "List the shards: the groups of replicas with what they hold",
    driver: &["list_shards"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ListShards;

fn read(_: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ListShards)
}

impl Action for ListShards {
    async fn run(self, session: &mut Session) -> StatementResult {
        let shards = session.client.list_shards().await?;
        let text = match shards.as_slice() {
            [] => "There is no shard; create one with: group create\n".to_owned(),
            shards => rows(&shards.iter().map(row).collect::<Vec<_>>(), session.format()),
        };
        Ok(Output::Report { text, answer: json!(shards) })
    }
}
