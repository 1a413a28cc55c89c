//! Users: what administrators say about them.

use super::call::Call;
use super::reply::Reply;
use crate::auth::Role;
use crate::auth::password::NAME_BYTES_MAX;
use crate::engine::accounts::all;
use crate::engine::command::{Command, UserUpdate};
use crate::engine::system::{self, UserDocument, check_name};
use crate::error::{Error, Kind, Result};
use crate::service::Step;
use jettra_driver::wire::{ALL_DATABASES, NewUser, ROLES, UserInfo, UserUpdateBody};
use std::collections::BTreeMap;
use std::rc::Rc;

fn info(user: UserDocument) -> UserInfo {
    let UserDocument { name, role, allowed_dbs, grants, disabled, created_ms, changed_ms, .. } =
        user;
    let id = name.clone();
    UserInfo { id, username: name, role, allowed_dbs, grants, disabled, created_ms, changed_ms }
}

fn wrong(message: String, hint: impl Into<String>) -> Error {
    Error::new(Kind::InvalidBody, message).hint(hint)
}

/// Names travel in headers and stand in addresses.
fn check_user_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    let dots = name.bytes().all(|byte| byte == b'.');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(fits) && !dots {
        return Ok(());
    }
    let hint = format!("use 1 to {NAME_BYTES_MAX} ASCII letters, digits, '_', '-', '.' and '@'");
    Err(wrong(format!("username {name:?} cannot be used"), hint))
}

/// Checks a role by its name.
pub(super) fn check_role(field: &str, role: &str) -> Result<Role> {
    Role::parse(role).ok_or_else(|| {
        wrong(format!("{field}: there is no role {role:?}"), format!("use {}", ROLES.join(", ")))
    })
}

/// Checks a list of databases; they need not exist yet.
pub(super) fn check_databases(call: &Call, field: &str, databases: &[String]) -> Result<()> {
    let bytes_max = call.cluster().config.name_bytes_max;
    for database in databases.iter().filter(|name| *name != ALL_DATABASES) {
        check_name(field, database, bytes_max).map_err(|error| {
            wrong(error.message, "use names of databases, or \"*\" for all of them")
        })?;
    }
    Ok(())
}

fn check_grants(call: &Call, grants: &BTreeMap<String, String>) -> Result<()> {
    for (database, role) in grants {
        check_name("grants", database, call.cluster().config.name_bytes_max)
            .map_err(|error| wrong(error.message, "a grant is for one database by its name"))?;
        if check_role("grants", role)? == Role::Admin {
            let message = format!("grants: {database:?} cannot have an admin of its own");
            return Err(wrong(message, "use owner; an admin administers the whole cluster"));
        }
    }
    Ok(())
}

/// `GET /api/users`, `GET /api/v1/users`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let (read, index) = call.group()?.read_with_index()?;
    let users: Vec<UserDocument> = all(&read, system::USERS)?;
    Ok(Reply::json(&users.into_iter().map(info).collect::<Vec<_>>()).at(index))
}

fn find(call: &Call, name: &str) -> Result<UserInfo> {
    match crate::auth::user(call.group()?, name)? {
        Some((_, user)) => Ok(info(user)),
        None => Err(Error::new(Kind::UserNotFound, format!("there is no user {name:?}"))
            .hint("list the users with GET /api/v1/users")),
    }
}

/// `GET /api/v1/users/{user}`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    Ok(Reply::json(&find(&call, call.required(&["user"])?)?))
}

