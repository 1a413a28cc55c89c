//! Sessions, API keys and join tokens over HTTP.

use super::call::Call;
use super::describe::{ACCESS, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::engine::system::TokenDocument;
use crate::error::{Kind, Result};
use crate::service::Response;
use crate::service::tokens::{self, NewApiKey};
use crate::wire::IntoWire;
use jettra_driver::wire::{NewJoinToken, NewToken, TokenInfo, TokenReply, TokensReply};
use std::rc::Rc;

/// A token without its secret's hash.
fn info(token: TokenDocument) -> TokenInfo {
    let TokenDocument { id, kind, user, name, role, databases, created_ms, expires_ms, .. } = token;
    TokenInfo { id, kind: kind.into_wire(), user, name, role, databases, created_ms, expires_ms }
}

/// `GET /api/v1/tokens`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(ACCESS, "List one's own sessions and keys, for administrators all tokens")
            .gives::<TokensReply>(200)
            .reads()
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let listed = tokens::list(&call.session).await?;
    Ok(Reply::of(listed.map(|tokens| {
        Reply::json(&TokensReply { tokens: tokens.into_iter().map(info).collect() })
    })))
}

/// `POST /api/v1/tokens`: an API key of the caller.
pub const CREATE_API_KEY: Endpoint = Endpoint::new(
    |call| Box::pin(create_api_key(call)),
    || describe(ACCESS, "Make an API key").body::<NewToken>().gives::<TokenReply>(201).proposes(),
);

async fn create_api_key(call: Rc<Call>) -> Result<Reply> {
    let NewToken { name, role, databases, expires_in_ms } = call.json()?;
    let new = NewApiKey { name, role, databases, expires_in_ms };
    tokens::create_api_key(&call.session, new).await.map(created)
}

/// `POST /api/v1/cluster/tokens`: lets one new node in.
pub const CREATE_JOIN_TOKEN: Endpoint = Endpoint::new(
    |call| Box::pin(create_join_token(call)),
    || {
        describe(ACCESS, "Make a token with which one new node can join")
            .optional_body::<NewJoinToken>()
            .gives::<TokenReply>(201)
            .proposes()
    },
);

async fn create_join_token(call: Rc<Call>) -> Result<Reply> {
    call.session.refuse_api_key()?;
    let NewJoinToken { expires_in_ms } = call.json_or_empty()?;
    tokens::create_join_token(&call.session, expires_in_ms).await.map(created)
}

fn created(token: Response<tokens::NewToken>) -> Reply {
    Reply::of(token.map(|tokens::NewToken { text, document }| {
        let reply = Reply::json(&TokenReply { token: text, info: info(document) });
        reply.with_status(201).header("cache-control", "no-store")
    }))
}

/// `DELETE /api/v1/tokens/{token}`: by its id, or by the token itself.
pub const REVOKE: Endpoint = Endpoint::new(
    |call| Box::pin(revoke(call)),
    || {
        describe(ACCESS, "Revoke a session, an API key or a join token")
            .gives_nothing()
            .writes()
            .fails(&[Kind::TokenNotFound])
    },
);

async fn revoke(call: Rc<Call>) -> Result<Reply> {
    let revoked = tokens::revoke(&call.session, call.required(&["token"])?).await?;
    Ok(Reply::of(revoked.map(|()| Reply::empty())))
}
