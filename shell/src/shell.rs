//! Takes statements as text, runs them and prints their results: the part that the interactive
//! shell and scripts share.

use crate::command::{Statement, parse};
use crate::failure::{Failure, exit};
use crate::pager;
use crate::print::{Output, render, say};
use crate::script;
use crate::session::{Probe, Session, StatementResult};
use crate::text::without_comments;
use std::io::IsTerminal;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Files that `.read` one another may be nested this deep.
const READ_DEPTH_MAX: usize = 8;

/// A session with the runtime it runs on.
pub(crate) struct Shell {
    /// Connection, database and settings.
    pub(crate) session: Session,
    /// Runs the calls of the driver.
    pub(crate) runtime: Runtime,
    /// End a script with its first error.
    pub(crate) stop_on_error: bool,
    read_depth: usize,
}

/// What follows a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next statement; the exit code of this one.
    Next(u8),
    /// The statement was `exit`.
    Leave,
}

impl Shell {
    /// Puts the parts together.
    pub(crate) fn new(session: Session, runtime: Runtime, stop_on_error: bool) -> Shell {
        Shell { session, runtime, stop_on_error, read_depth: 0 }
    }

    /// Runs one statement and prints its result, or its error on the error output.
    ///
    /// Errors begin with `origin`: the file and line of a script, or nothing.
    pub(crate) fn execute(&mut self, text: &str, origin: &str) -> Flow {
        let started = Instant::now();
        if without_comments(text).unwrap_or_default().is_empty() {
            return Flow::Next(exit::OK);
        }
        let result = parse(text).map_err(Failure::Refused);
        match result.and_then(|statement| self.run(statement)) {
            Ok(Output::Exit) => Flow::Leave,
            Ok(Output::Script(path)) => self.read(&path),
            Ok(output) => {
                let text = render(&output, self.session.format());
                let settings = &self.session.settings;
                pager::show(&text, settings.width, settings.height);
                self.say_summary(&output, started.elapsed());
                Flow::Next(match output {
                    Output::WithCode { code, .. } => code,
                    _ => exit::OK,
                })
            }
            Err(failure) => {
                if self.session.settings.json_errors {
                    say(&render(&Output::Record(failure.to_json()), self.session.format()));
                }
                complain(&failure, origin);
                self.say_reachability(&failure);
                self.say_meant(&failure);
                Flow::Next(failure.exit_code())
            }
        }
    }

    /// See [`Session::learn_members`].
    pub(crate) fn learn_members(&mut self) {
        if let Err(failure) = self.runtime.block_on(self.session.learn_members()) {
            complain(&failure, "");
        }
    }

    /// Ends the session: an open transaction is rolled back, with a message.
    pub(crate) fn close(&mut self) {
        if self.runtime.block_on(self.session.close()) {
            eprintln!("The transaction was still open; it was rolled back.");
        }
    }

    /// Runs until the end or, when a person is there, until Ctrl-C, unless the statement handles
    /// that itself.
    ///
    /// At a terminal a notice says after a second what the shell waits for.
    fn run(&mut self, statement: Statement) -> StatementResult {
        let session = &mut self.session;
        if statement.handles_interrupt() || !std::io::stderr().is_terminal() {
            return self.runtime.block_on(session.run(statement));
        }
        let (interactive, reads) = (session.settings.interactive, statement.only_reads());
        let (probe, shown) = (session.probe(), AtomicBool::new(false));
        let result = self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c(), if interactive => Err(Failure::Cancelled { reads }),
                result = session.run(statement) => result,
                () = probe.show(&shown) => Ok(Output::Nothing),
            }
        });
        if shown.into_inner() {
            Probe::clear();
        }
        result
    }

    /// After a call that no node answered, or without a leader: which nodes answer.
    fn say_reachability(&self, failure: &Failure) {
        if failure.is_silence() {
            let probe = self.session.probe();
            eprintln!("Known: {}.", self.runtime.block_on(probe.reachability()));
        }
    }

    /// After an unknown name: the existing one that was probably meant.
    fn say_meant(&self, failure: &Failure) {
        if let Some(name) = failure.unknown_name()
            && let Some(meant) = self.runtime.block_on(self.session.meant(failure, name))
        {
            eprintln!("Did you mean {meant}?");
        }
    }

    fn read(&mut self, path: &str) -> Flow {
        if self.read_depth == READ_DEPTH_MAX {
            let text = format!("{path} is not read: {READ_DEPTH_MAX} files read one another");
            complain(&Failure::Refused(text), "");
            return Flow::Next(exit::STATEMENT);
        }
        self.read_depth += 1;
        let flow = script::run_file(self, path);
        self.read_depth -= 1;
        flow
    }

    fn say_summary(&self, output: &Output, took: Duration) {
        let settings = &self.session.settings;
        let rows = match output {
            // These took no call, or questions to the person too.
            Output::Nothing | Output::Text(_) | Output::Done(_) | Output::Local(_) => return,
            Output::Rows(rows) | Output::Page(rows) => settings.interactive.then_some(rows.len()),
            _ => None,
        };
        let took_ms = took.as_secs_f64() * 1e3;
        let timed = settings.timer.then(|| format!("{took_ms:.1} ms"));
        let parts: Vec<String> = rows.map(counted).into_iter().chain(timed).collect();
        let more = matches!(output, Output::Page(_)).then_some("; type more, or more all");
        if !parts.is_empty() {
            eprintln!("({}{})", parts.join(", "), more.unwrap_or_default());
        }
    }
}

fn counted(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// Prints an error on the error output, so that it does not mix with the output of a script.
pub(crate) fn complain(failure: &Failure, origin: &str) {
    match origin {
        "" => eprintln!("Error: {failure}"),
        origin => eprintln!("Error in {origin}: {failure}"),
    }
}
