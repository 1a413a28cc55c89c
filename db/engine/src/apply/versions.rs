//! Keeping former documents, and restoring them.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::apply::stored::{Stored, damaged, find, find_target};
use crate::catalog::{self, Collection, CollectionTotals, Garbage, Options, Retention, Versions};
use crate::changes::ChangeKind;
use crate::command::{Outcome, Target};
use crate::error::{Error, Kind, collection_not_found, database_not_found, duplicate};
use crate::id::DocumentId;
use crate::namespace::{Namespace, NamespaceRef};
use crate::row::Row;
use crate::storage::keys::{self, CollectionId, KEY_BYTES_MAX};
use crate::storage::{Read, Result, Table, WriteTxn};
use crate::versions::{
    DEFAULT_KEY, Version, VersionHead, decode, encode, find_version, is_default, last_key,
    last_record, record_key, versions_of,
};
use crate::{budget, document, system};
use minicbor::bytes::ByteVec;

/// Records that one write of their document removes at most.
const FORGET_AT_ONCE: usize = 100;

impl Applier {
    /// Keeps what a document was, before it is changed.
    pub(super) fn keep_version(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
        id: &DocumentId,
        old: Option<&Stored>,
        kind: ChangeKind,
    ) -> Result<()> {
        let Some(versions) = collection.options.versions.filter(|_| !self.provisional) else {
            return Ok(());
        };
        let document_key = keys::document_key(collection.id, id);
        let last = last_record(txn, &versions, &document_key)?;
        let (ended, sequence) =
            last.map_or_else(Default::default, |last| (last.version, last.head.sequence));
        let index = self.current.index;
        let step = if ended.index == index && sequence > 0 { ended.step + 1 } else { 0 };
        let head = VersionHead {
            sequence: sequence + 1,
            ended,
            time_ms: self.counters.time_ms,
            user: self.current.user.clone(),
            kind,
        };
        let before = old.map(Stored::bytes);
        let value = encode(&head, &document_key, before.as_deref())?;
        let prefix = keys::version_prefix(versions.space, &document_key);
        txn.put(Table::Versions, &record_key(&prefix, Version { index, step }), &value)?;
        let totals = self.totals(txn, collection.id)?;
        totals.versions += 1;
        totals.version_bytes += value.len() as u64;
        let Some(changes) = versions.retention.changes else { return Ok(()) };
        // Usually one. When fewer are kept than before, the next writes remove the others.
        for _ in 0..FORGET_AT_ONCE {
            // The document is checked already: what is too much is refused by what comes next.
            let _ = self.context(0).work(budget::ENTRY);
            let oldest = {
                let mut rows = txn.range(Table::Versions, &prefix, &last_key(&prefix))?;
                let Some(row) = rows.next() else { return Ok(()) };
                let (key, value) = row?;
                if decode(key, value)?.head.sequence.saturating_add(changes) > head.sequence {
                    return Ok(());
                }
                key.to_vec()
            };
            self.forget_record(txn, collection.id, &oldest)?;
        }
        Ok(())
    }

    fn forget_record(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        key: &[u8],
    ) -> Result<()> {
        let Some(value) = txn.get(Table::Versions, key)? else { return Ok(()) };
        let bytes = value.len() as u64;
        let record = decode(key, value)?;
        let (index, time_ms) = (record.version.index, record.head.time_ms);
        txn.delete(Table::Versions, key)?;
        let totals = self.totals(txn, collection)?;
        totals.versions = totals.versions.saturating_sub(1);
        totals.version_bytes = totals.version_bytes.saturating_sub(bytes);
        totals.forgotten = totals.forgotten.max(index);
        totals.forgotten_ms = totals.forgotten_ms.max(time_ms);
        Ok(())
    }

    /// [`Command::TrimVersions`](super::Command::TrimVersions)
    pub(super) fn trim_versions(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: &Namespace,
        keys: Vec<ByteVec>,
    ) -> ApplyResult {
        let collection = self.collection(txn, namespace.borrowed())?;
        let Some((collection, versions)) =
            collection.and_then(|found| found.options.versions.map(|versions| (found, versions)))
        else {
            return Ok(Outcome::Worked(0));
        };
        let own = versions.space.to_be_bytes();
        // The collection may have been dropped and created again since the keys were looked up.
        let own = keys.iter().filter(|key| key.starts_with(&own) && key.len() <= KEY_BYTES_MAX);
        for key in own {
            self.forget_record(txn, collection.id, key)?;
        }
        Ok(Outcome::Worked(keys.len() as u64))
    }

