//! `task cancel`: cancels a task.

use super::task;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["task cancel"],
    arguments: &[Required(Kind::Task)],
    help: "Cancel a task: an index that is being built is dropped",
    examples: &["task cancel index-build-17"],
    driver: &["cancel_task"],
    parse: |words| action(CancelTask { id: task(words)? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct CancelTask {
    id: String,
}

impl Action for CancelTask {
    async fn run(self, session: &mut Session) -> StatementResult {
        let task = session.client.cancel_task(&self.id).await?;
        done(format!("Cancelled {}.", task.id))
    }
}
