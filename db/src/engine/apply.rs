//! Applying commands: the one place that changes the tables.
//!
//! Every command checks first and writes afterwards, so a refused one leaves no trace. The
//! counters (documents per collection, last revision) are kept in memory while the writing
//! transaction is open and stored by [`Applier::flush`] before it commits.

use super::catalog::{self, DatabaseEntry, ENGINE_DEFAULT};
use super::command::{Command, CommandResult, Outcome, PutMode, Target};
use super::document::{self, Revision};
use crate::config::NAME_BYTES_MAX;
use crate::error::{Error, Kind};
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, StorageError, Table, WriteTxn};
use jettra_driver::DocumentId;
use jettra_driver::wire::NodeStatus;
use serde_json::json;
use std::collections::HashMap;

const REVISION_KEY: &[u8] = b"revision";
const COLLECTION_KEY: &[u8] = b"last_collection";
/// What must happen on this node because a command was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The collection of members changed.
    NodesChanged,
    /// The process with this identity is to end.
    Stop {
        /// Identity of the process.
        boot: String,
        /// Start again afterwards.
        restart: bool,
    },
}

/// Carries the counters and the memory of collection numbers over an open transaction.
#[derive(Default)]
pub struct Applier {
    revision: Revision,
    last_collection: u64,
    collections: HashMap<String, HashMap<String, CollectionId>>,
    counts: HashMap<CollectionId, u64>,
    pub(super) effects: Vec<Effect>,
}

/// A refusal is `Ok(Err(_))`; a storage failure is `Err(_)` and stops the node.
pub(super) type Applied = Result<CommandResult>;

/// Ends a command with a refusal.
pub(super) fn refuse(kind: Kind, message: impl Into<String>, hint: &str) -> Applied {
    Ok(Err(Error::new(kind, message).hint(hint)))
}

impl Applier {
    /// Reads the counters as they are stored.
    pub fn load(read: &impl Read) -> Result<Self> {
        Ok(Applier {
            revision: catalog::counter(read, REVISION_KEY)?,
            last_collection: catalog::counter(read, COLLECTION_KEY)?,
            ..Applier::default()
        })
    }

    /// Stores the counters; to be called before the transaction commits.
    pub fn flush(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        txn.put(Table::Meta, REVISION_KEY, &self.revision.to_be_bytes())?;
        txn.put(Table::Meta, COLLECTION_KEY, &self.last_collection.to_be_bytes())?;
        for (collection, count) in self.counts.drain() {
            txn.put(Table::Meta, &catalog::count_key(collection), &count.to_be_bytes())?;
        }
        Ok(())
    }

