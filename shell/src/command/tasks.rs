//! Commands about tasks: work of the cluster that takes long or comes again.

mod cancel_task;
mod list_tasks;
mod show_task;
pub(super) mod wait_for_task;
mod watch_task;

use super::Group;
use crate::print::{printable, time};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::TaskInfo;
use serde_json::{Value, json};

pub(super) static GROUP: Group = Group {
    title: "Tasks",
    commands: &[
        &list_tasks::COMMAND,
        &show_task::COMMAND,
        &watch_task::COMMAND,
        &wait_for_task::COMMAND,
        &cancel_task::COMMAND,
    ],
};

/// Takes the id of a task.
fn task(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the task")
}

/// What a task is about: `shop.people city_1`, `group 3`.
fn subject(task: &TaskInfo) -> String {
    let collection = match (&task.database, &task.collection) {
        (Some(database), Some(collection)) => format!("{database}.{collection}"),
        _ if task.kind == "place-replicas" => format!("group {}", task.group),
        _ => String::new(),
    };
    let parts = [Some(collection), task.index.clone()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// How far a task is: `400 of 1000 (40 %)`.
fn progress(task: &TaskInfo) -> String {
    match task.total {
        Some(total) => {
            let percent = (u128::from(task.done) * 100).checked_div(total.into()).unwrap_or(100);
            format!("{} of {total} ({percent} %)", task.done)
        }
        None => task.done.to_string(),
    }
}

fn left(task: &TaskInfo) -> String {
    task.left_ms.map(|ms| format!("{} s", ms.div_ceil(1000))).unwrap_or_default()
}

/// A task as a row of a list.
fn row(task: &TaskInfo) -> Value {
    json!({
        "id": task.id, "state": task.state.name(), "about": subject(task),
        "progress": progress(task), "left": left(task),
        "due": task.due_ms.map(time).unwrap_or_default(),
        "ended": task.ended_ms.map(time).unwrap_or_default(),
        "reason": task.reason.as_deref().unwrap_or_default(),
    })
}

/// A task in one line: `index-build-17 running shop.people city_1: 400 of 1000 (40 %), 2 s left`.
fn line(task: &TaskInfo) -> String {
    let mut line = format!("{} {}", task.id, task.state.name());
    let about = subject(task);
    if !about.is_empty() {
        line += &format!(" {about}");
    }
    line += &format!(": {}", progress(task));
    let left = left(task);
    if !left.is_empty() {
        line += &format!(", {left} left");
    }
    if let Some(reason) = &task.reason {
        line += &format!("; {reason}");
    }
    printable(&line)
}

#[cfg(test)]
fn example(state: &str) -> TaskInfo {
    let task = json!({
        "id": "index-build-17", "kind": "index-build", "state": state, "database": "shop",
        "collection": "people", "index": "city_1", "done": 400, "total": 1000, "left_ms": 1500,
        "cancellable": true,
    });
    serde_json::from_value(task).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_how_far_and_why() {
        let mut task = example("running");
        let start = "index-build-17 running shop.people city_1: 400 of 1000 (40 %), 2 s left";
        assert_eq!(line(&task), start);
        task.reason = Some("full".into());
        assert_eq!(line(&task), format!("{start}; full"));
        (task.database, task.index, task.total, task.left_ms) = (None, None, Some(0), None);
        assert_eq!(line(&task), "index-build-17 running: 400 of 0 (100 %); full");
        (task.kind, task.group, task.total) = ("place-replicas".into(), 3, None);
        assert_eq!(line(&task), "index-build-17 running group 3: 400; full");
    }
}
