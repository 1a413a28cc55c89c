//! `jettra`: the interactive shell and the operators' command line of Jettra.
//!
//! It talks to nodes through the driver only. `main` reads the command line, [`command`] holds the
//! commands, [`session`] what they share, [`shell`] runs statements, [`repl`] is the interactive
//! part, [`dev`] starts a cluster on this machine, [`mod@bench`] measures one, [`check`] and [`doctor`] examine
//! one.

mod ask;
mod bench;
mod check;
mod command;
mod complete;
mod dev;
mod doctor;
mod failure;
mod hints;
mod line;
mod lookup;
mod notation;
mod options;
mod pager;
mod print;
mod repl;
mod script;
mod session;
mod shell;
mod text;
mod words;

use failure::{Failure, exit};
use options::{Options, Task};
use session::{Connection, Session};
use shell::{Flow, Shell};
use std::io::IsTerminal;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

/// Threads of the runtime: enough for the driver, few enough to leave the machine to the
/// nodes that a benchmark measures.
const WORKER_THREADS: usize = 2;

fn main() -> ExitCode {
    let options = line::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let ended = runtime().and_then(|runtime| start(options, runtime));
    ExitCode::from(ended.unwrap_or_else(|failure| {
        shell::complain(&failure, "");
        failure.exit_code()
    }))
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::Refused(format!("cannot start the runtime: {error}")))
}

fn start(options: Options, runtime: Runtime) -> Result<u8, Failure> {
    match &options.task {
        Some(Task::Dev(dev)) => dev::run(dev, &runtime),
        Some(Task::Bench(settings)) => {
            let connection = Connection { patient: true, ..options.connection()? };
            runtime.block_on(bench::run(settings, &connection, options.level))
        }
        Some(Task::Statement(words)) => {
            let statement = command::statement_of(words);
            start_shell(&options, Some(statement), runtime)
        }
        None => start_shell(&options, None, runtime),
    }
}

fn start_shell(
    options: &Options,
    statement: Option<String>,
    runtime: Runtime,
) -> Result<u8, Failure> {
    let scripted = statement.is_some() || !options.execute.is_empty() || !options.file.is_empty();
    let at_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let interactive = !scripted && at_terminal;
    let settings = options.settings(interactive);
    let session = Session::new(options.connection()?, options.db.clone(), settings)?;
    let mut shell = Shell::new(session, runtime, options.stop_on_error);
    if interactive {
        let refused = |error| Failure::Refused(format!("the terminal failed: {error}"));
        return repl::run(shell).map_err(refused);
    }
    let code = match scripted {
        true => run_scripts(&mut shell, options, statement.as_deref()),
        false => code(script::run(&mut shell, std::io::stdin().lock(), "stdin")),
    };
    shell.close();
    Ok(code)
}

/// Runs the statements of `-e`, then the files of `-f`, then the statement of the command line.
fn run_scripts(shell: &mut Shell, options: &Options, statement: Option<&str>) -> u8 {
    let mut worst = exit::OK;
    let texts = options.execute.iter().map(|text| (text.as_str(), true));
    let files = options.file.iter().map(|path| (path.as_str(), false));
    let statement = statement.map(|text| (text, true));
    for (source, is_text) in texts.chain(files).chain(statement) {
        let flow = match is_text {
            true => script::run(shell, source.as_bytes(), ""),
            false => script::run_file(shell, source),
        };
        if worst == exit::OK {
            worst = code(flow);
        }
        if flow == Flow::Leave || script::ends_with(shell, code(flow)) {
            break;
        }
    }
    worst
}

fn code(flow: Flow) -> u8 {
    match flow {
        Flow::Next(code) => code,
        Flow::Leave => exit::OK,
    }
}
