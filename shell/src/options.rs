//! The command line.

use crate::ask;
use crate::bench::BenchOptions;
use crate::dev::DevOptions;
use crate::failure::Failure;
use crate::print::Mode;
use crate::run::{Connection, Settings};
use clap::{Parser, Subcommand};
use jettra_driver::ReadLevel;
use jettra_driver::wire::{BadLevel, parse_time};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PASSWORD_VARIABLE: &str = "JETTRA_PASSWORD";

/// The shell of Jettra, a replicated database of JSON documents.
///
/// Without -e and -f it reads statements from the terminal or from the standard input.
/// It ends with 0, or with 1 when a statement failed, 2 when the command line is wrong,
/// 3 when no node answered, 4 when the login failed, 5 when the cluster has no leader.
#[derive(Debug, Parser)]
#[command(
    name = "jettra",
    version,
    after_help = "The password is read from --password-file or \
    from the variable JETTRA_PASSWORD. In the shell, type help for the statements."
)]
pub(crate) struct Options {
    /// A node to begin with; several may be given
    #[arg(
        long,
        env = "JETTRA_URL",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub(crate) url: Vec<String>,
    /// The user to log in as
    #[arg(long, default_value = "admin", global = true)]
    pub(crate) user: String,
    /// A file with the user's password
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) password_file: Option<PathBuf>,
    /// A file with the authority of the nodes' certificates (PEM), for https addresses
    /// [default: the system's authorities]
    #[arg(long, env = "JETTRA_CA_FILE", value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Run this statement and end; may be repeated
    #[arg(short, long, value_name = "STATEMENT")]
    pub(crate) execute: Vec<String>,
    /// Run the statements of this file and end; may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<String>,
    /// End with the first error
    #[arg(long)]
    pub(crate) stop_on_error: bool,
    /// Print no greeting, and nothing that only says a change was made
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Do not ask before dangerous changes
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Form of the output; a table on a terminal, else json
    #[arg(short, long, value_name = "MODE")]
    pub(crate) mode: Option<Mode>,
    /// How fresh reads are: linearizable, leader, session, bounded=2s, local or auto
    #[arg(long, value_parser = level_option, default_value = "linearizable", global = true)]
    pub(crate) level: ReadLevel,
    /// Longest time of one call, for example 500ms, 15s or 2m
    #[arg(long, value_parser = duration, default_value = "15s", global = true)]
    pub(crate) timeout: Duration,
    /// Another task than the shell
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
}

/// What the program can do besides being a shell.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run a cluster on this machine, for development
    Dev(DevOptions),
    /// Measure a cluster
    Bench(BenchOptions),
}

impl Options {
    /// How to reach the cluster.
    ///
    /// # Errors
    /// When the password file or that of the authority cannot be read.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let password = match &self.password_file {
            Some(path) => Some(read_password(path)?),
            None => std::env::var(PASSWORD_VARIABLE).ok(),
        };
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
        };
        let authority = self.ca_file.as_ref().map(read).transpose()?;
        Ok(Connection {
            seeds: self.url.clone(),
            stay: false,
            credentials: password.map(|password| (self.user.clone(), password)),
            deadline: self.timeout,
            authority,
        })
    }

    /// What the shell begins with.
    pub(crate) fn settings(&self, interactive: bool) -> Settings {
        let terminal = std::io::stdout().is_terminal();
        let mode = if terminal { Mode::Table } else { Mode::Json };
        Settings {
            mode: self.mode.unwrap_or(mode),
            timer: interactive && !self.quiet,
            quiet: self.quiet,
            yes: self.yes,
            interactive,
            width: terminal.then(ask::width).flatten(),
            level: self.level,
        }
    }
}

/// The first line of a password file.
///
/// # Errors
/// When the file cannot be read or is empty.
pub(crate) fn read_password(path: &Path) -> Result<String, Failure> {
    let refused = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => Err(refused("there is no password in the first line".into())),
    }
}

fn level_option(text: &str) -> Result<ReadLevel, String> {
    match text.split_once(['=', ' ']) {
        Some((name, value)) => level(name, Some(value)),
        None => level(text, None),
    }
}

/// A read level by its name; a session without a log index is that of the shell.
pub(crate) fn level(name: &str, value: Option<&str>) -> Result<ReadLevel, String> {
    let value = value.or((name == "session").then_some("0"));
    ReadLevel::parse(name, value).map_err(|bad| match bad {
        BadLevel::Name => format!("{name:?} is no read level; {bad}"),
        _ => bad.to_string(),
    })
}

/// Reads a time with its unit: `ms`, `s` or `m`; a number alone counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if seconds { parse_time(&format!("{text}s")) } else { parse_time(text) };
    parsed.ok_or_else(|| "write a number above zero with ms, s or m, for example 10s".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn seeds_and_statements_may_be_repeated() {
        let line = ["jettra", "--url", "http://a,http://b", "--url", "c", "-e", "x", "-e", "y"];
        let options = Options::parse_from(line);
        assert_eq!(options.url, ["http://a", "http://b", "c"]);
        assert_eq!(options.execute, ["x", "y"]);
    }

    #[test]
    fn levels_come_with_what_they_need() {
        let level = |text| Options::try_parse_from(["jettra", "--level", text]).map(|o| o.level);
        let two = ReadLevel::Bounded(Duration::from_secs(2));
        let table = [
            ("bounded=2s", two),
            ("bounded 2s", two),
            ("session", ReadLevel::Session(0)),
            ("session=17", ReadLevel::Session(17)),
            ("weak", ReadLevel::Leader),
        ];
        for (text, expected) in table {
            assert_eq!(level(text).unwrap(), expected, "{text}");
        }
        assert!(level("quick").unwrap_err().to_string().contains("\"quick\" is no read level"));
        assert!(level("bounded").unwrap_err().to_string().contains("needs a time"));
    }

    #[test]
    fn times_have_units() {
        let table = [("10s", 10_000), ("3", 3_000), ("250ms", 250), ("2m", 120_000)];
        for (text, ms) in table {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "0s", "1h", "-1s", "1.5s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
