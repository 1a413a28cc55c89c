//! Statements about users, their tokens and the audit log.

use super::{Ran, Session, done};
use crate::ask;
use crate::failure::Failure;
use crate::options::read_password;
use crate::print;
use crate::statement::{AccessAction, NewPassword, Rights};
use jettra_driver::wire::{ALL_DATABASES, NewToken, NewUser, UserUpdateBody};
use std::collections::BTreeMap;
use std::path::Path;

const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
const ROLE_DEFAULT: &str = "reader";

impl Session {
    pub(super) async fn access(&mut self, action: AccessAction) -> Ran {
        match action {
            AccessAction::ShowUsers => {
                Ok(print::users(&self.client.list_users().await?, self.format()))
            }
            AccessAction::ShowUser(name) => Ok(print::user(&self.client.user(&name).await?)),
            AccessAction::CreateUser { name, rights, password } => {
                self.create_user(name, rights, password).await
            }
            AccessAction::AlterUser { name, rights, password, disabled } => {
                self.alter_user(&name, rights, password, disabled).await
            }
            AccessAction::DropUser(name) => self.drop_user(&name).await,
            AccessAction::ShowTokens => {
                Ok(print::tokens(&self.client.list_tokens().await?, self.format()))
            }
            AccessAction::CreateKey { name, role, databases, days } => {
                let expires_in_ms = days.map(|days| milliseconds(days, DAY_MS)).transpose()?;
                let key = NewToken { name, role, databases, expires_in_ms };
                Ok(print::new_key(&self.client.create_api_key(&key).await?))
            }
            AccessAction::RevokeToken(id) => {
                self.client.revoke_token(&id).await?;
                done(format!("Revoked {id}."))
            }
            AccessAction::Audit(query) => {
                Ok(print::audit(&self.client.audit(&query).await?, self.format()))
            }
        }
    }

    /// Makes a token, and finds the node that a new one is to ask.
    pub(super) async fn join_token(&self, hours: Option<u64>) -> Ran {
        let expires_in_ms = hours.map(|hours| milliseconds(hours, HOUR_MS)).transpose()?;
        let status = self.client.cluster_status().await?;
        let leader = status.nodes.iter().find(|node| Some(&node.key) == status.leader_id.as_ref());
        let leader = leader.map_or_else(|| self.client.target(), |node| node.url.clone());
        let made = self.client.create_join_token(expires_in_ms).await?;
        Ok(print::join_token(&made, &leader))
    }

    async fn create_user(
        &self,
        name: Option<String>,
        mut rights: Rights,
        password: Option<NewPassword>,
    ) -> Ran {
        let username = match name {
            Some(name) => name,
            None => {
                self.ask_line("User name: ", "the name is missing; write: create user <name>")?
            }
        };
        let password = self.new_password(password.unwrap_or(NewPassword::Ask))?;
        if self.settings.interactive && rights == Rights::default() {
            rights = ask_rights()?;
        }
        let grants: BTreeMap<String, String> = rights
            .grants
            .into_iter()
            .filter_map(|(database, role)| Some((database, role?)))
            .collect();
        let all = || vec![ALL_DATABASES.to_owned()];
        let user = NewUser {
            username,
            password,
            role: rights.role.unwrap_or_else(|| ROLE_DEFAULT.to_owned()),
            // Who is given single databases is not meant to see all.
            allowed_dbs: rights.databases.or_else(|| grants.is_empty().then(all)),
            grants,
            disabled: false,
        };
        let made = self.client.create_user(&user).await?;
        done(format!("Created user {} ({}).", made.username, made.role))
    }

    async fn alter_user(
        &mut self,
        name: &str,
        rights: Rights,
        password: Option<NewPassword>,
        disabled: Option<bool>,
    ) -> Ran {
        let password = password.map(|from| self.new_password(from)).transpose()?;
        let grants = match rights.grants.is_empty() {
            true => None,
            false => Some(merged(self.client.user(name).await?.grants, rights.grants)),
        };
        let (role, allowed_dbs) = (rights.role, rights.databases);
        let change =
            UserUpdateBody { password: password.clone(), role, allowed_dbs, grants, disabled };
        self.client.update_user(name, &change).await?;
        if let (Some(password), true) = (password, self.user() == Some(name)) {
            self.take_password(name, password)?;
        }
        done(format!("Changed user {name}."))
    }

    async fn drop_user(&self, name: &str) -> Ran {
        self.confirm_name(&format!("Deletes user {name} with its sessions and API keys."), name)?;
        self.client.delete_user(name).await?;
        done(format!("Dropped user {name}."))
    }

    fn new_password(&self, from: NewPassword) -> Result<String, Failure> {
        match from {
            NewPassword::Ask => self.ask_secret_twice(
                "Password: ",
                "nobody is there to type the password; name a file with --password-file",
            ),
            NewPassword::File(path) => read_password(Path::new(&path)),
        }
    }
}

/// What the ancestor asks: role and databases, each with a default.
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

/// The grants that there are, with the changes.
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

fn milliseconds(count: u64, unit_ms: u64) -> Result<u64, Failure> {
    count.checked_mul(unit_ms).filter(|time| *time > 0).ok_or_else(|| {
        Failure::Refused(format!("{count} is no such time; give a number above zero"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_are_added_changed_and_taken_away() {
        let text = |map: &[(&str, &str)]| -> BTreeMap<String, String> {
            map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let changes = [("a", None), ("b", Some("owner")), ("c", Some("reader"))];
        let changes =
            changes.map(|(database, role)| (database.to_owned(), role.map(str::to_owned)));
        let before = text(&[("a", "owner"), ("b", "reader"), ("d", "owner")]);
        let after = text(&[("b", "owner"), ("c", "reader"), ("d", "owner")]);
        assert_eq!(merged(before, changes.into()), after);
    }

    #[test]
    fn times_that_are_none_are_refused() {
        assert_eq!(milliseconds(2, HOUR_MS).unwrap(), 7_200_000);
        assert!(milliseconds(0, DAY_MS).is_err() && milliseconds(u64::MAX, DAY_MS).is_err());
    }
}