/// Creates the user that the body describes; gives its name and the log index.
async fn create_one(call: &Call, new: NewUser) -> Result<(String, u64)> {
    check_user_name(&new.username)?;
    let role = check_role("role", &new.role)?;
    check_grants(call, &new.grants)?;
    let allowed_dbs = match new.allowed_dbs {
        Some(databases) => databases,
        None if role == Role::Admin => vec![ALL_DATABASES.into()],
        None if !new.grants.is_empty() => Vec::new(),
        None => {
            let hint = "list the databases that the role is for, or [\"*\"] for all of them";
            return Err(wrong("allowed_dbs is missing".into(), hint));
        }
    };
    check_databases(call, "allowed_dbs", &allowed_dbs)?;
    let password_hash = call.app.service.passwords.hash(&new.username, &new.password).await?;
    let now = call.group()?.time_ms();
    let user = UserDocument {
        name: new.username.clone(),
        password_hash,
        role: new.role,
        allowed_dbs,
        grants: new.grants,
        disabled: new.disabled,
        created_ms: now,
        changed_ms: now,
    };
    let index = change(call, Command::CreateUser(Box::new(user))).await?;
    Ok((new.username, index))
}

/// Whoever is told of the change finds it in force.
async fn change(call: &Call, command: Command) -> Result<u64> {
    call.session.refuse_api_key()?;
    let applied = call.propose_system(Step::Keyed, command).await?;
    call.group()?.wait_visible(applied.index).await?;
    Ok(applied.index)
}

/// `POST /api/v1/users`
pub async fn create(call: Rc<Call>) -> Result<Reply> {
    let (name, index) = create_one(&call, call.json()?).await?;
    Ok(Reply::json(&find(&call, &name)?).with_status(201).at(index))
}

/// `POST /api/users`: without `allowed_dbs` the user may use no database yet.
pub async fn create_ancestor(call: Rc<Call>) -> Result<Reply> {
    let mut new: NewUser = call.json()?;
    if new.role != Role::Admin.name() {
        new.allowed_dbs.get_or_insert_default();
    }
    let created = create_one(&call, new).await.map_err(|error| match error.kind {
        // Its clients look for this status.
        Kind::UserExists => Error { kind: Kind::InvalidBody, ..error },
        _ => error,
    });
    Ok(Reply::status("User created").at(created?.1))
}

/// `PATCH /api/v1/users/{user}`
pub async fn update(call: Rc<Call>) -> Result<Reply> {
    call.session.refuse_api_key()?;
    let given: UserUpdateBody = call.json()?;
    let name = call.required(&["user"])?.to_owned();
    if let Some(role) = &given.role {
        check_role("role", role)?;
    }
    check_databases(&call, "allowed_dbs", given.allowed_dbs.as_deref().unwrap_or_default())?;
    check_grants(&call, given.grants.as_ref().unwrap_or(&BTreeMap::new()))?;
    // Else who finds a session open could keep its user out.
    if given.password.is_some() && name == call.session.user()?.name {
        return Err(wrong(
            "password: your own is changed with the old one".into(),
            "use POST /api/change-password",
        ));
    }
    let password_hash = match &given.password {
        Some(password) => Some(call.app.service.passwords.hash(&name, password).await?),
        None => None,
    };
    let update = UserUpdate {
        name: name.clone(),
        password_hash,
        proved_hash: None,
        role: given.role,
        allowed_dbs: given.allowed_dbs,
        grants: given.grants,
        disabled: given.disabled,
    };
    if update == (UserUpdate { name: name.clone(), ..UserUpdate::default() }) {
        let hint = "give password, role, allowed_dbs, grants or disabled";
        return Err(wrong("the body changes nothing".into(), hint));
    }
    let index = change(&call, Command::UpdateUser(Box::new(update))).await?;
    Ok(Reply::json(&find(&call, &name)?).at(index))
}

/// `DELETE /api/v1/users/{user}`
pub async fn delete(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["user"])?.to_owned();
    let index = change(&call, Command::DeleteUser { name }).await?;
    Ok(Reply::empty().at(index))
}

/// `DELETE /api/users?id=`
pub async fn delete_ancestor(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["id"])?.to_owned();
    let index = change(&call, Command::DeleteUser { name }).await?;
    Ok(Reply::status("User deleted").at(index))
}
