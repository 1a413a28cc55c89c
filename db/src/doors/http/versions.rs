//! Versions of documents over HTTP, and whether a collection keeps them.

use super::call::Call;
use super::describe::{
    AnyDocument, CHANGE_ERRORS, DOCUMENT_ERRORS, NAME_ERRORS, NAMESPACE_ERRORS, VERSION_ERRORS,
    VERSIONS, describe,
};
use super::documents::written_reply;
use super::endpoint::Endpoint;
use super::reply::{Reply, Values};
use crate::engine::catalog::Retention;
use crate::engine::value::iso_date;
use crate::engine::versions::{Version, VersionEntry};
use crate::error::{Kind, Result};
use crate::raft::GroupId;
use crate::service::Response;
use crate::service::documents::{Document, Written};
use crate::service::versions::{self, Difference, KeptVersions};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    DiffReply, HistoryReply, VersionInfo, VersionsBody, VersionsReply, WriteReply, in_group,
};
use std::rc::Rc;

/// `GET …/documents/{id}/versions`
pub const HISTORY: Endpoint = Endpoint::new(
    |call| Box::pin(history(call)),
    || {
        describe(VERSIONS, "List the versions of a document")
            .query("id_type")
            .gives::<HistoryReply>(200)
            .reads()
            .fails(DOCUMENT_ERRORS)
            .fails(&[Kind::TimeLimit, Kind::VersionsOff])
    },
);

async fn history(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let entries = versions::history(&call.session, &namespace, target).await?;
    let group = call.session.group_number();
    Ok(Reply::of(entries.map(|entries| {
        let versions =
            entries.into_iter().enumerate().map(|(at, entry)| info(entry, group, at == 0));
        Reply::json(&HistoryReply { versions: versions.collect() })
    })))
}

/// Reads a version, which is one of the group that holds the data.
pub fn version(call: &Call, text: &str) -> Result<Version> {
    call.in_own_group("version", text)?.parse()
}

fn info(entry: VersionEntry, group: GroupId, current: bool) -> VersionInfo {
    let (revision, bytes) = entry.document.unzip();
    let made = entry.made.as_ref();
    VersionInfo {
        version: in_group(entry.version, group),
        operation: made.map(|made| made.kind.into_wire()),
        time: made.and_then(|made| iso_date(made.time_ms as i64)),
        user: made.and_then(|made| made.user.clone()),
        revision,
        bytes: bytes.unwrap_or(0),
        current,
    }
}

/// `GET …/versions/{version}`, `GET /api/version`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(VERSIONS, "Read a document as it was in a version")
            .query("id_type")
            .gives::<AnyDocument>(200)
            .reads()
            .fails(DOCUMENT_ERRORS)
            .fails(VERSION_ERRORS)
    },
);

/// `GET …/versions/{version}`, `GET /api/version`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let version = version(&call, call.required(&["version"])?)?;
    let found = versions::get(&call.session, &namespace, target, version).await?;
    Ok(Reply::of(found.map(|Document { revision, json }| Reply::value(json).etag(revision))))
}

/// `GET …/versions/{version}/diff`
pub const DIFF: Endpoint = Endpoint::new(
    |call| Box::pin(diff(call)),
    || {
        describe(VERSIONS, "Tell what differs between two versions")
            .query("to id_type")
            .gives::<DiffReply>(200)
            .reads()
            .fails(DOCUMENT_ERRORS)
            .fails(VERSION_ERRORS)
            .fails(&[Kind::TimeLimit])
    },
);

async fn diff(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let from = version(&call, call.required(&["version"])?)?;
    let to = match call.parameter(&["to"]) {
        None | Some("current") => None,
        Some(text) => Some(version(&call, text)?),
    };
    let difference = versions::diff(&call.session, &namespace, target, from, to).await?;
    let group = call.session.group_number();
    Ok(Reply::of(difference.map(|Difference { from, to, delta }| {
        let (from, to) = (in_group(from, group), in_group(to, group));
        Reply::json(&DiffReply { from, to, delta: delta.into_wire() })
            .values(Values::In(&["updated"]))
    })))
}

