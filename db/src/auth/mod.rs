//! Authentication and authorization: passwords, sessions, API keys, and what a role may do.

pub mod admitted;
pub mod limiter;
pub mod password;
pub mod policy;
pub mod token;

pub use policy::{Access, Caller, Permission, Rights, Role};

pub use crate::engine::accounts::user_changed;
use crate::engine::accounts::{has_ended, holds, stored};
use crate::engine::command::CredentialRevisions;
use crate::engine::system::{self, TokenDocument, UserDocument};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::storage::Read;

/// A caller whose identity is verified.
#[derive(Debug, Clone)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// Its rights.
    pub rights: Rights,
    /// The revisions of the user and the token that it was authenticated by. A later response, or
    /// applying what the caller proposes, compares them with the current ones: users and tokens are
    /// replicated, so a node may learn of a revocation a moment after others.
    pub credentials: CredentialRevisions,
    /// The [`Group::accounts_index`] before the user was read: while it stays, so do the revisions.
    accounts: u64,
    /// When the token expires, in the time of the log.
    expires_ms: Option<u64>,
}

/// The error for a request without credentials.
pub fn not_authenticated() -> Error {
    Error::new(Kind::NotAuthenticated, "this call needs a user name and password, or an API key")
}

/// The error for wrong credentials; it does not say which part is wrong.
pub fn bad_credentials() -> Error {
    Error::new(Kind::BadCredentials, "the user name or the password is wrong").hint(
        "the first password is in DataDir/admin-password of the node that created the cluster",
    )
}

/// The error for a disabled user, returned only after its password is verified.
pub fn user_disabled(name: &str) -> Error {
    Error::new(Kind::UserDisabled, format!("user {name:?} is disabled"))
        .hint("ask an administrator")
}

/// The user of this name, admitted by something else than its credentials.
///
/// # Errors
/// `not_authenticated` if there is none; `user_disabled`.
pub fn trusted(group: &Group, name: &str) -> Result<User> {
    let accounts = group.accounts_index();
    let (revision, user) = user(group, name)?.ok_or_else(not_authenticated)?;
    match user.disabled {
        true => Err(user_disabled(&user.name)),
        false => Ok(User::new((revision, user), None, accounts)),
    }
}

/// The user of this name with its revision, as this node knows it.
pub fn user(group: &Group, name: &str) -> Result<Option<(u64, UserDocument)>> {
    Ok(stored(&group.read()?, system::USERS, name)?)
}

impl User {
    /// Creates a user, with the bounds of its token if it uses one.
    fn new(user: (u64, UserDocument), token: Option<(u64, TokenDocument)>, accounts: u64) -> Self {
        let (user_revision, user) = user;
        let grants = user.grants.into_iter();
        let grants = grants.filter_map(|(database, role)| Some((database, Role::parse(&role)?)));
        let mut rights = Rights {
            role: Role::parse(&user.role),
            databases: user.allowed_dbs,
            grants: grants.collect(),
            role_max: None,
            databases_only: None,
        };
        let expires_ms = token.as_ref().and_then(|(_, token)| token.expires_ms);
        let token = token.map(|(revision, token)| {
            // A role that is not known must not lift the bound.
            rights.role_max = token.role.map(|role| Role::parse(&role).unwrap_or(Role::Reader));
            rights.databases_only = token.databases;
            (token.id, revision)
        });
        let credentials = CredentialRevisions { user: user_revision, token };
        User { name: user.name, rights, credentials, accounts, expires_ms }
    }

    /// Whether the user and its token are still as they were read.
    fn is_current(&self, group: &Group) -> bool {
        self.accounts == group.accounts_index()
            && self.expires_ms.is_none_or(|expires_ms| group.time_ms() < expires_ms)
    }

    /// The name of the user's role, or of its API key's role if that is lower.
    pub fn role_name(&self) -> Option<String> {
        let Rights { role, role_max, .. } = &self.rights;
        role.map(|role| role_max.map_or(role, |most| role.min(most)).name().to_owned())
    }

    /// Returns the user that another node has authenticated, if both nodes know the same revisions.
    /// Waits for what that node has applied and this one has not.
    ///
    /// # Errors
    /// `user_changed` when one of the two nodes has not applied the last change yet.
    pub async fn recognised(group: &Group, name: &str, by: CredentialRevisions) -> Result<User> {
        let same = |user: &User| user.credentials == by;
        if let Some(user) = find(group, name, &by)?.filter(same) {
            return Ok(user);
        }
        // Revisions grow with the log, so the newer of the two is current.
        group.wait_linearizable().await?;
        find(group, name, &by)?.filter(same).ok_or_else(|| user_changed(name))
    }

    /// Checks that the caller's credentials are still valid, as far as this node knows.
    ///
    /// # Errors
    /// `user_changed`.
    pub fn confirm(&self, group: &Group) -> Result<()> {
        let holds = self.accounts == group.accounts_index()
            || holds(&group.read()?, &self.name, &self.credentials)?;
        if holds { Ok(()) } else { Err(user_changed(&self.name)) }
    }
}

fn find(group: &Group, name: &str, by: &CredentialRevisions) -> Result<Option<User>> {
    let accounts = group.accounts_index();
    let read = group.read()?;
    let token = match &by.token {
        None => None,
        Some((id, _)) => match find_token(group, &read, id)? {
            None => return Ok(None),
            found => found,
        },
    };
    let user: Option<(u64, UserDocument)> = stored(&read, system::USERS, name)?;
    Ok(user.filter(|(_, user)| !user.disabled).map(|user| User::new(user, token, accounts)))
}

/// The token with this id, unless it has expired. The time of the log decides, not this node's
/// clock, so a token expires at the same moment on all nodes; on a node without a leader that time
/// goes on. The leader removes the token as well.
fn find_token(group: &Group, read: &impl Read, id: &str) -> Result<Option<(u64, TokenDocument)>> {
    let token: Option<(u64, TokenDocument)> = stored(read, system::TOKENS, id)?;
    Ok(token.filter(|(_, token)| !has_ended(token, group.time_ms())))
}
