//! Applying what concerns users and their tokens. Passwords and secrets arrive as hashes.

use super::apply::{Applier, ApplyResult, refuse, settle};
use super::catalog;
use super::command::{CredentialRevisions, Outcome, UserUpdate};
use super::document;
use super::system::{self, TokenDocument, UserDocument};
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::{Read, StorageError, Table, WriteTxn, keys};
use crate::system::TokenKind;
use serde::de::DeserializeOwned;

/// API keys that one user may have, and sessions: the oldest session ends for a new one.
const TOKENS_MAX: usize = 100;

/// A document of the `_system` database, with its revision.
pub fn stored<T: DeserializeOwned>(
    read: &impl Read,
    collection: &str,
    id: &str,
) -> Result<Option<(u64, T)>> {
    let Some(collection) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(None);
    };
    let found = read.get(Table::Documents, &keys::document_key(collection, &id.into()))?;
    found.map(parsed).transpose()
}

/// The revision of a document of the `_system` database.
pub fn revision(read: &impl Read, collection: &str, id: &str) -> Result<Option<u64>> {
    let Some(collection) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(None);
    };
    let found = read.get(Table::Documents, &keys::document_key(collection, &id.into()))?;
    Ok(found.and_then(document::decode).map(|(revision, _)| revision))
}

/// Whether what has let a user in still holds.
pub fn holds(read: &impl Read, user: &str, credentials: &CredentialRevisions) -> Result<bool> {
    let token = match &credentials.token {
        None => true,
        Some((id, known)) => revision(read, system::TOKENS, id)? == Some(*known),
    };
    Ok(token && revision(read, system::USERS, user)? == Some(credentials.user))
}

/// The error when what has let a user in holds no more.
pub fn user_changed(name: &str) -> Error {
    let message = format!("user {name:?}, or its session or key, was changed at this moment");
    Error::new(Kind::UserChanged, message).hint("send the call again")
}

/// All documents of a collection of the `_system` database.
pub fn all<T: DeserializeOwned>(read: &impl Read, collection: &str) -> Result<Vec<T>> {
    let Some(id) = catalog::collection(read, system::DATABASE, collection)? else {
        return Ok(Vec::new());
    };
    let rows =
        read.range(Table::Documents, &keys::collection_start(id), &keys::collection_end(id))?;
    rows.map(|row| Ok(parsed(row?.1)?.1)).collect()
}

