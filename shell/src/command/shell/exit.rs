//! `exit`: leaves the shell.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["exit", "quit", ".exit", ".quit"],
    help: "Leave the shell",
    parse: |_| action(Exit),
    ..Command::READ
};

#[derive(Debug)]
struct Exit;

impl Action for Exit {
    async fn run(self, _session: &mut Session) -> StatementResult {
        Ok(Output::Exit)
    }
}
