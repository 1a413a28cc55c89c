//! Versions of documents over HTTP, and whether a collection keeps them.

use super::call::Call;
use super::documents::write_reply;
use super::reply::Reply;
use crate::engine::value::iso_date;
use crate::engine::versions::{Retention, VersionEntry};
use crate::error::Result;
use crate::service::Response;
use crate::service::documents::{Document, Written};
use crate::service::versions::{self, Difference, KeptVersions};
use crate::wire::IntoWire;
use jettra_driver::wire::{DiffReply, HistoryReply, VersionInfo, VersionsBody, VersionsReply};
use std::rc::Rc;

/// `GET …/documents/{id}/versions`
pub async fn history(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let entries = versions::history(&call.session, &namespace, target).await?;
    Ok(Reply::of(entries.map(|entries| {
        let versions = entries.into_iter().enumerate().map(|(at, entry)| info(entry, at == 0));
        Reply::json(&HistoryReply { versions: versions.collect() })
    })))
}

fn info(entry: VersionEntry, current: bool) -> VersionInfo {
    let (revision, bytes) = entry.document.unzip();
    let made = entry.made.as_ref();
    VersionInfo {
        version: entry.version.to_string(),
        operation: made.map(|made| made.kind.into_wire()),
        time: made.and_then(|made| iso_date(made.time_ms as i64)),
        user: made.and_then(|made| made.user.clone()),
        revision,
        bytes: bytes.unwrap_or(0),
        current,
    }
}

/// `GET …/versions/{version}`, `GET /api/version`
pub async fn get(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let version = call.required(&["version"])?.parse()?;
    let found = versions::get(&call.session, &namespace, target, version).await?;
    Ok(Reply::of(found.map(|Document { revision, json }| Reply::bytes(json).etag(revision))))
}

/// `GET …/versions/{version}/diff`
pub async fn diff(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    let from = call.required(&["version"])?.parse()?;
    let to = match call.parameter(&["to"]) {
        None | Some("current") => None,
        Some(text) => Some(text.parse()?),
    };
    let difference = versions::diff(&call.session, &namespace, target, from, to).await?;
    Ok(Reply::of(difference.map(|Difference { from, to, delta }| {
        let (from, to) = (from.to_string(), to.to_string());
        Reply::json(&DiffReply { from, to, delta: delta.into_wire() })
    })))
}

/// `POST …/versions/{version}/restore`
pub async fn restore(call: Rc<Call>) -> Result<Reply> {
    let version = call.required(&["version"])?.parse()?;
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    versions::restore(&call.session, namespace, target, version).await.map(written)
}

/// `POST …/documents/{id}/undelete`
pub async fn undelete(call: Rc<Call>) -> Result<Reply> {
    let (namespace, target) = (call.namespace()?, call.target_document()?);
    versions::undelete(&call.session, namespace, target).await.map(written)
}

fn written(written: Response<Written>) -> Reply {
    Reply::of(written.map(|written| {
        let revision = written.revision;
        Reply::json(&write_reply(written)).etag(revision)
    }))
}

/// `GET …/collections/{col}/versions`
pub async fn settings(call: Rc<Call>) -> Result<Reply> {
    let kept = versions::settings(&call.session, &call.namespace()?).await?;
    Ok(Reply::of(kept.map(|kept| Reply::json(&settings_reply(kept)))))
}

/// `PUT …/collections/{col}/versions`
pub async fn keep(call: Rc<Call>) -> Result<Reply> {
    let VersionsBody { keep, keep_seconds } = call.json_or_empty()?;
    let ms = keep_seconds.map(|seconds| seconds.saturating_mul(1000));
    let retention = Retention { changes: keep, ms };
    let kept = versions::keep(&call.session, call.namespace()?, retention).await?;
    Ok(Reply::of(kept.map(|kept| Reply::json(&settings_reply(kept)))))
}

/// `DELETE …/collections/{col}/versions`
pub async fn forget(call: Rc<Call>) -> Result<Reply> {
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
