//! Users, as administrators manage them.

use super::{Response, Session, Step, Steps};
use crate::auth::password::NAME_BYTES_MAX;
use crate::auth::{Permission, Role};
use crate::engine::accounts::all;
use crate::engine::command::{self, Command};
use crate::engine::system::{self, ALL_DATABASES, UserDocument, check_name};
use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;

/// A user that is to be created.
#[derive(Clone, Default)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// Its role.
    pub role: String,
    /// Databases that the role holds for, `*` for all of them; an administrator needs none.
    pub allowed_dbs: Option<Vec<String>>,
    /// Further roles, each for one database.
    pub grants: BTreeMap<String, String>,
    /// Whether the user cannot log in.
    pub disabled: bool,
}

/// What is to change in a user; what is none stays as it is.
#[derive(Clone, Default)]
pub struct UserUpdate {
    /// The new password.
    pub password: Option<String>,
    /// The new role.
    pub role: Option<String>,
    /// The databases that the role holds for from then on.
    pub allowed_dbs: Option<Vec<String>>,
    /// All further roles from then on.
    pub grants: Option<BTreeMap<String, String>>,
    /// Whether the user cannot log in.
    pub disabled: Option<bool>,
}

fn wrong(message: String, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidBody, message).hint(hint)
}

/// Names travel in headers and in addresses.
fn check_user_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    let dots = name.bytes().all(|byte| byte == b'.');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(fits) && !dots {
        return Ok(());
    }
    let hint = format!("use 1 to {NAME_BYTES_MAX} ASCII letters, digits, '_', '-', '.' and '@'");
    Err(wrong(format!("username {name:?} cannot be used"), hint))
}

/// Checks the name of a role.
///
/// # Errors
/// `invalid_body`.
pub(super) fn check_role(field: &str, role: &str) -> Result<Role> {
    Role::parse(role).ok_or_else(|| {
        let hint = format!("use {}", Role::ALL.map(Role::name).join(", "));
        wrong(format!("{field}: there is no role {role:?}"), hint)
    })
}

/// Checks a list of databases; they need not exist yet.
///
/// # Errors
/// `invalid_body`.
pub(super) fn check_databases(session: &Session, field: &str, databases: &[String]) -> Result<()> {
    let bytes_max = session.config().name_bytes_max;
    for database in databases.iter().filter(|name| *name != ALL_DATABASES) {
        check_name(field, database, bytes_max).map_err(|error| {
            wrong(error.message, "use names of databases, or \"*\" for all of them")
        })?;
    }
    Ok(())
}

fn check_grants(session: &Session, grants: &BTreeMap<String, String>) -> Result<()> {
    for (database, role) in grants {
        check_name("grants", database, session.config().name_bytes_max)
            .map_err(|error| wrong(error.message, "a grant is for one database by its name"))?;
        if check_role("grants", role)? == Role::Admin {
            let message = format!("grants: {database:?} cannot have an admin of its own");
            return Err(wrong(message, "use owner; an admin administers the whole cluster"));
        }
    }
    Ok(())
}

/// Lists the users.
///
/// # Errors
/// `forbidden`.
pub async fn list(session: &Session) -> Result<Response<Vec<UserDocument>>> {
    session.require(Permission::Admin)?;
    let (read, index) = session.system()?.read_with_index()?;
    Ok(Response::at(all(&read, system::USERS)?, index))
}

/// Reads a user.
///
/// # Errors
/// `user_not_found`, `forbidden`.
pub async fn get(session: &Session, name: &str) -> Result<Response<UserDocument>> {
    session.require(Permission::Admin)?;
    find(session, name).map(Response::new)
}

fn find(session: &Session, name: &str) -> Result<UserDocument> {
    match crate::auth::user(session.system()?, name)? {
        Some((_, user)) => Ok(user),
        None => Err(Error::new(Kind::UserNotFound, format!("there is no user {name:?}"))),
    }
}

/// Creates a user.
///
/// # Errors
/// `user_exists`, `invalid_body`, `overloaded`, `forbidden`.
pub async fn create(session: &Session, new: NewUser) -> Result<Response<UserDocument>> {
    let mut steps = Steps::new(session);
    let created = create_once(&mut steps, new).await;
    steps.finish(created)
}

