use super::*;
use crate::catalog;
use crate::command::{Command, CommandResult, Outcome, Put, PutMode, Target};
use crate::id::DocumentId;
use crate::namespace::Namespace;
use crate::storage::Store;
use crate::system::{NodeRole, NodeStatus, UserDocument};

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
        let mut applier = Applier::default();
        applier.begin(&txn).unwrap();
        let result = applier.apply(&mut txn, self.index, command.into()).unwrap().result;
        applier.end_entry(&mut txn).unwrap();
        applier.flush(&mut txn).unwrap();
        txn.commit().unwrap();
        result
    }

    fn put(&mut self, id: &str, mode: PutMode, if_match: Option<u64>) -> CommandResult {
        self.run(Command::Put(Put {
            namespace: Namespace::new("shop", "c"),
            target: DocumentId::from(id).into(),
            body: "{\"a\":1}".into(),
            mode,
            if_match,
            create_database: true,
        }))
    }

    fn delete(&mut self, id: &str, if_match: Option<u64>) -> CommandResult {
        self.run(Command::Delete {
            namespace: Namespace::new("shop", "c"),
            target: DocumentId::from(id).into(),
            if_match,
        })
    }

    fn count(&self) -> u64 {
        let read = self.store.read().unwrap();
        let id = catalog::collection(&read, "shop", "c").unwrap().unwrap();
        catalog::totals(&read, id).unwrap().documents
    }

    fn register(&mut self, node: &str, url: &str) -> CommandResult {
        let (node, url) = (node.into(), url.into());
        self.run(Command::ClusterRegister { node, url, description: None, program: None })
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
    assert_eq!(kind(world.put("1", PutMode::Upsert, Some(revision + 1))), Kind::RevisionMismatch);
    assert_eq!(kind(world.delete("1", Some(revision + 1))), Kind::RevisionMismatch);
    assert_eq!(kind(world.put("2", PutMode::Upsert, Some(1))), Kind::RevisionMismatch);
    assert!(world.put("1", PutMode::Upsert, Some(revision)).is_ok());
    assert_eq!(kind(world.put("1", PutMode::Upsert, Some(revision))), Kind::RevisionMismatch);
}

#[test]
fn a_text_that_could_be_a_number_finds_the_document_that_exists() {
    let mut world = World::new();
    world.put("42", PutMode::Insert, None).unwrap();
    let target = Target { id: DocumentId::from(42), or: Some("42".into()) };
    let deleted = world.run(Command::Delete {
        namespace: Namespace::new("shop", "c"),
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
    assert_eq!(catalog::totals(&read, id).unwrap().documents, 1);
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
    assert_eq!(crate::members::nodes(&world.store.read().unwrap()).unwrap(), vec![]);
}

/// Symptom: a node that was asked to leave, or to pause, is active again. Cause: a status was
/// set on the ground of an older view, whatever it had become meanwhile.
#[test]
fn a_status_changes_only_from_the_one_it_is_believed_to_be() {
    let mut world = World::new();
    world.register("n2", "http://b").unwrap();
    let mark = |from, to| Command::ClusterMark {
        node: "n2".into(),
        raft_id: 1,
        role: Some(NodeRole::Follower),
        from,
        to,
    };
    let set = |status| Command::ClusterUpdate {
        node: "n2".into(),
        raft_id: 1,
        role: None,
        status: Some(status),
        url: None,
    };
    let stop = || Command::ClusterStop {
        node: "n2".into(),
        raft_id: 1,
        boot: Some("b".into()),
        restart: false,
    };
    let status = |world: &World| {
        let node = crate::members::nodes(&world.store.read().unwrap()).unwrap().remove(0);
        (node.role, node.status)
    };
    world.run(mark(NodeStatus::Joining, NodeStatus::Active)).unwrap();
    assert_eq!(status(&world), (NodeRole::Follower, NodeStatus::Active));
    world.run(stop()).unwrap();
    assert_eq!(status(&world).1, NodeStatus::Inactive);
    for ordered in [NodeStatus::Paused, NodeStatus::Leaving] {
        world.run(set(ordered)).unwrap();
        let late = world.run(mark(NodeStatus::Inactive, NodeStatus::Active));
        assert_eq!(kind(late), Kind::NotPossibleNow);
        assert_eq!(status(&world).1, ordered);
    }
    world.run(stop()).unwrap();
    assert_eq!(status(&world).1, NodeStatus::Leaving, "a node that leaves goes on leaving");
}

/// Symptom: every node ends, and again at every start. Cause: a name made a key that LMDB
/// does not take, which was a failure of the storage and not of the command.
#[test]
fn a_name_too_long_for_a_key_is_refused_and_ends_nothing() {
    let mut world = World::new();
    let long = || "x".repeat(300);
    let (id, database, collection) = (DocumentId::from(1), String::from("d"), String::from("c"));
    let put = |database: String, collection: String, id: DocumentId| {
        Command::Put(Put {
            namespace: Namespace { database, collection },
            target: id.into(),
            body: "{}".into(),
            mode: PutMode::Upsert,
            if_match: None,
            create_database: true,
        })
    };
    world.run(put(database.clone(), collection.clone(), id.clone())).unwrap();
    for command in [
        Command::CreateDatabase { name: long() + &long(), engine: "e".into() },
        Command::CreateCollection { namespace: Namespace::new(long(), long()) },
        Command::RenameDatabase { from: database.clone(), to: long() + &long() },
        Command::RenameCollection {
            database: database.clone(),
            from: collection.clone(),
            to: long() + &long(),
        },
        put(long(), long(), id),
        Command::CreateUser(Box::new(UserDocument {
            name: long() + &long(),
            password_hash: String::new(),
            role: "reader".into(),
            allowed_dbs: Vec::new(),
            grants: Default::default(),
            disabled: false,
            created_ms: 0,
            changed_ms: 0,
            scram_sha_256: None,
        })),
        Command::ClusterRegister {
            node: long() + &long(),
            url: "u".into(),
            description: None,
            program: None,
        },
    ] {
        assert_eq!(kind(world.run(command)), Kind::InvalidName);
    }
    let long_id = DocumentId::from(long() + &long());
    assert_eq!(kind(world.run(put(database, collection, long_id))), Kind::IdTooLong);
}
