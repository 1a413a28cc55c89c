//! `health`: shows whether the node that answers serves calls.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["health"],
    help: "Show the health of the node that answers",
    driver: &["health", "target"],
    parse: |_| action(Health),
    ..Command::READ
};

#[derive(Debug)]
struct Health;

impl Action for Health {
    async fn run(self, session: &mut Session) -> StatementResult {
        let mut record = json!(session.client.health().await?);
        record["url"] = session.client.target().into();
        Ok(Output::Record(record))
    }
}
