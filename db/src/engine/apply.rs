//! Applying commands: the one place that changes the tables.
//!
//! Every command checks first and writes afterwards, so a refused one leaves no trace. The
//! counters (documents per collection, last revision) are kept in memory while the writing
//! transaction is open and stored by [`Applier::flush`] before it commits.

use super::catalog::{self, DatabaseEntry, ENGINE_DEFAULT};
use super::command::{Command, CommandResult, Outcome, PutMode, Target};
use super::document::{self, Revision};
use super::system::{self, ClusterDocument, NodeDocument, UserDocument};
use crate::error::{Error, Kind};
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, StorageError, Table, WriteTxn};
use jettra_driver::DocumentId;
use jettra_driver::wire::{NodeRole, NodeStatus};
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;

const REVISION_KEY: &[u8] = b"revision";
const COLLECTION_KEY: &[u8] = b"last_collection";
/// Raft id of the node that makes the cluster.
pub const FIRST_RAFT_ID: u64 = 1;

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
    effects: Vec<Effect>,
}

/// A refusal is `Ok(Err(_))`; a storage failure is `Err(_)` and stops the node.
type Applied = Result<CommandResult>;

/// Ends a command with a refusal.
fn refuse(kind: Kind, message: impl Into<String>, hint: &str) -> Applied {
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
                self.change_node(txn, &node, raft_id, |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = status.unwrap_or(document.status);
                    document.url = url.unwrap_or_else(|| std::mem::take(&mut document.url));
                })
            }
            Command::ClusterStop { node, raft_id, boot, restart } => {
                if let Some(boot) = boot {
                    self.effects.push(Effect::Stop { boot, restart });
                }
                self.change_node(txn, &node, raft_id, |document| {
                    document.status = NodeStatus::Inactive;
                })
            }
            Command::ClusterDeregister { node, raft_id } => self.deregister(txn, &node, raft_id),
        }
    }

    fn init_cluster(
        &mut self,
        txn: &mut WriteTxn<'_>,
        cluster_id: String,
        node: String,
        url: String,
        admin_hash: String,
        time_ms: u64,
    ) -> Applied {
        if catalog::database(txn, system::DATABASE)?.is_some() {
            return Ok(Ok(Outcome::Done));
        }
        self.ensure_database(txn, system::DATABASE)?;
        self.ensure_collection(txn, system::DATABASE, system::SESSIONS)?;
        let cluster = ClusterDocument { id: "cluster".into(), cluster_id, created_ms: time_ms };
        self.put_system(txn, system::CLUSTER, "cluster", &cluster)?;
        let admin =
            UserDocument { name: "admin".into(), password_hash: admin_hash, role: "admin".into() };
        self.put_system(txn, system::USERS, "admin", &admin)?;
        let first = NodeDocument {
            id: node.clone(),
            raft_id: FIRST_RAFT_ID,
            url,
            role: NodeRole::Leader,
            status: NodeStatus::Active,
            description: None,
        };
        self.put_system(txn, system::NODES, &node, &first)?;
        self.effects.push(Effect::NodesChanged);
        Ok(Ok(Outcome::Done))
    }

    fn create_database(&mut self, txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Applied {
        if catalog::database(txn, name)?.is_none() {
            put_database(txn, name, engine)?;
        }
        Ok(Ok(Outcome::Done))
    }

    fn ensure_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> Result<()> {
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

    fn ensure_collection(
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

    fn write(
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

    fn delete(
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

    fn register(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        node: String,
        url: String,
        description: Option<String>,
    ) -> Applied {
        for known in nodes(txn)? {
            if known.id == node && known.url == url {
                return Ok(Ok(Outcome::Registered { raft_id: known.raft_id }));
            }
            if known.id == node || known.url == url {
                let message = format!(
                    "node {node:?} at {url} clashes with the member {:?} at {}",
                    known.id, known.url
                );
                return Ok(Err(Error::new(Kind::NodeConflict, message)
                    .hint("deregister the member first, or give the new node another NodeID or address")
                    .details(json!({
                        "registered": {"node": known.id, "url": known.url},
                        "requested": {"node": node, "url": url},
                    }))));
            }
        }
        let document = NodeDocument {
            id: node.clone(),
            raft_id: index,
            url,
            role: NodeRole::Learner,
            status: NodeStatus::Joining,
            description,
        };
        self.put_system(txn, system::NODES, &node, &document)?;
        self.effects.push(Effect::NodesChanged);
        Ok(Ok(Outcome::Registered { raft_id: index }))
    }

    fn change_node(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
        change: impl FnOnce(&mut NodeDocument),
    ) -> Applied {
        let found =
            nodes(txn)?.into_iter().find(|known| known.id == node && known.raft_id == raft_id);
        let Some(mut document) = found else {
            return refuse(
                Kind::NodeNotFound,
                format!("there is no node {node:?} with Raft id {raft_id}"),
                "list the members with GET /api/cluster",
            );
        };
        change(&mut document);
        self.put_system(txn, system::NODES, node, &document)?;
        self.effects.push(Effect::NodesChanged);
        Ok(Ok(Outcome::Done))
    }

    fn deregister(&mut self, txn: &mut WriteTxn<'_>, node: &str, raft_id: u64) -> Applied {
        let known = nodes(txn)?.iter().any(|known| known.id == node && known.raft_id == raft_id);
        if known {
            let place = Place { database: system::DATABASE, collection: system::NODES };
            self.effects.push(Effect::NodesChanged);
            self.delete(txn, place, DocumentId::from(node).into(), None)?
                .map_or_else(|error| Ok(Err(error)), |_| Ok(Ok(Outcome::Done)))
        } else {
            Ok(Ok(Outcome::Done))
        }
    }

    fn put_system(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &str,
        id: &str,
        document: &impl Serialize,
    ) -> Result<()> {
        let failed = |error: serde_json::Error| StorageError::Failed(error.to_string());
        let mut value = serde_json::to_value(document).map_err(failed)?;
        if let Some(object) = value.as_object_mut() {
            object.shift_remove("_id");
        }
        let body = value.to_string();
        let collection = self.ensure_collection(txn, system::DATABASE, collection)?;
        let (id, current) = resolve(txn, collection, DocumentId::from(id).into())?;
        self.write(txn, collection, &id, &body, current.is_none())?;
        Ok(())
    }
}

/// A collection by its names.
#[derive(Clone, Copy)]
struct Place<'a> {
    database: &'a str,
    collection: &'a str,
}

fn put_database(txn: &mut WriteTxn<'_>, name: &str, engine: &str) -> Result<()> {
    let entry = DatabaseEntry { engine: engine.to_owned() };
    let bytes =
        postcard::to_stdvec(&entry).map_err(|error| StorageError::Failed(error.to_string()))?;
    txn.put(Table::Catalog, &catalog::database_key(name), &bytes)
}

/// Which document a target means, and the revision it has.
fn resolve(
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

/// All members, read from `_system._clusternodes`.
pub fn nodes(read: &impl Read) -> Result<Vec<NodeDocument>> {
    let Some(id) = catalog::collection(read, system::DATABASE, system::NODES)? else {
        return Ok(Vec::new());
    };
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    let mut nodes = Vec::new();
    for entry in read.range(Table::Documents, &start, &end)? {
        let (_, stored) = entry?;
        let node = document::decode(stored).and_then(|(_, json)| system::parse(json));
        nodes.push(
            node.ok_or_else(|| StorageError::Failed("a member's document is unreadable".into()))?,
        );
    }
    Ok(nodes)
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
mod tests {
    use super::*;
    use crate::storage::Store;

    struct World {
        _dir: tempfile::TempDir,
        store: Store,
        index: u64,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path(), 1 << 26).unwrap();
            World { _dir: dir, store, index: 0 }
        }

        fn run(&mut self, command: Command) -> CommandResult {
            self.index += 1;
            let mut txn = self.store.write().unwrap();
            let mut applier = Applier::load(&txn).unwrap();
            let result = applier.apply(&mut txn, self.index, command).unwrap();
            applier.flush(&mut txn).unwrap();
            txn.commit().unwrap();
            result
        }

        fn put(&mut self, id: &str, mode: PutMode, if_match: Option<u64>) -> CommandResult {
            self.run(Command::Put {
                database: "shop".into(),
                collection: "c".into(),
                target: DocumentId::from(id).into(),
                body: "{\"a\":1}".into(),
                mode,
                if_match,
                create_database: true,
            })
        }

        fn delete(&mut self, id: &str, if_match: Option<u64>) -> CommandResult {
            self.run(Command::Delete {
                database: "shop".into(),
                collection: "c".into(),
                target: DocumentId::from(id).into(),
                if_match,
            })
        }

        fn count(&self) -> u64 {
            let read = self.store.read().unwrap();
            let id = catalog::collection(&read, "shop", "c").unwrap().unwrap();
            catalog::count(&read, id).unwrap()
        }

        fn register(&mut self, node: &str, url: &str) -> CommandResult {
            let (node, url) = (node.into(), url.into());
            self.run(Command::ClusterRegister { node, url, description: None })
        }
    }

    fn kind(result: CommandResult) -> Kind {
        result.unwrap_err().kind
    }

    #[test]
    fn inserts_count_and_duplicates_are_refused() {
        let mut world = World::new();
        assert!(world.put("1", PutMode::Insert, None).is_ok());
        assert_eq!(kind(world.put("1", PutMode::Insert, None)), Kind::DuplicateId);
        assert!(world.put("1", PutMode::Upsert, None).is_ok());
        assert_eq!(world.count(), 1);
        assert_eq!(world.delete("1", None), Ok(Outcome::Deleted));
        assert_eq!(kind(world.delete("1", None)), Kind::DocumentNotFound);
        assert_eq!(world.count(), 0);
    }

    #[test]
    fn a_revision_is_compared_before_anything_changes() {
        let mut world = World::new();
        let Ok(Outcome::Written { revision, .. }) = world.put("1", PutMode::Insert, None) else {
            panic!("not written");
        };
        assert_eq!(
            kind(world.put("1", PutMode::Upsert, Some(revision + 1))),
            Kind::RevisionMismatch
        );
        assert_eq!(kind(world.delete("1", Some(revision + 1))), Kind::RevisionMismatch);
        assert_eq!(kind(world.put("2", PutMode::Upsert, Some(1))), Kind::RevisionMismatch);
        assert!(world.put("1", PutMode::Upsert, Some(revision)).is_ok());
        assert_eq!(kind(world.put("1", PutMode::Upsert, Some(revision))), Kind::RevisionMismatch);
    }

    #[test]
    fn a_text_that_could_be_a_number_finds_the_document_that_exists() {
        let mut world = World::new();
        world.put("42", PutMode::Insert, None).unwrap();
        let target = Target { id: DocumentId::Int(42), or: Some("42".into()) };
        let deleted = world.run(Command::Delete {
            database: "shop".into(),
            collection: "c".into(),
            target,
            if_match: None,
        });
        assert_eq!(deleted, Ok(Outcome::Deleted));
    }

    #[test]
    fn renaming_moves_everything_and_never_overwrites() {
        let mut world = World::new();
        world.put("1", PutMode::Insert, None).unwrap();
        world.run(Command::CreateDatabase { name: "other".into(), engine: "x".into() }).unwrap();
        let rename = |to: &str| Command::RenameDatabase { from: "shop".into(), to: to.into() };
        assert_eq!(kind(world.run(rename("other"))), Kind::NameTaken);
        assert!(world.run(rename("store")).is_ok());
        assert_eq!(kind(world.run(rename("again"))), Kind::DatabaseNotFound);
        let read = world.store.read().unwrap();
        let id = catalog::collection(&read, "store", "c").unwrap().unwrap();
        assert_eq!(catalog::count(&read, id).unwrap(), 1);
        assert_eq!(catalog::collections(&read, "shop").unwrap(), vec![]);
    }

    #[test]
    fn dropping_takes_the_documents_along() {
        let mut world = World::new();
        world.put("1", PutMode::Insert, None).unwrap();
        world.run(Command::DropDatabase { name: "shop".into() }).unwrap();
        assert!(world.put("1", PutMode::Insert, None).is_ok());
        assert_eq!(world.count(), 1);
    }

    #[test]
    fn registering_twice_is_one_member_and_a_clash_shows_both() {
        let mut world = World::new();
        assert_eq!(world.register("n2", "http://b"), Ok(Outcome::Registered { raft_id: 1 }));
        assert_eq!(world.register("n2", "http://b"), Ok(Outcome::Registered { raft_id: 1 }));
        let clash = world.register("n2", "http://c").unwrap_err();
        assert_eq!(clash.kind, Kind::NodeConflict);
        assert!(clash.message.contains("http://b") && clash.message.contains("http://c"));
        assert_eq!(kind(world.register("n3", "http://b")), Kind::NodeConflict);
        let update = |raft_id| Command::ClusterUpdate {
            node: "n2".into(),
            raft_id,
            role: None,
            status: Some(NodeStatus::Active),
            url: None,
        };
        assert!(world.run(update(1)).is_ok());
        assert_eq!(kind(world.run(update(9))), Kind::NodeNotFound);
        let remove = Command::ClusterDeregister { node: "n2".into(), raft_id: 1 };
        assert!(world.run(remove.clone()).is_ok());
        assert!(world.run(remove).is_ok());
        assert_eq!(nodes(&world.store.read().unwrap()).unwrap(), vec![]);
    }
}
