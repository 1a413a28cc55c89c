//! Reads what follows the names of commands about users, tokens and the audit log.

use crate::statement::{AccessAction, ClusterAction, NewPassword, Rights, Statement};
use crate::words::{Parsed, Words};
use jettra_driver::AuditQuery;
use jettra_driver::wire::ROLES;

/// In place of a role: none at all.
const NONE: &str = "none";

pub(super) fn access(action: AccessAction) -> Parsed<Statement> {
    Ok(Statement::Access(action))
}

/// `[name]` with flags on either side of it.
pub(super) fn create_user(words: &mut Words<'_>) -> Parsed<Statement> {
    let (mut rights, mut password) = (Rights::default(), None);
    let mut flags = |words: &mut Words<'_>| {
        words.flags(|flag, words| {
            Ok(rights_flag(flag, words, &mut rights)? || password_file(flag, words, &mut password)?)
        })
    };
    flags(words)?;
    let name = words.optional()?;
    flags(words)?;
    if rights.grants.values().any(Option::is_none) {
        return Err(format!("a new user has no grant that {NONE:?} could take away"));
    }
    access(AccessAction::CreateUser { name, rights, password })
}

pub(super) fn alter_user(words: &mut Words<'_>) -> Parsed<Statement> {
    let name = words.required("the user")?;
    let (mut rights, mut password, mut disabled) = (Rights::default(), None, None);
    words.flags(|flag, words| {
        match flag {
            "--password" => set(&mut password, NewPassword::Ask, "the password")?,
            "--disable" => set(&mut disabled, true, "--disable or --enable")?,
            "--enable" => set(&mut disabled, false, "--disable or --enable")?,
            _ => {
                return Ok(rights_flag(flag, words, &mut rights)?
                    || password_file(flag, words, &mut password)?);
            }
        }
        Ok(true)
    })?;
    if (&rights, &password, disabled) == (&Rights::default(), &None, None)
        && words.rest().is_empty()
    {
        return Err("say what to change".into());
    }
    access(AccessAction::AlterUser { name, rights, password, disabled })
}

pub(super) fn create_key(words: &mut Words<'_>) -> Parsed<Statement> {
    let name = words.required("the name of the key")?;
    let (mut role, mut databases, mut days) = (None, None, None);
    words.flags(|flag, words| {
        match flag {
            "--role" => role = Some(role_of(&words.required("the role")?)?),
            "--databases" => databases = Some(list(&words.required("the databases")?)),
            "--days" => days = Some(words.number(flag)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    access(AccessAction::CreateKey { name, role, databases, days })
}

pub(super) fn audit(words: &mut Words<'_>) -> Parsed<Statement> {
    let mut query = AuditQuery::default();
    words.flags(|flag, words| {
        match flag {
            "--limit" => query.limit = Some(words.number(flag)?),
            "--before" => query.before = Some(words.number(flag)?),
            "--user" => query.user = Some(words.required("the user")?),
            "--action" => query.action = Some(words.required("the action")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    access(AccessAction::Audit(query))
}

pub(super) fn join_token(words: &mut Words<'_>) -> Parsed<Statement> {
    let mut hours = None;
    words.flags(|flag, words| {
        hours = match flag {
            "--hours" => Some(words.number(flag)?),
            _ => return Ok(false),
        };
        Ok(true)
    })?;
    Ok(Statement::Cluster(ClusterAction::Token { hours }))
}

/// The id in a token. Whoever finds a secret can end it without sending it anywhere.
pub(super) fn token_id(text: &str) -> String {
    let inner = text.strip_prefix("jettra_").map(|rest| rest.strip_prefix("join_").unwrap_or(rest));
    match inner.and_then(|inner| inner.split_once('_')) {
        Some((id, _)) => id.to_owned(),
        None => text.to_owned(),
    }
}

/// Takes `--role`, `--databases` and `--grant`; whether it was one of them.
fn rights_flag(flag: &str, words: &mut Words<'_>, rights: &mut Rights) -> Parsed<bool> {
    match flag {
        "--role" => rights.role = Some(role_of(&words.required("the role")?)?),
        "--databases" => rights.databases = Some(list(&words.required("the databases")?)),
        "--grant" => {
            let text = words.required("the grant, such as shop=reader,")?;
            let (database, role) = grant(&text)?;
            if rights.grants.insert(database, role).is_some() {
                return Err(format!("{text} is the second grant for its database"));
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn password_file(
    flag: &str,
    words: &mut Words<'_>,
    password: &mut Option<NewPassword>,
) -> Parsed<bool> {
    if flag != "--password-file" {
        return Ok(false);
    }
    let file = words.required("the file")?;
    set(password, NewPassword::File(file), "the password")?;
    Ok(true)
}

fn set<T>(place: &mut Option<T>, value: T, what: &str) -> Parsed<()> {
    match place.replace(value) {
        Some(_) => Err(format!("{what} is given twice")),
        None => Ok(()),
    }
}

fn role_of(text: &str) -> Parsed<String> {
    let role = text.to_lowercase();
    match ROLES.contains(&role.as_str()) {
        true => Ok(role),
        false => Err(format!("{text:?} is no role; there are {}", ROLES.join(", "))),
    }
}

fn grant(text: &str) -> Parsed<(String, Option<String>)> {
    let (database, role) = text
        .rsplit_once('=')
        .filter(|(database, _)| !database.is_empty())
        .ok_or_else(|| format!("{text:?} is no grant, such as shop=reader"))?;
    let role = match role {
        NONE => None,
        role => Some(role_of(role)?),
    };
    match role.as_deref() == Some(ROLES[0]) {
        true => Err(format!("{} is no role for one database; it is for all", ROLES[0])),
        false => Ok((database.to_owned(), role)),
    }
}

/// Names with commas between them; none at all for an empty text.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