async fn create_once(steps: &mut Steps<'_>, new: NewUser) -> Result<Response<UserDocument>> {
    let session = steps.session();
    session.require(Permission::Admin)?;
    check_user_name(&new.name)?;
    let role = check_role("role", &new.role)?;
    check_grants(session, &new.grants)?;
    let allowed_dbs = match new.allowed_dbs {
        Some(databases) => databases,
        None if role == Role::Admin => vec![ALL_DATABASES.into()],
        None if !new.grants.is_empty() => Vec::new(),
        None => {
            let hint = "list the databases that the role is for, or [\"*\"] for all of them";
            return Err(wrong("allowed_dbs is missing".into(), hint));
        }
    };
    check_databases(session, "allowed_dbs", &allowed_dbs)?;
    let password_hash = session.service().passwords.hash(&new.name, &new.password).await?;
    let now = session.system()?.time_ms();
    let user = UserDocument {
        name: new.name.clone(),
        password_hash,
        role: new.role,
        allowed_dbs,
        grants: new.grants,
        disabled: new.disabled,
        created_ms: now,
        changed_ms: now,
        scram_sha_256: None,
    };
    let index = propose(steps, Command::CreateUser(Box::new(user))).await?;
    Ok(Response::at(find(session, &new.name)?, index))
}

/// Carries a command about users out, and waits until it is in force on this node.
async fn propose(steps: &mut Steps<'_>, command: Command) -> Result<u64> {
    let session = steps.session();
    session.refuse_api_key()?;
    let applied = steps.propose_system(Step::Keyed, command).await?;
    session.system()?.wait_visible(applied.index).await?;
    Ok(applied.index)
}

/// Waits until every group has heard of a right that was taken away at a log index; the response names
/// those that have not, because they have no quorum.
pub(super) async fn spread<T>(session: &Session, done: Response<T>) -> Response<T> {
    let index = done.index.unwrap_or_default();
    let pending = session.service().cluster.spread_rights(index).await;
    Response { pending, ..done }
}

/// Changes a user.
///
/// # Errors
/// `user_not_found`, `last_admin`, `invalid_body`, `overloaded`, `forbidden`.
pub async fn update(
    session: &Session,
    name: String,
    update: UserUpdate,
) -> Result<Response<UserDocument>> {
    let mut steps = Steps::new(session);
    let updated = update_once(&mut steps, name, update).await;
    Ok(spread(session, steps.finish(updated)?).await)
}

async fn update_once(
    steps: &mut Steps<'_>,
    name: String,
    update: UserUpdate,
) -> Result<Response<UserDocument>> {
    let session = steps.session();
    session.require(Permission::Admin)?;
    session.refuse_api_key()?;
    if let Some(role) = &update.role {
        check_role("role", role)?;
    }
    check_databases(session, "allowed_dbs", update.allowed_dbs.as_deref().unwrap_or_default())?;
    check_grants(session, update.grants.as_ref().unwrap_or(&BTreeMap::new()))?;
    // Else the holder of a leaked token could lock its user out.
    if update.password.is_some() && name == session.user()?.name {
        return Err(wrong(
            "password: your own is changed with the old one".into(),
            "change your own password instead",
        ));
    }
    let password_hash = match &update.password {
        Some(password) => Some(session.service().passwords.hash(&name, password).await?),
        None => None,
    };
    let command = command::UserUpdate {
        name: name.clone(),
        password_hash,
        proved_hash: None,
        role: update.role,
        allowed_dbs: update.allowed_dbs,
        grants: update.grants,
        disabled: update.disabled,
        scram_sha_256: None,
    };
    if command == (command::UserUpdate { name: name.clone(), ..Default::default() }) {
        let hint = "give password, role, allowed_dbs, grants or disabled";
        return Err(wrong("the body changes nothing".into(), hint));
    }
    let index = propose(steps, Command::UpdateUser(Box::new(command))).await?;
    Ok(Response::at(find(session, &name)?, index))
}

/// Deletes a user, with its sessions and keys.
///
/// # Errors
/// `user_not_found`, `last_admin`, `forbidden`.
pub async fn delete(session: &Session, name: String) -> Result<Response<()>> {
    session.require(Permission::Admin)?;
    let mut steps = Steps::new(session);
    let deleted = propose(&mut steps, Command::DeleteUser { name }).await;
    Ok(spread(session, steps.finish(deleted.map(|index| Response::at((), index)))?).await)
}
