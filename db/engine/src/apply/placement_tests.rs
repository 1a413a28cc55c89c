use super::*;
use crate::command::{CommandResult, Put, PutMode};
use crate::namespace::Namespace;
use crate::placement::{databases, groups};
use crate::storage::{Read, Store};
use crate::system::Program;
use crate::{DocumentId, Proposal};

/// The state of a group.
struct State {
    store: Store,
    index: u64,
    _dir: tempfile::TempDir,
}

impl State {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 1 << 26).unwrap();
        State { store, index: 0, _dir: dir }
    }

    /// The system group of a cluster of three nodes, with Raft ids 1, 2 and 3.
    fn system() -> Self {
        let mut state = State::new();
        let program = Program {
            version: "1.0.0".into(),
            oldest_level: 1,
            newest_level: 2,
            addresses: None,
            zone: None,
        };
        let node = |node: &str| Command::ClusterRegister {
            node: node.into(),
            url: format!("http://{node}"),
            description: None,
            program: Some(program.clone()),
        };
        state.done(Command::InitCluster {
            cluster_id: "c".into(),
            node: "n1".into(),
            url: "http://n1".into(),
            admin_hash: "$argon2id$".into(),
            time_ms: 1000,
        });
        state.done(node("n2"));
        state.done(node("n3"));
        state.done(Command::ClusterAnnounce { raft_id: 1, program: program.clone() });
        state.done(Command::SetFeatureLevel { level: 2 });
        state
    }

    /// A data group that holds the database `shop`.
    fn data() -> Self {
        let mut state = State::new();
        state.done(Command::SetFeatureLevel { level: 2 });
        state.in_group(GroupCommand::Init { group: 3 }).unwrap();
        let create = DatabaseChange::Create { name: "shop".into(), engine: "x".into() };
        state.in_group(GroupCommand::ChangeDatabase { epoch: 20, change: create }).unwrap();
        state
    }

    fn propose(&mut self, proposal: Proposal) -> CommandResult {
        self.index += 1;
        let mut txn = self.store.write().unwrap();
        let mut applier = Applier::default();
        applier.begin(&txn).unwrap();
        let result = applier.apply(&mut txn, self.index, proposal).unwrap().result;
        applier.end_entry(&mut txn).unwrap();
        applier.flush(&mut txn).unwrap();
        txn.commit().unwrap();
        result
    }

    fn run(&mut self, command: Command) -> CommandResult {
        self.propose(command.into())
    }

    fn done(&mut self, command: Command) {
        let text = format!("{command:?}");
        self.run(command).unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    fn place(&mut self, placement: Placement) -> CommandResult {
        self.run(Command::Placement(Box::new(placement)))
    }

    fn in_group(&mut self, command: GroupCommand) -> CommandResult {
        self.run(Command::InGroup(Box::new(command)))
    }

    fn group(&self, number: u32) -> Option<GroupDocument> {
        placement::group(&self.store.read().unwrap(), number).unwrap()
    }

    /// Group 3 on all three nodes, ACTIVE.
    fn with_group(mut self) -> Self {
        self.place(create(3, &[1, 2, 3])).unwrap();
        for node in 1..=3 {
            self.place(Placement::PlaceReplica { group: 3, node }).unwrap();
        }
        for replica in self.group(3).unwrap().replicas {
            self.place(Placement::ActivateReplica { group: 3, replica: replica.id }).unwrap();
        }
        self.place(Placement::ActivateGroup { group: 3 }).unwrap();
        self
    }
}

fn kind(result: CommandResult) -> Kind {
    result.unwrap_err().kind
}

fn create(group: u32, voters: &[u64]) -> Placement {
    let (replication_factor, voters) = (3, voters.to_vec());
    Placement::CreateGroup { group, replication_factor, voters, observers: Vec::new() }
}

fn put(database: &str) -> Command {
    Command::Put(Put {
        namespace: Namespace::new(database, "c"),
        target: DocumentId::from(1).into(),
        body: "{}".into(),
        mode: PutMode::Upsert,
        if_match: None,
        create_database: true,
    })
}

#[test]
fn groups_need_their_feature_level_and_known_nodes() {
    let mut state = State::new();
    assert_eq!(kind(state.place(create(3, &[1]))), Kind::NotPossibleNow);
    let mut state = State::system();
    for (group, voters, expected) in [
        (0, vec![1], Kind::GroupExists),
        (3, vec![], Kind::InvalidParameter),
        (3, vec![1, 7], Kind::NodeNotFound),
        (3, vec![1, 1], Kind::InvalidParameter),
    ] {
        assert_eq!(kind(state.place(create(group, &voters))), expected, "{group} {voters:?}");
    }
    state.place(create(3, &[1, 2])).unwrap();
    let again = state.place(create(3, &[1, 2])).unwrap_err();
    assert_eq!(again.kind, Kind::GroupExists);
    assert!(again.message.starts_with("group already exist"), "{again}");
}

