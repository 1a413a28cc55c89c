//! The bytes of every command and stored row. After a deliberate change, `UPDATE_GOLDEN=1` writes
//! them anew; a changed line means a new command number, format or feature level.

use super::*;
use crate::apply::Applier;
use crate::catalog::{CollectionTotals, DatabaseEntry, Options, Retention, Versions};
use crate::cbor;
use crate::changes::{Change, ChangeKind, HistoryTotals, ResumeToken};
use crate::command::entry::{self, FrameEncoder, NUMBERS};
use crate::command::{
    AuditEvent, Batch, BatchCondition, BatchStep, Commit, CredentialRevisions, FinalWrite,
    GroupCommand, IndexRead, Mutation, Operation, OperationResult, Outcome, Part, Placement,
    RetryKey, Returning, Select, UserUpdate, Write, WriteLimits, WriteTotals,
};
use crate::error::{Error, Kind, duplicate};
use crate::history_tests::{dump, verify};
use crate::index::stats::IndexStats;
use crate::index::{IndexEntry, IndexSpec, IndexState};
use crate::namespace::Namespace;
use crate::placement::{DatabaseChange, MoveStrategy};
use crate::retry::{self, Calls, Hashes, Progress, Reference, RetryUsage, StoredAnswer};
use crate::storage::overlay::{RangeRead, Reads};
use crate::storage::{Store, Table};
use crate::system::{
    Addresses, NodeRole, NodeStatus, Program, ScramKeys, TokenDocument, TokenKind, UserDocument,
};
use crate::versions::{Version, VersionHead};
use crate::{Command, Proposal, Put, PutMode};
use minicbor::{Decode, Encode};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

fn place() -> Namespace {
    Namespace::new("shop", "people")
}

fn limits() -> WriteLimits {
    WriteLimits {
        documents_max: 10,
        document_bytes_max: 1 << 20,
        depth_max: 100,
        memory_max: 1 << 28,
        steps_max: 1 << 33,
        written_max: 1 << 30,
    }
}

