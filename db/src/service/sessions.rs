//! Callers: their credentials verified, logins and logouts, the caller's own password.

use super::{Response, Service, Session, Step, Steps, users};
use crate::auth::{self, Caller, User, bad_credentials, not_authenticated, token};
use crate::cluster::audit;
use crate::engine::command::{Command, UserUpdate};
use crate::engine::system::TokenKind;
use crate::error::{Error, Kind, Result};
use std::sync::Arc;

/// The user that a new cluster has.
const FIRST_USER: &str = "admin";

/// What authenticates a caller.
#[derive(Clone, Copy)]
pub enum Credentials<'c> {
    /// A name and a password.
    Password {
        /// The user's name.
        name: &'c str,
        /// The user's password.
        password: &'c str,
    },
    /// The text of an API key.
    ApiKey(&'c str),
    /// The text of the token that a login returned.
    Login(&'c str),
    /// None: it calls from this machine, where that is enough.
    Loopback,
}

/// A login.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: Arc<User>,
    /// The text of its token, with the secret, which is kept nowhere.
    pub token: String,
    /// Seconds after which the token expires.
    pub seconds: u64,
}

/// Verifies the credentials of a caller at an address. A wrong password is noted in the audit
/// log.
///
/// # Errors
/// `bad_credentials`, `not_authenticated`, `user_disabled`, `too_many_attempts`, `overloaded`.
pub async fn authenticate(
    service: &Service,
    credentials: Credentials<'_>,
    address: Option<&str>,
) -> Result<Arc<User>> {
    let (group, admitted) = (service.cluster.groups.system()?, &service.admitted);
    let (name, password) = match credentials {
        Credentials::ApiKey(text) => {
            let user = async || token::user(group, TokenKind::ApiKey, text).await;
            return admitted.get(group, &["key", text], user).await;
        }
        Credentials::Login(text) => {
            let user = async || token::user(group, TokenKind::Session, text).await;
            return admitted.get(group, &["login", text], user).await;
        }
        Credentials::Loopback => {
            let user = async || auth::trusted(group, FIRST_USER);
            return admitted.get(group, &["loopback"], user).await;
        }
        Credentials::Password { name, password } => (name, password),
    };
    let (passwords, address_text) = (&service.passwords, address.unwrap_or_default());
    let verify = async || passwords.verify(group, name, password, address_text).await;
    let verified = admitted.get(group, &["password", name, password], verify).await;
    if let Err(error) = &verified
        && matches!(error.kind, Kind::BadCredentials | Kind::UserDisabled)
    {
        let caller = Caller { from: address.map(str::to_owned), ..Caller::default() };
        audit::record(&service.cluster, caller, "login_failed", name, error.kind.code());
    }
    verified
}

/// Logs a user in: creates a token that authenticates it until it expires.
///
/// # Errors
/// Those of [`authenticate`].
pub async fn login(session: &Session, name: &str, password: &str) -> Result<Response<Login>> {
    let group = session.system()?;
    group.wait_ready().await?;
    let credentials = Credentials::Password { name, password };
    let user = authenticate(session.service(), credentials, session.from.as_deref()).await?;
    let seconds = session.config().session_hours * 3600;
    let (token, mut document) = token::make(TokenKind::Session, &user.name, group.time_ms())?;
    document.expires_ms = Some(document.created_ms + seconds * 1000);
    let mut session = session.clone();
    session.set_user(user.clone(), false);
    let mut steps = Steps::new(&session);
    let created = create_token(&mut steps, Command::CreateToken(Box::new(document))).await;
    steps.finish(created.map(|index| Response::at(Login { user, token, seconds }, index)))
}

async fn create_token(steps: &mut Steps<'_>, command: Command) -> Result<u64> {
    let applied = steps.propose_system(Step::Unkeyed, command).await?;
    // The next call with the token may come to this node at once.
    steps.session().system()?.wait_visible(applied.index).await?;
    Ok(applied.index)
}

/// Logs the caller out: revokes the token of its login, if that is what it is authenticated by.
///
/// # Errors
/// `not_authenticated`.
pub async fn logout(session: &Session) -> Result<Response<()>> {
    let mut steps = Steps::new(session);
    let revoked = revoke_login(&mut steps).await;
    Ok(users::spread(session, steps.finish(revoked.map(|index| Response::at((), index)))?).await)
}

async fn revoke_login(steps: &mut Steps<'_>) -> Result<u64> {
    let session = steps.session();
    if session.is_login()
        && let Some((id, _)) = &session.user()?.credentials.token
    {
        let command = Command::RevokeToken { id: id.clone(), user: None };
        let applied = steps.propose_system(Step::Keyed, command).await?;
        // The next call with the token may come to this node at once.
        session.system()?.wait_visible(applied.index).await?;
        return Ok(applied.index);
    }
    Ok(session.system()?.visible_index())
}

/// The caller itself.
///
/// # Errors
/// `not_authenticated`.
pub async fn whoami(session: &Session) -> Result<Response<User>> {
    session.user().cloned().map(Response::new)
}

/// Changes the caller's own password. The holder of a leaked token must not be able to lock its
/// user out, so the current password is required; a caller that is authenticated by it has given
/// it already.
///
/// # Errors
/// `bad_credentials`, `invalid_body`, `overloaded`.
pub async fn change_password(
    session: &Session,
    current: Option<&str>,
    new: &str,
) -> Result<Response<()>> {
    let mut steps = Steps::new(session);
    let changed = change_once(&mut steps, current, new).await;
    Ok(users::spread(session, steps.finish(changed.map(|index| Response::at((), index)))?).await)
}

async fn change_once(steps: &mut Steps<'_>, current: Option<&str>, new: &str) -> Result<u64> {
    let session = steps.session();
    let (group, user) = (session.system()?, session.user()?);
    match current {
        Some(current) => {
            let credentials = Credentials::Password { name: &user.name, password: current };
            let address = session.from.as_deref();
            let verified = authenticate(session.service(), credentials, address).await;
            verified.map_err(|error| match error.kind {
                Kind::BadCredentials => Error::new(error.kind, "the current password is wrong")
                    .hint("give the one that you logged in with"),
                _ => error,
            })?;
        }
        None if user.credentials.token.is_some() => {
            return Err(Error::new(Kind::InvalidBody, "oldPassword is missing")
                .hint("give oldPassword, the current one, and newPassword"));
        }
        None => {}
    }
    let (_, stored) = crate::auth::user(group, &user.name)?.ok_or_else(not_authenticated)?;
    if current == Some(new) {
        return Err(Error::new(Kind::InvalidBody, "newPassword is the current password")
            .hint("choose another one"));
    }
    let hash = session.service().passwords.hash(&user.name, new).await?;
    let update = UserUpdate {
        name: user.name.clone(),
        password_hash: Some(hash),
        proved_hash: Some(stored.password_hash),
        ..UserUpdate::default()
    };
    // A repeated request finds the current password changed: it has no response to repeat.
    let command = Command::UpdateUser(Box::new(update));
    let applied = steps.propose_system(Step::Unkeyed, command).await;
    let applied = applied.map_err(|error| match error.kind {
        Kind::UserNotFound => bad_credentials(),
        _ => error,
    })?;
    group.wait_visible(applied.index).await?;
    Ok(applied.index)
}
