//! `group remove`: removes a group that holds no database.

use super::number;
use crate::command::Argument::{Flag, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::Removal;

pub(super) static COMMAND: Command = Command {
    names: &["group remove", "group delete"],
    arguments: &[Required(Kind::Other("number")), Flag("--snapshot")],
    help: "Remove a group without databases; --snapshot keeps its directories",
    examples: &["group remove 3", "group remove 3 --snapshot"],
    driver: &["remove_group"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct RemoveGroup {
    group: u64,
    snapshot: bool,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let (group, mut snapshot) = (number(words)?, false);
    words.flags(|flag, _| {
        snapshot |= flag == "--snapshot";
        Ok(flag == "--snapshot")
    })?;
    action(RemoveGroup { group, snapshot })
}

impl Action for RemoveGroup {
    async fn run(self, session: &mut Session) -> StatementResult {
        let removal = Removal { wait: true, timeout_ms: None, snapshot: self.snapshot };
        session.client.remove_group(self.group, removal).await?;
        done(format!("Removed group {}.", self.group))
    }
}
