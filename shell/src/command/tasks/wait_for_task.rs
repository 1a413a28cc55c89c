//! `task wait`: waits until a task has ended.

use super::{line, task};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::failure::Failure;
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{TaskInfo, TaskState};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["task wait"],
    arguments: &[Required(Kind::Task)],
    help: "Wait until a task has ended; fails if it failed or was cancelled",
    examples: &["task wait index-build-17"],
    driver: &["wait_for_task"],
    parse: |words| action(WaitForTask { id: task(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct WaitForTask {
    id: String,
}

impl Action for WaitForTask {
    async fn run(self, session: &mut Session) -> StatementResult {
        wait(session, &self.id).await
    }
}

/// Waits until the task has ended.
pub(in crate::command) async fn wait(session: &Session, id: &str) -> StatementResult {
    report(&session.client.wait_for_task(id).await?)
}

/// The end of the task; one that is not `done` is a failure, so that a script sees it.
fn report(task: &TaskInfo) -> StatementResult {
    let text = line(task);
    match task.state {
        TaskState::Done => Ok(Output::Report { text: text + "\n", answer: json!(task) }),
        _ => Err(Failure::Refused(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::failure::exit;

    #[test]
    fn the_exit_code_tells_how_the_task_has_ended() {
        assert!(report(&example("done")).is_ok());
        for state in ["failed", "cancelled"] {
            let failure = report(&example(state)).unwrap_err();
            assert_eq!(failure.exit_code(), exit::STATEMENT);
            assert!(failure.to_string().contains(state), "{failure}");
        }
    }
}
