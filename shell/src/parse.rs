//! The table of all commands, and the parser that reads statements by it.
//!
//! Help and completion are made from the same table, so a command cannot be in one and
//! not in the other.

use crate::lookup::{lookup, unknown};
use crate::print::Mode;
use crate::statement::{CatalogAction, ClusterAction, DocumentAction, ShellAction, Statement};
use crate::words::{Parsed, Words};
use jettra_driver::ReadLevel;

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
    /// A JSON object.
    Json,
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
    /// A path.
    File,
    /// A command's name.
    Command,
}

impl Kind {
    /// How help writes it.
    pub(crate) fn label(self) -> &'static str {
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
            Json => "json",
            Node => "node",
            Description => "description",
            OutputMode => "table|json|ndjson|line|compact",
            Switch => "on|off",
            Level => "linearizable|local",
            File => "file",
            Command => "command",
        }
    }
}

use Argument::{Flag, May, Must};
use Kind::*;

const REVISION: Argument = Flag("--revision N");
const FORCE: Argument = Flag("--force");

const fn row(
    names: &'static [&'static str],
    arguments: &'static [Argument],
    help: &'static str,
    driver: &'static [&'static str],
    read: fn(&mut Words<'_>) -> Parsed<Statement>,
) -> Command {
    Command { names, arguments, help, driver, read }
}