    /// Takes the effects of the commands applied since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Applies the command at `index` of the log.
    pub fn apply(&mut self, txn: &mut WriteTxn<'_>, index: u64, command: Command) -> Applied {
        if let Some(error) = too_long(&command) {
            return Ok(Err(error));
        }
        match command {
            Command::InitCluster { cluster_id, node, url, admin_hash, time_ms } => {
                self.init_cluster(txn, cluster_id, node, url, admin_hash, time_ms)
            }
            Command::CreateDatabase { name, engine } => self.create_database(txn, &name, &engine),
            Command::DropDatabase { name } => self.drop_database(txn, &name),
            Command::RenameDatabase { from, to } => self.rename_database(txn, &from, &to),
            Command::CreateCollection { database, collection } => {
                self.ensure_database(txn, &database)?;
                self.ensure_collection(txn, &database, &collection)?;
                Ok(Ok(Outcome::Done))
            }
            Command::DropCollection { database, collection } => {
                self.drop_collection(txn, &database, &collection)?;
                Ok(Ok(Outcome::Done))
            }
            Command::RenameCollection { database, from, to } => {
                self.rename_collection(txn, &database, &from, &to)
            }
            Command::Put {
                database,
                collection,
                target,
                body,
                mode,
                if_match,
                create_database,
            } => {
                let place = Place { database: &database, collection: &collection };
                self.put(txn, place, target, &body, mode, if_match, create_database)
            }
            Command::Delete { database, collection, target, if_match } => {
                let place = Place { database: &database, collection: &collection };
                self.delete(txn, place, target, if_match)
            }
            Command::ClusterRegister { node, url, description } => {
                self.register(txn, index, node, url, description)
            }
            Command::ClusterUpdate { node, raft_id, role, status, url } => {
                self.change_node(txn, &node, raft_id, None, |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = status.unwrap_or(document.status);
                    document.url = url.unwrap_or_else(|| std::mem::take(&mut document.url));
                })
            }
            Command::ClusterStop { node, raft_id, boot, restart } => {
                if let Some(boot) = boot {
                    self.effects.push(Effect::Stop { boot, restart });
                }
                self.change_node(txn, &node, raft_id, None, |document| {
                    if document.status != NodeStatus::Leaving {
                        document.status = NodeStatus::Inactive;
                    }
                })
            }
            Command::ClusterDeregister { node, raft_id } => self.deregister(txn, &node, raft_id),
            Command::ClusterMark { node, raft_id, role, from, to } => {
                self.change_node(txn, &node, raft_id, Some(from), |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = to;
                })
            }
        }
    }

    fn create_database(&mut self, txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Applied {
        if catalog::database(txn, name)?.is_none() {
            put_database(txn, name, engine)?;
        }
        Ok(Ok(Outcome::Done))
    }

    pub(super) fn ensure_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> Result<()> {
        if self.collections.contains_key(name) || catalog::database(txn, name)?.is_some() {
            return Ok(());
        }
        put_database(txn, name, ENGINE_DEFAULT)
    }

    fn drop_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> Applied {
        for (collection, _) in catalog::collections(txn, name)? {
            self.drop_collection(txn, name, &collection)?;
        }
        txn.delete(Table::Catalog, &catalog::database_key(name))?;
        self.collections.remove(name);
        Ok(Ok(Outcome::Done))
    }

    fn rename_database(&mut self, txn: &mut WriteTxn<'_>, from: &str, to: &str) -> Applied {
        let Some(entry) = catalog::database(txn, from)? else {
            return Ok(Err(database_not_found(from)));
        };
        if catalog::database(txn, to)?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a database {to:?} exists"),
                "choose another name or drop it first",
            );
        }
        for (name, id) in catalog::collections(txn, from)? {
            txn.delete(Table::Catalog, &catalog::collection_key(from, &name))?;
            txn.put(Table::Catalog, &catalog::collection_key(to, &name), &id.to_be_bytes())?;
        }
        txn.delete(Table::Catalog, &catalog::database_key(from))?;
        put_database(txn, to, &entry.engine)?;
        self.collections.remove(from);
        Ok(Ok(Outcome::Done))
    }

    fn collection(&mut self, txn: &WriteTxn<'_>, place: Place<'_>) -> Result<Option<CollectionId>> {
        let known = self.collections.get(place.database).and_then(|all| all.get(place.collection));
        if let Some(id) = known {
            return Ok(Some(*id));
        }
        let found = catalog::collection(txn, place.database, place.collection)?;
        if let Some(id) = found {
            self.remember(place, id);
        }
        Ok(found)
    }

    fn remember(&mut self, place: Place<'_>, id: CollectionId) {
        self.collections
            .entry(place.database.to_owned())
            .or_default()
            .insert(place.collection.to_owned(), id);
    }

    pub(super) fn ensure_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        collection: &str,
    ) -> Result<CollectionId> {
        let place = Place { database, collection };
        if let Some(id) = self.collection(txn, place)? {
            return Ok(id);
        }
        self.last_collection += 1;
        let id = self.last_collection as CollectionId;
        let key = catalog::collection_key(database, collection);
        txn.put(Table::Catalog, &key, &id.to_be_bytes())?;
        self.remember(place, id);
        Ok(id)
    }

    fn drop_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        name: &str,
    ) -> Result<()> {
        let Some(id) = self.collection(txn, Place { database, collection: name })? else {
            return Ok(());
        };
        txn.delete(Table::Catalog, &catalog::collection_key(database, name))?;
        let (start, end) = (keys::collection_start(id), keys::collection_end(id));
        txn.delete_range(Table::Documents, &start, &end)?;
        txn.delete(Table::Meta, &catalog::count_key(id))?;
        self.counts.remove(&id);
        self.collections.remove(database);
        Ok(())
    }

    fn rename_collection(
        &mut self,
        txn: &mut WriteTxn<'_>,
        database: &str,
        from: &str,
        to: &str,
    ) -> Applied {
        let Some(id) = self.collection(txn, Place { database, collection: from })? else {
            return Ok(Err(collection_not_found(database, from)));
        };
        if self.collection(txn, Place { database, collection: to })?.is_some() {
            return refuse(
                Kind::NameTaken,
                format!("a collection {to:?} exists in {database:?}"),
                "choose another name or drop it first",
            );
        }
        txn.delete(Table::Catalog, &catalog::collection_key(database, from))?;
        txn.put(Table::Catalog, &catalog::collection_key(database, to), &id.to_be_bytes())?;
        self.collections.remove(database);
        Ok(Ok(Outcome::Done))
    }

    #[allow(clippy::too_many_arguments)] // the fields of one command, unpacked once
    fn put(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        target: Target,
        body: &str,
        mode: PutMode,
        if_match: Option<Revision>,
        create_database: bool,
    ) -> Applied {
        let known = self.collection(txn, place)?;
        if known.is_none() && !create_database && catalog::database(txn, place.database)?.is_none()
        {
            return Ok(Err(database_not_found(place.database)));
        }
        let (id, current) = match known {
            Some(collection) => resolve(txn, collection, target)?,
            None => (target.id, None),
        };
        if mode == PutMode::Insert && current.is_some() {
            return Ok(Err(Error::new(Kind::DuplicateId, format!("a document {id} exists"))
                .hint("use another _id, or replace the document")
                .details(json!({"id": id}))));
        }
        if let Err(error) = check_revision(&id, if_match, current) {
            return Ok(Err(error));
        }
        if known.is_none() {
            self.ensure_database(txn, place.database)?;
        }
        let collection = self.ensure_collection(txn, place.database, place.collection)?;
        let revision = self.write(txn, collection, &id, body, current.is_none())?;
        Ok(Ok(Outcome::Written { id, revision, created: current.is_none() }))
    }

    pub(super) fn write(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: CollectionId,
        id: &DocumentId,
        body: &str,
        created: bool,
    ) -> Result<Revision> {
        self.revision += 1;
        let stored = document::encode(self.revision, id, body);
        txn.put(Table::Documents, &keys::document_key(collection, id), &stored)?;
        if created {
            *self.count(txn, collection)? += 1;
        }
        Ok(self.revision)
    }

    fn count(&mut self, txn: &WriteTxn<'_>, collection: CollectionId) -> Result<&mut u64> {
        use std::collections::hash_map::Entry;
        Ok(match self.counts.entry(collection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(catalog::count(txn, collection)?),
        })
    }

    pub(super) fn delete(
        &mut self,
        txn: &mut WriteTxn<'_>,
        place: Place<'_>,
        target: Target,
        if_match: Option<Revision>,
    ) -> Applied {
        let Some(collection) = self.collection(txn, place)? else {
            return Ok(Err(missing_place(txn, place)?));
        };
        let (id, current) = resolve(txn, collection, target)?;
        if let Err(error) = check_revision(&id, if_match, current) {
            return Ok(Err(error));
        }
        if current.is_none() {
            return Ok(Err(document_not_found(&id)));
        }
        txn.delete(Table::Documents, &keys::document_key(collection, &id))?;
        *self.count(txn, collection)? -= 1;
        Ok(Ok(Outcome::Deleted))
    }
}

