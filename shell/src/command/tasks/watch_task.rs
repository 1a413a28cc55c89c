//! `task watch`: prints how a task gets on, until it has ended.

use super::{line, task};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::failure::Failure;
use crate::print::{Mode, Output, say};
use crate::session::{Session, StatementResult};
use jettra_driver::TaskEvents;
use jettra_driver::wire::TaskInfo;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["task watch"],
    arguments: &[Required(Kind::Task)],
    help: "Print how a task gets on, until it has ended",
    examples: &["task watch index-build-17"],
    driver: &["task_events"],
    handles_interrupt: true,
    parse: |words| action(WatchTask { id: task(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct WatchTask {
    id: String,
}

impl Action for WatchTask {
    async fn run(self, session: &mut Session) -> StatementResult {
        let mut events = session.client.task_events(&self.id).await?;
        let mode = session.settings.mode;
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {}
            printed = print_events(&mut events, mode) => printed?,
        }
        Ok(Output::Nothing)
    }
}

async fn print_events(events: &mut TaskEvents, mode: Mode) -> Result<(), Failure> {
    while let Some(task) = events.next().await {
        say(&event_line(&task?, mode));
    }
    Ok(())
}

/// One state in one line: for programs in JSON.
fn event_line(task: &TaskInfo, mode: Mode) -> String {
    match mode.is_json() {
        true => format!("{}\n", json!(task)),
        false => format!("{}\n", line(task)),
    }
}