fn spec() -> IndexSpec {
    IndexSpec {
        name: "age_1".into(),
        fields: vec![("age".into(), false), ("name".into(), true)],
        unique: true,
        sparse: true,
        partial: Some(r#"{"age":{"$gt":1}}"#.into()),
        expire_after: Some(60),
        sequential: false,
    }
}

fn operations() -> Vec<Operation> {
    let filter = Select::Filter {
        filter: r#"{"age":1}"#.into(),
        sort: Some(r#"{"age":1}"#.into()),
        hint: Some("age_1".into()),
    };
    let id = Select::Id { target: 7.into_id().into(), if_match: Some(3) };
    let update = Mutation::Update { update: r#"{"$inc":{"age":1}}"#.into(), array_filters: None };
    let modify = |select: &Select, mutation, upsert| Operation::Modify {
        select: select.clone(),
        mutation,
        multi: false,
        upsert,
        returning: Returning::After,
    };
    vec![
        Operation::Insert { id: "ada".into(), body: "{}".into() },
        modify(&filter, update, Some(7.into_id())),
        modify(&id, Mutation::Merge("{}".into()), None),
        modify(&id, Mutation::Replace("{}".into()), None),
        Operation::Delete { select: id, multi: false, returning: Returning::Before },
        Operation::Delete { select: filter, multi: true, returning: Returning::Nothing },
    ]
}

trait IntoId {
    fn into_id(self) -> crate::DocumentId;
}

impl IntoId for i64 {
    fn into_id(self) -> crate::DocumentId {
        self.into()
    }
}

fn batch() -> Batch {
    let [insert, ..] = &operations()[..] else { unreachable!() };
    Batch {
        conditions: vec![(
            place(),
            BatchCondition {
                id: Some("ada".into()),
                revision: Some(3),
                filter: Some("{}".into()),
                exists: true,
            },
        )],
        then: vec![
            (place(), BatchStep::Operation(insert.clone())),
            (place(), BatchStep::Save { id: "ada".into(), body: "{}".into() }),
        ],
        otherwise: vec![(place(), BatchStep::Get(7.into_id()))],
        time_ms: 1000,
        limits: limits(),
    }
}

fn commit() -> Commit {
    let mut reads = Reads::default();
    reads.points.insert((Table::Documents, b"key".to_vec().into()), Some(1 << 40));
    let range =
        RangeRead { start: vec![1], end: vec![2], rows: vec![(b"row".to_vec().into(), 1 << 50)] };
    reads.ranges.insert((Table::Indexes, [0, 0, 0, 1]), vec![range]);
    reads.whole.insert((Table::Documents, [0, 0, 0, 2]));
    let written = FinalWrite { id: "ada".into(), body: Some("{}".into()) };
    let deleted = FinalWrite { id: 7.into_id(), body: None };
    Commit {
        reads,
        unchanged: vec![(3, 40)],
        indexes: vec![IndexRead { collection: 3, index: 4, single: true, last_number: Some(-1) }],
        namespaces: vec![place()],
        last_index: 4,
        writes: vec![(0, deleted), (0, written)],
    }
}

fn scram() -> ScramKeys {
    ScramKeys {
        salt: "c2FsdA==".into(),
        iterations: 15_000,
        stored_key: "c3RvcmVk".into(),
        server_key: "c2VydmVy".into(),
    }
}

fn user() -> UserDocument {
    UserDocument {
        name: "ada".into(),
        password_hash: "$argon2id$".into(),
        role: "reader".into(),
        allowed_dbs: vec!["shop".into()],
        grants: [("shop".to_owned(), "owner".to_owned())].into(),
        disabled: true,
        created_ms: 1000,
        changed_ms: 2000,
        scram_sha_256: Some(scram()),
    }
}

fn token() -> TokenDocument {
    TokenDocument {
        id: "t1".into(),
        kind: TokenKind::ApiKey,
        user: "ada".into(),
        name: Some("ci".into()),
        role: Some("reader".into()),
        databases: Some(vec!["shop".into()]),
        token_hash: "00ff".into(),
        created_ms: 1000,
        expires_ms: Some(2000),
    }
}

fn program() -> Program {
    let addresses = Addresses { peer_url: Some("http://n:7081".into()) };
    Program {
        version: "1.2.3".into(),
        oldest_level: 1,
        newest_level: 2,
        addresses: Some(addresses),
        zone: Some("z".into()),
    }
}

/// One of every command that writes documents.
fn document_commands() -> Vec<Command> {
    let namespace = place;
    let target = || crate::Target { id: 7.into_id(), or: Some("7".into()) };
    vec![
        Command::Put(Put {
            namespace: namespace(),
            target: target(),
            body: r#"{"name":"Ada"}"#.into(),
            mode: PutMode::Upsert,
            if_match: Some(3),
            create_database: true,
        }),
        Command::Delete { namespace: namespace(), target: target(), if_match: Some(3) },
        Command::Write(Box::new(Write {
            namespace: namespace(),
            create_database: true,
            operations: operations(),
            ordered: true,
            time_ms: 1000,
            limits: limits(),
        })),
        Command::Commit(Box::new(commit())),
        Command::Batch(Box::new(batch())),
        Command::Restore {
            namespace: namespace(),
            target: target(),
            version: Some(Version { index: 17, step: 1 }),
        },
    ]
}

/// One of every other command.
fn other_commands() -> Vec<Command> {
    let namespace = place;
    let (node, url) = (|| "n1".to_owned(), || "http://n1".to_owned());
    let (from, to) = (|| "a".to_owned(), || "b".to_owned());
    vec![
        Command::InitCluster {
            cluster_id: "c".into(),
            node: node(),
            url: url(),
            admin_hash: "$argon2id$".into(),
            time_ms: 1000,
        },
        Command::CreateDatabase { name: "shop".into(), engine: "x".into() },
        Command::DropDatabase { name: "shop".into() },
        Command::RenameDatabase { from: from(), to: to() },
        Command::CreateCollection { namespace: namespace() },
        Command::DropCollection { namespace: namespace() },
        Command::RenameCollection { database: "shop".into(), from: from(), to: to() },
        Command::ClusterRegister {
            node: node(),
            url: url(),
            description: Some("d".into()),
            program: Some(program()),
        },
        Command::ClusterUpdate {
            node: node(),
            raft_id: 5,
            role: Some(NodeRole::Learner),
            status: Some(NodeStatus::Paused),
            url: Some(url()),
        },
        Command::ClusterStop { node: node(), raft_id: 5, boot: Some("b".into()), restart: true },
        Command::ClusterDeregister { node: node(), raft_id: 5 },
        Command::CreateIndex { namespace: namespace(), spec: spec() },
        Command::DropIndex { namespace: namespace(), name: "age_1".into() },
        Command::BuildIndex { namespace: namespace(), index: 4, documents: 100 },
        Command::Expire { namespace: namespace(), index: 4, time_ms: 1000, documents: 100 },
        Command::ClearGarbage { rows: 100 },
        Command::SetSchema { namespace: namespace(), schema: Some("{}".into()), warns: true },
        Command::ReplaceCollection { database: "shop".into(), from: from(), to: to() },
        Command::ClusterMark {
            node: node(),
            raft_id: 5,
            role: Some(NodeRole::Follower),
            from: NodeStatus::Joining,
            to: NodeStatus::Active,
        },
        Command::SetVersions {
            namespace: namespace(),
            keep: Some(Retention { changes: Some(10), ms: Some(1000) }),
        },
        Command::TrimVersions { namespace: namespace(), keys: vec![b"key".to_vec().into()] },
        Command::TrimChanges { bytes_max: 1 << 30, rows: 100 },
        Command::ForgetRetries { before_ms: 1000, rows: 100 },
        Command::CreateUser(Box::new(user())),
        Command::UpdateUser(Box::new(UserUpdate {
            name: "ada".into(),
            password_hash: Some("$argon2id$".into()),
            proved_hash: Some("$argon2id$".into()),
            role: Some("reader".into()),
            allowed_dbs: Some(vec!["shop".into()]),
            grants: Some([("shop".to_owned(), "owner".to_owned())].into()),
            disabled: Some(false),
            scram_sha_256: Some(scram()),
        })),
        Command::DeleteUser { name: "ada".into() },
        Command::CreateToken(Box::new(token())),
        Command::RevokeToken { id: "t1".into(), user: Some("ada".into()) },
        Command::UseJoinToken { id: "t1".into(), node: node() },
        Command::RemoveEndedTokens { before_ms: 1000, rows: 100 },
        Command::Audit(Box::new(AuditEvent {
            action: "login".into(),
            target: "ada".into(),
            outcome: "ok".into(),
        })),
        Command::TrimAudit { entries_max: 1000, rows: 100 },
    ]
}

/// One of every command about levels and groups.
fn cluster_commands() -> Vec<Command> {
    let (from, to) = (|| "a".to_owned(), || "b".to_owned());
    vec![
        Command::SetVersionsDefault { on: true },
        Command::SetFeatureLevel { level: 2 },
        Command::ClusterAnnounce { raft_id: 5, program: program() },
        Command::SetMaxFeatureLevel { max: Some(2) },
        Command::Placement(Box::new(Placement::CreateDatabase {
            name: "shop".into(),
            engine: "x".into(),
            group: 3,
        })),
        Command::InGroup(Box::new(GroupCommand::ChangeDatabase {
            epoch: 17,
            change: DatabaseChange::Rename { from: from(), to: to() },
        })),
    ]
}

/// One of every command about groups.
fn group_commands() -> Vec<String> {
    let (name, engine) = (|| "shop".to_owned(), || "x".to_owned());
    let (from, to) = (|| "a".to_owned(), || "b".to_owned());
    let (group, replica, voters, observers) = (3, 17, vec![1, 5], vec![9]);
    let placements = [
        Placement::CreateGroup {
            group,
            replication_factor: 3,
            voters: voters.clone(),
            observers: observers.clone(),
        },
        Placement::RemoveGroup { group, keep_state: None },
        Placement::RemoveGroup { group, keep_state: Some(true) },
        Placement::SetNodes {
            group,
            epoch: 17,
            voters: voters.clone(),
            observers: observers.clone(),
            strategy: None,
        },
        Placement::SetNodes {
            group,
            epoch: 17,
            voters,
            observers,
            strategy: Some(MoveStrategy::Snapshot),
        },
        Placement::PlaceReplica { group, node: 5 },
        Placement::ActivateReplica { group, replica },
        Placement::RemoveReplica { group, replica, joining: true },
        Placement::ActivateGroup { group },
        Placement::PinLeader { group, node: Some(5) },
        Placement::CreateDatabase { name: name(), engine: engine(), group },
        Placement::DropDatabase { name: name() },
        Placement::RenameDatabase { from: from(), to: to() },
        Placement::EndDatabaseChange { name: name(), epoch: 17, problem: Some("why".into()) },
    ];
    let epoch = 17;
    let change = |change| GroupCommand::ChangeDatabase { epoch, change };
    let in_groups = [
        GroupCommand::Init { group },
        change(DatabaseChange::Create { name: name(), engine: engine() }),
        change(DatabaseChange::Drop { name: name() }),
        change(DatabaseChange::Rename { from: from(), to: to() }),
        GroupCommand::Rights { epoch },
    ];
    let placements = placements.iter().map(|one| line(&format!("placement_{}", variant(one)), one));
    let in_groups = in_groups.iter().map(|one| line(&format!("in_group_{}", variant(one)), one));
    placements.chain(in_groups).collect()
}

/// One of every outcome.
fn outcomes() -> Vec<Outcome> {
    let result = OperationResult {
        matched: 1,
        modified: 2,
        deleted: 3,
        inserted: Some(7.into_id()),
        upserted: true,
        revision: Some(9),
        document: Some("{}".into()),
        warnings: vec!["{}".into()],
        forgotten: Some("ada".into()),
    };
    let refused = Error::new(Kind::NotApplicable, "why").hint("what to do");
    let results = vec![Ok(result.clone()), Err(refused), Err(duplicate(&7.into_id()))];
    let failed = Some((1, duplicate(&"ada".into())));
    vec![
        Outcome::Done,
        Outcome::Written { id: "ada".into(), revision: 9, created: true },
        Outcome::Deleted,
        Outcome::Registered { raft_id: 5 },
        Outcome::OperationResults(results),
        Outcome::Index { name: "age_1".into(), created: true },
        Outcome::Worked(3),
        Outcome::Committed(3),
        Outcome::Batched { succeeded: true, results: vec![result] },
        Outcome::Output { written: 3 },
        Outcome::WriteTotals(Box::new(WriteTotals {
            matched: 1,
            modified: 2,
            deleted: 3,
            inserted: 4,
            failed,
        })),
        Outcome::Warned { outcome: Box::new(Outcome::Done), warnings: vec!["{}".into()] },
        Outcome::Paused(3),
    ]
}

/// One line of the table, after the value was read back from its bytes.
fn line<T: Encode<()> + cbor::DecodeOwned + PartialEq + Debug>(name: &str, value: &T) -> String {
    let bytes = cbor::encode(value).unwrap();
    assert_eq!(&cbor::decode::<T>(&bytes).unwrap(), value, "{name}");
    format!("{name} {}", hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a variant.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// The rows of the catalog, and what is counted.
fn catalog_rows() -> Vec<String> {
    let versions = Versions {
        space: 8,
        retention: Retention { changes: Some(10), ms: None },
        since: 17,
        since_ms: 1000,
    };
    let index = |state| IndexEntry { id: 4, spec: spec(), state, multikey: true };
    let building = IndexState::Building { after: Some("ada".into()), done: 100 };
    let failed = IndexState::Failed(Box::new(duplicate(&7.into_id())));
    let mut stats = IndexStats::default();
    stats.add([&b"a"[..]].into_iter());
    let totals = CollectionTotals {
        documents: 1,
        bytes: 2,
        changed: 3,
        versions: 4,
        version_bytes: 5,
        forgotten: 6,
        forgotten_ms: 7,
    };
    let options =
        Options { schema: Some("{}".into()), schema_warns: true, versions: Some(versions) };
    vec![
        line("database", &DatabaseEntry { engine: "x".into() }),
        line("options", &options),
        line("collection_totals", &totals),
        line("index_building", &index(building)),
        line("index_ready", &index(IndexState::Ready)),
        line("index_failed", &index(failed)),
        line("index_stats", &stats),
    ]
}

/// The other rows, and the head of a proposal.
fn rows() -> Vec<String> {
    let proposal = Proposal {
        time_ms: 1000,
        user: Some("ada".into()),
        from: Some("::1".into()),
        credentials: Some(CredentialRevisions { user: 3, token: Some(("t1".into(), 4)) }),
        retry: Some(RetryKey {
            part: Some(Part { run: 1, number: 2, written: 3, total: 4, last: true }),
            ..RetryKey::new("key".into(), 1 << 60)
        }),
        command: Command::ClearGarbage { rows: 1 },
        rights: None,
    };
    let change = Change {
        token: ResumeToken { index: 17, number: 1 },
        kind: ChangeKind::Update,
        database: "shop".into(),
        collection: "people".into(),
        id: Some("ada".into()),
        revision: Some(9),
        time_ms: 1000,
        user: Some("ada".into()),
        before: Some("{}".into()),
        after: Some("{}".into()),
        renamed_to: Some("b".into()),
    };
    let head = VersionHead {
        sequence: 3,
        ended: Version { index: 17, step: 0 },
        time_ms: 1000,
        user: None,
        kind: ChangeKind::Delete,
    };
    let answer = StoredAnswer {
        fingerprint: 1 << 60,
        index: 17,
        result: Ok(Outcome::Done),
        documents: vec![Reference {
            result: 0,
            namespace: place(),
            id: "ada".into(),
            change: Some(1),
            hash: 1 << 50,
        }],
        progress: Some(Progress { run: 1, next: 2, written: 3, total: 4, done: false }),
    };
    let forgotten = ResumeToken { index: 17, number: 1 };
    let hashes = Hashes { time_ms: 1000, of: [("ada".to_owned(), vec![1 << 50])].into() };
    let calls = Calls { time_ms: 1000, keys: vec![b"key".to_vec().into()] };
    vec![
        line("proposal", &proposal),
        line("change", &change),
        line("history_totals", &HistoryTotals { bytes: 1000, forgotten }),
        line("version_head", &head),
        line("answer", &answer),
        line("calls", &calls),
        line("hashes", &hashes),
        line("retry_usage", &RetryUsage { answers: 1, hashes: 2 }),
    ]
}

#[test]
fn the_bytes_of_commands_and_rows_stay_as_they_are() {
    let mut commands = [document_commands(), other_commands(), cluster_commands()].concat();
    commands.sort_by_key(entry::number);
    let numbers: Vec<u16> = commands.iter().map(entry::number).collect();
    assert_eq!(numbers, NUMBERS, "a command is not in the table");
    let commands = commands.iter().map(|one| line(&variant(one), one));
    let outcomes = outcomes();
    let outcomes = outcomes.iter().map(|one| line(&format!("outcome_{}", variant(one)), one));
    let kinds = Kind::ALL.iter().map(|kind| kind.code()).collect::<BTreeSet<_>>();
    let codes = format!("codes {}", kinds.into_iter().collect::<Vec<_>>().join(","));
    let found = commands.chain(outcomes).chain(catalog_rows()).chain(rows()).chain([codes]);
    let found: Vec<String> = found.chain(group_commands()).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/format_golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found.join("\n") + "\n").unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (found, golden) in found.iter().zip(golden.lines()) {
        let name = golden.split(' ').next().unwrap_or_default();
        assert_eq!(found, golden, "the bytes of {name} are others than they were");
    }
    assert_eq!(found.len(), golden.lines().count(), "lines of the table");
}

#[test]
fn an_older_reader_skips_an_added_field_of_a_command() {
    let command = Command::ClearGarbage { rows: 1 };
    let frame = FrameEncoder::new(&command.clone().into()).unwrap().encode().unwrap();
    // The content ends with the command: an array of its number and its field.
    let mut later = frame.clone();
    let at = later.len() - 3;
    assert_eq!(later[at..], [0x82, 19, 1][..], "{later:02x?}");
    later[at] += 1;
    later.push(0xf5);
    later[5] += 1;
    assert_eq!(entry::read_frame(&later).unwrap().command, command);
}

/// A user as versions knew it that had no SCRAM keys.
#[derive(Debug, PartialEq, Decode, Deserialize)]
struct OlderUser {
    #[n(0)]
    #[serde(rename = "_id")]
    name: String,
    #[n(1)]
    password_hash: String,
    #[n(7)]
    changed_ms: u64,
}

#[test]
fn an_older_reader_skips_the_scram_keys_of_a_user() {
    let user = user();
    let UserDocument { name, password_hash, changed_ms, .. } = user.clone();
    let older = OlderUser { name, password_hash, changed_ms };
    assert_eq!(cbor::decode::<OlderUser>(&cbor::encode(&user).unwrap()).unwrap(), older);
    let stored = serde_json::to_vec(&user).unwrap();
    assert_eq!(crate::system::parse::<OlderUser>(&stored).unwrap(), older);
    let earlier = UserDocument { scram_sha_256: None, ..user };
    let stored = serde_json::to_string(&earlier).unwrap();
    assert!(!stored.contains("scram"), "{stored}");
    assert_eq!(crate::system::parse::<UserDocument>(stored.as_bytes()).unwrap(), earlier);
}

/// What a member runs, as versions announced it that had one address.
#[derive(Debug, PartialEq, Decode, Deserialize)]
struct OlderProgram {
    #[n(0)]
    version: String,
    #[n(2)]
    newest_level: u32,
}

#[test]
fn an_older_reader_skips_the_further_addresses_of_a_member() {
    let program = program();
    let older = OlderProgram { version: program.version.clone(), newest_level: 2 };
    assert_eq!(cbor::decode::<OlderProgram>(&cbor::encode(&program).unwrap()).unwrap(), older);
    let stored = serde_json::to_vec(&program).unwrap();
    assert_eq!(crate::system::parse::<OlderProgram>(&stored).unwrap(), older);
    let earlier = Program { addresses: None, zone: None, ..program };
    let stored = serde_json::to_string(&earlier).unwrap();
    assert!(!stored.contains("addresses") && !stored.contains("zone"), "{stored}");
    assert_eq!(crate::system::parse::<Program>(stored.as_bytes()).unwrap(), earlier);
}

fn levels(store: &Store, newest: u32, wanted: u32) -> Result<crate::ProposalResult> {
    let mut txn = store.write()?;
    let mut applier = Applier::supporting(newest);
    applier.begin(&txn)?;
    let result = applier.apply(&mut txn, 1, Command::SetFeatureLevel { level: wanted }.into())?;
    applier.flush(&mut txn)?;
    txn.commit()?;
    Ok(result)
}

#[test]
fn the_feature_level_is_raised_never_lowered_and_stops_what_cannot_follow() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1 << 26).unwrap();
    assert_eq!(feature_level(&store.read().unwrap()).unwrap(), 1);
    let stopped = levels(&store, 1, 2).unwrap_err().to_string();
    assert!(stopped.contains("has feature level 2") && stopped.contains("supports 1 to 1"));
    assert_eq!(feature_level(&store.read().unwrap()).unwrap(), 1);
    assert_eq!(levels(&store, 2, 2).unwrap().result, Ok(Outcome::Done));
    assert_eq!(feature_level(&store.read().unwrap()).unwrap(), 2);
    let lowered = levels(&store, 2, 1).unwrap().result;
    assert_eq!(lowered.unwrap_err().kind, Kind::NotPossibleNow);
    let started = levels(&store, 1, 2).unwrap_err().to_string();
    assert!(started.contains("has feature level 2"), "{started}");
}

/// The state that the fixture holds: a bit of everything.
fn fill(store: &Store) {
    let mut txn = store.write().unwrap();
    let mut applier = Applier::default();
    applier.begin(&txn).unwrap();
    let put = |id: crate::DocumentId, body: &str| {
        Command::Put(Put {
            namespace: place(),
            target: id.into(),
            body: body.into(),
            mode: PutMode::Upsert,
            if_match: None,
            create_database: true,
        })
    };
    let spec = IndexSpec { partial: None, expire_after: None, ..spec() };
    let keep = Some(Retention { changes: Some(10), ms: None });
    let schema = Some(r#"{"required":["name"]}"#.into());
    let commands = [
        Command::InitCluster {
            cluster_id: "c".into(),
            node: "n1".into(),
            url: "http://n1".into(),
            admin_hash: "$argon2id$".into(),
            time_ms: 1000,
        },
        Command::CreateDatabase { name: "shop".into(), engine: "x".into() },
        Command::SetVersions { namespace: place(), keep },
        Command::CreateIndex { namespace: place(), spec },
        Command::SetSchema { namespace: place(), schema, warns: false },
        put("ada".into(), r#"{"name":"Ada","age":36}"#),
        put(7.into_id(), r#"{"name":"Grace","age":1.5}"#),
        put("ada".into(), r#"{"name":"Ada","age":37}"#),
        Command::Delete { namespace: place(), target: 7.into_id().into(), if_match: None },
        put("bob".into(), r#"{"name":"Ada","age":37}"#),
        Command::CreateUser(Box::new(UserDocument {
            disabled: false,
            scram_sha_256: None,
            ..user()
        })),
        Command::CreateToken(Box::new(token())),
    ];
    for (index, command) in (1..).zip(commands) {
        let retry = Some(RetryKey::new(format!("key-{index}"), index));
        let user = Some("admin".to_owned());
        let time_ms = index * 1000;
        let proposal = Proposal { time_ms, user, retry, ..command.into() };
        let refused = applier.apply(&mut txn, index, proposal).unwrap().result.err();
        assert_eq!(refused.is_some(), index == 10, "{refused:?}");
        applier.end_entry(&mut txn).unwrap();
    }
    applier.flush(&mut txn).unwrap();
    txn.commit().unwrap();
}

const TABLES: [Table; 7] = [
    Table::Meta,
    Table::Catalog,
    Table::Documents,
    Table::Indexes,
    Table::Versions,
    Table::Changes,
    Table::Retries,
];

/// The rows of a state, one a line; an environment would be sparse and large.
fn listed(store: &Store) -> String {
    let rows = dump(&store.read().unwrap()).into_iter();
    rows.map(|(table, key, value)| format!("{table:?} {} {}\n", hex(&key), hex(&value))).collect()
}

fn restored(rows: &str, dir: &Path) -> Store {
    let unhex = |text: &str| -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    };
    let store = Store::open(dir, 1 << 26).unwrap();
    let mut txn = store.write().unwrap();
    for row in rows.lines() {
        let [name, key, value] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let table = TABLES.into_iter().find(|table| format!("{table:?}") == name).unwrap();
        txn.put(table, &unhex(key), &unhex(value)).unwrap();
    }
    txn.commit().unwrap();
    store
}

#[test]
fn a_state_of_this_format_opens_and_is_worked_on() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/state-2.txt");
    let dir = tempfile::tempdir().unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let store = Store::open(&dir.path().join("new"), 1 << 26).unwrap();
        fill(&store);
        let rows = listed(&store);
        let text = format!("hash {:016x}\n{rows}", xxh3_64(rows.as_bytes()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let (hash, rows) = text.strip_prefix("hash ").unwrap().split_once('\n').unwrap();
    drop(restored(rows, dir.path()));
    let store = Store::open(dir.path(), 1 << 26).unwrap();
    let opened = listed(&store);
    assert_eq!(format!("{:016x}", xxh3_64(opened.as_bytes())), hash);
    let answer = retry::answer(&store.read().unwrap(), Some("admin"), "key-10").unwrap().unwrap();
    assert_eq!(answer.result.unwrap_err().kind, Kind::UniqueViolation);
    let mut txn = store.write().unwrap();
    let mut applier = Applier::default();
    applier.begin(&txn).unwrap();
    let write = Write {
        namespace: place(),
        create_database: false,
        operations: operations(),
        ordered: false,
        time_ms: 1000,
        limits: limits(),
    };
    let result = applier.apply(&mut txn, 100, Command::Write(Box::new(write)).into()).unwrap();
    assert!(matches!(result.result, Ok(Outcome::OperationResults(_))), "{result:?}");
    applier.end_entry(&mut txn).unwrap();
    applier.flush(&mut txn).unwrap();
    verify(&txn);
}