/// `POST …/versions/{version}/restore`
pub const RESTORE: Endpoint = Endpoint::new(
    |call| Box::pin(restore(call)),
    || {
        describe(VERSIONS, "Put a document back to a version")
            .query("id_type")
            .gives::<WriteReply>(200)
            .writes()
            .fails(DOCUMENT_ERRORS)
            .fails(CHANGE_ERRORS)
            .fails(VERSION_ERRORS)
    },
);

async fn restore(call: Rc<Call>) -> Result<Reply> {
    let version = version(&call, call.required(&["version"])?)?;
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    versions::restore(&call.session, namespace, target, version).await.map(written)
}

/// `POST …/documents/{id}/undelete`
pub const UNDELETE: Endpoint = Endpoint::new(
    |call| Box::pin(undelete(call)),
    || {
        describe(VERSIONS, "Put a deleted document back as it was last")
            .query("id_type")
            .gives::<WriteReply>(200)
            .writes()
            .fails(DOCUMENT_ERRORS)
            .fails(CHANGE_ERRORS)
            .fails(VERSION_ERRORS)
            .fails(&[Kind::DuplicateId])
    },
);

async fn undelete(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    versions::undelete(&call.session, namespace, target).await.map(written)
}

fn written(written: Response<Written>) -> Reply {
    Reply::of(written.map(|written| {
        let revision = written.revision;
        written_reply(written).etag(revision)
    }))
}

/// `GET …/collections/{col}/versions`
pub const SETTINGS: Endpoint = Endpoint::new(
    |call| Box::pin(settings(call)),
    || {
        describe(VERSIONS, "Tell whether a collection keeps versions")
            .gives::<VersionsReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
    },
);

async fn settings(call: Rc<Call>) -> Result<Reply> {
    let kept = versions::settings(&call.session, &call.namespace()?).await?;
    Ok(Reply::of(kept.map(|kept| Reply::json(&settings_reply(kept)))))
}

/// `PUT …/collections/{col}/versions`
pub const KEEP: Endpoint = Endpoint::new(
    |call| Box::pin(keep(call)),
    || {
        describe(VERSIONS, "Keep versions from now on")
            .optional_body::<VersionsBody>()
            .gives::<VersionsReply>(200)
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
    },
);

async fn keep(call: Rc<Call>) -> Result<Reply> {
    let VersionsBody { keep, keep_seconds } = call.json_or_empty()?;
    let ms = keep_seconds.map(|seconds| seconds.saturating_mul(1000));
    let retention = Retention { changes: keep, ms };
    let kept = versions::keep(&call.session, call.namespace()?, retention).await?;
    Ok(Reply::of(kept.map(|kept| Reply::json(&settings_reply(kept)))))
}

/// `DELETE …/collections/{col}/versions`
pub const FORGET: Endpoint = Endpoint::new(
    |call| Box::pin(forget(call)),
    || {
        describe(VERSIONS, "Keep no versions, and forget those that are kept")
            .gives_nothing()
            .writes()
            .fails(NAME_ERRORS)
            .fails(NAMESPACE_ERRORS)
    },
);

async fn forget(call: Rc<Call>) -> Result<Reply> {
    let forgotten = versions::forget(&call.session, call.namespace()?).await?;
    Ok(Reply::of(forgotten.map(|()| Reply::empty())))
}

fn settings_reply(kept: Option<KeptVersions>) -> VersionsReply {
    let Some(kept) = kept else { return VersionsReply::default() };
    VersionsReply {
        enabled: true,
        keep: kept.retention.changes,
        keep_seconds: kept.retention.ms.map(|ms| ms / 1000),
        oldest_index: Some(kept.oldest_index),
        changes: kept.changes,
        bytes: kept.bytes,
    }
}
