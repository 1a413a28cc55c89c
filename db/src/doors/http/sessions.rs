//! Logging in and out over HTTP, and the caller's own password.

use super::call::Call;
use super::describe::{SESSION, describe};
use super::dispatch::cross_site;
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::auth::token;
use crate::error::{Kind, Result};
use crate::service::sessions::{self, Login};
use actix_web::http::header;
use base64::Engine;
use jettra_driver::wire::{CLIENT_HEADER, LoginReply, SessionReply, StatusReply};
use schemars::JsonSchema;
use serde::Deserialize;
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

/// `POST /api/login`: JettraDBVM's token, and a session cookie for the page.
pub const LOGIN: Endpoint = Endpoint::new(
    |call| Box::pin(login(call)),
    || {
        describe(SESSION, "Check a name and password, and begin a session")
            .body::<Credentials>()
            .gives::<LoginReply>(200)
            .proposes()
            .fails(&[
                Kind::BadCredentials,
                Kind::UserDisabled,
                Kind::TooManyAttempts,
                Kind::NotRegistered,
                Kind::Starting,
                Kind::Timeout,
            ])
    },
);

async fn login(call: Rc<Call>) -> Result<Reply> {
    // A page of somebody else's must not log its visitor in as a user of its choice. Only
    // browsers send the first header, and only our page sends the second.
    let browser = call.headers().contains_key(header::ORIGIN);
    if browser && !call.headers().contains_key(CLIENT_HEADER) {
        return Err(cross_site("a page that logs in"));
    }
    let Credentials { username, password } = call.json()?;
    let login = sessions::login(&call.session, &username, &password).await?;
    let pair = format!("{username}:{password}");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let tls = call.session.config().serves_tls();
    Ok(Reply::of(login.map(|Login { user, token, seconds }| {
        Reply::json(&LoginReply { token: basic, role: user.role_name() })
            .header("set-cookie", session_cookie(&token, seconds, tls))
            .header("cache-control", "no-store")
    })))
}

fn session_cookie(token: &str, seconds: u64, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    let name = token::COOKIE;
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// `POST /api/logout`
pub const LOGOUT: Endpoint = Endpoint::new(
    |call| Box::pin(logout(call)),
    || describe(SESSION, "End the session of the cookie").gives::<StatusReply>(200).proposes(),
);

async fn logout(call: Rc<Call>) -> Result<Reply> {
    let ended = session_cookie("", 0, call.session.config().serves_tls());
    let done = sessions::logout(&call.session).await?;
    Ok(Reply::of(done.map(|()| Reply::status("logged out").header("set-cookie", ended))))
}

/// `GET /api/v1/session`
pub const WHOAMI: Endpoint = Endpoint::new(
    |call| Box::pin(whoami(call)),
    || describe(SESSION, "The user of the call").gives::<SessionReply>(200),
);

async fn whoami(call: Rc<Call>) -> Result<Reply> {
    let user = sessions::whoami(&call.session).await?;
    Ok(Reply::of(user.map(|user| {
        let role = user.role_name();
        let grants = user.rights.grants.into_iter();
        Reply::json(&SessionReply {
            username: user.name,
            role,
            allowed_dbs: user.rights.databases_only.unwrap_or(user.rights.databases),
            grants: grants.map(|(name, role)| (name, role.name().to_owned())).collect(),
        })
    })))
}

/// `POST /api/change-password`. JettraDBVM's clients give the old password by HTTP Basic only.
pub const CHANGE_PASSWORD: Endpoint = Endpoint::new(
    |call| Box::pin(change_password(call)),
    || {
        describe(SESSION, "Change one's own password, and end one's sessions")
            .body::<NewPassword>()
            .gives::<StatusReply>(200)
            .proposes()
            .fails(&[Kind::Timeout])
    },
);

async fn change_password(call: Rc<Call>) -> Result<Reply> {
    let NewPassword { old_password, new_password } = call.json()?;
    let old_password = old_password.as_deref();
    let done = sessions::change_password(&call.session, old_password, &new_password).await?;
    Ok(Reply::of(done.map(|()| Reply::status("Password updated"))))
}