#[test]
fn a_group_is_founded_filled_moved_and_removed() {
    let mut state = State::system();
    state.place(create(3, &[1, 2])).unwrap();
    assert_eq!(
        kind(state.place(Placement::PlaceReplica { group: 3, node: 3 })),
        Kind::NotPossibleNow
    );
    let placed = state.place(Placement::PlaceReplica { group: 3, node: 2 }).unwrap();
    let first = state.index;
    assert_eq!(placed, Outcome::Registered { raft_id: first }, "named by the log index");
    assert_eq!(state.place(Placement::PlaceReplica { group: 3, node: 2 }).unwrap(), placed);
    state.place(Placement::PlaceReplica { group: 3, node: 1 }).unwrap();
    let second = state.index;
    assert_eq!(state.group(3).unwrap().founder().map(|replica| replica.id), Some(first));
    assert_eq!(kind(state.place(Placement::ActivateGroup { group: 3 })), Kind::NotPossibleNow);
    state.place(Placement::ActivateReplica { group: 3, replica: first }).unwrap();
    assert_eq!(state.group(3).unwrap().founder(), None);
    let unvoted = |replica| Placement::RemoveReplica { group: 3, replica, joining: true };
    assert_eq!(kind(state.place(unvoted(first))), Kind::NotPossibleNow);
    state.place(Placement::ActivateReplica { group: 3, replica: second }).unwrap();
    state.place(Placement::ActivateGroup { group: 3 }).unwrap();

    let epoch = state.group(3).unwrap().epoch;
    let set = |epoch, voters: &[u64]| {
        let (voters, observers) = (voters.to_vec(), Vec::new());
        Placement::SetNodes { group: 3, epoch, voters, observers, strategy: None }
    };
    assert_eq!(
        kind(state.place(Placement::PinLeader { group: 3, node: Some(3) })),
        Kind::NotPossibleNow
    );
    state.place(Placement::PinLeader { group: 3, node: Some(2) }).unwrap();
    state.place(set(epoch, &[1, 3])).unwrap();
    assert_eq!(state.group(3).unwrap().leader, None, "it was pinned to a node that is to go");
    assert_eq!(
        kind(state.place(set(epoch, &[1, 2]))),
        Kind::NotPossibleNow,
        "a later intent stands"
    );

    state.place(Placement::RemoveGroup { group: 3, keep_state: None }).unwrap();
    assert_eq!(state.group(3).unwrap().state, GroupState::Removing);
    for replica in [first, second] {
        state.place(Placement::RemoveReplica { group: 3, replica, joining: false }).unwrap();
    }
    assert_eq!(state.group(3), None);
    state.place(Placement::RemoveGroup { group: 3, keep_state: None }).unwrap();
    assert_eq!(kind(state.place(Placement::ActivateGroup { group: 3 })), Kind::GroupNotFound);
}

#[test]
fn a_database_is_created_renamed_and_dropped_in_its_group() {
    let mut state = State::system().with_group();
    state.done(Command::CreateDatabase { name: "own".into(), engine: "x".into() });
    let create = |name: &str, group| Placement::CreateDatabase {
        name: name.into(),
        engine: "x".into(),
        group,
    };
    let end = |name: &str, epoch, problem: Option<&str>| Placement::EndDatabaseChange {
        name: name.into(),
        epoch,
        problem: problem.map(str::to_owned),
    };
    assert_eq!(kind(state.place(create("own", 3))), Kind::NameTaken);
    assert_eq!(kind(state.place(create("shop", 4))), Kind::GroupNotFound);
    state.place(create("shop", 3)).unwrap();
    let created = state.index;
    state.place(create("shop", 3)).unwrap();
    assert_eq!(
        kind(state.place(Placement::DropDatabase { name: "shop".into() })),
        Kind::NotPossibleNow
    );
    assert_eq!(
        kind(state.place(Placement::RemoveGroup { group: 3, keep_state: None })),
        Kind::GroupInUse
    );
    state.place(end("shop", created - 1, None)).unwrap();
    let database = |state: &State, name: &str| {
        placement::database(&state.store.read().unwrap(), name).unwrap()
    };
    assert_eq!(database(&state, "shop").unwrap().state, DatabaseState::Creating);
    state.place(end("shop", created, None)).unwrap();
    assert_eq!(database(&state, "shop").unwrap().state, DatabaseState::Active);

    // It is in another group, so nothing is done with it here.
    let rename =
        |from: &str, to: &str| Command::RenameDatabase { from: from.into(), to: to.into() };
    for refused in [
        put("shop"),
        Command::CreateDatabase { name: "shop".into(), engine: "x".into() },
        Command::DropDatabase { name: "shop".into() },
        rename("shop", "other"),
    ] {
        assert_eq!(kind(state.run(refused)), Kind::PlacementChanged);
    }
    assert_eq!(kind(state.run(rename("own", "shop"))), Kind::NameTaken);

    let rename = |to: &str| Placement::RenameDatabase { from: "shop".into(), to: to.into() };
    assert_eq!(kind(state.place(rename("own"))), Kind::NameTaken);
    state.place(rename("store")).unwrap();
    let renamed = state.index;
    assert_eq!(kind(state.run(put("store"))), Kind::PlacementChanged, "the name is reserved");
    state.place(end("shop", renamed, Some("too many collections"))).unwrap();
    let kept = database(&state, "shop").unwrap();
    assert_eq!(
        (kept.state, kept.problem.as_deref()),
        (DatabaseState::Active, Some("too many collections"))
    );
    assert_eq!(database(&state, "store"), None);
    state.place(rename("store")).unwrap();
    state.place(end("shop", state.index, None)).unwrap();
    assert_eq!(database(&state, "shop"), None);
    assert_eq!(database(&state, "store").unwrap().state, DatabaseState::Active);
    state.place(Placement::DropDatabase { name: "store".into() }).unwrap();
    state.place(end("store", state.index, None)).unwrap();
    assert!(databases(&state.store.read().unwrap()).unwrap().is_empty());
    assert_eq!(groups(&state.store.read().unwrap()).unwrap()[0].databases, 0);
    state.done(put("store"));
}

