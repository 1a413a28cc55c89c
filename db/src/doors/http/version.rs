//! Versions of documents: listed, shown, compared and restored; and whether a collection keeps
//! them.

use super::call::{Call, number};
use super::documents::write_reply;
use super::jettradbvm::documents::is_absent;
use super::reply::Reply;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::catalog::{self, Collection};
use crate::engine::changes::delta;
use crate::engine::command::{Command, Target};
use crate::engine::document::check_id_size;
use crate::engine::query::context::Context;
use crate::engine::query::source::open;
use crate::engine::value::{iso_date, parse_stored};
use crate::engine::versions::{self, Retention, Version, VersionEntry};
use crate::error::{Error, Kind, Result};
use crate::service::documents::written;
use crate::service::read::reading;
use crate::storage::Read;
use crate::wire::{IntoEngine, IntoWire};
use jettra_driver::wire::{
    DiffReply, HistoryReply, RestoreVersionBody, VersionInfo, VersionsBody, VersionsReply,
    WriteReply,
};
use std::rc::Rc;

/// The versions of the document that a call names, the newest first.
async fn history(call: &Call) -> Result<(Vec<VersionEntry>, u64)> {
    let target = call.target_document()?;
    reading(&call.session, &call.namespace()?, move |read, collection, ctx| {
        entries(read, collection, &target, ctx)
    })
    .await
}

/// The versions of the document that is meant.
fn entries(
    read: &impl Read,
    collection: &Collection,
    target: &Target,
    ctx: &Context<'_>,
) -> Result<Vec<VersionEntry>> {
    let mut entries = versions::history(read, collection, &target.id, ctx)?;
    if let Some(other) = target.or.as_ref().filter(|_| entries.is_empty()) {
        entries = versions::history(read, collection, other, ctx)?;
    }
    match entries.is_empty() {
        true => Err(crate::engine::apply::document_not_found(&target.id)),
        false => Ok(entries),
    }
}

/// `GET …/documents/{id}/versions`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let (entries, index) = history(&call).await?;
    let infos = entries.into_iter().enumerate().map(|(at, entry)| {
        let (revision, bytes) = entry.document.unzip();
        let made = entry.made.as_ref();
        VersionInfo {
            version: entry.version.to_string(),
            operation: made.map(|made| made.kind.into_wire()),
            time: made.and_then(|made| iso_date(made.time_ms as i64)),
            user: made.and_then(|made| made.user.clone()),
            revision,
            bytes: bytes.unwrap_or(0),
            current: at == 0,
        }
    });
    Ok(Reply::json(&HistoryReply { versions: infos.collect() }).at(index))
}

/// `GET /api/versions`: the numbers of the former documents.
pub async fn list_ancestor(call: Rc<Call>) -> Result<Reply> {
    let (entries, index) = match history(&call).await {
        Err(error) if is_absent(&error) => return Ok(Reply::bytes(&b"[]"[..])),
        history => history?,
    };
    let former = entries.iter().skip(1).filter(|entry| entry.document.is_some());
    let numbers: Vec<String> = former.map(|entry| entry.version.to_string()).collect();
    Ok(Reply::json(&numbers).at(index))
}

/// Revision and text of a document in a version.
fn form(
    read: &impl Read,
    collection: &Collection,
    target: &Target,
    version: Version,
) -> Result<(u64, Vec<u8>)> {
    let found = versions::find_version(read, collection, &target.id, version);
    match (&target.or, found) {
        (Some(other), Err(_)) => versions::find_version(read, collection, other, version),
        (_, found) => found,
    }
}

/// `GET …/versions/{version}`, `GET /api/version`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let (target, version) = (call.target_document()?, call.required(&["version"])?.parse()?);
    let ((revision, json), index) =
        reading(&call.session, &call.namespace()?, move |read, collection, _| {
            form(read, collection, &target, version)
        })
        .await?;
    Ok(Reply::bytes(json).etag(revision).at(index))
}

