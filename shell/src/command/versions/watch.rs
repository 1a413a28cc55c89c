//! `watch`: prints changes as they happen.

use super::operation;
use crate::command::Argument::{Optional, Valued};
use crate::command::arguments::A_FILTER;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::failure::Failure;
use crate::print::{Mode, Output, printable, say};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ChangeContent, ChangeEvent};
use jettra_driver::{ChangeFeed, WatchOptions};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["watch"],
    arguments: &[
        Optional(Kind::Collection),
        Optional(Kind::Other("filter")),
        Valued("--content", "document|delta|both", Kind::Word(&CONTENTS)),
        Valued("--after", "token", Kind::Other("token")),
        Valued("--count", "N", Kind::Other("N")),
    ],
    help: "Print changes of a collection, or of the database, as they happen",
    examples: &[
        "watch users",
        r#"watch users {"city": "Lima"} --content delta --count 5"#,
        "watch",
    ],
    driver: &["watch", "watch_database"],
    handles_interrupt: true,
    parse: read,
    ..Command::READ
};

const CONTENTS: [&str; 3] = ["document", "delta", "both"];

#[derive(Debug, PartialEq)]
struct Watch {
    /// The whole database in use when it is left out.
    collection: Option<String>,
    options: WatchOptions,
    /// The number of changes; without end when it is left out.
    count: Option<u64>,
}

/// `[collection] [filter]` with flags on either side of the filter.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let named = !words.rest().is_empty() && !words.rest().starts_with(['-', '{']);
    let collection = if named { words.optional()? } else { None };
    let mut watch = Watch { collection, options: WatchOptions::new(), count: None };
    watch.flags(words)?;
    if words.at_object() {
        watch.options = watch.options.filter(words.object(A_FILTER)?);
        watch.flags(words)?;
    }
    action(watch)
}

impl Watch {
    fn flags(&mut self, words: &mut Words<'_>) -> ParseResult<()> {
        words.flags(|name, words| {
            let options = std::mem::take(&mut self.options);
            self.options = match name {
                "--content" => {
                    options.content(content(&words.required("document, delta or both")?)?)
                }
                "--after" => options.after(words.required("the token after --after")?),
                "--count" => {
                    self.count = Some(words.number(name)?);
                    options
                }
                _ => return Ok(false),
            };
            Ok(true)
        })
    }
}

fn content(name: &str) -> ParseResult<ChangeContent> {
    match name {
        "document" => Ok(ChangeContent::Document),
        "delta" => Ok(ChangeContent::Delta),
        "both" => Ok(ChangeContent::Both),
        other => Err(format!("{other:?} is not one of {}", CONTENTS.join(", "))),
    }
}

impl Action for Watch {
    /// Prints changes until that many were seen, the feed ends, or a person presses Ctrl-C.
    async fn run(self, session: &mut Session) -> StatementResult {
        let Watch { collection, options, count } = self;
        let mut feed = match collection {
            Some(name) => session.collection_outside(&name).await?.watch(options).await?,
            None => session.client.watch_database(session.need_database()?, options).await?,
        };
        let mode = session.settings.mode;
        if !session.settings.interactive {
            print_changes(&mut feed, count, mode).await?;
            return Ok(Output::Nothing);
        }
        eprintln!("Ctrl-C ends it.");
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {}
            printed = print_changes(&mut feed, count, mode) => printed?,
        }
        eprintln!("To go on from here, add: --after {}", feed.token());
        Ok(Output::Nothing)
    }
}

async fn print_changes(
    feed: &mut ChangeFeed,
    count: Option<u64>,
    mode: Mode,
) -> Result<(), Failure> {
    let mut left = count;
    while left != Some(0) {
        let Some(change) = feed.next().await else {
            break;
        };
        say(&line(&change?, mode));
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// One event in one line: for programs in JSON, for people its parts.
fn line(event: &ChangeEvent, mode: Mode) -> String {
    if mode.is_json() {
        return format!("{}\n", json!(event));
    }
    let mut parts =
        vec![event.time.clone(), operation(event.operation).to_owned(), event.collection.clone()];
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
    use crate::command::{parse, parsed};

    #[test]
    fn collection_filter_and_flags_may_be_left_out() {
        let filter = || WatchOptions::new().filter(json!({"a": 1}));
        let table = [
            ("watch", None, WatchOptions::new(), None),
            ("watch u", Some("u"), WatchOptions::new(), None),
            ("watch --count 2", None, WatchOptions::new(), Some(2)),
            (
                r#"watch u {"a": 1} --content delta --after x.1 --count 5"#,
                Some("u"),
                filter().content(ChangeContent::Delta).after("x.1"),
                Some(5),
            ),
            (r#"watch --count 1 {"a": 1}"#, None, filter(), Some(1)),
        ];
        for (text, collection, options, count) in table {
            let collection = collection.map(str::to_owned);
            assert_eq!(parsed::<Watch>(text), Watch { collection, options, count }, "{text}");
        }
        let error = parse("watch u --content all").unwrap_err();
        assert!(error.contains("not one of document, delta, both"), "{error}");
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
            assert_eq!(line(&event(more), Mode::Table), expected);
        }
        let event = event(json!({"document": {"a": 1}}));
        for mode in [Mode::Json, Mode::Ndjson] {
            let line = line(&event, mode);
            assert_eq!(line.lines().count(), 1);
            assert_eq!(serde_json::from_str::<ChangeEvent>(&line).unwrap(), event);
        }
    }
}
