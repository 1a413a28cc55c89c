//! JettraDBVM's calls about versions.

use super::documents::is_absent;
use crate::doors::http::call::{Call, number};
use crate::doors::http::describe::{
    AnyDocument, CHANGE_ERRORS, DOCUMENT_ERRORS, JETTRADBVM, NAMESPACE_ERRORS, VERSION_ERRORS,
    describe,
};
use crate::doors::http::endpoint::Endpoint;
use crate::doors::http::reply::Reply;
use crate::doors::http::versions as versions_door;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::command::Target;
use crate::error::{Kind, Result};
use crate::service::versions;
use crate::wire::document_id;
use jettra_driver::wire::{RestoreVersionBody, StatusReply, in_group};
use std::rc::Rc;

/// `GET /api/version`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(versions_door::get(call)),
    || {
        describe(JETTRADBVM, "Read a document as it was in a version")
            .query("db! col! id! version! id_type")
            .gives::<AnyDocument>(200)
            .reads()
            .fails(DOCUMENT_ERRORS)
            .fails(VERSION_ERRORS)
    },
);

/// `GET /api/versions`: the numbers of the former documents.
pub const HISTORY: Endpoint = Endpoint::new(
    |call| Box::pin(history(call)),
    || {
        describe(JETTRADBVM, "List the numbers of a document's former versions")
            .query("db! col! id! id_type")
            .gives::<Vec<String>>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(&[Kind::IdTooLong, Kind::TimeLimit, Kind::VersionsOff])
    },
);

async fn history(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let entries = match versions::history(&call.session, &namespace, target).await {
        Err(error) if is_absent(&error) => return Ok(Reply::bytes(&b"[]"[..])),
        listed => listed?,
    };
    let group = call.session.group_number();
    Ok(Reply::of(entries.map(|entries| {
        let former = entries.iter().skip(1).filter(|entry| entry.document.is_some());
        Reply::json(&former.map(|entry| in_group(entry.version, group)).collect::<Vec<_>>())
    })))
}

/// `POST /api/restore-version`
pub const RESTORE: Endpoint = Endpoint::new(
    |call| Box::pin(restore(call)),
    || {
        describe(JETTRADBVM, "Put a document back to a version")
            .body::<RestoreVersionBody>()
            .gives::<StatusReply>(200)
            .writes()
            .fails(DOCUMENT_ERRORS)
            .fails(CHANGE_ERRORS)
            .fails(VERSION_ERRORS)
    },
);

async fn restore(call: Rc<Call>) -> Result<Reply> {
    let RestoreVersionBody { db, col, id, version } = call.json()?;
    let namespace = Namespace { database: db, collection: col };
    let id = document_id(id, &call.session.limits())?;
    // As in an address, a text may mean a number.
    let number = id.value().as_str().and_then(number).map(DocumentId::from);
    let target = Target { id, or: number };
    let text = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    let version = versions_door::version(&call, &text)?;
    let restored = versions::restore(&call.session, namespace, target, version).await?;
    Ok(Reply::of(restored.map(|_| Reply::status("restored"))))
}
