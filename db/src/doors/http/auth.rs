//! Logging in and out, and the own password.

use super::audit;
use super::call::Call;
use super::dispatch::cross_site;
use super::reply::Reply;
use crate::auth::{Caller, User, bad_credentials, not_authenticated, token};
use crate::engine::command::{Command, UserUpdate};
use crate::engine::system::TokenKind;
use crate::error::{Error, Kind, Result};
use crate::service::{Step, Steps};
use actix_web::http::header;
use base64::Engine;
use jettra_driver::wire::{CLIENT_HEADER, LoginReply, SessionReply};
use schemars::JsonSchema;
use serde::Deserialize;
use std::rc::Rc;
use std::sync::Arc;

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

/// The user with this name and password. A wrong password is noted in the audit log.
pub(super) async fn verify(call: &Call, name: &str, password: &str) -> Result<User> {
    let address = call.session.from.as_deref().unwrap_or_default();
    let verified = call.app.service.passwords.verify(call.group()?, name, password, address).await;
    if let Err(error) = &verified
        && matches!(error.kind, Kind::BadCredentials | Kind::UserDisabled)
    {
        let caller = Caller { from: call.session.from.clone(), ..Caller::default() };
        audit::note(call, caller, "login_failed", name, error.kind.code());
    }
    verified
}

/// `POST /api/login`: the ancestor's token, and a session cookie for the page.
pub async fn login(call: Rc<Call>) -> Result<Reply> {
    // A page of somebody else's must not log its visitor in as a user of its choice. Only
    // browsers send the first header, and only our page sends the second.
    let browser = call.headers().contains_key(header::ORIGIN);
    if browser && !call.headers().contains_key(CLIENT_HEADER) {
        return Err(cross_site("a page that logs in"));
    }
    let given: Credentials = call.json()?;
    let (group, hours) = (call.group()?, call.cluster().config.session_hours);
    group.wait_ready().await?;
    let user = verify(&call, &given.username, &given.password).await?;
    let (text, mut document) = token::make(TokenKind::Session, &user.name, group.time_ms())?;
    document.expires_ms = Some(document.created_ms + hours * 3_600_000);
    let (command, role) = (Command::CreateToken(Box::new(document)), user.role_name());
    let mut session = call.session.clone();
    session.set_user(Arc::new(user), true);
    let applied = Steps::new(&session).propose_system(Step::Unkeyed, command).await?;
    // The next call with the cookie may come to this node at once.
    group.wait_visible(applied.index).await?;
    let pair = format!("{}:{}", given.username, given.password);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let secure = call.cluster().config.serves_tls();
    Ok(Reply::json(&LoginReply { token: basic, role })
        .header("set-cookie", session_cookie(&text, hours * 3600, secure))
        .header("cache-control", "no-store")
        .at(applied.index))
}

fn session_cookie(token: &str, seconds: u64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    let name = token::COOKIE;
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// `POST /api/logout`
pub async fn logout(call: Rc<Call>) -> Result<Reply> {
    if call.session.is_login()
        && let Some((id, _)) = &call.session.user()?.credentials.token
    {
        let command = Command::RevokeToken { id: id.clone(), user: None };
        call.propose_system(Step::Keyed, command).await?;
    }
    Ok(Reply::status("logged out")
        .header("set-cookie", session_cookie("", 0, call.cluster().config.serves_tls())))
}

/// `GET /api/v1/session`
pub async fn session(call: Rc<Call>) -> Result<Reply> {
    let user = call.session.user()?;
    let rights = &user.rights;
    let grants = rights.grants.iter();
    Ok(Reply::json(&SessionReply {
        username: user.name.clone(),
        role: user.role_name(),
        allowed_dbs: rights.databases_only.clone().unwrap_or_else(|| rights.databases.clone()),
        grants: grants.map(|(name, role)| (name.clone(), role.name().to_owned())).collect(),
    }))
}

/// `POST /api/change-password`. Whoever has got hold of a session or a key must not be able to
/// keep the user out, so the old password is asked for; HTTP Basic has given it already, as the
/// ancestor's clients do.
pub async fn change_password(call: Rc<Call>) -> Result<Reply> {
    let new: NewPassword = call.json()?;
    let (group, user) = (call.group()?, call.session.user()?);
    match &new.old_password {
        Some(old) => {
            let verified = verify(&call, &user.name, old).await;
            verified.map_err(|error| match error.kind {
                Kind::BadCredentials => Error::new(error.kind, "the current password is wrong")
                    .hint("give the one that you logged in with"),
                _ => error,
            })?;
        }
        None if user.credentials.token.is_some() => {
            return Err(Error::new(Kind::InvalidBody, "oldPassword is missing")
                .hint("send {\"oldPassword\": …, \"newPassword\": …}"));
        }
        None => {}
    }
    let (_, stored) = crate::auth::user(group, &user.name)?.ok_or_else(not_authenticated)?;
    if new.old_password.as_ref() == Some(&new.new_password) {
        return Err(Error::new(Kind::InvalidBody, "newPassword is the current password")
            .hint("choose another one"));
    }
    let hash = call.app.service.passwords.hash(&user.name, &new.new_password).await?;
    let update = UserUpdate {
        name: user.name.clone(),
        password_hash: Some(hash),
        proved_hash: Some(stored.password_hash),
        ..UserUpdate::default()
    };
    // A repeated call finds the old password gone: it has no answer to repeat.
    let command = Command::UpdateUser(Box::new(update));
    let applied =
        call.propose_system(Step::Unkeyed, command).await.map_err(|error| match error.kind {
            Kind::UserNotFound => bad_credentials(),
            _ => error,
        })?;
    group.wait_visible(applied.index).await?;
    Ok(Reply::status("Password updated").at(applied.index))
}
