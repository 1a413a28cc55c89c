//! Sessions, API keys and join tokens.

use super::call::Call;
use super::reply::Reply;
use super::users::{check_databases, check_role};
use crate::auth::token;
use crate::engine::accounts::{all, has_ended};
use crate::engine::command::Command;
use crate::engine::system::TokenKind;
use crate::engine::system::{self, TokenDocument};
use crate::error::{Error, Kind, Result};
use crate::service::Step;
use jettra_driver::wire::{NewJoinToken, NewToken, TokenReply, TokensReply};
use std::rc::Rc;

/// Time for which a join token holds when nothing else is asked for.
const JOIN_MS: u64 = 3_600_000;
/// Longest such time.
const JOIN_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Longest time for which an API key may be asked to hold; beyond it, it is made without end.
const KEY_MS_MAX: u64 = 10 * 365 * 24 * 3_600_000;
const NAME_BYTES_MAX: usize = 100;

fn wrong(message: &str, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidBody, message).hint(hint)
}

/// `GET /api/v1/tokens`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let user = call.session.user()?;
    let (read, index) = call.group()?.read_with_index()?;
    let (mine, admin) = (&user.name, user.rights.is_admin());
    let now = call.group()?.time_ms();
    let mut tokens: Vec<TokenDocument> = all(&read, system::TOKENS)?;
    let key = call.session.api_key();
    tokens.retain(|token| {
        let seen = match key {
            Some(key) => token.id == key,
            None => admin || token.user == *mine,
        };
        seen && !has_ended(token, now)
    });
    tokens.sort_by(|a, b| (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id)));
    let tokens = tokens.into_iter().map(token::info).collect();
    Ok(Reply::json(&TokensReply { tokens }).at(index))
}

/// `POST /api/v1/tokens`: an API key of the caller.
pub async fn create_key(call: Rc<Call>) -> Result<Reply> {
    let new: NewToken = call.json()?;
    let user = call.session.user()?;
    call.session.refuse_api_key()?;
    if new.name.is_empty() || new.name.len() > NAME_BYTES_MAX {
        let hint = format!("say in 1 to {NAME_BYTES_MAX} bytes what the key is for");
        return Err(wrong("name cannot be used", hint));
    }
    if let Some(role) = &new.role {
        check_role("role", role)?;
    }
    check_databases(&call, "databases", new.databases.as_deref().unwrap_or_default())?;
    if new.expires_in_ms.is_some_and(|ms| ms == 0 || ms > KEY_MS_MAX) {
        let hint = format!("use 1 to {KEY_MS_MAX}, or leave it out for a key without end");
        return Err(wrong("expires_in_ms is out of range", hint));
    }
    let now = call.group()?.time_ms();
    let (text, mut document) = token::make(TokenKind::ApiKey, &user.name, now)?;
    document.name = Some(new.name);
    document.role = new.role;
    document.databases = new.databases;
    document.expires_ms = new.expires_in_ms.map(|ms| document.created_ms + ms);
    create(&call, text, document).await
}

/// `POST /api/v1/cluster/tokens`: lets one new node in.
pub async fn create_join(call: Rc<Call>) -> Result<Reply> {
    call.session.refuse_api_key()?;
    let new: NewJoinToken = call.json_or_empty()?;
    let ms = new.expires_in_ms.unwrap_or(JOIN_MS);
    if !(1..=JOIN_MS_MAX).contains(&ms) {
        return Err(wrong("expires_in_ms is out of range", format!("use 1 to {JOIN_MS_MAX}")));
    }
    let now = call.group()?.time_ms();
    let (text, mut document) = token::make(TokenKind::Join, &call.session.user()?.name, now)?;
    document.expires_ms = Some(document.created_ms + ms);
    create(&call, text, document).await
}

async fn create(call: &Call, text: String, document: TokenDocument) -> Result<Reply> {
    let info = token::info(document.clone());
    // A repeated call makes another token: the secret of the first one is nowhere to be found.
    let command = Command::CreateToken(Box::new(document));
    let applied = call.propose_system(Step::Unkeyed, command).await?;
    call.group()?.wait_visible(applied.index).await?;
    let reply = Reply::json(&TokenReply { token: text, info }).with_status(201).at(applied.index);
    Ok(reply.header("cache-control", "no-store"))
}

fn no_such_token() -> Error {
    Error::new(Kind::TokenNotFound, "there is no such token")
        .hint("list the tokens with GET /api/v1/tokens, and name one by its id")
}

/// `DELETE /api/v1/tokens/{token}`: by its id, or by the token itself.
pub async fn revoke(call: Rc<Call>) -> Result<Reply> {
    let user = call.session.user()?;
    let owner = (!user.rights.is_admin()).then(|| user.name.clone());
    let id = token::public_id(call.required(&["token"])?).ok_or_else(no_such_token)?.to_owned();
    // A key can do away with itself, which helps when it is found; with nothing else.
    if call.session.api_key().is_some_and(|key| key != id) {
        call.session.refuse_api_key()?;
    }
    let applied =
        call.propose_system(Step::Keyed, Command::RevokeToken { id, user: owner }).await?;
    call.group()?.wait_visible(applied.index).await?;
    Ok(Reply::empty().at(applied.index))
}
