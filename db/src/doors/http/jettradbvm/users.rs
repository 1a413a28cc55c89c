//! JettraDBVM's calls about users.

use crate::auth::Role;
use crate::doors::http::call::Call;
use crate::doors::http::describe::{ACCESS, describe};
use crate::doors::http::endpoint::Endpoint;
use crate::doors::http::reply::Reply;
use crate::doors::http::users::new_user;
use crate::error::{Error, Kind, Result};
use crate::service::users;
use jettra_driver::wire::{NewUser, StatusReply};
use std::rc::Rc;

/// `POST /api/users`: without `allowed_dbs` the user may use no database yet.
pub const CREATE: Endpoint = Endpoint::new(
    |call| Box::pin(create(call)),
    || {
        describe(ACCESS, "Create a user: 400 when there is one of this name")
            .body::<NewUser>()
            .gives::<StatusReply>(200)
            .writes()
    },
);

async fn create(call: Rc<Call>) -> Result<Reply> {
    let mut new: NewUser = call.json()?;
    if new.role != Role::Admin.name() {
        new.allowed_dbs.get_or_insert_default();
    }
    let created = users::create(&call.session, new_user(new)).await;
    let created = created.map_err(|error| match error.kind {
        // Its clients look for this status.
        Kind::UserExists => Error { kind: Kind::InvalidBody, ..error },
        _ => error,
    })?;
    Ok(Reply::of(created.map(|_| Reply::status("User created"))))
}

/// `DELETE /api/users?id=`
pub const DELETE: Endpoint = Endpoint::new(
    |call| Box::pin(delete(call)),
    || {
        describe(ACCESS, "Delete a user")
            .query("id!")
            .gives::<StatusReply>(200)
            .writes()
            .fails(&[Kind::UserNotFound, Kind::LastAdmin])
    },
);

async fn delete(call: Rc<Call>) -> Result<Reply> {
    let name = call.required(&["id"])?.to_owned();
    let deleted = users::delete(&call.session, name).await?;
    Ok(Reply::of(deleted.map(|()| Reply::status("User deleted"))))
}
