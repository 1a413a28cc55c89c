//! `create user`: creates a user with its rights.

use super::rights::{DATABASES, GRANT, NONE, NewPassword, PASSWORD_FILE, ROLE, Rights};
use crate::ask;
use crate::command::Argument::Optional;
use crate::command::{Action, BoxedAction, Command, Kind, action, parse};
use crate::failure::Failure;
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ALL_DATABASES, NewUser};
use std::collections::BTreeMap;

pub(super) static COMMAND: Command = Command {
    names: &["create user"],
    arguments: &[Optional(Kind::Other("new-name")), ROLE, DATABASES, GRANT, PASSWORD_FILE],
    help: "Create a user; asks for the password",
    examples: &[
        "create user ada",
        "create user ada --role writereader --databases shop,crm",
        "create user ada --grant shop=owner --grant crm=reader --password-file ada.txt",
    ],
    driver: &["create_user"],
    // A word too many may be a password.
    holds_secret: |line| parse(line).is_err(),
    parse: read,
    ..Command::WRITE_OUTSIDE
};

const ROLE_DEFAULT: &str = "reader";

#[derive(Debug, PartialEq)]
struct CreateUser {
    /// Asked for when it is left out.
    name: Option<String>,
    rights: Rights,
    password: Option<NewPassword>,
}

/// `[name]` with flags on either side of it.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let (mut rights, mut password) = (Rights::default(), None);
    let mut flags = |words: &mut Words<'_>| {
        words.flags(|flag, words| {
            Ok(rights.flag(flag, words)? || NewPassword::flag(&mut password, flag, words)?)
        })
    };
    flags(words)?;
    let name = words.optional()?;
    flags(words)?;
    if rights.grants.values().any(Option::is_none) {
        return Err(format!("a new user has no grant that {NONE:?} could take away"));
    }
    action(CreateUser { name, rights, password })
}

impl Action for CreateUser {
    async fn run(self, session: &mut Session) -> StatementResult {
        let CreateUser { name, mut rights, password } = self;
        let username = match name {
            Some(name) => name,
            None => {
                session.ask_line("User name: ", "the name is missing; write: create user <name>")?
            }
        };
        let password = password.unwrap_or(NewPassword::Ask).read(session)?;
        if session.settings.interactive && rights == Rights::default() {
            rights = ask_rights()?;
        }
        let user = new_user(username, password, rights);
        let created = session.client.create_user(&user).await?;
        done(format!("Created user {} ({}).", created.username, created.role))
    }
}

fn new_user(username: String, password: String, rights: Rights) -> NewUser {
    let grants = rights.grants.into_iter();
    let grants: BTreeMap<String, String> =
        grants.filter_map(|(database, role)| Some((database, role?))).collect();
    let all = || vec![ALL_DATABASES.to_owned()];
    NewUser {
        username,
        password,
        role: rights.role.unwrap_or_else(|| ROLE_DEFAULT.to_owned()),
        // A user with grants for single databases is not meant to see all.
        allowed_dbs: rights.databases.or_else(|| grants.is_empty().then(all)),
        grants,
        disabled: false,
    }
}

/// The questions of JettraDBVM's shell: role and databases, each with a default.
fn ask_rights() -> Result<Rights, Failure> {
    let ask = |prompt: &str| {
        let answer = ask::line(prompt).ok_or(Failure::Cancelled { reads: true })?;
        Ok::<_, Failure>(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
    };
    let role = ask("Role (admin, owner, writereader, reader) [reader]: ")?;
    let databases = ask("Databases, with commas between them [*]: ")?;
    let names = |text: String| text.split(',').map(|name| name.trim().to_owned()).collect();
    Ok(Rights { role, databases: databases.map(names), ..Rights::default() })
}

#[cfg(test)]
mod tests {
    use super::super::rights::rights;
    use super::*;
    use crate::command::parsed;

    #[test]
    fn flags_may_stand_on_either_side_of_the_name() {
        let file = || Some(NewPassword::File("ada.txt".into()));
        let all = || rights(Some("owner"), Some(&["a", "b"]), &[("c", "reader"), ("d=e", "owner")]);
        let table = [
            ("create user", None, Rights::default(), None),
            ("Create User ada", Some("ada"), Rights::default(), None),
            ("create user ada --password-file ada.txt", Some("ada"), Rights::default(), file()),
            (
                "create user ada --role OWNER --databases a,b, --grant c=reader --grant d=e=owner",
                Some("ada"),
                all(),
                None,
            ),
            (
                "create user --role owner --databases 'a, b' ada --grant c=reader --grant d=e=owner",
                Some("ada"),
                all(),
                None,
            ),
            ("create user ada --databases ''", Some("ada"), rights(None, Some(&[]), &[]), None),
        ];
        for (text, name, rights, password) in table {
            let name = name.map(str::to_owned);
            assert_eq!(parsed::<CreateUser>(text), CreateUser { name, rights, password }, "{text}");
        }
    }

    #[test]
    fn a_user_with_grants_does_not_see_all_databases() {
        let databases = |rights| new_user("ada".into(), "secret".into(), rights).allowed_dbs;
        assert_eq!(databases(Rights::default()), Some(vec!["*".to_owned()]));
        assert_eq!(databases(rights(None, None, &[("shop", "reader")])), None);
    }
}
