//! One person's or one script's work with a cluster: the connection, the database in use, the open
//! transaction, and what the commands share.

mod confirm;
mod connection;
mod namespace;
mod probe;
mod results;
#[cfg(test)]
mod tests;

use crate::command::Statement;
use crate::failure::Failure;
use crate::print::{Format, Mode, Output};
use jettra_driver::{Client, Document, ReadLevel, Transaction};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use confirm::PASSWORD_IN_SCRIPTS;
pub(crate) use connection::{Connection, Credentials};
pub(crate) use namespace::sentence;
pub(crate) use probe::Probe;
pub(crate) use results::Results;

/// Result of a statement.
pub(crate) type StatementResult = Result<Output, Failure>;

/// Settings that a person can change while the shell runs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The form of the output.
    pub(crate) mode: Mode,
    /// Print errors on the standard output as well, as JSON.
    pub(crate) json_errors: bool,
    /// Show how long a statement took.
    pub(crate) timer: bool,
    /// Leave out messages that only confirm a change.
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
    /// Where the shell is connected, and as which user.
    pub(crate) connection: Connection,
    /// The client with these settings; its calls belong to no transaction.
    pub(crate) client: Client,
    /// The database in use.
    pub(crate) database: Option<String>,
    /// The settings.
    pub(crate) settings: Settings,
    /// The open transaction. One that the cluster has lost stays here until `commit` or
    /// `rollback`, so that no statement that was meant for it is carried out outside of it.
    pub(crate) transaction: Option<Transaction>,
    /// The rows that the last listing has not shown yet.
    pub(crate) left: Option<Results>,
    /// Addresses of this cluster's nodes, as far as they are known.
    members: Vec<String>,
    /// Rows are printed as they come.
    printing: Arc<AtomicBool>,
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

    /// Runs one statement.
    pub(crate) async fn run(&mut self, statement: Statement) -> StatementResult {
        if self.transaction.is_some() && !statement.may_run_in_transaction() {
            let text = "this cannot run inside a transaction; type commit or rollback first";
            return refused(text.into());
        }
        statement.run(self).await
    }

    /// How to print.
    pub(crate) fn format(&self) -> Format {
        Format { mode: self.settings.mode, width: self.settings.width, quiet: self.settings.quiet }
    }

    /// A document; at a terminal its revision stands above it.
    pub(crate) fn document(&self, document: Document<Value>) -> Output {
        if self.settings.interactive && self.settings.mode != Mode::Ndjson {
            eprintln!("Revision {}", document.revision);
        }
        Output::Record(document.value)
    }

    /// The database in use.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn need_database(&self) -> Result<&str, Failure> {
        self.database.as_deref().ok_or_else(|| {
            Failure::Refused(
                "no database is in use; choose one with: use <database>, or write \
                 <database>.<collection>; a program names it with --db"
                    .into(),
            )
        })
    }

    /// The id of the open transaction.
    pub(crate) fn transaction_id(&self) -> Option<&str> {
        self.transaction.as_ref().map(Transaction::id)
    }

    /// A client whose calls about documents belong to the open transaction, if there is one.
    pub(crate) fn transaction_client(&self) -> &Client {
        self.transaction.as_ref().map_or(&self.client, Transaction::client)
    }

    /// Rolls back the open transaction, if there is one.
    pub(crate) async fn roll_back(&mut self) -> Result<(), Failure> {
        match self.transaction.take() {
            Some(transaction) => Ok(transaction.rollback().await?),
            None => Ok(()),
        }
    }

    /// Rolls back the transaction that is still open when the session ends; returns whether there
    /// was one. When no node can be reached, it ends by itself.
    pub(crate) async fn close(&mut self) -> bool {
        let open = self.transaction.is_some();
        // A failure has no reader any more, and the transaction ends by its time limit.
        let _ = self.roll_back().await;
        open
    }
}

/// A change was made.
pub(crate) fn done(text: String) -> StatementResult {
    Ok(Output::Done(text))
}

/// Something changed in the shell only.
pub(crate) fn local(text: String) -> StatementResult {
    Ok(Output::Local(text))
}

/// The shell refuses a statement.
pub(crate) fn refused(text: String) -> StatementResult {
    Err(Failure::Refused(text))
}