/// Every command of the shell.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    row(&["connect"], &[Must(Url)], "Talk to the cluster of this node, and follow its leader",
        &["builder", "seeds", "health"], |w| connect(w, false)),
    row(&["connect node"], &[Must(Url)], "Talk to this node only",
        &["builder", "stay_on_seed", "health"], |w| connect(w, true)),
    row(&["login"], &[Must(User), May(Password)],
        "Log in; asks for the password when it is left out", &["login", "credentials"], login),
    row(&["logout"], &[], "Forget the user and the password", &["logout"],
        |_| Ok(Statement::Logout)),
    row(&["password"], &[May(OldPassword), May(NewPassword)],
        "Change your own password; asks for old and new when left out", &["change_password"],
        password),
    row(&["whoami", "session"], &[], "Show who the cluster takes you for", &["session"],
        |_| Ok(Statement::Session)),
    row(&["health"], &[], "Show the health of the node that answers", &["health", "target"],
        |_| Ok(Statement::Health)),

    row(&["use"], &[Must(Database)], "Make a database the current one", &["list_databases"],
        |w| catalog(CatalogAction::Use(w.required("the database")?))),
    row(&["show dbs", "show databases"], &[], "List the databases", &["list_databases"],
        |_| catalog(CatalogAction::ShowDatabases)),
    row(&["show collections", "show cols"], &[], "List the collections of the current database",
        &["list_collections"], |_| catalog(CatalogAction::ShowCollections)),
    row(&["create db", "create database"], &[Must(NewName)], "Create a database",
        &["create_database"], |w| catalog(CatalogAction::CreateDatabase(w.required("the name")?))),
    row(&["create col", "create collection"], &[Must(NewName)],
        "Create a collection in the current database", &["create_collection"],
        |w| catalog(CatalogAction::CreateCollection(w.required("the name")?))),
    row(&["drop db", "drop database"], &[Must(Database)], "Drop a database with all its documents",
        &["drop_database"], |w| catalog(CatalogAction::DropDatabase(w.required("the database")?))),
    row(&["drop col", "drop collection"], &[Must(Collection)],
        "Drop a collection with all its documents", &["drop_collection"],
        |w| catalog(CatalogAction::DropCollection(w.required("the collection")?))),
    row(&["rename db", "rename database"], &[Must(Database), Must(NewName)],
        "Give a database another name", &["rename_database"], rename_database),
    row(&["rename col", "rename collection"], &[Must(Collection), Must(NewName)],
        "Give a collection another name", &["rename_collection"], rename_collection),

    row(&["insert"], &[Must(Collection), Must(Json)], "Add a document and show its _id",
        &["insert"], |w| documents(w, |w| Ok(DocumentAction::Insert(w.document()?)))),
    row(&["find"], &[Must(Collection), May(Id)], "List the documents, 10 a page, or read one",
        &["list", "list_from", "count", "get"], |w| documents(w, find)),
    row(&["get"], &[Must(Collection), Must(Id)], "Read one document", &["get", "with_level"],
        |w| documents(w, |w| Ok(DocumentAction::Get(w.id()?)))),
    row(&["count"], &[Must(Collection)], "Count the documents", &["count"],
        |w| documents(w, |_| Ok(DocumentAction::Count))),
    row(&["update"], &[Must(Collection), Must(Id), Must(Json), REVISION],
        "Replace a document that exists", &["get", "replace"], |w| documents(w, update)),
    row(&["save"], &[Must(Collection), Must(Id), Must(Json)],
        "Write a document, whether or not it exists", &["save"], |w| documents(w, save)),
    row(&["delete"], &[Must(Collection), Must(Id), REVISION], "Delete one document",
        &["delete", "delete_revision"], |w| documents(w, delete)),

    row(&["status", "cluster status", "federated status"], &[],
        "Show health, leader, term and quorum", &["cluster_status"],
        |_| cluster(ClusterAction::Status)),
    row(&["cluster show", "federated show"], &[], "Show the health, the leader and the members",
        &["cluster_status"], |_| cluster(ClusterAction::Show)),
    row(&["cluster nodes", "federated nodes", ".nodes"], &[], "List the members",
        &["cluster_nodes"], |_| cluster(ClusterAction::Nodes)),
    row(&["cluster leader", "federated leader", "federated node-leader", ".leader"], &[],
        "Show the leader", &["cluster_status"], |_| cluster(ClusterAction::Leader)),
    row(&["cluster add", "cluster register", "federated add", "federated register"],
        &[Must(Url), May(Description)], "Admit the node at this address", &["cluster_register"],
        register),
    row(&["cluster remove", "cluster deregister", "federated remove", "federated deregister"],
        &[Must(Node), FORCE], "Remove a node", &["cluster_deregister"],
        |w| forced(w, |node, force| ClusterAction::Deregister { node, force })),
    row(&["cluster stop", "federated stop"], &[Must(Node), FORCE], "Stop the process of a node",
        &["cluster_stop"], |w| forced(w, |node, force| ClusterAction::Stop { node, force })),
    row(&["cluster pause", "federated pause"], &[Must(Node)],
        "Take client calls and leadership from a node", &["cluster_pause"],
        |w| cluster(ClusterAction::Pause(w.required("the node")?))),
    row(&["cluster resume", "federated resume"], &[Must(Node)], "End a pause", &["cluster_resume"],
        |w| cluster(ClusterAction::Resume(w.required("the node")?))),
    row(&["cluster promote", "federated promote"], &[May(Node)], "Hand leadership to a node",
        &["cluster_promote"], |w| cluster(ClusterAction::Promote(w.optional()?))),
    row(&["cluster restart", "federated restart"], &[May(Node)], "Restart the process of a node",
        &["cluster_restart"], |w| cluster(ClusterAction::Restart(w.optional()?))),

    row(&[".mode"], &[Must(OutputMode)], "Choose the form of the output", &[],
        |w| choose(w, Kind::OutputMode, |name| Mode::parse(name).map(ShellAction::Mode))),
    row(&[".timer"], &[Must(Switch)], "Show how long a statement took", &[],
        |w| choose(w, Kind::Switch, switch)),
    row(&[".level"], &[Must(Level)], "Choose how fresh reads are", &["with_level"],
        |w| choose(w, Kind::Level, |name| ReadLevel::parse(name).map(ShellAction::Level))),
    row(&[".read"], &[Must(File)], "Run the statements of a file", &[],
        |w| shell(ShellAction::Read(w.required("the file")?))),
    row(&["help", ".help", "?"], &[May(Command)], "Explain all commands, or one", &[],
        |w| shell(ShellAction::Help(w.take_rest()))),
    row(&["clear", "cls"], &[], "Clear the screen", &[], |_| shell(ShellAction::Clear)),
    row(&["exit", "quit", ".exit", ".quit"], &[], "Leave the shell", &[],
        |_| shell(ShellAction::Exit)),
];

fn connect(words: &mut Words<'_>, stay: bool) -> Parsed<Statement> {
    let url = words.required("the address of a node, for example http://127.0.0.1:8080,")?;
    Ok(Statement::Connect { url, stay })
}

