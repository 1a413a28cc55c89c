//! Takes statements as text, runs them and prints what comes out: the part that the
//! interactive shell and scripts share.

use crate::failure::{Failure, exit};
use crate::parse::parse;
use crate::print::{Output, render, say};
use crate::run::{Ran, Session};
use crate::script;
use crate::statement::{ShellAction, Statement};
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

/// How it goes on after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// With the next statement; the exit code of this one.
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
    /// `origin` stands before an error: the file and line of a script, or nothing.
    pub(crate) fn execute(&mut self, text: &str, origin: &str) -> Flow {
        let started = Instant::now();
        let ran = match parse(text) {
            Err(reason) => Err(Failure::Refused(reason)),
            Ok(Statement::Shell(ShellAction::Exit)) => return Flow::Leave,
            Ok(Statement::Shell(ShellAction::Read(path))) => return self.read(&path),
            Ok(statement) => self.run(statement),
        };
        match ran {
            Ok(output) => {
                say(&render(&output, self.session.format()));
                self.say_summary(&output, started.elapsed());
                Flow::Next(exit::OK)
            }
            Err(failure) => {
                complain(&failure, origin);
                Flow::Next(failure.exit_code())
            }
        }
    }

    /// Ends the session: what was not committed is given up, and the person is told so.
    pub(crate) fn close(&mut self) {
        if self.runtime.block_on(self.session.close()) {
            eprintln!("The transaction was still open; it was rolled back.");
        }
    }

    /// Runs until the end or, when a person is there, until Ctrl-C. A change feed has no other
    /// end, and sees to Ctrl-C itself.
    fn run(&mut self, statement: Statement) -> Ran {
        let session = &mut self.session;
        if !session.settings.interactive || matches!(statement, Statement::Watch(_)) {
            return self.runtime.block_on(session.run(statement));
        }
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => Err(Failure::Cancelled),
                ran = session.run(statement) => ran,
            }
        })
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
        let counted = match output {
            // These came without the cluster, or after questions to the person.
            Output::Nothing | Output::Text(_) | Output::Done(_) => return,
            Output::Rows(rows) if settings.interactive => Some(counted(rows.len())),
            _ => None,
        };
        let took_ms = took.as_secs_f64() * 1e3;
        let timed = settings.timer.then(|| format!("{took_ms:.1} ms"));
        let parts: Vec<String> = counted.into_iter().chain(timed).collect();
        if !parts.is_empty() {
            eprintln!("({})", parts.join(", "));
        }
    }
}

fn counted(rows: usize) -> String {
    match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    }
}

/// Prints an error where a script's output is not disturbed by it.
pub(crate) fn complain(failure: &Failure, origin: &str) {
    match origin {
        "" => eprintln!("Error: {failure}"),
        origin => eprintln!("Error in {origin}: {failure}"),
    }
}
