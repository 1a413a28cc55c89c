//! Sessions, API keys and join tokens.

use super::users::{check_databases, check_role};
use super::{Response, Session, Step, Steps, users};
use crate::auth::{Permission, token};
use crate::engine::accounts::{all, has_ended};
use crate::engine::command::Command;
use crate::engine::system::{self, TokenDocument, TokenKind};
use crate::error::{Error, Kind, Result};

/// Lifetime of a join token, unless another is requested.
const JOIN_MS: u64 = 3_600_000;
/// Longest lifetime of a join token.
const JOIN_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Longest lifetime of an API key; a key for longer is created without an end.
const KEY_MS_MAX: u64 = 10 * 365 * 24 * 3_600_000;
const NAME_BYTES_MAX: usize = 100;

/// An API key that is to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewApiKey {
    /// What it is for.
    pub name: String,
    /// The most that it may do; none: as much as its user.
    pub role: Option<String>,
    /// The databases that it may use; none: those of its user.
    pub databases: Option<Vec<String>>,
    /// Milliseconds after which it expires; none: never.
    pub expires_in_ms: Option<u64>,
}

/// A token that was created.
#[derive(Clone)]
pub struct NewToken {
    /// Its text with the secret, which is stored nowhere.
    pub text: String,
    /// What is stored.
    pub document: TokenDocument,
}

fn wrong(message: &str, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidBody, message).hint(hint)
}

/// Lists the valid tokens, the oldest first: all of them for an administrator, else the caller's
/// own, and only itself for an API key.
///
/// # Errors
/// `not_authenticated`.
pub async fn list(session: &Session) -> Result<Response<Vec<TokenDocument>>> {
    let user = session.user()?;
    let (read, index) = session.system()?.read_with_index()?;
    let is_admin = user.rights.is_admin();
    let now = session.system()?.time_ms();
    let mut tokens: Vec<TokenDocument> = all(&read, system::TOKENS)?;
    let api_key = session.api_key();
    tokens.retain(|token| {
        let shown = match api_key {
            Some(id) => token.id == id,
            None => is_admin || token.user == user.name,
        };
        shown && !has_ended(token, now)
    });
    tokens.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    Ok(Response::at(tokens, index))
}

/// Creates an API key of the caller.
///
/// # Errors
/// `invalid_body`, `too_many_tokens`, `forbidden` to an API key.
pub async fn create_api_key(session: &Session, new: NewApiKey) -> Result<Response<NewToken>> {
    let user = session.user()?;
    session.refuse_api_key()?;
    if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX {
        let hint = format!("say in 1 to {NAME_BYTES_MAX} bytes what the key is for");
        return Err(wrong("name cannot be used", hint));
    }
    if let Some(role) = &new.role {
        check_role("role", role)?;
    }
    check_databases(session, "databases", new.databases.as_deref().unwrap_or_default())?;
    if new.expires_in_ms.is_some_and(|ms| ms == 0 || ms > KEY_MS_MAX) {
        let hint = format!("use 1 to {KEY_MS_MAX}, or leave it out for a key without end");
        return Err(wrong("expires_in_ms is out of range", hint));
    }
    let now = session.system()?.time_ms();
    let (text, mut document) = token::make(TokenKind::ApiKey, &user.name, now)?;
    document.name = Some(new.name);
    document.role = new.role;
    document.databases = new.databases;
    document.expires_ms = new.expires_in_ms.map(|ms| document.created_ms + ms);
    create(session, NewToken { text, document }).await
}

/// Creates a token that admits one new node within this many milliseconds, or an hour.
///
/// # Errors
/// `invalid_body`, `forbidden`.
pub async fn create_join_token(
    session: &Session,
    expires_in_ms: Option<u64>,
) -> Result<Response<NewToken>> {
    session.require(Permission::Admin)?;
    session.refuse_api_key()?;
    let ms = expires_in_ms.unwrap_or(JOIN_MS);
    if !(1..=JOIN_MS_MAX).contains(&ms) {
        return Err(wrong("expires_in_ms is out of range", format!("use 1 to {JOIN_MS_MAX}")));
    }
    let now = session.system()?.time_ms();
    let (text, mut document) = token::make(TokenKind::Join, &session.user()?.name, now)?;
    document.expires_ms = Some(document.created_ms + ms);
    create(session, NewToken { text, document }).await
}

/// Stores a token, and waits until it is valid on this node. A repeated request creates another
/// one: the secret of the first is stored nowhere.
async fn create(session: &Session, new: NewToken) -> Result<Response<NewToken>> {
    let mut steps = Steps::new(session);
    let command = Command::CreateToken(Box::new(new.document.clone()));
    let created = propose(&mut steps, Step::Unkeyed, command).await;
    steps.finish(created.map(|index| Response::at(new, index)))
}

async fn propose(steps: &mut Steps<'_>, step: Step, command: Command) -> Result<u64> {
    let applied = steps.propose_system(step, command).await?;
    steps.session().system()?.wait_visible(applied.index).await?;
    Ok(applied.index)
}

fn no_such_token() -> Error {
    Error::new(Kind::TokenNotFound, "there is no such token")
}

/// Revokes a token, named by its id or its whole text: any one for an administrator, else one of
/// the caller's own.
///
/// # Errors
/// `token_not_found`; `forbidden` to an API key that names another token.
pub async fn revoke(session: &Session, id_or_text: &str) -> Result<Response<()>> {
    let user = session.user()?;
    let owner = (!user.rights.is_admin()).then(|| user.name.clone());
    let id = token::public_id(id_or_text).ok_or_else(no_such_token)?.to_owned();
    // A key may revoke itself, which helps when it has leaked, and nothing else.
    if session.api_key().is_some_and(|key| key != id) {
        session.refuse_api_key()?;
    }
    let mut steps = Steps::new(session);
    let revoked = propose(&mut steps, Step::Keyed, Command::RevokeToken { id, user: owner }).await;
    let revoked = steps.finish(revoked.map(|index| Response::at((), index)))?;
    Ok(users::spread(session, revoked).await)
}
