//! `wait`: waits until the cluster is healthy, a node is ready, or a task has ended.

use super::{report, status};
use crate::command::Argument::{Flag, Optional, Valued};
use crate::command::tasks::wait_for_task;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::failure::{Failure, exit};
use crate::options;
use crate::print::{Format, Output};
use crate::session::{Connection, Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ClusterHealth, ClusterOverview, ReadyReply};
use jettra_driver::{Client, Error};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long to wait unless said otherwise.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest time of one question, so that a node that hangs is asked again.
const CALL_MAX: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(250);

pub(super) static COMMAND: Command = Command {
    names: &["wait"],
    arguments: &[
        Optional(Kind::Task),
        Flag("--ready"),
        Flag("--healthy"),
        Valued("--for", "time", Kind::Other("time")),
    ],
    help: "Wait until the cluster is healthy, the node ready, or a task ended",
    examples: &["wait", "wait --ready --for 2m", "wait index-build-17"],
    driver: &["cluster_overview", "ready", "wait_for_task"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
enum Wait {
    /// The cluster is `HEALTHY`.
    Healthy(Duration),
    /// The node that is called is ready.
    Ready(Duration),
    /// A task has ended.
    Task(String),
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let task = match words.rest().starts_with("--") {
        true => None,
        false => words.optional()?,
    };
    let (mut ready, mut healthy, mut longest) = (false, false, None);
    words.flags(|flag, words| {
        match flag.split_once('=').unwrap_or((flag, "")) {
            ("--ready", "") => ready = true,
            ("--healthy", "") => healthy = true,
            ("--for", given) => {
                let text = match given {
                    "" => words.required("the time after --for")?,
                    given => given.to_owned(),
                };
                let time = options::duration(&text);
                longest = Some(time.map_err(|hint| format!("{text:?} after --for: {hint}"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let time = longest.unwrap_or(LONGEST);
    match task {
        Some(_) if ready || healthy || longest.is_some() => {
            Err("--ready, --healthy and --for are about the cluster, not about a task".into())
        }
        Some(id) => action(Wait::Task(id)),
        None if ready && healthy => {
            Err("only one of --ready and --healthy can be waited for".into())
        }
        None => action(if ready { Wait::Ready(time) } else { Wait::Healthy(time) }),
    }
}

impl Action for Wait {
    async fn run(self, session: &mut Session) -> StatementResult {
        let format = session.format();
        let connection = &session.connection;
        let deadline = connection.deadline.min(CALL_MAX);
        match self {
            Wait::Task(id) => wait_for_task::wait(session, &id).await,
            Wait::Healthy(time) => {
                let client = Connection { deadline, ..connection.clone() }.client()?;
                until(time, async || healthy(&client, format).await).await
            }
            Wait::Ready(time) => {
                // A probe asks about the node at this address, not about another one.
                let client = Connection { deadline, stay: true, ..connection.clone() }.client()?;
                until(time, async || ready(&client, format).await).await
            }
        }
    }
}

/// What a question has shown: what was waited for, or how it is instead.
type Look = Result<Result<Output, String>, Error>;

async fn healthy(client: &Client, format: Format) -> Look {
    let seen = client.cluster_overview().await?;
    Ok(match seen.status {
        ClusterHealth::Healthy => Ok(status::output(&seen, format)),
        _ => Err(unhealthy(&seen)),
    })
}

fn unhealthy(seen: &ClusterOverview) -> String {
    match seen.reasons.as_slice() {
        [] => format!("the cluster is {}", seen.status),
        reasons => format!("the cluster is {}: {}", seen.status, reasons.join("; ")),
    }
}

async fn ready(client: &Client, format: Format) -> Look {
    let seen = client.ready().await?;
    Ok(match seen.ready {
        true => Ok(report(&seen, format, || "The node is ready.\n".into(), || "ready\n".into())),
        false => Err(unready(&seen)),
    })
}

fn unready(seen: &ReadyReply) -> String {
    let missing = seen.checks.iter().filter(|check| check.needed && !check.ok);
    let missing = missing.map(|check| match &check.reason {
        Some(reason) => format!("{}: {reason}", check.name),
        None => check.name.clone(),
    });
    format!("the node is not ready: {}", missing.collect::<Vec<_>>().join("; "))
}

/// Looks until it is as wished, for `time` at most.
async fn until(time: Duration, look: impl AsyncFn() -> Look) -> StatementResult {
    let end = Instant::now() + time;
    let mut last = "no answer".to_owned();
    loop {
        match timeout_at(end, look()).await {
            Ok(Ok(Ok(output))) => return Ok(output),
            Ok(Ok(Err(state))) => last = state,
            Ok(Err(error)) => {
                let failure = Failure::from(error);
                if is_final(&failure) {
                    return Err(failure);
                }
                last = failure.to_string();
            }
            Err(_) => {}
        }
        if Instant::now() + POLL >= end {
            return Err(Failure::Refused(format!("after {} s {last}", time.as_secs_f64())));
        }
        sleep(POLL).await;
    }
}

/// Whether waiting does not help: the credentials are wrong, or have no right to look.
fn is_final(failure: &Failure) -> bool {
    let forbidden = matches!(failure, Failure::Driver(error) if error.status() == Some(403));
    forbidden || failure.exit_code() == exit::AUTHENTICATION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use serde_json::json;

    #[test]
    fn the_words_say_what_is_waited_for() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("wait", Wait::Healthy(LONGEST)),
            ("wait --healthy --for 2m", Wait::Healthy(seconds(120))),
            ("wait --for=5s --ready", Wait::Ready(seconds(5))),
            ("wait index-build-17", Wait::Task("index-build-17".into())),
        ] {
            assert_eq!(parsed::<Wait>(text), expected, "{text}");
        }
        for (text, expected) in [
            ("wait --ready --healthy", "only one of"),
            ("wait index-build-17 --for 5s", "not about a task"),
            ("wait --for soon", "\"soon\" after --for: write a number above zero"),
            ("wait --for", "the time after --for is missing"),
            ("wait --redy", "perhaps --ready is meant"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let seen = json!({"ready": false, "checks": [
            {"name": "serving", "ok": true, "needed": true},
            {"name": "quorum", "ok": false, "needed": true, "reason": "nobody answers"},
            {"name": "disk", "ok": false, "needed": false, "reason": "full"},
        ]});
        let seen = serde_json::from_value(seen).unwrap();
        assert_eq!(unready(&seen), "the node is not ready: quorum: nobody answers");
    }

    #[tokio::test]
    async fn waiting_ends_with_the_state_or_at_its_time() {
        let looks = std::cell::Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok(if looks.get() < 3 { Err("it is DEGRADED".to_owned()) } else { Ok(Output::Nothing) })
        };
        assert!(until(Duration::from_secs(5), look).await.is_ok());
        let never = async || Ok(Err("it is DEGRADED".to_owned()));
        let failure = until(Duration::from_millis(300), never).await.unwrap_err();
        assert_eq!(failure.to_string(), "after 0.3 s it is DEGRADED");
        assert_eq!(failure.exit_code(), exit::STATEMENT);
    }
}
