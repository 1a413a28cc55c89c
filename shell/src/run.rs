//! Runs statements against the cluster.

mod access;
mod account;
mod catalog;
mod cluster;
mod documents;
mod help;
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
            let text = "this cannot run inside a transaction; type commit or rollback first";
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
            ShellAction::Help(about) => return help::help(about.as_deref()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

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
}
