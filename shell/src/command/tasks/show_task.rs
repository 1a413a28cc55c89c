//! `task show`: shows a task.

use super::{row, task};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::print::{Output, fields};
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["task show"],
    arguments: &[Required(Kind::Task)],
    help: "Show a task: its state, how far it is, and why it does not get on",
    examples: &["task show index-build-17"],
    driver: &["task"],
    parse: |words| action(ShowTask { id: task(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct ShowTask {
    id: String,
}

impl Action for ShowTask {
    async fn run(self, session: &mut Session) -> StatementResult {
        let task = session.client.task(&self.id).await?;
        Ok(Output::Report { text: fields(&row(&task)), answer: json!(task) })
    }
}
