//! Runs statements against the cluster.

mod access;
mod account;
mod catalog;
mod cluster;
mod documents;
mod known;
mod place;
mod results;
mod structure;
mod text;
mod transaction;
mod version;
mod watch;

use crate::ask;
use crate::failure::Failure;
use crate::lookup::{lookup, unknown};
use crate::parse::{Command, EXAMPLES, GROUPS};
use crate::print::{self, Format, Mode, Output};
use crate::statement::{CatalogAction, ShellAction, Statement, StructureAction, VersionAction};
use jettra_driver::{Client, ReadLevel, Transaction};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(crate) use known::Lookout;

/// Result of a statement.
pub(crate) type Ran = Result<Output, Failure>;

/// What proves who is calling.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// A user with a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// The secret of an API key.
    ApiKey(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials") // no secret in a message by mistake
    }
}

/// Where the shell is connected, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Nodes to begin with.
    pub(crate) seeds: Vec<String>,
    /// Talk to one node only.
    pub(crate) stay: bool,
    /// What proves who is calling.
    pub(crate) credentials: Option<Credentials>,
    /// Longest time of one call.
    pub(crate) deadline: Duration,
    /// Try again when every node refuses the connection, since one may be about to start.
    pub(crate) patient: bool,
    /// The authority that has signed the nodes' certificates, in PEM; else the system's.
    pub(crate) authority: Option<Vec<u8>>,
}

impl Connection {
    /// A client with these settings; it connects with its first call.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let builder = Client::builder().seeds(self.seeds.clone()).deadline(self.deadline);
        let builder = match &self.credentials {
            Some(Credentials::Password { user, password }) => builder.credentials(user, password),
            Some(Credentials::ApiKey(key)) => builder.api_key(key),
            None => builder,
        };
        let builder = match &self.authority {
            Some(pem) => builder.ca_certificate(pem.clone()),
            None => builder,
        };
        let builder = if self.stay { builder.stay_on_seed() } else { builder };
        let builder = if self.patient { builder } else { builder.end_when_unreachable() };
        Ok(builder.build()?)
    }
}

/// What a person can switch while the shell runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The form of the output.
    pub(crate) mode: Mode,
    /// Show how long a statement took.
    pub(crate) timer: bool,
    /// Leave out what only says that a change was made.
    pub(crate) quiet: bool,
    /// Do not ask before dangerous changes.
    pub(crate) yes: bool,
    /// A person sits at the terminal and can be asked.
    pub(crate) interactive: bool,
    /// Columns of the terminal, when the output is one.
    pub(crate) width: Option<usize>,
    /// Lines of the terminal, when a person reads there.
    pub(crate) height: Option<usize>,
    /// How fresh reads are.
    pub(crate) level: ReadLevel,
}

/// One person's or one script's work with a cluster.
pub(crate) struct Session {
    connection: Connection,
    client: Client,
    database: Option<String>,
    /// Addresses of this cluster's nodes, as far as they are known.
    members: Vec<String>,
    /// One that the cluster has lost stays here until `commit` or `rollback`, so that no
    /// statement that was meant for it is carried out by itself.
    transaction: Option<Transaction>,
    /// What the last listing has not shown yet.
    left: Option<results::Results>,
    /// Rows are printed as they come.
    printing: Arc<AtomicBool>,
    /// What can be switched.
    pub(crate) settings: Settings,
}

impl Session {
    /// Starts, with a database in use or without one.
    pub(crate) fn new(
        connection: Connection,
        database: Option<String>,
        settings: Settings,
    ) -> Result<Session, Failure> {
        Ok(Session {
            client: connection.client()?,
            members: connection.seeds.clone(),
            connection,
            database,
            transaction: None,
            left: None,
            printing: Arc::default(),
            settings,
        })
    }

    /// The client in use.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The current database.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// The user this session logs in as, if it is one with a password.
    pub(crate) fn user(&self) -> Option<&str> {
        match self.connection.credentials.as_ref()? {
            Credentials::Password { user, .. } => Some(user),
            Credentials::ApiKey(_) => None,
        }
    }

    /// Whether calls prove who makes them.
    pub(crate) fn is_somebody(&self) -> bool {
        self.connection.credentials.is_some()
    }

    /// How to print.
    pub(crate) fn format(&self) -> Format {
        Format { mode: self.settings.mode, width: self.settings.width, quiet: self.settings.quiet }
    }

