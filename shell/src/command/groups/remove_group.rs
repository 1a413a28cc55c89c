//! `group remove`: removes a group that holds no database.

use super::number;
use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["group remove", "group delete"],
    arguments: &[Required(Kind::Other("number"))],
    help: "Remove a group that holds no database, with its replicas",
    examples: &["group remove 3"],
    driver: &["remove_group"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct RemoveGroup {
    group: u64,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(RemoveGroup { group: number(words)? })
}

impl Action for RemoveGroup {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.remove_group(self.group, true).await?;
        done(format!("Removed group {}.", self.group))
    }
}
