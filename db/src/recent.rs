//! The last warnings and errors that this process has logged, for those who ask a node what is wrong.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// How many are kept.
const KEPT_MAX: usize = 50;
/// Longest text of one, in characters.
const TEXT_MAX: usize = 500;

static KEPT: Mutex<VecDeque<LoggedProblem>> = Mutex::new(VecDeque::new());

/// A warning or error that a node has logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedProblem {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whether it was an error; else a warning.
    pub error: bool,
    /// What the log says.
    pub text: String,
}

/// The last warnings and errors of this process, the oldest first.
pub fn problems() -> Vec<LoggedProblem> {
    KEPT.lock().iter().cloned().collect()
}

/// Keeps the last warnings and errors that pass the filter of the log.
#[derive(Debug)]
pub struct KeepProblems;

impl<S: Subscriber> Layer<S> for KeepProblems {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        if level > Level::WARN {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut kept = KEPT.lock();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(LoggedProblem { at_ms, error: level == Level::ERROR, text: line.text() });
    }
}

/// The message of an event, and its fields.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn text(self) -> String {
        (self.message + &self.fields).chars().take(TEXT_MAX).collect()
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn warnings_and_errors_are_kept_and_the_oldest_go() {
        let subscriber = tracing_subscriber::registry().with(KeepProblems);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..KEPT_MAX {
                tracing::warn!(number, "the disk is slow");
            }
            tracing::info!("all is well");
            tracing::error!(error = %"no space", "é{}", "é".repeat(TEXT_MAX));
            tracing::error!(error = %"no space", "the log cannot be written");
        });
        let kept = problems();
        assert_eq!(kept.len(), KEPT_MAX);
        assert_eq!((kept[0].text.as_str(), kept[0].error), ("the disk is slow number=2", false));
        let [.., long, last] = kept.as_slice() else { unreachable!() };
        assert_eq!((long.text.chars().count(), long.error), (TEXT_MAX, true));
        assert_eq!(last.text, "the log cannot be written error=no space");
        assert!(last.at_ms > 1_600_000_000_000);
    }
}
