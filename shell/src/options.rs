//! The command line.

use crate::ask;
use crate::bench::BenchOptions;
use crate::command::is_operation;
use crate::dev::DevOptions;
use crate::failure::Failure;
use crate::print::Mode;
use crate::session::{Connection, Credentials, Settings};
use clap::{Parser, Subcommand};
use jettra_driver::ReadLevel;
use jettra_driver::wire::{BadLevel, parse_time};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port of a node when --host names only its host.
const DEFAULT_PORT: u16 = 8080;
const PASSWORD_VARIABLE: &str = "JETTRA_PASSWORD";
const API_KEY_VARIABLE: &str = "JETTRA_API_KEY";

/// The shell of Jettra, a replicated database of JSON documents.
///
/// A statement may follow the options: jettra show dbs. Without one, and without -e and -f, it
/// reads statements from the terminal or from the standard input.
/// It ends with 0, or with 1 when a statement failed, 2 when the command line is wrong,
/// 3 when no node answered, 4 when the login failed, 5 when the cluster has no leader.
#[derive(Debug, Parser)]
#[command(
    name = "jettra",
    version,
    after_help = "The password is read from --password-file or \
    from the variable JETTRA_PASSWORD, an API key from --api-key-file or from JETTRA_API_KEY; of \
    the variables the API key counts. jettra help lists the statements; options stand before \
    them: jettra --db shop find people. Those of status, diagnostics, metrics, nodes, shards and the other \
    operations may stand after them too: jettra status --format json.",
    disable_help_subcommand = true
)]
pub(crate) struct Options {
    /// A node of the cluster; several may be given
    #[arg(
        long,
        env = "JETTRA_URL",
        value_delimiter = ',',
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub(crate) url: Vec<String>,
    /// The host of a node, instead of --url
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The port of a node, with --host or for this machine [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
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
    /// An API key instead of user and password; others on this machine may see it here, so that a
    /// file or the variable JETTRA_API_KEY is better
    #[arg(
        long,
        value_name = "KEY",
        conflicts_with_all = ["api_key_file", "password_file"],
        global = true
    )]
    pub(crate) api_key: Option<String>,
    /// A file with an API key
    #[arg(long, value_name = "FILE", conflicts_with = "password_file", global = true)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// The database in use at the start
    #[arg(long, env = "JETTRA_DB", value_name = "DATABASE", global = true)]
    pub(crate) db: Option<String>,
    /// Run this statement and end; may be repeated
    #[arg(short, long, value_name = "STATEMENT")]
    pub(crate) execute: Vec<String>,
    /// Run the statements of this file and end; may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<String>,
    /// End with the first error
    #[arg(long)]
    pub(crate) stop_on_error: bool,
    /// Print no greeting, and no message that only confirms a change
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Do not ask before dangerous changes
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Form of the output; a table on a terminal and of status, nodes, shards and the other
    /// operations, else json
    #[arg(short, long, visible_alias = "format", value_name = "MODE")]
    pub(crate) mode: Option<Mode>,
    /// How fresh reads are: linearizable, leader, session, bounded=2s, local or auto
    #[arg(long, value_parser = level_option, default_value = "linearizable", global = true)]
    pub(crate) level: ReadLevel,
    /// Show documents in canonical Extended JSON, in which every number says its type
    #[arg(long, global = true)]
    pub(crate) canonical: bool,
    /// Longest time of one call, for example 500ms, 15s or 2m
    #[arg(long, value_parser = duration, default_value = "15s", global = true)]
    pub(crate) timeout: Duration,
    /// Another task than the shell
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
}

/// The tasks of the program besides the shell.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Run a cluster on this machine, for development
    Dev(DevOptions),
    /// Measure a cluster
    Bench(BenchOptions),
    /// A statement of the shell, word by word
    #[command(external_subcommand)]
    Statement(Vec<String>),
}

