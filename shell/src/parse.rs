//! Commands, and the parser that reads statements by their table.
//!
//! Help and completion are made from the same table, so a command cannot be in one and
//! not in the other.

mod access;
mod changes;
mod documents;
mod read;
mod table;
mod update;

pub(crate) use table::{EXAMPLES, GROUPS};

use crate::lookup::{lookup, unknown};
use crate::statement::Statement;
use crate::text;
use crate::words::{Parsed, Words};
use serde_json::Value;

/// Commands that belong together.
pub(crate) struct Group {
    /// The heading in help.
    pub(crate) title: &'static str,
    /// The commands in the order of help.
    pub(crate) commands: &'static [Command],
}

/// All commands.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().flat_map(|group| group.commands)
}

/// One command.
pub(crate) struct Command {
    /// Its spellings of one or two words; help shows the first.
    pub(crate) names: &'static [&'static str],
    /// What follows the name, for help and completion.
    pub(crate) arguments: &'static [Argument],
    /// What it does, in one line.
    pub(crate) help: &'static str,
    /// The driver methods it calls; empty when it calls none.
    pub(crate) driver: &'static [&'static str],
    read: fn(&mut Words<'_>) -> Parsed<Statement>,
}

/// One argument of a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Argument {
    /// Must be there.
    Must(Kind),
    /// May be left out.
    May(Kind),
    /// A fixed word that may be added.
    Flag(&'static str),
}

/// What an argument names; the completion looks up its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The address of a node.
    Url,
    /// A user's name.
    User,
    /// A password.
    Password,
    /// The password so far.
    OldPassword,
    /// The password from now on.
    NewPassword,
    /// A database that exists.
    Database,
    /// A collection of the current database.
    Collection,
    /// The name of something that does not exist yet.
    NewName,
    /// A document's `_id`.
    Id,
    /// An `_id`, or a filter in braces.
    IdOrFilter,
    /// A filter.
    Filter,
    /// The path of a field.
    Field,
    /// Paths of fields with commas between them.
    Fields,
    /// A document.
    Json,
    /// A document, or update operators.
    JsonOrUpdate,
    /// Update operators, or a pipeline.
    Update,
    /// An array of documents.
    Documents,
    /// An array of stages.
    Pipeline,
    /// An array of operations.
    Operations,
    /// An index of the collection.
    Index,
    /// A version of a document.
    Version,
    /// An open transaction.
    Transaction,
    /// A statement of a query language.
    Text,
    /// A session, an API key or a join token.
    Token,
    /// A member of the cluster.
    Node,
    /// Free text.
    Description,
    /// An output mode.
    OutputMode,
    /// `on` or `off`.
    Switch,
    /// A read level.
    Level,
    /// The time of a bounded level, or the log index of a session.
    LevelValue,
    /// A path.
    File,
    /// The word `all`.
    All,
    /// A command's name.
    Command,
}

impl Kind {
    /// How help writes it.
    pub(crate) fn label(self) -> &'static str {
        use Kind::*;
        match self {
            Url => "url",
            User => "user",
            Password => "password",
            OldPassword => "old",
            NewPassword => "new",
            Database => "database",
            Collection => "collection",
            NewName => "new-name",
            Id => "id",
            IdOrFilter => "id|filter",
            Filter => "filter",
            Field => "field",
            Fields => "field,field",
            Json => "json",
            JsonOrUpdate => "json|update",
            Update => "update",
            Documents => "documents",
            Pipeline => "pipeline",
            Operations => "operations",
            Index => "index",
            Version => "version",
            Transaction => "transaction",
            Text => "statement",
            Token => "token",
            Node => "node",
            Description => "description",
            OutputMode => "table|json|ndjson|line|compact",
            Switch => "on|off",
            Level => "linearizable|leader|session|bounded|local|auto",
            LevelValue => "time|index",
            File => "file",
            All => "all",
            Kind::Command => "command",
        }
    }
}

use Argument::{Flag, May, Must};

const fn row(
    names: &'static [&'static str],
    arguments: &'static [Argument],
    help: &'static str,
    driver: &'static [&'static str],
    read: fn(&mut Words<'_>) -> Parsed<Statement>,
) -> Command {
    Command { names, arguments, help, driver, read }
}

impl Command {
    /// The first spelling with its arguments.
    pub(crate) fn usage(&self) -> String {
        self.arguments
            .iter()
            .fold(self.names[0].to_owned(), |usage, argument| usage + &argument.usage())
    }

    /// The names of its flags.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.iter().filter_map(|argument| match argument {
            Flag(flag) => flag.split(' ').next(),
            _ => None,
        })
    }

    /// The usage for a list of commands: many flags are only counted as one.
    pub(crate) fn short_usage(&self) -> String {
        let (flags, others): (Vec<&Argument>, Vec<&Argument>) =
            self.arguments.iter().partition(|argument| matches!(argument, Flag(_)));
        if flags.len() < 3 {
            return self.usage();
        }
        let usage = others
            .iter()
            .fold(self.names[0].to_owned(), |usage, argument| usage + &argument.usage());
        usage + " [--…]"
    }
}

impl Argument {
    fn usage(&self) -> String {
        match self {
            Must(kind) => format!(" <{}>", kind.label()),
            May(kind) => format!(" [{}]", kind.label()),
            Flag(flag) => format!(" [{flag}]"),
        }
    }
}

/// The statement that the words of a command line are. A word that a command would take apart
/// is put into quotes; statements of a query language stay as they are.
pub(crate) fn statement_of(words: &[String]) -> String {
    let plain = words.join(" ");
    let is_text = |command: &Command| command.arguments.contains(&Must(Kind::Text));
    let is_command = lookup(&plain).is_some_and(|(command, _)| !is_text(command));
    if words.len() == 1 || text::is_statement(&plain) || !is_command {
        return plain;
    }
    let quoted = |word: &String| {
        let json = word.starts_with(['{', '[']);
        let taken_apart = word.is_empty() || word.contains(char::is_whitespace);
        if taken_apart && !json { Value::from(word.as_str()).to_string() } else { word.clone() }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Understands one statement.
///
/// # Errors
/// A sentence that names what is wrong and how the command is written.
pub(crate) fn parse(text: &str) -> Parsed<Statement> {
    let text = text::without_comments(text).unwrap_or_default();
    let text = text.trim().trim_end_matches(';').trim_end();
    if text::is_statement(text) {
        return Ok(Statement::Text(text.to_owned()));
    }
    let (command, rest) = lookup(text).ok_or_else(|| unknown(text))?;
    let mut words = Words::new(rest).knowing(command.flags().collect());
    let usage = |reason: String| match reason.contains('\n') {
        // It says by itself what to write.
        true => reason,
        false => format!("{reason}; write: {}", command.usage()),
    };
    let statement = (command.read)(&mut words).map_err(usage)?;
    match words.rest() {
        "" => Ok(statement),
        rest => Err(usage(format!("nothing more is expected at {rest:?}"))),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
