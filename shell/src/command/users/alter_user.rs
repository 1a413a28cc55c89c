//! `alter user`: changes the rights or the password of a user.

use super::rights::{DATABASES, GRANT, NewPassword, PASSWORD_FILE, ROLE, Rights, set_once};
use crate::command::Argument::{Flag, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action, parse};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::UserUpdateBody;
use std::collections::BTreeMap;

pub(super) static COMMAND: Command = Command {
    names: &["alter user"],
    arguments: &[
        Required(Kind::User),
        ROLE,
        DATABASES,
        GRANT,
        Flag("--password"),
        PASSWORD_FILE,
        Flag("--disable"),
        Flag("--enable"),
    ],
    help: "Change the rights of a user or its password, or disable it",
    examples: &[
        "alter user ada --role owner --databases *",
        "alter user ada --grant shop=writereader --grant crm=none",
        "alter user ada --password",
        "alter user ada --disable",
    ],
    driver: &["user", "update_user"],
    // A word too many may be a password.
    holds_secret: |line| parse(line).is_err(),
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct AlterUser {
    name: String,
    rights: Rights,
    password: Option<NewPassword>,
    disabled: Option<bool>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let name = words.required("the user")?;
    let (mut rights, mut password, mut disabled) = (Rights::default(), None, None);
    words.flags(|flag, words| {
        match flag {
            "--password" => set_once(&mut password, NewPassword::Ask, "the password")?,
            "--disable" => set_once(&mut disabled, true, "--disable or --enable")?,
            "--enable" => set_once(&mut disabled, false, "--disable or --enable")?,
            _ => {
                return Ok(
                    rights.flag(flag, words)? || NewPassword::flag(&mut password, flag, words)?
                );
            }
        }
        Ok(true)
    })?;
    if (&rights, &password, disabled) == (&Rights::default(), &None, None)
        && words.rest().is_empty()
    {
        return Err("say what to change".into());
    }
    action(AlterUser { name, rights, password, disabled })
}

impl Action for AlterUser {
    async fn run(self, session: &mut Session) -> StatementResult {
        let AlterUser { name, rights, password, disabled } = self;
        let password = password.map(|from| from.read(session)).transpose()?;
        let grants = match rights.grants.is_empty() {
            true => None,
            false => Some(merged(session.client.user(&name).await?.grants, rights.grants)),
        };
        let (role, allowed_dbs) = (rights.role, rights.databases);
        let update =
            UserUpdateBody { password: password.clone(), role, allowed_dbs, grants, disabled };
        session.client.update_user(&name, &update).await?;
        if let (Some(password), true) = (password, session.user() == Some(&name)) {
            session.use_password(&name, password)?;
        }
        done(format!("Changed user {name}."))
    }
}

/// The existing grants with the changes.
fn merged(
    mut grants: BTreeMap<String, String>,
    changes: BTreeMap<String, Option<String>>,
) -> BTreeMap<String, String> {
    for (database, role) in changes {
        match role {
            Some(role) => grants.insert(database, role),
            None => grants.remove(&database),
        };
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::super::rights::rights;
    use super::*;
    use crate::command::parsed;

    #[test]
    fn only_what_is_named_changes() {
        let alter = |rights, password, disabled| AlterUser {
            name: "ada".into(),
            rights,
            password,
            disabled,
        };
        let table = [
            ("--role reader", alter(rights(Some("reader"), None, &[]), None, None)),
            ("--databases *", alter(rights(None, Some(&["*"]), &[]), None, None)),
            (
                "--grant a=owner --grant b=none",
                alter(rights(None, None, &[("a", "owner"), ("b", "none")]), None, None),
            ),
            ("--password --enable", alter(Rights::default(), Some(NewPassword::Ask), Some(false))),
            ("--disable", alter(Rights::default(), None, Some(true))),
        ];
        for (text, expected) in table {
            assert_eq!(parsed::<AlterUser>(&format!("alter user ada {text}")), expected, "{text}");
        }
    }

    #[test]
    fn grants_are_added_changed_and_removed() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let changes = rights(None, None, &[("a", "none"), ("b", "owner"), ("c", "reader")]).grants;
        let before = map(&[("a", "owner"), ("b", "reader"), ("d", "owner")]);
        let after = map(&[("b", "owner"), ("c", "reader"), ("d", "owner")]);
        assert_eq!(merged(before, changes), after);
    }
}
