//! Commands. Each is one file: its spellings, arguments, help and examples, how its words are
//! understood, and what it does. Its group, the folder that it lies in, lists it.
//!
//! Help and completion are made from these descriptions, so a command cannot be in one and not in
//! the other.

mod arguments;
mod catalog;
mod cluster;
mod connection;
mod groups;
mod indexes;
mod kv;
mod operate;
mod queries;
mod shards;
mod shell;
mod tasks;
#[cfg(test)]
mod tests;
mod transactions;
mod users;
mod versions;
mod writes;

use crate::lookup::{lookup, unknown};
use crate::session::{Session, StatementResult};
use crate::text;
use crate::words::{ParseResult, Words};
use Argument::{Flag, Optional, Required, Valued};
use serde_json::Value;
use std::any::Any;
use std::fmt;
use std::pin::Pin;

pub(crate) use operate::is_operation;
pub(crate) use queries::sql::NAMES as STATEMENT_NAMES;

/// Commands that belong together.
pub(crate) struct Group {
    /// The heading in help.
    pub(crate) title: &'static str,
    /// The commands in the order of help.
    pub(crate) commands: &'static [&'static Command],
}

/// Every group, in the order of help.
pub(crate) static GROUPS: [&Group; 15] = [
    &connection::GROUP,
    &users::GROUP,
    &catalog::GROUP,
    &queries::GROUP,
    &writes::GROUP,
    &kv::GROUP,
    &transactions::GROUP,
    &versions::GROUP,
    &indexes::GROUP,
    &tasks::GROUP,
    &operate::GROUP,
    &cluster::GROUP,
    &groups::GROUP,
    &shards::GROUP,
    &shell::GROUP,
];

/// All commands.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().flat_map(|group| group.commands).copied()
}

/// One command.
pub(crate) struct Command {
    /// Its spellings of one or two words; help shows the first.
    pub(crate) names: &'static [&'static str],
    /// What follows the name, for help and completion.
    pub(crate) arguments: &'static [Argument],
    /// What it does, in one line.
    pub(crate) help: &'static str,
    /// Examples for its help.
    pub(crate) examples: &'static [&'static str],
    /// The driver methods it calls; empty when it calls none.
    pub(crate) driver: &'static [&'static str],
    /// Whether it is known to change nothing; see [`Action::only_reads`] too.
    pub(crate) reads: bool,
    /// Whether it may run while a transaction is open.
    pub(crate) in_transaction: bool,
    /// Whether Ctrl-C is its ordinary end, which it handles itself.
    pub(crate) handles_interrupt: bool,
    /// Whether a line with this command may hold a secret, so that no history keeps it.
    pub(crate) holds_secret: fn(&str) -> bool,
    /// Understands the words after the name.
    pub(crate) parse: fn(&mut Words<'_>) -> ParseResult<BoxedAction>,
}

impl Command {
    /// The defaults of a command that only reads.
    const READ: Command = Command {
        names: &[],
        arguments: &[],
        help: "",
        examples: &[],
        driver: &[],
        reads: true,
        in_transaction: true,
        handles_interrupt: false,
        holds_secret: |_| false,
        parse: |_| Err(String::new()),
    };
    /// The defaults of a command that changes something.
    const WRITE: Command = Command { reads: false, ..Command::READ };
    /// The defaults of a command that changes what belongs to no transaction, such as the catalog.
    const WRITE_OUTSIDE: Command = Command { in_transaction: false, ..Command::WRITE };

    /// The first spelling with its arguments.
    pub(crate) fn usage(&self) -> String {
        usage(self.names[0], self.arguments.iter())
    }

    /// The usage for a list of commands: many flags are only counted as one.
    pub(crate) fn short_usage(&self) -> String {
        let (flags, others): (Vec<&Argument>, Vec<&Argument>) =
            self.arguments.iter().partition(|argument| argument.flag().is_some());
        match flags.len() < 3 {
            true => self.usage(),
            false => usage(self.names[0], others.into_iter()) + " [--…]",
        }
    }

    /// The names of its flags.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.iter().filter_map(Argument::flag)
    }

    /// What the value after a flag is; none for a flag without a value.
    pub(crate) fn flag_value(&self, flag: &str) -> Option<Kind> {
        self.arguments.iter().find_map(|argument| match argument {
            Valued(name, _, kind) if *name == flag => Some(*kind),
            _ => None,
        })
    }
}

fn usage<'a>(name: &str, arguments: impl Iterator<Item = &'a Argument>) -> String {
    arguments.fold(name.to_owned(), |usage, argument| usage + &argument.usage())
}

/// One argument of a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Argument {
    /// Must be there.
    Required(Kind),
    /// May be left out.
    Optional(Kind),
    /// A flag that may be added.
    Flag(&'static str),
    /// A flag that may be added with a value: how help writes the value, and what it is.
    Valued(&'static str, &'static str, Kind),
}

impl Argument {
    fn usage(&self) -> String {
        match self {
            Required(kind) => format!(" <{}>", kind.label()),
            Optional(kind) => format!(" [{}]", kind.label()),
            Flag(name) => format!(" [{name}]"),
            Valued(name, value, _) => format!(" [{name} {value}]"),
        }
    }

    fn flag(&self) -> Option<&'static str> {
        match self {
            Flag(name) | Valued(name, ..) => Some(name),
            Required(_) | Optional(_) => None,
        }
    }
}