/// A collection by its names.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) database: &'a str,
    pub(super) collection: &'a str,
}

/// What makes a key that the storage does not take. Calls are checked against the (smaller)
/// limits of their node; a command that got past them must not end every node.
fn too_long(command: &Command) -> Option<Error> {
    let (names, id) = match command {
        Command::CreateDatabase { name, .. } => ([name, name], None),
        Command::RenameDatabase { to, .. } => ([to, to], None),
        Command::CreateCollection { database, collection } => ([database, collection], None),
        Command::RenameCollection { database, to, .. } => ([database, to], None),
        Command::Put { database, collection, target, .. } => {
            ([database, collection], Some(&target.id))
        }
        _ => return None,
    };
    if let Some(name) = names.into_iter().find(|name| name.len() > NAME_BYTES_MAX) {
        let message = format!("a name has {} bytes, {NAME_BYTES_MAX} are allowed", name.len());
        return Some(Error::new(Kind::InvalidName, message).hint("use a shorter name"));
    }
    let key = keys::document_key(0, id?).len();
    (key > keys::KEY_BYTES_MAX).then(|| {
        Error::new(Kind::InvalidId, format!("an _id that makes a key of {key} bytes is too long"))
            .hint("use a shorter identifier")
    })
}

fn put_database(txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Result<()> {
    let entry = DatabaseEntry { engine: engine.to_owned() };
    let bytes =
        postcard::to_stdvec(&entry).map_err(|error| StorageError::Failed(error.to_string()))?;
    txn.put(Table::Catalog, &catalog::database_key(name), &bytes)
}

/// Which document a target means, and the revision it has.
pub(super) fn resolve(
    read: &impl Read,
    collection: CollectionId,
    target: Target,
) -> Result<(DocumentId, Option<Revision>)> {
    let current = revision(read, collection, &target.id)?;
    if current.is_none()
        && let Some(other) = target.or
        && let Some(found) = revision(read, collection, &other)?
    {
        return Ok((other, Some(found)));
    }
    Ok((target.id, current))
}

fn revision(
    read: &impl Read,
    collection: CollectionId,
    id: &DocumentId,
) -> Result<Option<Revision>> {
    let stored = read.get(Table::Documents, &keys::document_key(collection, id))?;
    Ok(stored.and_then(document::decode).map(|(revision, _)| revision))
}

fn check_revision(
    id: &DocumentId,
    wanted: Option<Revision>,
    current: Option<Revision>,
) -> crate::error::Result<()> {
    if wanted.is_none() || wanted == current {
        return Ok(());
    }
    let message = match current {
        Some(revision) => format!("document {id} has revision {revision}"),
        None => format!("there is no document {id}"),
    };
    Err(Error::new(Kind::RevisionMismatch, message)
        .hint("read the document again and repeat the change on what it holds now")
        .details(json!({"wanted": wanted, "current": current})))
}

fn missing_place(read: &impl Read, place: Place<'_>) -> Result<Error> {
    Ok(match catalog::database(read, place.database)? {
        None => database_not_found(place.database),
        Some(_) => collection_not_found(place.database, place.collection),
    })
}

/// The error for an unknown database.
pub fn database_not_found(name: &str) -> Error {
    Error::new(Kind::DatabaseNotFound, format!("there is no database {name:?}"))
        .hint("create it with POST /api/dbs {\"name\": …}, or check the spelling")
}

/// The error for an unknown collection.
pub fn collection_not_found(database: &str, collection: &str) -> Error {
    let message = format!("there is no collection {collection:?} in database {database:?}");
    Error::new(Kind::CollectionNotFound, message)
        .hint("a collection is created by its first document, or with POST /api/cols")
}

/// The error for an unknown document.
pub fn document_not_found(id: &DocumentId) -> Error {
    Error::new(Kind::DocumentNotFound, format!("there is no document {id}")).hint(
        "check the _id; \"42\" and 42 are two, which id_type=string and id_type=int tell apart",
    )
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
