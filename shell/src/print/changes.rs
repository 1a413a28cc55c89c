//! Transactions, batches, versions and the events of a change feed, for people.

use super::{Format, Mode, Output, cell, printable, rows};
use jettra_driver::wire::{
    BatchBody, BatchOperation, BatchReply, BatchResult, ChangeEvent, ChangeKind, DiffReply,
    TransactionInfo, VersionInfo, VersionsReply,
};
use serde_json::{Value, json};

const DAY_SECONDS: u64 = 86_400;

/// The open transactions as a table.
pub(crate) fn transactions(list: &[TransactionInfo], format: Format) -> Output {
    let row = |one: &TransactionInfo| {
        json!({
            "id": one.id, "user": one.user, "index": one.index,
            "age": format!("{} s", one.age_ms / 1000), "idle": format!("{} s", one.idle_ms / 1000),
            "reads": one.reads, "writes": one.writes, "bytes": one.bytes,
        })
    };
    let text = match list {
        [] => "No transaction is open.\n".to_owned(),
        list => rows(&list.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(list) }
}

/// Which part of a batch was carried out, and what each operation did.
pub(crate) fn batch(batch: &BatchBody, reply: &BatchReply, format: Format) -> Output {
    let (part, operations) = match reply.succeeded {
        true => ("then", &batch.then),
        false => ("else", &batch.otherwise),
    };
    let mut text = match (reply.succeeded, batch.conditions.is_empty()) {
        (true, true) => String::new(),
        (true, false) => "The conditions hold.\n".to_owned(),
        (false, _) => "A condition does not hold.\n".to_owned(),
    };
    let results = operations.iter().zip(&reply.results).enumerate();
    let results: Vec<Value> = results
        .map(|(at, (operation, result))| batch_row(&format!("{part}[{at}]"), operation, result))
        .collect();
    match results.is_empty() {
        true => text += "Nothing was to be done.\n",
        false => text += &rows(&results, format),
    }
    Output::Report { text, answer: json!(reply) }
}

fn batch_row(place: &str, operation: &BatchOperation, result: &BatchResult) -> Value {
    let (what, did) = match operation {
        BatchOperation::Insert { .. } => ("insert", "inserted".to_owned()),
        BatchOperation::Save { .. } => ("save", "saved".to_owned()),
        BatchOperation::Update { .. } => {
            ("update", format!("{} matched, {} changed", result.matched, result.modified))
        }
        BatchOperation::Delete { .. } => ("delete", format!("{} deleted", result.deleted)),
        BatchOperation::Get { .. } => {
            ("get", result.document.as_ref().map_or("no document".to_owned(), Value::to_string))
        }
    };
    let mut row = json!({"operation": format!("{place} {what}"), "result": did});
    if let Some(id) = &result.inserted_id {
        row["_id"] = json!(id);
    }
    if let Some(revision) = result.revision {
        row["revision"] = revision.into();
    }
    row
}

/// The versions of a document as a table.
pub(crate) fn history(versions: &[VersionInfo], format: Format) -> Output {
    let row = |one: &VersionInfo| {
        json!({
            "version": one.version, "operation": one.operation.map_or("", name),
            "time": one.time.as_deref().unwrap_or_default(),
            "user": one.user.as_deref().unwrap_or_default(),
            "bytes": one.bytes, "now": if one.current { "yes" } else { "" },
        })
    };
    let text = match versions {
        [] => "There are no versions.\n".to_owned(),
        versions => rows(&versions.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(versions) }
}

fn name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
        ChangeKind::Drop => "drop",
        ChangeKind::Rename => "rename",
    }
}

/// What leads from one version to another: a line for each field.
pub(crate) fn diff(reply: &DiffReply) -> Output {
    let (from, to) = (printable(&reply.from), printable(&reply.to));
    let updated = reply.delta.updated.iter();
    let updated = updated.map(|(path, value)| format!("~ {} = {}\n", printable(path), cell(value)));
    let removed = reply.delta.removed.iter().map(|path| format!("- {}\n", printable(path)));
    let lines: String = updated.chain(removed).collect();
    let text = match lines.as_str() {
        "" => format!("Nothing differs between {from} and {to}.\n"),
        lines => format!("From {from} to {to}:\n{lines}"),
    };
    Output::Report { text, answer: json!(reply) }
}