#[test]
fn a_data_group_changes_databases_only_as_the_system_group_decides_and_in_order() {
    let mut state = State::data();
    state.done(put("shop"));
    for refused in [
        put("other"),
        Command::CreateDatabase { name: "other".into(), engine: "x".into() },
        Command::DropDatabase { name: "shop".into() },
        Command::RenameDatabase { from: "shop".into(), to: "other".into() },
    ] {
        assert_eq!(kind(state.run(refused)), Kind::PlacementChanged);
    }
    let change = |epoch, change| GroupCommand::ChangeDatabase { epoch, change };
    let rename = || DatabaseChange::Rename { from: "shop".into(), to: "store".into() };
    assert_eq!(kind(state.in_group(change(19, rename()))), Kind::NotPossibleNow, "it is late");
    state.in_group(change(30, rename())).unwrap();
    state.in_group(change(30, rename())).unwrap();
    state.done(put("store"));
    state.in_group(change(31, DatabaseChange::Drop { name: "store".into() })).unwrap();
    assert_eq!(kind(state.run(put("store"))), Kind::PlacementChanged);
    assert_eq!(kind(state.in_group(GroupCommand::Init { group: 4 })), Kind::NotPossibleNow);
    assert_eq!(kind(state.place(create(5, &[1]))), Kind::NotPossibleNow);
}

/// A call may come before its database does, and is repeated under its key until it is there.
#[test]
fn a_refusal_for_the_placement_is_not_the_answer_to_a_repeated_call() {
    let mut state = State::data();
    let call = || {
        let retry = Some(crate::command::RetryKey::new("k".into(), 1));
        Proposal { user: Some("ada".into()), retry, ..put("store").into() }
    };
    assert_eq!(kind(state.propose(call())), Kind::PlacementChanged);
    let create = DatabaseChange::Create { name: "store".into(), engine: "x".into() };
    state.in_group(GroupCommand::ChangeDatabase { epoch: 30, change: create }).unwrap();
    let written = state.propose(call()).unwrap();
    assert!(matches!(written, Outcome::Written { .. }), "{written:?}");
    assert_eq!(state.propose(call()).unwrap(), written);
}

#[test]
fn a_data_group_refuses_a_user_whose_rights_were_checked_before_one_was_taken() {
    let mut state = State::data();
    let by_user = |rights| Proposal { user: Some("ada".into()), rights, ..put("shop").into() };
    state.propose(by_user(None)).unwrap();
    state.in_group(GroupCommand::Rights { epoch: 40 }).unwrap();
    state.in_group(GroupCommand::Rights { epoch: 39 }).unwrap();
    assert_eq!(kind(state.propose(by_user(Some(39)))), Kind::UserChanged);
    assert_eq!(kind(state.propose(by_user(None))), Kind::UserChanged);
    state.propose(by_user(Some(40))).unwrap();
}

#[test]
fn what_takes_a_right_away_raises_the_rights_epoch() {
    let mut state = State::system();
    let epoch = |state: &State| placement::rights_epoch(&state.store.read().unwrap()).unwrap();
    let user = crate::system::UserDocument {
        name: "ada".into(),
        password_hash: "$argon2id$".into(),
        role: "reader".into(),
        allowed_dbs: vec!["shop".into()],
        grants: Default::default(),
        disabled: false,
        created_ms: 1000,
        changed_ms: 1000,
        scram_sha_256: None,
    };
    state.done(Command::CreateUser(Box::new(user)));
    assert_eq!(epoch(&state), 0);
    let update = crate::command::UserUpdate {
        name: "ada".into(),
        allowed_dbs: Some(Vec::new()),
        ..Default::default()
    };
    state.done(Command::UpdateUser(Box::new(update)));
    assert_eq!(epoch(&state), state.index);
    state.done(Command::DeleteUser { name: "ada".into() });
    assert_eq!(epoch(&state), state.index);
    let read = state.store.read().unwrap();
    assert!(read.get(Table::Meta, GROUP_KEY).unwrap().is_none());
}