fn login(words: &mut Words<'_>) -> Parsed<Statement> {
    Ok(Statement::Login { user: words.required("the user")?, password: words.optional()? })
}

fn password(words: &mut Words<'_>) -> Parsed<Statement> {
    let Some(old) = words.optional()? else {
        return Ok(Statement::Password(None));
    };
    let new = words.required("the new password")?;
    Ok(Statement::Password(Some((old, new))))
}

fn catalog(action: CatalogAction) -> Parsed<Statement> {
    Ok(Statement::Catalog(action))
}

fn rename_database(words: &mut Words<'_>) -> Parsed<Statement> {
    catalog(CatalogAction::RenameDatabase {
        from: words.required("the database")?,
        to: words.required("the new name")?,
    })
}

fn rename_collection(words: &mut Words<'_>) -> Parsed<Statement> {
    catalog(CatalogAction::RenameCollection {
        from: words.required("the collection")?,
        to: words.required("the new name")?,
    })
}

fn documents(
    words: &mut Words<'_>,
    action: fn(&mut Words<'_>) -> Parsed<DocumentAction>,
) -> Parsed<Statement> {
    Ok(Statement::Documents {
        collection: words.required("the collection")?,
        action: action(words)?,
    })
}

fn find(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    if words.rest().is_empty() {
        return Ok(DocumentAction::Find);
    }
    Ok(DocumentAction::Get(words.id()?))
}

fn update(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    let id = words.id()?;
    let before = words.revision()?;
    let document = words.document()?;
    let revision = before.or(words.revision()?);
    Ok(DocumentAction::Update { id, document, revision })
}

fn save(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    Ok(DocumentAction::Save { id: words.id()?, document: words.document()? })
}

fn delete(words: &mut Words<'_>) -> Parsed<DocumentAction> {
    Ok(DocumentAction::Delete { id: words.id()?, revision: words.revision()? })
}

fn cluster(action: ClusterAction) -> Parsed<Statement> {
    Ok(Statement::Cluster(action))
}

fn register(words: &mut Words<'_>) -> Parsed<Statement> {
    cluster(ClusterAction::Register {
        url: words.required("the address of the new node")?,
        description: words.take_rest(),
    })
}

fn forced(words: &mut Words<'_>, action: fn(String, bool) -> ClusterAction) -> Parsed<Statement> {
    let before = words.flag("--force");
    let node = words.required("the node")?;
    let force = before || words.flag("--force");
    cluster(action(node, force))
}

fn shell(action: ShellAction) -> Parsed<Statement> {
    Ok(Statement::Shell(action))
}

/// Reads one of the fixed values that `kind` lists.
fn choose(
    words: &mut Words<'_>,
    kind: Kind,
    action: fn(&str) -> Option<ShellAction>,
) -> Parsed<Statement> {
    let name = words.required(kind.label())?;
    action(&name)
        .map(Statement::Shell)
        .ok_or_else(|| format!("{name:?} is not one of {}", kind.label()))
}

fn switch(name: &str) -> Option<ShellAction> {
    match name {
        "on" => Some(ShellAction::Timer(true)),
        "off" => Some(ShellAction::Timer(false)),
        _ => None,
    }
}

impl Command {
    /// The first spelling with its arguments.
    pub(crate) fn usage(&self) -> String {
        let mut usage = self.names[0].to_owned();
        for argument in self.arguments {
            usage += &match argument {
                Must(kind) => format!(" <{}>", kind.label()),
                May(kind) => format!(" [{}]", kind.label()),
                Flag(flag) => format!(" [{flag}]"),
            };
        }
        usage
    }
}

/// Understands one statement.
///
/// # Errors
/// A sentence that names what is wrong and how the command is written.
pub(crate) fn parse(text: &str) -> Parsed<Statement> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let (command, rest) = lookup(text).ok_or_else(|| unknown(text))?;
    let mut words = Words::new(rest);
    let usage = |reason: String| format!("{reason}; write: {}", command.usage());
    let statement = (command.read)(&mut words).map_err(usage)?;
    match words.rest() {
        "" => Ok(statement),
        rest => Err(usage(format!("{rest:?} is too much"))),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