/// Whether a collection keeps versions, and how much there is.
pub(crate) fn versions(collection: &str, reply: &VersionsReply) -> Output {
    Output::Report { text: versions_text(collection, reply), answer: json!(reply) }
}

/// As [`versions`], only the text.
pub(crate) fn versions_text(collection: &str, reply: &VersionsReply) -> String {
    let collection = printable(collection);
    if !reply.enabled {
        let next = format!("turn them on with: versions on {collection}");
        return format!("{collection} keeps no versions; {next}");
    }
    let many = match reply.keep {
        Some(keep) => format!("the last {keep} changes of each document"),
        None => "all changes".to_owned(),
    };
    let long = match reply.keep_seconds {
        None => String::new(),
        Some(seconds) if seconds % DAY_SECONDS == 0 => {
            format!(" for {} days", seconds / DAY_SECONDS)
        }
        Some(seconds) => format!(" for {seconds} s"),
    };
    let back = match reply.oldest_index {
        Some(index) => format!(", and the collection can be read back to log index {index}"),
        None => String::new(),
    };
    let (changes, bytes) = (reply.changes, reply.bytes);
    format!("{collection} keeps {many}{long}. There are {changes} ({bytes} bytes){back}.")
}

/// One event in one line: for programs in JSON, for people its parts.
pub(crate) fn event_line(event: &ChangeEvent, mode: Mode) -> String {
    if mode.is_json() {
        return format!("{}\n", json!(event));
    }
    let mut parts =
        vec![event.time.clone(), name(event.operation).to_owned(), event.collection.clone()];
    parts.extend(event.id.as_ref().map(ToString::to_string));
    parts.extend(event.renamed_to.as_ref().map(|name| format!("to {name}")));
    parts.extend(event.user.as_ref().map(|user| format!("by {user}")));
    if event.matches == Some(false) {
        parts.push("(matches no more)".to_owned());
    }
    parts.extend(event.delta.as_ref().map(|delta| json!(delta).to_string()));
    parts.extend(event.document.as_ref().map(Value::to_string));
    format!("{}\n", printable(&parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::render;

    fn format(mode: Mode) -> Format {
        Format { mode, width: None, quiet: false }
    }

    fn shown(output: &Output) -> String {
        render(output, format(Mode::Line))
    }

    fn event(more: Value) -> ChangeEvent {
        let mut event = json!({
            "token": "t", "index": 5, "operation": "update", "database": "d", "collection": "c",
            "id": 7, "time": "12:00", "user": "ada",
        });
        for (key, value) in more.as_object().unwrap() {
            event[key] = value.clone();
        }
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn an_event_is_one_line() {
        let table = [
            (json!({"document": {"a": "x\ny"}}), "12:00 update c 7 by ada {\"a\":\"x\\ny\"}\n"),
            (
                json!({"delta": {"updated": {"a": 1}, "removed": ["b"]}, "matches": false}),
                "12:00 update c 7 by ada (matches no more) \
                 {\"updated\":{\"a\":1},\"removed\":[\"b\"]}\n",
            ),
            (
                json!({"operation": "rename", "id": null, "user": null, "renamed_to": "e\u{1b}"}),
                "12:00 rename c to e\\u{1b}\n",
            ),
        ];
        for (more, expected) in table {
            assert_eq!(event_line(&event(more), Mode::Table), expected);
        }
        let event = event(json!({"document": {"a": 1}}));
        for mode in [Mode::Json, Mode::Ndjson] {
            let line = event_line(&event, mode);
            assert_eq!(line.lines().count(), 1);
            assert_eq!(serde_json::from_str::<ChangeEvent>(&line).unwrap(), event);
        }
    }

    #[test]
    fn settings_of_versions_are_sentences() {
        let on = VersionsReply { enabled: true, changes: 3, bytes: 90, ..Default::default() };
        let table = [
            (VersionsReply::default(), "c keeps no versions; turn them on with: versions on c"),
            (on.clone(), "c keeps all changes. There are 3 (90 bytes)."),
            (
                VersionsReply {
                    keep: Some(10),
                    keep_seconds: Some(30 * DAY_SECONDS),
                    oldest_index: Some(8),
                    ..on.clone()
                },
                "c keeps the last 10 changes of each document for 30 days. There are 3 (90 bytes), \
                 and the collection can be read back to log index 8.",
            ),
            (
                VersionsReply { keep_seconds: Some(90), ..on },
                "c keeps all changes for 90 s. There are 3 (90 bytes).",
            ),
        ];
        for (reply, expected) in table {
            assert_eq!(versions_text("c", &reply), expected);
        }
    }

    #[test]
    fn a_history_is_a_table_for_people_and_whole_for_programs() {
        let versions: Vec<VersionInfo> = serde_json::from_value(json!([
            {"version": "9.1", "operation": "delete", "time": "12:00", "user": "ada"},
            {"version": "8", "bytes": 20, "revision": 8},
        ]))
        .unwrap();
        let text = shown(&history(&versions, format(Mode::Line)));
        assert!(text.starts_with("version   = 9.1\noperation = delete\n"), "{text}");
        let lines = render(&history(&versions, format(Mode::Ndjson)), format(Mode::Ndjson));
        let read: Vec<VersionInfo> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, versions);
    }

    #[test]
    fn a_difference_names_the_fields() {
        let delta = json!({"updated": {"a.b": "x"}, "removed": ["c"]});
        let reply = |delta: Value| {
            serde_json::from_value(json!({"from": "8", "to": "9", "delta": delta})).unwrap()
        };
        assert_eq!(shown(&diff(&reply(delta))), "From 8 to 9:\n~ a.b = x\n- c\n");
        assert_eq!(shown(&diff(&reply(json!({})))), "Nothing differs between 8 and 9.\n");
    }

    #[test]
    fn a_batch_tells_what_each_operation_did() {
        let body = BatchBody::default()
            .when(jettra_driver::wire::Condition::exists("d", "c", 7))
            .then(BatchOperation::delete("d", "c", json!({}), true))
            .otherwise(BatchOperation::get("d", "c", 7))
            .otherwise(BatchOperation::insert("d", "c", json!({})));
        let done = BatchReply {
            succeeded: true,
            results: vec![BatchResult { deleted: 2, ..BatchResult::default() }],
        };
        let text = shown(&batch(&body, &done, format(Mode::Line)));
        let expected = "The conditions hold.\noperation = then[0] delete\nresult    = 2 deleted\n";
        assert_eq!(text, expected);
        let not = BatchReply {
            succeeded: false,
            results: vec![
                BatchResult::default(),
                BatchResult { inserted_id: Some(7.into()), ..BatchResult::default() },
            ],
        };
        let text = shown(&batch(&body, &not, format(Mode::Line)));
        assert!(
            text.starts_with("A condition does not hold.\noperation = else[0] get\n"),
            "{text}"
        );
        assert!(text.contains("no document") && text.ends_with("_id       = 7\n"), "{text}");
    }

    #[test]
    fn open_transactions_are_rows() {
        assert_eq!(shown(&transactions(&[], format(Mode::Line))), "No transaction is open.\n");
        let one = TransactionInfo {
            id: "t1".into(),
            user: "ada".into(),
            index: 5,
            age_ms: 61_500,
            idle_ms: 900,
            reads: 3,
            writes: 2,
            bytes: 40,
        };
        let text = shown(&transactions(&[one], format(Mode::Line)));
        assert!(text.contains("age    = 61 s\nidle   = 0 s\n"), "{text}");
    }
}
