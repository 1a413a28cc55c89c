//! `rollback`: rolls back the open transaction.

use super::open_transaction;
use crate::command::{Action, Command, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["rollback", "rollback transaction"],
    help: "Roll back the open transaction",
    driver: &["rollback"],
    parse: |_| action(Rollback),
    ..Command::WRITE
};

#[derive(Debug)]
struct Rollback;

impl Action for Rollback {
    async fn run(self, session: &mut Session) -> StatementResult {
        open_transaction(session)?;
        session.roll_back().await?;
        done("Rolled back.".into())
    }
}