/// What an argument names; the completion looks up its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The address of a node.
    Url,
    /// A user's name.
    User,
    /// A database that exists.
    Database,
    /// A collection of the current database.
    Collection,
    /// The path of a field.
    Field,
    /// Paths of fields with commas between them.
    Fields,
    /// An index of the collection.
    Index,
    /// An open transaction.
    Transaction,
    /// A session, an API key or a join token.
    Token,
    /// A task of the cluster.
    Task,
    /// A member of the cluster.
    Node,
    /// A path.
    File,
    /// A command's name.
    Command,
    /// A statement of a query language.
    Statement,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Something that the completion does not know, as help writes it.
    Other(&'static str),
}

impl Kind {
    /// How help writes it.
    pub(crate) fn label(self) -> String {
        let label = match self {
            Kind::Url => "url",
            Kind::User => "user",
            Kind::Database => "database",
            Kind::Collection => "collection",
            Kind::Field => "field",
            Kind::Fields => "field,field",
            Kind::Index => "index",
            Kind::Transaction => "transaction",
            Kind::Token => "token",
            Kind::Task => "task",
            Kind::Node => "node",
            Kind::File => "file",
            Kind::Command => "command",
            Kind::Statement => "statement",
            Kind::Word(words) => return words.join("|"),
            Kind::Other(label) => label,
        };
        label.to_owned()
    }
}

/// A statement of one command, its words understood.
pub(crate) trait Action: fmt::Debug + 'static {
    /// Whether it is known to change nothing; `usually` is what holds for its command.
    fn only_reads(&self, usually: bool) -> bool {
        usually
    }

    /// Whether Ctrl-C is its ordinary end, which it handles itself; `usually` is what holds for its command.
    fn handles_interrupt(&self, usually: bool) -> bool {
        usually
    }

    /// Carries it out.
    async fn run(self, session: &mut Session) -> StatementResult;
}

/// [`Action`] behind a pointer.
pub(crate) trait DynAction: fmt::Debug + Any {
    /// See [`Action::only_reads`].
    fn only_reads(&self, usually: bool) -> bool;

    /// See [`Action::handles_interrupt`].
    fn handles_interrupt(&self, usually: bool) -> bool;

    /// See [`Action::run`].
    fn run(self: Box<Self>, session: &mut Session) -> RunningAction<'_>;
}

type RunningAction<'s> = Pin<Box<dyn Future<Output = StatementResult> + 's>>;

/// Any action.
pub(crate) type BoxedAction = Box<dyn DynAction>;

impl<A: Action> DynAction for A {
    fn only_reads(&self, usually: bool) -> bool {
        Action::only_reads(self, usually)
    }

    fn handles_interrupt(&self, usually: bool) -> bool {
        Action::handles_interrupt(self, usually)
    }

    fn run(self: Box<Self>, session: &mut Session) -> RunningAction<'_> {
        Box::pin(Action::run(*self, session))
    }
}

/// The action that the words of a command stand for.
fn action(action: impl Action) -> ParseResult<BoxedAction> {
    Ok(Box::new(action))
}

/// One statement, after it was understood.
#[derive(Debug)]
pub(crate) struct Statement {
    command: &'static Command,
    action: BoxedAction,
}

impl Statement {
    /// Whether it is known to change nothing.
    pub(crate) fn only_reads(&self) -> bool {
        self.action.only_reads(self.command.reads)
    }

    /// Whether it may run while a transaction is open. What changes the catalog, users or the
    /// connection may not.
    pub(crate) fn may_run_in_transaction(&self) -> bool {
        self.command.in_transaction
    }

    /// Whether it runs until Ctrl-C, and handles it.
    pub(crate) fn handles_interrupt(&self) -> bool {
        self.action.handles_interrupt(self.command.handles_interrupt)
    }

    /// Carries it out.
    pub(crate) async fn run(self, session: &mut Session) -> StatementResult {
        self.action.run(session).await
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names[0])
    }
}

/// Understands one statement.
///
/// # Errors
/// A sentence that names what is wrong and how the command is written.
pub(crate) fn parse(text: &str) -> ParseResult<Statement> {
    let text = text::without_comments(text).unwrap_or_default();
    let text = text.trim().trim_end_matches(';').trim_end();
    let (command, rest) = match text::is_statement(text) {
        true => (&queries::sql::COMMAND, text),
        false => lookup(text).ok_or_else(|| unknown(text))?,
    };
    let mut words = Words::new(rest).with_flags(command.flags().collect());
    let with_usage = |reason: String| match reason.contains('\n') {
        // It says by itself what to write.
        true => reason,
        false => format!("{reason}; write: {}", command.usage()),
    };
    let action = (command.parse)(&mut words).map_err(with_usage)?;
    match words.rest() {
        "" => Ok(Statement { command, action }),
        rest => Err(with_usage(format!("nothing more is expected at {rest:?}"))),
    }
}

/// The statement that the words of a command line are. A word that a command would take apart
/// is put into quotes; statements of a query language stay as they are.
pub(crate) fn statement_of(words: &[String]) -> String {
    let plain = words.join(" ");
    let is_text = |command: &Command| command.arguments.contains(&Required(Kind::Statement));
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

/// The action of a statement.
///
/// # Panics
/// When the text is no statement, or one of another command.
#[cfg(test)]
fn parsed<A: Action>(text: &str) -> A {
    let statement = parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
    let action: Box<dyn Any> = statement.action;
    *action.downcast().unwrap_or_else(|_| panic!("{text} is another command"))
}
