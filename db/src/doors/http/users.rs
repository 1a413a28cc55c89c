//! Users over HTTP.

use super::call::Call;
use super::describe::{ACCESS, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::engine::system::UserDocument;
use crate::error::{Kind, Result};
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
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || describe(ACCESS, "List the users").gives::<Vec<UserInfo>>(200).reads(),
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let listed = users::list(&call.session).await?;
    Ok(Reply::of(listed.map(|users| Reply::json(&users.into_iter().map(info).collect::<Vec<_>>()))))
}

/// `GET /api/v1/users/{user}`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(ACCESS, "Tell about a user")
            .gives::<UserInfo>(200)
            .reads()
            .fails(&[Kind::UserNotFound])
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let user = users::get(&call.session, call.required(&["user"])?).await?;
    Ok(Reply::of(user.map(|user| Reply::json(&info(user)))))
}

/// `POST /api/v1/users`
pub const CREATE: Endpoint = Endpoint::new(
    |call| Box::pin(create(call)),
    || {
        describe(ACCESS, "Create a user")
            .body::<NewUser>()
            .gives::<UserInfo>(201)
            .writes()
            .fails(&[Kind::UserExists, Kind::UserNotFound])
    },
);

async fn create(call: Rc<Call>) -> Result<Reply> {
    let created = users::create(&call.session, new_user(call.json()?)).await?;
    Ok(Reply::of(created.map(|user| Reply::json(&info(user)).with_status(201))))
}

/// `PATCH /api/v1/users/{user}`
pub const UPDATE: Endpoint = Endpoint::new(
    |call| Box::pin(update(call)),
    || {
        describe(ACCESS, "Change what is given of a user")
            .body::<UserUpdateBody>()
            .gives::<UserInfo>(200)
            .writes()
            .fails(&[Kind::UserNotFound, Kind::LastAdmin])
    },
);

async fn update(call: Rc<Call>) -> Result<Reply> {
    call.session.refuse_api_key()?;
    let UserUpdateBody { password, role, allowed_dbs, grants, disabled } = call.json()?;
    let update = users::UserUpdate { password, role, allowed_dbs, grants, disabled };
    let name = call.required(&["user"])?.to_owned();
    let updated = users::update(&call.session, name, update).await?;
    Ok(Reply::of(updated.map(|user| Reply::json(&info(user)))))
}

/// `DELETE /api/v1/users/{user}`
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(ACCESS, "Delete a user")
            .gives_nothing()
            .writes()
            .fails(&[Kind::UserNotFound, Kind::LastAdmin])
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["user"])?.to_owned();
    let deleted = users::delete(&call.session, name).await?;
    Ok(Reply::of(deleted.map(|()| Reply::empty())))
}