    /// Runs one statement.
    pub(crate) async fn run(&mut self, statement: Statement) -> Ran {
        if self.transaction.is_some() && !may_stand_in_transaction(&statement) {
            let text = "this does not belong to a transaction; type commit or rollback first";
            return refused(text.into());
        }
        match statement {
            Statement::Connect { url, stay } => self.connect(url, stay).await,
            Statement::Login { user, password } => self.login(user, password).await,
            Statement::Logout => self.logout().await,
            Statement::Password(pair) => self.change_password(pair).await,
            Statement::Session => Ok(print::session(&self.client.session().await?)),
            Statement::Health => self.health().await,
            Statement::OpenApi => {
                let answer = self.client.openapi().await?;
                Ok(Output::Report { text: format!("{answer:#}"), answer })
            }
            Statement::Access(action) => self.access(action).await,
            Statement::Cluster(action) => self.cluster(action).await,
            Statement::Documents { collection, moment, action } => {
                self.documents(&collection, moment, action).await
            }
            Statement::Structure { collection, action } => {
                self.structure(&collection, action).await
            }
            Statement::Versions { collection, action } => self.version(&collection, action).await,
            Statement::Watch(action) => self.watch(action).await,
            Statement::Transaction(action) => self.transaction(action).await,
            Statement::Batch(batch) => self.batch(&batch).await,
            Statement::Text(text) => self.text(&text).await,
            Statement::More { all } => self.more(all).await,
            Statement::Shell(action) => self.shell(action),
            Statement::Catalog(action) => self.catalog(action).await,
        }
    }

    fn need_database(&self) -> Result<&str, Failure> {
        self.database.as_deref().ok_or_else(|| {
            Failure::Refused(
                "no database is in use; choose one with: use <database>, or write \
                 <database>.<collection>; a program names it with --db"
                    .into(),
            )
        })
    }

    async fn health(&self) -> Ran {
        let mut record = json!(self.client.health().await?);
        record["url"] = self.client.target().into();
        Ok(Output::Record(record))
    }

    fn shell(&mut self, action: ShellAction) -> Ran {
        match action {
            ShellAction::Mode(mode) => self.settings.mode = mode,
            ShellAction::Timer(on) => self.settings.timer = on,
            ShellAction::Level(level) => self.settings.level = level,
            ShellAction::Help(about) => return help(about.as_deref()),
            ShellAction::Clear if self.settings.interactive => {
                return Ok(Output::Text("\x1b[H\x1b[2J\x1b[3J\r".into()));
            }
            ShellAction::Clear | ShellAction::Exit | ShellAction::Read(_) => {}
        }
        Ok(Output::Nothing)
    }

    /// Lets the person type `name` before what `warning` says is done.
    fn confirm_name(&self, warning: &str, name: &str) -> Result<(), Failure> {
        let question = format!("{warning}\nType {name} to go on: ");
        self.confirm(&question, |answer| answer == name)
    }

    /// Lets the person say yes before what `warning` says is done.
    fn confirm_yes(&self, warning: &str) -> Result<(), Failure> {
        let question = format!("{warning} Go on? (y/n) ");
        self.confirm(&question, |answer| matches!(answer, "y" | "Y" | "yes"))
    }

    fn confirm(&self, question: &str, agrees: impl Fn(&str) -> bool) -> Result<(), Failure> {
        if self.settings.yes {
            return Ok(());
        }
        if !self.settings.interactive {
            let text = "this needs a confirmation; a script gives it with --yes";
            return Err(Failure::Refused(text.into()));
        }
        match ask::line(question) {
            Some(answer) if agrees(answer.trim()) => Ok(()),
            _ => Err(Failure::Refused("not confirmed; nothing was changed".into())),
        }
    }
}

/// Whether a statement can be run while a transaction is open. What changes the catalog, or who
/// is connected to what, cannot.
fn may_stand_in_transaction(statement: &Statement) -> bool {
    use CatalogAction::{Hash, ShowCollections, ShowDatabases, Use};
    use StructureAction::{Indexes, Schema, Stats, Validate};
    use VersionAction::{Diff, History, Settings, Show};
    match statement {
        Statement::Connect { .. }
        | Statement::Login { .. }
        | Statement::Logout
        | Statement::Password(_)
        | Statement::Batch(_)
        | Statement::Access(_) => false,
        Statement::Catalog(action) => {
            matches!(action, Use(_) | ShowDatabases | ShowCollections | Hash(_))
        }
        Statement::Structure { action, .. } => {
            matches!(action, Indexes | Schema | Stats | Validate(_))
        }
        Statement::Versions { action, .. } => {
            matches!(action, History(_) | Show { .. } | Diff { .. } | Settings)
        }
        _ => true,
    }
}

