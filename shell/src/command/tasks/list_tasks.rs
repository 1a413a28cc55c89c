//! `task list`: lists the tasks of the cluster.

use super::row;
use crate::command::Argument::Valued;
use crate::command::groups::missing;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::TaskQuery;
use jettra_driver::wire::{TASK_KINDS, TaskState, TasksReply};
use serde_json::json;

const STATES: [&str; 5] = ["waiting", "running", "done", "failed", "cancelled"];

pub(super) static COMMAND: Command = Command {
    names: &["task list", "show tasks"],
    arguments: &[
        Valued("--state", "state", Kind::Word(&STATES)),
        Valued("--kind", "kind", Kind::Word(&TASK_KINDS)),
        Valued("--database", "database", Kind::Database),
        Valued("--group", "number", Kind::Other("number")),
        Valued("--limit", "N", Kind::Other("N")),
    ],
    help: "List the tasks of the cluster, such as index builds and moves",
    examples: &["task list --state running", "task list --kind index-build --database shop"],
    driver: &["list_tasks"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ListTasks {
    query: TaskQuery,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut query = TaskQuery::default();
    words.flags(|flag, words| {
        match flag {
            "--state" => query.state = Some(state(&words.required("the state")?)?),
            "--kind" => query.kind = Some(words.required("the kind")?),
            "--database" => query.database = Some(words.required("the database")?),
            "--group" => query.group = Some(words.number(flag)?),
            "--limit" => query.limit = Some(words.number(flag)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(ListTasks { query })
}

fn state(name: &str) -> ParseResult<TaskState> {
    let found = TaskState::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| format!("{name:?} is not one of {}", STATES.join(", ")))
}

impl Action for ListTasks {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.list_tasks(&self.query).await?, session.format()))
    }
}

fn report(reply: &TasksReply, format: Format) -> Output {
    let mut text = match reply.tasks.as_slice() {
        [] => "There is no such task.\n".to_owned(),
        tasks => rows(&tasks.iter().map(row).collect::<Vec<_>>(), format),
    };
    let shown = reply.tasks.len() as u64;
    if shown < reply.total {
        let break_before = if text.ends_with('\n') { "" } else { "\n" };
        text +=
            &format!("{break_before}{shown} of {} tasks; see more with: --limit\n", reply.total);
    }
    text += &missing(&reply.missing_groups);
    Output::Report { text, answer: json!(reply.tasks) }
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;
    use crate::command::{parse, parsed};
    use crate::print::{Mode, rendered};

    #[test]
    fn flags_narrow_the_list() {
        let query = TaskQuery {
            state: Some(TaskState::Running),
            kind: Some("index-build".into()),
            database: Some("shop".into()),
            group: None,
            limit: Some(5),
        };
        let text = "task list --state running --limit 5 --database shop --kind index-build";
        assert_eq!(parsed::<ListTasks>(text), ListTasks { query });
        let error = parse("task list --state late").unwrap_err();
        assert!(error.contains("not one of waiting, running"), "{error}");
        assert_eq!(STATES, TaskState::ALL.map(TaskState::name));
    }

    #[test]
    fn tasks_are_rows_and_those_left_out_are_counted() {
        let reply =
            TasksReply { tasks: vec![example("running")], total: 3, missing_groups: Vec::new() };
        let text = rendered(&report(&reply, Format::plain(Mode::Line)));
        assert!(text.contains("about    = shop.people city_1\n"), "{text}");
        assert!(text.ends_with("1 of 3 tasks; see more with: --limit\n"), "{text}");
    }
}