    /// [`Command::SetVersions`](super::Command::SetVersions)
    pub(super) fn set_versions(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        keep: Option<Retention>,
    ) -> ApplyResult {
        if catalog::database(txn, namespace.database)?.is_none() {
            return Err(database_not_found(namespace.database).into());
        }
        let collection = match (self.collection(txn, namespace)?, keep) {
            (Some(found), _) => found,
            (None, Some(_)) => {
                self.ensure_collection(txn, namespace.database, namespace.collection)?
            }
            (None, None) => {
                return Err(collection_not_found(namespace.database, namespace.collection).into());
            }
        };
        let known = collection.options.versions;
        let versions = match keep {
            Some(retention) => Some(match known {
                Some(known) => Versions { retention, ..known },
                None => {
                    let space = self.next_collection();
                    let (since, since_ms) = (self.current.index, self.counters.time_ms);
                    Versions { space, retention, since, since_ms }
                }
            }),
            None => {
                self.discard_versions(txn, &collection)?;
                None
            }
        };
        let options = Options { versions, ..collection.options.clone() };
        self.put_options(txn, collection.id, &options)?;
        self.note_collection_changed(namespace);
        Ok(Outcome::Done)
    }

    /// Discards the history of a collection; its rows are cleared away later.
    pub(super) fn discard_versions(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &Collection,
    ) -> Result<()> {
        let Some(versions) = collection.options.versions else { return Ok(()) };
        let totals = self.totals(txn, collection.id)?;
        let CollectionTotals { documents, bytes, changed, .. } = *totals;
        *totals = CollectionTotals { documents, bytes, changed, ..CollectionTotals::default() };
        self.discard(txn, Garbage::Versions(versions.space))
    }

    /// [`Command::Restore`](super::Command::Restore)
    pub(super) fn restore(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        target: Target,
        version: Option<Version>,
    ) -> ApplyResult {
        let Some(collection) = self.collection(txn, namespace)? else {
            return Err(collection_not_found(namespace.database, namespace.collection).into());
        };
        self.restore_step(txn, namespace, &collection, target, version)
    }

    fn restore_step(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
        collection: &std::sync::Arc<Collection>,
        target: Target,
        version: Option<Version>,
    ) -> ApplyResult {
        let versions = *versions_of(collection)?;
        let (id, json) = match version {
            Some(version) => match find_version(txn, collection, &target.id, version) {
                Ok((_, json)) => (target.id, json),
                Err(error) => match target.or {
                    Some(other) => {
                        let (_, json) = find_version(txn, collection, &other, version)?;
                        (other, json)
                    }
                    None => return Err(error.into()),
                },
            },
            None => {
                let (id, current) = find_target(txn, collection.id, target.clone())?;
                if current.is_some() {
                    return Err(duplicate(&id).into());
                }
                let deleted = [Some(target.id), target.or].into_iter().flatten().find_map(|id| {
                    let key = keys::document_key(collection.id, &id);
                    let before = match last_record(txn, &versions, &key) {
                        Ok(record) => record?.before?,
                        Err(error) => return Some(Err(error)),
                    };
                    let row = Row::decode(before)?;
                    Some(Ok((id, row.json.to_vec())))
                });
                deleted.transpose()?.ok_or_else(|| {
                    Error::new(Kind::VersionNotFound, format!("nothing is kept of a document {id}"))
                        .hint("list its versions; they may have been removed after their time")
                })?
            }
        };
        let current = find(txn, collection.id, &id)?;
        let created = current.is_none();
        let (former, body) = document::without_id(&json).ok_or_else(damaged)?;
        let id = current.as_ref().map_or(former, |current| current.id.clone());
        let (revision, warnings) =
            self.store(txn, namespace, collection, &id, current.as_ref(), body)?;
        Ok(Outcome::Written { id, revision, created }.with_warnings(warnings))
    }

    /// [`Command::SetVersionsDefault`](crate::Command::SetVersionsDefault)
    pub(super) fn set_versions_default(&mut self, txn: &mut WriteTxn<'_>, on: bool) -> ApplyResult {
        txn.put(Table::Meta, DEFAULT_KEY, &u64::from(on).to_be_bytes())?;
        Ok(Outcome::Done)
    }

    /// Lets a new collection keep its former documents, if that is the default and it is not a
    /// system collection.
    pub(super) fn keep_by_default(
        &mut self,
        txn: &mut WriteTxn<'_>,
        namespace: NamespaceRef<'_>,
    ) -> Result<()> {
        let of_system =
            namespace.database == system::DATABASE || namespace.collection.starts_with('_');
        if of_system || !is_default(txn)? {
            return Ok(());
        }
        let Some(collection) = self.collection(txn, namespace)? else { return Ok(()) };
        if collection.options.versions.is_some() {
            return Ok(());
        }
        let space = self.next_collection();
        let (since, since_ms) = (self.current.index, self.counters.time_ms);
        let versions = Some(Versions { space, retention: Retention::default(), since, since_ms });
        self.put_options(txn, collection.id, &Options { versions, ..collection.options.clone() })
    }
}