fn parsed<T: DeserializeOwned>(stored: &[u8]) -> Result<(u64, T)> {
    let found = document::decode(stored)
        .and_then(|(revision, json)| Some((revision, system::parse(json)?)));
    found.ok_or_else(|| StorageError::Failed("a document of _system is damaged".into()))
}

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
        user.password_hash = update.password_hash.unwrap_or(user.password_hash);
        user.role = update.role.unwrap_or(user.role);
        user.allowed_dbs = update.allowed_dbs.unwrap_or(user.allowed_dbs);
        user.grants = update.grants.unwrap_or(user.grants);
        user.disabled = update.disabled.unwrap_or(user.disabled);
        user.changed_ms = self.numbers.time_ms;
        if !is_admin(&user) && self.is_last_admin(txn, &user.name)? {
            return last_admin(&user.name);
        }
        self.put_system(txn, system::USERS, &user.name, &user)?;
        // Who does not administer the cluster any more lets nobody in.
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
        self.end_tokens(txn, name, |_| true)?;
        self.remove_system(txn, system::USERS, name)
    }

    /// Whether nobody but this user could administer the cluster.
    fn is_last_admin(&self, txn: &WriteTxn<'_>, name: &str) -> Result<bool> {
        let users: Vec<UserDocument> = all(txn, system::USERS)?;
        Ok(!users.iter().any(|user| user.name != name && is_admin(user)))
    }

    fn end_tokens(
        &mut self,
        txn: &mut WriteTxn<'_>,
        user: &str,
        which: impl Fn(&TokenDocument) -> bool,
    ) -> Result<()> {
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        for token in tokens.iter().filter(|token| token.user == user && which(token)) {
            // They are there, and nothing refuses to remove them.
            let _ = settle(self.remove_system(txn, system::TOKENS, &token.id))?;
        }
        Ok(())
    }

    pub(super) fn create_token(
        &mut self,
        txn: &mut WriteTxn<'_>,
        token: &TokenDocument,
    ) -> ApplyResult {
        let user: Option<(u64, UserDocument)> = stored(txn, system::USERS, &token.user)?;
        if user.is_none_or(|(_, user)| user.disabled) {
            return no_user(&token.user);
        }
        if stored::<TokenDocument>(txn, system::TOKENS, &token.id)?.is_some() {
            return refuse(Kind::NameTaken, "a token of this id exists", "make it again");
        }
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        let same =
            tokens.iter().filter(|known| known.user == token.user && known.kind == token.kind);
        if same.clone().count() >= TOKENS_MAX {
            let oldest = same.min_by_key(|known| (known.created_ms, &known.id));
            match oldest.filter(|_| token.kind == TokenKind::Session) {
                Some(oldest) => drop(settle(self.remove_system(txn, system::TOKENS, &oldest.id))?),
                None => {
                    return refuse(
                        Kind::NotPossibleNow,
                        format!("user {:?} has {TOKENS_MAX} of them", token.user),
                        "revoke those that are not needed any more",
                    );
                }
            }
        }
        self.put_system(txn, system::TOKENS, &token.id, token)?;
        Ok(Outcome::Done)
    }

    pub(super) fn revoke_token(
        &mut self,
        txn: &mut WriteTxn<'_>,
        id: &str,
        user: Option<&str>,
    ) -> ApplyResult {
        let token: Option<(u64, TokenDocument)> = stored(txn, system::TOKENS, id)?;
        match token {
            Some((_, token)) if user.is_none_or(|user| token.user == user) => {
                self.remove_system(txn, system::TOKENS, id)
            }
            _ => no_token(id),
        }
    }

    pub(super) fn use_join_token(&mut self, txn: &mut WriteTxn<'_>, id: &str) -> ApplyResult {
        let token: Option<(u64, TokenDocument)> = stored(txn, system::TOKENS, id)?;
        let now = self.numbers.time_ms;
        let usable = token.is_some_and(|(_, token)| {
            token.kind == TokenKind::Join && token.expires_ms.is_none_or(|end| end > now)
        });
        match usable {
            true => self.remove_system(txn, system::TOKENS, id),
            false => no_token(id),
        }
    }

    pub(super) fn remove_ended_tokens(
        &mut self,
        txn: &mut WriteTxn<'_>,
        before_ms: u64,
        rows: usize,
    ) -> ApplyResult {
        let tokens: Vec<TokenDocument> = all(txn, system::TOKENS)?;
        let ended = tokens.iter().filter(|token| has_ended(token, before_ms)).take(rows);
        let mut worked = 0;
        for token in ended {
            let _ = settle(self.remove_system(txn, system::TOKENS, &token.id))?;
            worked += 1;
        }
        Ok(Outcome::Worked(worked))
    }

    fn remove_system(&mut self, txn: &mut WriteTxn<'_>, collection: &str, id: &str) -> ApplyResult {
        let namespace = NamespaceRef { database: system::DATABASE, collection };
        self.delete(txn, namespace, DocumentId::from(id).into(), None)?;
        Ok(Outcome::Done)
    }
}

/// Whether a token has ended at this time.
pub fn has_ended(token: &TokenDocument, now_ms: u64) -> bool {
    token.expires_ms.is_some_and(|end| end <= now_ms)
}

fn is_admin(user: &UserDocument) -> bool {
    user.role == "admin" && !user.disabled
}

fn no_user(name: &str) -> ApplyResult {
    Err(Error::new(Kind::UserNotFound, format!("there is no user {name:?}")).into())
}

fn no_token(id: &str) -> ApplyResult {
    Err(Error::new(Kind::TokenNotFound, format!("there is no token {id:?}")).into())
}

fn last_admin(name: &str) -> ApplyResult {
    refuse(
        Kind::LastAdmin,
        format!("{name:?} is the only administrator"),
        "make another user an administrator first",
    )
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