fn done(text: String) -> Ran {
    Ok(Output::Done(text))
}

/// What only the shell has changed.
fn here(text: String) -> Ran {
    Ok(Output::Here(text))
}

fn refused(text: String) -> Ran {
    Err(Failure::Refused(text))
}

/// The commands with what they do, or one command in detail.
fn help(about: Option<&str>) -> Ran {
    let Some(about) = about else {
        return Ok(Output::Text(help_all()));
    };
    let Some((command, _)) = lookup(about) else {
        return refused(unknown(about));
    };
    let mut text = format!("{}\n  {}.\n", command.usage(), command.help);
    if command.names.len() > 1 {
        text += &format!("  Also: {}\n", command.names[1..].join(", "));
    }
    if !command.driver.is_empty() {
        text += &format!("  In the driver: {}\n", command.driver.join(", "));
    }
    let examples = EXAMPLES.iter().find(|(name, _)| *name == command.names[0]);
    for example in examples.into_iter().flat_map(|(_, examples)| *examples) {
        text += &format!("    {example}\n");
    }
    Ok(Output::Text(text))
}

fn help_all() -> String {
    let line = |command: &Command| match command.short_usage() {
        usage if usage.len() > 38 => format!("  {usage}\n  {:38} {}\n", "", command.help),
        usage => format!("  {usage:38} {}\n", command.help),
    };
    let mut text = String::new();
    for group in GROUPS {
        text += &format!("{}\n", group.title);
        text.extend(group.commands.iter().map(line));
    }
    text += "\
        A bare whole number as id is the number, or the text where only that one exists; in quotes\n\
        it is a text. A collection of another database is written database.collection. Documents and\n\
        filters are JSON, or as in {age: {$gt: 90}}. A command goes on in the next line until its\n\
        brackets are closed. A person is asked before all documents, or many, are changed. Statements\n\
        in SQL (SELECT, INSERT INTO, UPDATE … SET, DELETE FROM), JQL (FIND IN, AGGREGATE IN, CREATE\n\
        INDEX ON, EXPLAIN …) and Mongo's language (db.…) are typed as they are; over several lines a\n\
        semicolon ends them.\n\
        help <command> shows all flags of a command, and examples.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{commands, parse};
    use std::collections::HashSet;

    #[test]
    fn help_explains_every_command() {
        let all = help_all();
        for command in commands() {
            assert!(all.contains(&command.short_usage()), "{}", command.usage());
            assert!(all.contains(command.help), "{}", command.help);
        }
        assert!(all.lines().all(|line| line.len() <= 110), "{all}");
    }

    #[test]
    fn help_on_another_spelling_shows_the_command() {
        let Ok(Output::Text(text)) = help(Some("federated node-leader")) else {
            panic!("no help");
        };
        assert!(text.starts_with("cluster leader\n"), "{text}");
        assert!(text.contains("cluster_status"), "{text}");
        assert!(help(Some("nonsense")).is_err());
    }

    #[test]
    fn what_a_command_does_is_said_once() {
        let texts: HashSet<&str> = commands().map(|command| command.help).collect();
        assert_eq!(texts.len(), commands().count());
    }

    #[test]
    fn what_changes_the_catalog_does_not_belong_to_a_transaction() {
        let inside = [
            "insert u {}",
            "SELECT * FROM u",
            "find u",
            "commit",
            "show dbs",
            "indexes u",
            "history u 7",
            "versions u",
            "watch u",
            "status",
            "health",
            "use d",
            ".timer on",
        ];
        let outside = [
            "create index u a",
            "drop db d",
            "create col c",
            "schema drop u",
            "versions on u",
            "versions off u",
            "revert u 7 1",
            "undelete u 7",
            "batch {}",
            "login ada",
            "logout",
            "show users",
            "create key k",
            "connect http://h:1",
        ];
        let table = inside.map(|text| (text, true));
        for (text, expected) in table.into_iter().chain(outside.map(|text| (text, false))) {
            let statement = parse(text).unwrap();
            assert_eq!(may_stand_in_transaction(&statement), expected, "{text}");
        }
    }

    #[test]
    fn examples_are_statements_of_their_commands() {
        for (name, examples) in EXAMPLES {
            assert!(commands().any(|command| command.names[0] == *name), "{name}");
            for example in *examples {
                assert!(parse(example).is_ok(), "{example}: {:?}", parse(example));
                let of = lookup(example).map(|(command, _)| command.names[0]);
                assert!(*name == "sql" || of == Some(name), "{example}");
            }
        }
    }
}