impl Options {
    /// How to reach the cluster.
    ///
    /// # Errors
    /// When the file with the password, the API key or the authority cannot be read.
    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
        };
        let authority = self.ca_file.as_ref().map(read).transpose()?;
        Ok(Connection {
            seeds: self.addresses(),
            stay: false,
            credentials: self.credentials(|name| std::env::var(name).ok())?,
            deadline: self.timeout,
            patient: false,
            authority,
            canonical: self.canonical,
        })
    }

    /// The addresses of the nodes: those of --url, or the one that --host and --port name.
    fn addresses(&self) -> Vec<String> {
        if self.host.is_none() && self.port.is_none() {
            return self.url.clone();
        }
        let host = self.host.as_deref().unwrap_or("127.0.0.1");
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        let scheme = if self.ca_file.is_some() { "https" } else { "http" };
        vec![format!("{scheme}://{host}:{}", self.port.unwrap_or(DEFAULT_PORT))]
    }

    /// Whether it is one of the operators' commands: their output is a table in a pipe too, and in JSON their
    /// errors as well.
    fn is_operation(&self) -> bool {
        matches!(&self.task, Some(Task::Statement(words)) if is_operation(words))
    }

    /// The command line takes precedence over variables.
    fn credentials(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Credentials>, Failure> {
        let with = |password| Credentials::Password { user: self.user.clone(), password };
        match (&self.api_key, &self.api_key_file, &self.password_file) {
            (Some(key), _, _) => Ok(Some(Credentials::ApiKey(key.clone()))),
            (_, Some(path), _) => Ok(Some(Credentials::ApiKey(first_line(path, "API key")?))),
            (_, _, Some(path)) => Ok(Some(with(read_password(path)?))),
            _ => Ok(variable(API_KEY_VARIABLE)
                .map(Credentials::ApiKey)
                .or_else(|| variable(PASSWORD_VARIABLE).map(with))),
        }
    }

    /// The settings of the shell at its start.
    pub(crate) fn settings(&self, interactive: bool) -> Settings {
        let terminal = std::io::stdout().is_terminal();
        let tables = terminal || self.is_operation();
        let mode = self.mode.unwrap_or(if tables { Mode::Table } else { Mode::Json });
        Settings {
            mode,
            json_errors: mode.is_json() && self.is_operation(),
            timer: interactive && !self.quiet,
            quiet: self.quiet,
            yes: self.yes,
            interactive,
            width: terminal.then(ask::size).flatten().map(|(width, _)| width),
            height: None,
            level: self.level,
        }
    }
}

/// The first line of a password file.
///
/// # Errors
/// When the file cannot be read or is empty.
pub(crate) fn read_password(path: &Path) -> Result<String, Failure> {
    first_line(path, "password")
}

fn first_line(path: &Path, what: &str) -> Result<String, Failure> {
    let refused = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    match text.lines().next() {
        Some(secret) if !secret.is_empty() => Ok(secret.to_owned()),
        _ => Err(refused(format!("there is no {what} in the first line"))),
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
    fn a_statement_may_follow_the_options() {
        let table: [(&[&str], &[&str]); 3] = [
            (&["show", "dbs"], &["show", "dbs"]),
            (
                &["--db", "shop", "find", "people", "--limit", "3"],
                &["find", "people", "--limit", "3"],
            ),
            (&["help", "find"], &["help", "find"]),
        ];
        for (line, expected) in table {
            match Options::parse_from(["jettra"].iter().chain(line)).task {
                Some(Task::Statement(words)) => assert_eq!(words, expected, "{line:?}"),
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_node_may_be_named_by_host_and_port() {
        let table: [(&[&str], &str); 5] = [
            (&["--host", "localhost"], "http://localhost:8080"),
            (&["--host", "localhost", "--port", "8081"], "http://localhost:8081"),
            (&["--port", "8081"], "http://127.0.0.1:8081"),
            (&["--host", "::1"], "http://[::1]:8080"),
            (&["--host", "a", "--ca-file", "x"], "https://a:8080"),
        ];
        for (line, expected) in table {
            let options = Options::parse_from(["jettra"].iter().chain(line));
            assert_eq!(options.addresses(), [expected], "{line:?}");
        }
    }

    #[test]
    fn the_command_line_takes_precedence_over_variables() {
        let proof = |line: &[&str], variables: &'static [&str]| {
            let options = Options::parse_from(["jettra"].iter().chain(line));
            let variable = |name: &str| variables.contains(&name).then(|| name.to_lowercase());
            match options.credentials(variable).unwrap() {
                Some(Credentials::Password { user, password }) => format!("{user}:{password}"),
                Some(Credentials::ApiKey(key)) => key,
                None => String::new(),
            }
        };
        let both: &[&str] = &["JETTRA_API_KEY", "JETTRA_PASSWORD"];
        let file = std::env::temp_dir().join(format!("jettra-options-{}", std::process::id()));
        std::fs::write(&file, "from-file\nmore").unwrap();
        let path = file.to_str().unwrap();
        assert_eq!(proof(&[], &[]), "");
        assert_eq!(proof(&["--user", "ada"], &["JETTRA_PASSWORD"]), "ada:jettra_password");
        assert_eq!(proof(&[], both), "jettra_api_key");
        assert_eq!(proof(&["--api-key", "k"], both), "k");
        assert_eq!(proof(&["--api-key-file", path], both), "from-file");
        assert_eq!(proof(&["--password-file", path], both), "admin:from-file");
        std::fs::remove_file(&file).unwrap();
        let line = ["jettra", "--api-key", "k", "--password-file", path];
        assert!(Options::try_parse_from(line).is_err());
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
