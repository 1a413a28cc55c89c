//! `clear`: clears the screen.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["clear", "cls"],
    help: "Clear the screen",
    parse: |_| action(Clear),
    ..Command::READ
};

#[derive(Debug)]
struct Clear;

impl Action for Clear {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(match session.settings.interactive {
            true => Output::Text("\x1b[H\x1b[2J\x1b[3J\r".into()),
            false => Output::Nothing,
        })
    }
}
