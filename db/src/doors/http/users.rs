//! Users over HTTP.

use super::call::Call;
use super::reply::Reply;
use crate::engine::system::UserDocument;
use crate::error::Result;
use crate::service::users;
use jettra_driver::wire::{NewUser, UserInfo, UserUpdateBody};
use std::rc::Rc;

/// A user without its password's hash.
fn info(user: UserDocument) -> UserInfo {
    let UserDocument { name, role, allowed_dbs, grants, disabled, created_ms, changed_ms, .. } =
        user;
    let id = name.clone();
    UserInfo { id, username: name, role, allowed_dbs, grants, disabled, created_ms, changed_ms }
}

/// The user that a body describes.
pub fn new_user(body: NewUser) -> users::NewUser {
    let NewUser { username, password, role, allowed_dbs, grants, disabled } = body;
    users::NewUser { name: username, password, role, allowed_dbs, grants, disabled }
}

/// `GET /api/users`, `GET /api/v1/users`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let listed = users::list(&call.session).await?;
    Ok(Reply::of(listed.map(|users| Reply::json(&users.into_iter().map(info).collect::<Vec<_>>()))))
}

/// `GET /api/v1/users/{user}`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let user = users::get(&call.session, call.required(&["user"])?).await?;
    Ok(Reply::of(user.map(|user| Reply::json(&info(user)))))
}

/// `POST /api/v1/users`
pub async fn create(call: Rc<Call>) -> Result<Reply> {
    let created = users::create(&call.session, new_user(call.json()?)).await?;
    Ok(Reply::of(created.map(|user| Reply::json(&info(user)).with_status(201))))
}

/// `PATCH /api/v1/users/{user}`
pub async fn update(call: Rc<Call>) -> Result<Reply> {
    call.session.refuse_api_key()?;
    let UserUpdateBody { password, role, allowed_dbs, grants, disabled } = call.json()?;
    let update = users::UserUpdate { password, role, allowed_dbs, grants, disabled };
    let name = call.required(&["user"])?.to_owned();
    let updated = users::update(&call.session, name, update).await?;
    Ok(Reply::of(updated.map(|user| Reply::json(&info(user)))))
}

/// `DELETE /api/v1/users/{user}`
pub async fn delete(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["user"])?.to_owned();
    let deleted = users::delete(&call.session, name).await?;
    Ok(Reply::of(deleted.map(|()| Reply::empty())))
}
