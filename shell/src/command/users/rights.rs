//! The rights of a user, as a statement gives them and as a report shows them.

use crate::command::Argument::{self, Valued};
use crate::command::Kind;
use crate::failure::Failure;
use crate::options::read_password;
use crate::session::Session;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ALL_DATABASES, ROLES};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const ROLE: Argument = Valued("--role", "role", Kind::Word(&ROLES));
pub(super) const DATABASES: Argument = Valued("--databases", "a,b", Kind::Database);
pub(super) const GRANT: Argument = Valued("--grant", "db=role", Kind::Database);
pub(super) const PASSWORD_FILE: Argument = Valued("--password-file", "file", Kind::File);

/// In place of a role: none at all.
pub(super) const NONE: &str = "none";

/// What a user may do, as far as a statement says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rights {
    /// The role.
    pub(super) role: Option<String>,
    /// The databases that it holds for.
    pub(super) databases: Option<Vec<String>>,
    /// Roles in single databases; `None` removes the role of a database.
    pub(super) grants: BTreeMap<String, Option<String>>,
}

impl Rights {
    /// Takes `--role`, `--databases` and `--grant`; returns whether it was one of them.
    pub(super) fn flag(&mut self, flag: &str, words: &mut Words<'_>) -> ParseResult<bool> {
        match flag {
            "--role" => self.role = Some(role(words)?),
            "--databases" => self.databases = Some(names(&words.required("the databases")?)),
            "--grant" => {
                let text = words.required("the grant, such as shop=reader,")?;
                let (database, role) = grant(&text)?;
                if self.grants.insert(database, role).is_some() {
                    return Err(format!("{text} is the second grant for its database"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Where a new password comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NewPassword {
    /// The person types it, twice.
    Ask,
    /// The first line of this file.
    File(String),
}

impl NewPassword {
    /// The password itself.
    pub(super) fn read(self, session: &Session) -> Result<String, Failure> {
        match self {
            NewPassword::Ask => session.ask_secret_twice(
                "Password: ",
                "there is no terminal to ask for the password; name a file with --password-file",
            ),
            NewPassword::File(path) => read_password(Path::new(&path)),
        }
    }

    /// Takes `--password-file`; returns whether it was this flag.
    pub(super) fn flag(
        password: &mut Option<NewPassword>,
        flag: &str,
        words: &mut Words<'_>,
    ) -> ParseResult<bool> {
        if flag != "--password-file" {
            return Ok(false);
        }
        let file = words.required("the file")?;
        set_once(password, NewPassword::File(file), "the password")?;
        Ok(true)
    }
}

/// Sets what a statement may give once.
pub(super) fn set_once<T>(place: &mut Option<T>, value: T, what: &str) -> ParseResult<()> {
    match place.replace(value) {
        Some(_) => Err(format!("{what} is given twice")),
        None => Ok(()),
    }
}

/// Takes the name of a role.
pub(super) fn role(words: &mut Words<'_>) -> ParseResult<String> {
    role_of(&words.required("the role")?)
}

fn role_of(text: &str) -> ParseResult<String> {
    let role = text.to_lowercase();
    match ROLES.contains(&role.as_str()) {
        true => Ok(role),
        false => Err(format!("{text:?} is no role; there are {}", ROLES.join(", "))),
    }
}

fn grant(text: &str) -> ParseResult<(String, Option<String>)> {
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
pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The databases that a role holds for, in words.
pub(in crate::command) fn databases(role: Option<&str>, names: &[String]) -> String {
    match names {
        _ if role == Some("admin") => "all".to_owned(),
        names if names.iter().any(|name| name == ALL_DATABASES) => "all".to_owned(),
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// Roles in single databases, as `--grant` takes them.
pub(in crate::command) fn grants(grants: &BTreeMap<String, String>) -> String {
    let each = grants.iter().map(|(database, role)| format!("{database}={role}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) fn rights(
    role: Option<&str>,
    databases: Option<&[&str]>,
    grants: &[(&str, &str)],
) -> Rights {
    let grant = |(database, role): &(&str, &str)| {
        ((*database).to_owned(), Some((*role).to_owned()).filter(|role| role != NONE))
    };
    Rights {
        role: role.map(str::to_owned),
        databases: databases.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        grants: grants.iter().map(grant).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::parse;

    #[test]
    fn rights_that_do_not_exist_are_refused() {
        let table = [
            ("create user ada --role boss", "there are admin, owner, writereader, reader"),
            ("create user ada --grant shop", "such as shop=reader"),
            ("create user ada --grant =reader", "such as shop=reader"),
            ("create user ada --grant shop=admin", "no role for one database"),
            ("create user ada --grant shop=none", "could take away"),
            ("create user ada --grant a=owner --grant a=reader", "second grant"),
            ("create user ada hunter2", "nothing more is expected at \"hunter2\""),
            ("alter user ada", "say what to change"),
            ("alter user ada --enable --disable", "given twice"),
            ("alter user ada --password --password-file f", "given twice"),
            ("alter user ada --explode", "--explode is unknown here"),
            ("create key", "the name of the key is missing"),
            ("revoke token", "the token is missing"),
            ("show audit --limit many", "not a whole number"),
        ];
        for (text, expected) in table {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected) && error.contains("; write: "), "{text}: {error}");
        }
    }
}