/// `GET …/versions/{version}/diff`
pub async fn diff(call: Rc<Call>) -> Result<Reply> {
    let target = call.target_document()?;
    let from: Version = call.required(&["version"])?.parse()?;
    let to = match call.parameter(&["to"]) {
        None | Some("current") => None,
        Some(text) => Some(text.parse::<Version>()?),
    };
    let (reply, index) =
        reading(&call.session, &call.namespace()?, move |read, collection, ctx| {
            let entries = entries(read, collection, &target, ctx)?;
            let newest = entries.first().map(|entry| entry.version);
            let to = to.or(newest).unwrap_or_default();
            let parsed = |version| -> Result<_> {
                let (_, json) = form(read, collection, &target, version)?;
                parse_stored(&json)
                    .ok_or_else(|| Error::new(Kind::Internal, "a stored document cannot be read"))
            };
            let delta = delta(&parsed(from)?, &parsed(to)?);
            Ok(DiffReply { from: from.to_string(), to: to.to_string(), delta: delta.into_wire() })
        })
        .await?;
    Ok(Reply::json(&reply).at(index))
}

async fn put_back(
    call: &Call,
    namespace: Namespace,
    target: Target,
    version: Option<Version>,
) -> Result<(WriteReply, u64)> {
    call.session.check_writable(&namespace)?;
    let Namespace { database, collection } = namespace;
    let command = Command::Restore { database, collection, target, version };
    let written = written(call.propose(command).await?)?;
    let index = written.index.unwrap_or_default();
    Ok((write_reply(written.value), index))
}

/// `POST …/versions/{version}/restore`
pub async fn restore(call: Rc<Call>) -> Result<Reply> {
    let version = call.required(&["version"])?.parse()?;
    let target = call.target_document()?;
    let (written, index) = put_back(&call, call.namespace()?, target, Some(version)).await?;
    Ok(Reply::json(&written).etag(written.revision).at(index))
}

/// `POST …/documents/{id}/undelete`
pub async fn undelete(call: Rc<Call>) -> Result<Reply> {
    let target = call.target_document()?;
    let (written, index) = put_back(&call, call.namespace()?, target, None).await?;
    Ok(Reply::json(&written).etag(written.revision).at(index))
}

/// `POST /api/restore-version`
pub async fn restore_ancestor(call: Rc<Call>) -> Result<Reply> {
    let RestoreVersionBody { db, col, id, version } = call.json()?;
    let id = id.into_engine();
    check_id_size(&id, &call.cluster().config.limits())?;
    // As in an address, a text may mean a number.
    let number = match &id {
        DocumentId::String(text) => number(text).map(DocumentId::Int),
        DocumentId::Int(_) => None,
    };
    let target = Target { id, or: number };
    let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned).parse()?;
    let (_, index) =
        put_back(&call, Namespace { database: db, collection: col }, target, Some(version)).await?;
    Ok(Reply::status("restored").at(index))
}

/// `GET …/collections/{col}/versions`
pub async fn settings(call: Rc<Call>) -> Result<Reply> {
    let namespace = call.namespace()?;
    call.session.check_readable(&namespace)?;
    let (read, index) = call.group()?.read_with_index()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    let totals = catalog::totals(&read, collection.id)?;
    let reply = match collection.options.versions {
        None => VersionsReply::default(),
        Some(versions) => VersionsReply {
            enabled: true,
            keep: versions.retention.changes,
            keep_seconds: versions.retention.ms.map(|ms| ms / 1000),
            oldest_index: Some(versions::oldest(&versions, &totals).0),
            changes: totals.versions,
            bytes: totals.version_bytes,
        },
    };
    Ok(Reply::json(&reply).at(index))
}

async fn set(call: &Call, keep: Option<Retention>) -> Result<u64> {
    let namespace = call.namespace()?;
    call.session.check_writable(&namespace)?;
    let Namespace { database, collection } = namespace;
    Ok(call.propose(Command::SetVersions { database, collection, keep }).await?.index)
}

/// `PUT …/collections/{col}/versions`
pub async fn keep(call: Rc<Call>) -> Result<Reply> {
    let body: VersionsBody = call.json_or_empty()?;
    for (name, value) in [("keep", body.keep), ("keep_seconds", body.keep_seconds)] {
        if value == Some(0) {
            return Err(Error::new(Kind::InvalidBody, format!("{name} must be at least 1"))
                .hint("leave it out for no bound; DELETE this address to keep no versions"));
        }
    }
    let ms = body.keep_seconds.map(|seconds| seconds.saturating_mul(1000));
    let index = set(&call, Some(Retention { changes: body.keep, ms })).await?;
    call.group()?.wait_visible(index).await?;
    let reply = settings(call).await?;
    Ok(reply.at(index))
}

/// `DELETE …/collections/{col}/versions`
pub async fn forget(call: Rc<Call>) -> Result<Reply> {
    let index = set(&call, None).await?;
    Ok(Reply::empty().at(index))
}
