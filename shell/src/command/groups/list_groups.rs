//! `group list`: lists the groups of replicas.

use super::row;
use crate::command::{Action, BoxedAction, Command, action};
use crate::print::{Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["group list", "show groups"],
    help: "List the groups of replicas, which hold the databases",
    driver: &["list_groups"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ListGroups;

fn read(_: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ListGroups)
}

impl Action for ListGroups {
    async fn run(self, session: &mut Session) -> StatementResult {
        let groups = session.client.list_groups().await?;
        let text = rows(&groups.iter().map(row).collect::<Vec<_>>(), session.format());
        Ok(Output::Report { text, answer: json!(groups) })
    }
}
