//! `show metrics`: shows the consensus on the node that answers.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["show metrics"],
    help: "Show the consensus on the node (Prometheus: /metrics)",
    driver: &["metrics"],
    parse: |_| action(Metrics),
    ..Command::READ
};

#[derive(Debug)]
struct Metrics;

impl Action for Metrics {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(Output::Record(json!(session.client.metrics().await?)))
    }
}
