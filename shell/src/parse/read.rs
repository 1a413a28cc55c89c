//! Reads what follows the names of commands, but for those about documents.

use super::Kind;
use crate::options::level;
use crate::statement::{CatalogAction, ClusterAction, ShellAction, Statement};
use crate::words::{Parsed, Words};

pub(super) fn connect(words: &mut Words<'_>, stay: bool) -> Parsed<Statement> {
    let url = words.required("the address of a node, for example http://127.0.0.1:8080,")?;
    Ok(Statement::Connect { url, stay })
}

pub(super) fn login(words: &mut Words<'_>) -> Parsed<Statement> {
    Ok(Statement::Login { user: words.required("the user")?, password: words.optional()? })
}

pub(super) fn password(words: &mut Words<'_>) -> Parsed<Statement> {
    let Some(old) = words.optional()? else {
        return Ok(Statement::Password(None));
    };
    let new = words.required("the new password")?;
    Ok(Statement::Password(Some((old, new))))
}

pub(super) fn catalog(action: CatalogAction) -> Parsed<Statement> {
    Ok(Statement::Catalog(action))
}

/// `<name> [engine <name>]`, as JettraDBVM has it.
pub(super) fn create_database(words: &mut Words<'_>) -> Parsed<Statement> {
    let name = words.required("the name")?;
    let engine = match words.keyword("engine") {
        true => Some(words.required("the engine")?),
        false => None,
    };
    catalog(CatalogAction::CreateDatabase { name, engine })
}

/// `[all]`
pub(super) fn more(words: &mut Words<'_>) -> Parsed<Statement> {
    Ok(Statement::More { all: words.keyword("all") })
}

pub(super) fn rename_database(words: &mut Words<'_>) -> Parsed<Statement> {
    catalog(CatalogAction::RenameDatabase {
        from: words.required("the database")?,
        to: words.required("the new name")?,
    })
}

pub(super) fn rename_collection(words: &mut Words<'_>) -> Parsed<Statement> {
    catalog(CatalogAction::RenameCollection {
        from: words.required("the collection")?,
        to: words.required("the new name")?,
    })
}

pub(super) fn cluster(action: ClusterAction) -> Parsed<Statement> {
    Ok(Statement::Cluster(action))
}

pub(super) fn register(words: &mut Words<'_>) -> Parsed<Statement> {
    cluster(ClusterAction::Register {
        url: words.required("the address of the new node")?,
        description: words.take_rest(),
    })
}

pub(super) fn forced(
    words: &mut Words<'_>,
    action: fn(String, bool) -> ClusterAction,
) -> Parsed<Statement> {
    let before = words.flag("--force");
    let node = words.required("the node")?;
    let force = before || words.flag("--force");
    cluster(action(node, force))
}

pub(super) fn shell(action: ShellAction) -> Parsed<Statement> {
    Ok(Statement::Shell(action))
}

/// Reads one of the fixed values that `kind` lists.
pub(super) fn choose(
    words: &mut Words<'_>,
    kind: Kind,
    action: fn(&str) -> Option<ShellAction>,
) -> Parsed<Statement> {
    let name = words.required(kind.label())?;
    action(&name)
        .map(Statement::Shell)
        .ok_or_else(|| format!("{name:?} is not one of {}", kind.label()))
}

pub(super) fn read_level(words: &mut Words<'_>) -> Parsed<Statement> {
    let name = words.required(Kind::Level.label())?;
    let value = words.optional()?;
    shell(ShellAction::Level(level(&name, value.as_deref())?))
}

pub(super) fn switch(name: &str) -> Option<ShellAction> {
    match name {
        "on" => Some(ShellAction::Timer(true)),
        "off" => Some(ShellAction::Timer(false)),
        _ => None,
    }
}

/// Takes a statement of a query language as it is.
pub(super) fn sql(words: &mut Words<'_>) -> Parsed<Statement> {
    let text = words.take_rest().ok_or("the statement is missing")?;
    Ok(Statement::Text(text))
}
