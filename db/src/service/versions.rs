//! Versions of documents: listed, read, compared and restored; and whether a collection keeps
//! them.

use super::documents::{Document, Written, written};
use super::read::reading;
use super::{Response, Session, Step, Steps};
use crate::engine::Namespace;
use crate::engine::catalog::{self, Collection, Retention};
use crate::engine::changes::{Delta, delta};
use crate::engine::command::{Command, Target};
use crate::engine::query::context::Context;
use crate::engine::query::source::open;
use crate::engine::value::parse_stored;
use crate::engine::versions::{self, Version, VersionEntry};
use crate::error::document_not_found;
use crate::error::{Error, Kind, Result};
use crate::storage::Read;

/// How two versions of a document differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The version that is compared.
    pub from: Version,
    /// The version that it is compared with.
    pub to: Version,
    /// What changes from the one to the other.
    pub delta: Delta,
}

/// How a collection keeps versions, and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptVersions {
    /// For how long they are kept.
    pub retention: Retention,
    /// The oldest log index as of which the collection can be read.
    pub oldest_index: u64,
    /// Changes that are kept.
    pub changes: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// Lists the versions of a document, the newest first.
///
/// # Errors
/// `document_not_found`, `versions_off`, `forbidden`, and those of opening the collection.
pub async fn history(
    session: &Session,
    namespace: &Namespace,
    target: Target,
) -> Result<Response<Vec<VersionEntry>>> {
    let listing = reading(session, namespace, move |read, collection, ctx| {
        entries(read, collection, &target, ctx)
    });
    listing.await.map(|(entries, index)| Response::at(entries, index))
}

/// Reads a document in a version.
///
/// # Errors
/// `version_not_found`, `forbidden`, and those of opening the collection.
pub async fn get(
    session: &Session,
    namespace: &Namespace,
    target: Target,
    version: Version,
) -> Result<Response<Document>> {
    let reading = reading(session, namespace, move |read, collection, _| {
        document_in(read, collection, &target, version)
    });
    reading.await.map(|(document, index)| Response::at(document, index))
}

/// Compares a version of a document with another, or with the newest.
///
/// # Errors
/// `document_not_found`, `version_not_found`, `forbidden`, and those of opening the collection.
pub async fn diff(
    session: &Session,
    namespace: &Namespace,
    target: Target,
    from: Version,
    to: Option<Version>,
) -> Result<Response<Difference>> {
    let comparing = reading(session, namespace, move |read, collection, ctx| {
        let entries = entries(read, collection, &target, ctx)?;
        let newest = entries.first().map(|entry| entry.version);
        let to = to.or(newest).unwrap_or_default();
        let parsed = |version| {
            let document = document_in(read, collection, &target, version)?;
            parse_stored(&document.json)
                .ok_or_else(|| Error::new(Kind::Internal, "a stored document cannot be read"))
        };
        Ok(Difference { from, to, delta: delta(&parsed(from)?, &parsed(to)?) })
    });
    comparing.await.map(|(difference, index)| Response::at(difference, index))
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
        true => Err(document_not_found(&target.id)),
        false => Ok(entries),
    }
}

fn document_in(
    read: &impl Read,
    collection: &Collection,
    target: &Target,
    version: Version,
) -> Result<Document> {
    let found = versions::find_version(read, collection, &target.id, version);
    let found = match (&target.or, found) {
        (Some(other), Err(_)) => versions::find_version(read, collection, other, version),
        (_, found) => found,
    };
    found.map(|(revision, json)| Document { revision, json })
}

/// Writes a document as it was in a version.
///
/// # Errors
/// `version_not_found`, and those of a write.
pub async fn restore(
    session: &Session,
    namespace: Namespace,
    target: Target,
    version: Version,
) -> Result<Response<Written>> {
    put_back(session, namespace, target, Some(version)).await
}

/// Writes a deleted document as it was before.
///
/// # Errors
/// `version_not_found`, `duplicate_id` if it exists, and those of a write.
pub async fn undelete(
    session: &Session,
    namespace: Namespace,
    target: Target,
) -> Result<Response<Written>> {
    put_back(session, namespace, target, None).await
}

async fn put_back(
    session: &Session,
    namespace: Namespace,
    target: Target,
    version: Option<Version>,
) -> Result<Response<Written>> {
    session.check_writable(&namespace)?;
    let command = Command::Restore { namespace, target, version };
    let mut steps = Steps::new(session);
    let restored = steps.propose(Step::Keyed, command).await.and_then(written);
    steps.finish(restored)
}

/// How a collection keeps versions; none when it keeps none.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn settings(
    session: &Session,
    namespace: &Namespace,
) -> Result<Response<Option<KeptVersions>>> {
    session.check_readable(namespace)?;
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    let collection = open(&read, &namespace.database, &namespace.collection)?;
    let totals = catalog::totals(&read, collection.id)?;
    let kept = collection.options.versions.map(|versions| KeptVersions {
        retention: versions.retention,
        oldest_index: versions::oldest(&versions, &totals).0,
        changes: totals.versions,
        bytes: totals.version_bytes,
    });
    Ok(Response::at(kept, index))
}

/// Lets a collection keep versions; creates the collection if need be. Returns what is set then.
///
/// # Errors
/// `invalid_body` for a retention of nothing; `invalid_name`, `database_not_found`, `forbidden`.
pub async fn keep(
    session: &Session,
    namespace: Namespace,
    retention: Retention,
) -> Result<Response<Option<KeptVersions>>> {
    for (name, value) in [("keep", retention.changes), ("keep_seconds", retention.ms)] {
        if value == Some(0) {
            return Err(Error::new(Kind::InvalidBody, format!("{name} must be at least 1"))
                .hint("leave it out for no bound; to keep no versions, turn them off"));
        }
    }
    let mut steps = Steps::new(session);
    let kept = keep_once(&mut steps, namespace, retention).await;
    steps.finish(kept)
}

async fn keep_once(
    steps: &mut Steps<'_>,
    namespace: Namespace,
    retention: Retention,
) -> Result<Response<Option<KeptVersions>>> {
    let index = set(steps, namespace.clone(), Some(retention)).await?;
    let session = steps.session();
    session.group()?.wait_visible(index).await?;
    Ok(Response::at(settings(session, &namespace).await?.value, index))
}

/// Lets a collection keep no versions, and removes those that it has; succeeds if it keeps none.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn forget(session: &Session, namespace: Namespace) -> Result<Response<()>> {
    let mut steps = Steps::new(session);
    let done = set(&mut steps, namespace, None).await;
    steps.finish(done.map(|index| Response::at((), index)))
}

/// Sets whether a collection keeps versions; returns the log index of it.
async fn set(steps: &mut Steps<'_>, namespace: Namespace, keep: Option<Retention>) -> Result<u64> {
    steps.session().check_writable(&namespace)?;
    let command = Command::SetVersions { namespace, keep };
    Ok(steps.propose(Step::Keyed, command).await?.index)
}
