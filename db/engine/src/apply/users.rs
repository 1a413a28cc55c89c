//! Applying commands about users. Passwords arrive as hashes.

use crate::accounts::{all, stored};
use crate::apply::Applier;
use crate::apply::result::{ApplyResult, refuse};
use crate::command::{Outcome, UserUpdate};
use crate::error::{Error, Kind};
use crate::storage::{Result, WriteTxn};
use crate::system::{self, TokenKind, UserDocument};

impl Applier {
    pub(super) fn create_user(
        &mut self,
        txn: &mut WriteTxn<'_>,
        user: &UserDocument,
    ) -> ApplyResult {
        if stored::<UserDocument>(txn, system::USERS, &user.name)?.is_some() {
            return refuse(
                Kind::UserExists,
                format!("a user {:?} exists", user.name),
                "choose another name, or change that user",
            );
        }
        self.put_system(txn, system::USERS, &user.name, user)?;
        Ok(Outcome::Done)
    }

    pub(super) fn update_user(
        &mut self,
        txn: &mut WriteTxn<'_>,
        update: UserUpdate,
    ) -> ApplyResult {
        let found: Option<(u64, UserDocument)> = stored(txn, system::USERS, &update.name)?;
        let Some((_, mut user)) = found else { return no_user(&update.name) };
        if update.proved_hash.is_some_and(|proved| proved != user.password_hash) {
            return refuse(
                Kind::BadCredentials,
                "the password was changed meanwhile",
                "log in again with the new one",
            );
        }
        let ends_sessions = update.password_hash.is_some() || update.disabled == Some(true);
        if let Some(hash) = update.password_hash {
            (user.password_hash, user.scram_sha_256) = (hash, update.scram_sha_256);
        }
        user.role = update.role.unwrap_or(user.role);
        user.allowed_dbs = update.allowed_dbs.unwrap_or(user.allowed_dbs);
        user.grants = update.grants.unwrap_or(user.grants);
        user.disabled = update.disabled.unwrap_or(user.disabled);
        user.changed_ms = self.counters.time_ms;
        if !is_admin(&user) && self.is_last_admin(txn, &user.name)? {
            return last_admin(&user.name);
        }
        self.note_rights_taken(txn)?;
        self.put_system(txn, system::USERS, &user.name, &user)?;
        // A user that no longer administers the cluster cannot admit nodes.
        self.end_tokens(txn, &user.name, |token| match token.kind {
            TokenKind::Session => ends_sessions,
            TokenKind::Join => !is_admin(&user),
            TokenKind::ApiKey => false,
        })?;
        Ok(Outcome::Done)
    }

    pub(super) fn delete_user(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> ApplyResult {
        if stored::<UserDocument>(txn, system::USERS, name)?.is_none() {
            return no_user(name);
        }
        if self.is_last_admin(txn, name)? {
            return last_admin(name);
        }
        self.note_rights_taken(txn)?;
        self.end_tokens(txn, name, |_| true)?;
        self.remove_system(txn, system::USERS, name)
    }

    /// Whether this user is the last one that can administer the cluster.
    fn is_last_admin(&self, txn: &WriteTxn<'_>, name: &str) -> Result<bool> {
        let users: Vec<UserDocument> = all(txn, system::USERS)?;
        Ok(!users.iter().any(|user| user.name != name && is_admin(user)))
    }
}

fn is_admin(user: &UserDocument) -> bool {
    user.role == "admin" && !user.disabled
}

pub(super) fn no_user(name: &str) -> ApplyResult {
    Err(Error::new(Kind::UserNotFound, format!("there is no user {name:?}")).into())
}

fn last_admin(name: &str) -> ApplyResult {
    refuse(
        Kind::LastAdmin,
        format!("{name:?} is the only administrator"),
        "make another user an administrator first",
    )
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
