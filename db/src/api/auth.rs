//! Logging in and out, and the own password.

use super::call::Call;
use super::reply::Reply;
use crate::auth::{bad_credentials, session};
use crate::engine::command::{Command, PutMode};
use crate::engine::system;
use crate::error::{Error, Kind, Result};
use crate::raft::groups::now_ms;
use base64::Engine;
use jettra_driver::DocumentId;
use jettra_driver::wire::{LoginReply, SessionReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::rc::Rc;

/// A name and what proves it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Credentials {
    /// The user's name.
    username: String,
    /// The user's password.
    password: String,
}

/// Body of `POST /api/change-password`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewPassword {
    /// The password until now.
    #[serde(default)]
    old_password: Option<String>,
    /// The password from now on.
    new_password: String,
}

/// `POST /api/login`: the ancestor's token, and a session cookie for the page.
pub async fn login(call: Rc<Call>) -> Result<Reply> {
    let given: Credentials = call.json()?;
    let (group, config) = (call.group()?, &call.cluster().config);
    let user = call.app.passwords.verify(group, &given.username, &given.password).await?;
    session::remove_ended(group, now_ms()).await?;
    let token = session::create(group, &user.name, now_ms(), config.session_hours).await?;
    let pair = format!("{}:{}", given.username, given.password);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let cookie = session_cookie(&token, config.session_hours * 3600);
    Ok(Reply::json(&LoginReply { token: basic, role: Some(user.role) })
        .header("set-cookie", cookie)
        .header("cache-control", "no-store"))
}

fn session_cookie(token: &str, seconds: u64) -> String {
    format!("{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}", session::COOKIE)
}

/// `POST /api/logout`
pub async fn logout(call: Rc<Call>) -> Result<Reply> {
    if let Some(token) = &call.session {
        session::end(call.group()?, token).await?;
    }
    Ok(Reply::status("logged out").header("set-cookie", session_cookie("", 0)))
}

/// `GET /api/v1/session`
pub async fn session(call: Rc<Call>) -> Result<Reply> {
    let user = call.user()?;
    Ok(Reply::json(&SessionReply {
        username: user.name.clone(),
        role: Some(user.role.clone()),
        allowed_dbs: vec![jettra_driver::wire::ALL_DATABASES.into()],
        grants: Default::default(),
    }))
}

/// `POST /api/change-password`. A session proves less than a password, so it must give the
/// old one; HTTP Basic has given it already, as the ancestor's clients do.
pub async fn change_password(call: Rc<Call>) -> Result<Reply> {
    let new: NewPassword = call.json()?;
    let (group, user) = (call.group()?, call.user()?);
    match &new.old_password {
        Some(old) => {
            let verified = call.app.passwords.verify(group, &user.name, old).await;
            verified.map_err(|error| match error.kind {
                Kind::BadCredentials => Error::new(error.kind, "the current password is wrong")
                    .hint("give the one that you logged in with"),
                _ => error,
            })?;
        }
        None if call.session.is_some() => {
            return Err(Error::new(Kind::InvalidBody, "oldPassword is missing")
                .hint("send {\"oldPassword\": …, \"newPassword\": …}"));
        }
        None => {}
    }
    let stored = crate::auth::user(group, &user.name)?.ok_or_else(bad_credentials)?;
    let hash = call.app.passwords.hash(&new.new_password).await?;
    let command = Command::Put {
        database: system::DATABASE.into(),
        collection: system::USERS.into(),
        target: DocumentId::from(user.name.as_str()).into(),
        body: json!({"password_hash": hash, "role": stored.role}).to_string(),
        mode: PutMode::Upsert,
        if_match: None,
        create_database: false,
    };
    let applied = group.propose(command).await?;
    group.wait_visible(applied.index).await?;
    session::end_all(group, &user.name).await?;
    Ok(Reply::status("Password updated").at(applied.index))
}
