//! `show live`: shows whether the process of the node runs.

use crate::command::{Action, Command, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["show live"],
    help: "Show whether the process of the node runs",
    driver: &["live"],
    parse: |_| action(Live),
    ..Command::READ
};

#[derive(Debug)]
struct Live;

impl Action for Live {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.live().await?;
        done("The process runs.".to_owned())
    }
}
