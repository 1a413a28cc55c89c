//! A group of one member, with its log and state in a temporary directory.

use super::joining::MoveRate;
use super::link::Links;
use super::memory_budget::MemoryBudget;
use super::node_key::NodeKey;
use super::peer_client::PeerClient;
use super::peers::{PeerUrls, Peers};
use super::proposer::ProposerLimits;
use super::refused::RefusedEntries;
use super::retention::LogLimits;
use super::snapshot::ReceivedState;
use super::threads::WriterThread;
use super::types::{Payload, RaftId, SYSTEM_GROUP};
use super::writer::{CommitLimits, StateEvents, Writer};
use super::{Group, GroupConfig};
use crate::config::{Config, ENTRY_BYTES_MAX};
use crate::dial::Dialer;
use crate::engine::Namespace;
use crate::engine::command::Target;
use crate::engine::command::entry::{self, FrameEncoder};
use crate::engine::{Applier, Command, Outcome, Proposal, ProposalResult, Put, PutMode};
use crate::error::{Kind, Result};
use crate::format::GroupFormats;
use crate::storage::{Generations, Store};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

const LIMIT: Duration = Duration::from_secs(60);
const MB: usize = 1 << 20;

struct Nobody;

impl PeerUrls for Nobody {
    fn url(&self, _: RaftId) -> Option<String> {
        None
    }
}

async fn open_with(
    dir: &Path,
    map_bytes: usize,
    reserve_bytes: u64,
    refused: RefusedEntries,
) -> Result<(Arc<Group>, StateEvents)> {
    let config = Config::load(None, |_| None, &BTreeMap::new())?;
    let key = NodeKey::new("0123456789abcdef", "127.0.0.1", "boot");
    let peers = Peers {
        calls: PeerClient::new(Dialer::new(&config, None)?, key),
        cluster_id: "c".into(),
        group: SYSTEM_GROUP,
        from: 1,
        urls: Arc::new(Nobody),
        refused,
    };
    let links = Links::new(peers.calls.clone(), 0, Handle::current());
    let (group, events) = Group::open(GroupConfig {
        dir: dir.to_owned(),
        formed: false,
        peers,
        heartbeat_ms: 50,
        election_ms: (150, 300),
        clock_skew_ms_max: 1000,
        log_limits: LogLimits { entries: 1000, bytes: 64 << 20 },
        log_chunk_bytes: MB,
        map_bytes,
        commit: CommitLimits { after: Duration::from_millis(1), bytes: 64 << 20 },
        request_timeout: LIMIT,
        proposer: ProposerLimits {
            queue_max: 1000,
            memory: MemoryBudget::new(256 * MB),
            batch_max: 512,
            reserve_bytes,
        },
        formats: GroupFormats::THIS,
        writer_thread: WriterThread::start(0).unwrap(),
        links,
        move_rate: Arc::new(MoveRate::new(0)),
    })
    .await?;
    group.initialize("http://127.0.0.1:1").await?;
    assert!(group.wait_until(LIMIT, |status| status.is_leader()).await);
    Ok((group, events))
}

async fn open(dir: &Path) -> (Arc<Group>, StateEvents) {
    open_with(dir, 256 * MB, 0, RefusedEntries::default()).await.unwrap()
}

fn put(id: i64, bytes: usize) -> Command {
    Command::Put(Put {
        namespace: Namespace::new("d", "c"),
        target: Target::from(crate::engine::DocumentId::from(id)),
        body: format!(r#"{{"t":"{}"}}"#, "x".repeat(bytes)),
        mode: PutMode::Upsert,
        if_match: None,
        create_database: true,
    })
}

fn delete(id: i64) -> Command {
    Command::Delete {
        namespace: Namespace::new("d", "c"),
        target: Target::from(crate::engine::DocumentId::from(id)),
        if_match: None,
    }
}

fn frame(command: Command) -> Vec<u8> {
    let proposal = Proposal::from(command);
    FrameEncoder::new(&proposal).unwrap().encode().unwrap()
}

fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    let formats = GroupFormats::THIS;
    entry::join(frames, formats.log_entry_at(formats.features.newest))
}

/// Puts an entry into the log as it is, past the proposer.
async fn write(group: &Group, entry: Vec<u8>) -> Option<(u64, Vec<ProposalResult>)> {
    let written = group.raft.client_write(Payload(entry.into())).await.ok()?;
    Some((written.log_id.index, written.data))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_larger_than_an_entry_is_refused_before_it_is_proposed() {
    let dir = tempfile::tempdir().unwrap();
    let (group, _events) = open(dir.path()).await;
    let before = group.status().last_log;
    let error = group.propose(put(1, ENTRY_BYTES_MAX)).await.unwrap_err();
    assert_eq!(error.kind, Kind::TooLarge, "{error}");
    assert!(error.message.contains(&format!("{} are allowed", ENTRY_BYTES_MAX - 4)), "{error}");
    assert_eq!(group.status().last_log, before);
    group.propose(put(1, 10)).await.unwrap();
    group.shutdown().await;
}

/// Symptom: one command that apply could not read ended every node, at each start again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_that_cannot_be_read_is_refused_and_its_neighbours_are_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let (group, _events) = open(dir.path()).await;
    let mut broken = frame(put(2, 5));
    let end = broken.len();
    broken[end - 9] = 255;
    let entry = join(&[frame(put(1, 5)), broken, frame(put(3, 5))]);
    let (_, answers) = write(&group, entry).await.unwrap();
    assert_eq!(answers.len(), 3);
    assert!(matches!(answers[0].result, Ok(Outcome::Written { .. })), "{answers:?}");
    assert_eq!(answers[1].result.as_ref().unwrap_err().kind, Kind::InvalidBody);
    assert!(matches!(answers[2].result, Ok(Outcome::Written { .. })), "{answers:?}");
    group.shutdown().await;
}

async fn failure(group: &Group) -> String {
    assert!(group.wait_until(LIMIT, |status| status.failure.is_some()).await);
    group.status().failure.unwrap()
}

/// The entry holds a command that can be carried out before the one of a later version, and is
/// refused as a whole in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_later_version_stops_the_node_until_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (group, mut events) = open(dir.path()).await;
    let mut later = frame(put(2, 5));
    later[..2].copy_from_slice(&9999u16.to_be_bytes());
    let mut entry = join(&[frame(put(1, 5)), later]);
    entry[1] = 77;
    let index = group.status().last_log + 1;
    let name = RefusedEntries::default().name(index, entry::hash(&entry));
    assert!(write(&group, entry.clone()).await.is_none());
    let reason = failure(&group).await;
    assert!(reason.contains("version 77."), "{reason}");
    assert!(reason.contains(&format!("--refuse-entry {name}")), "{reason}");
    while events.effects.recv().await.is_some() {}
    group.shutdown().await;
    drop((group, events));

    // Named wrongly: it is not applied either.
    let wrong = RefusedEntries::new(0, [(index, 1)].into());
    let (group, events) = reopen(dir.path(), wrong).await.unwrap();
    let reason = failure(&group).await;
    assert!(reason.contains(&name) && reason.contains("RefuseEntry names"), "{reason}");
    group.shutdown().await;
    drop((group, events));

    let right = RefusedEntries::new(0, [(index, entry::hash(&entry))].into());
    let (group, events) = reopen(dir.path(), right.clone()).await.unwrap();
    let at = group.propose(put(5, 5)).await.unwrap().index;
    group.wait_beyond(at - 1).await.unwrap();
    let read = group.read().unwrap();
    let (database, collection) = ("d", "c");
    let id = crate::engine::catalog::collection(&read, database, collection).unwrap().unwrap();
    let found = |id_: i64| {
        let key = crate::storage::keys::document_key(id, &crate::engine::DocumentId::from(id_));
        crate::storage::Read::get(&read, crate::storage::Table::Documents, &key).unwrap().is_some()
    };
    assert!(!found(1) && found(5));
    drop(read);
    group.shutdown().await;
    drop((group, events));

    // It is recorded: the setting is no longer needed, and other members must know of it.
    let recorded = RefusedEntries::default();
    let (group, events) = reopen(dir.path(), recorded.clone()).await.unwrap();
    assert_eq!(recorded.digest(), right.digest());
    assert!(group.check_refused(None).is_err());
    assert!(group.check_refused(right.digest().as_deref()).is_ok());
    group.propose(put(6, 5)).await.unwrap();
    group.shutdown().await;
    drop((group, events));

    // What is applied cannot be refused afterwards.
    let late = RefusedEntries::new(0, [(index + 1, 1)].into());
    let error = reopen(dir.path(), late).await.err().unwrap();
    assert!(error.message.contains("take it out of RefuseEntry"), "{error}");
}

/// Opens the group again as soon as all that belonged to the former one has ended.
async fn reopen(dir: &Path, refused: RefusedEntries) -> Result<(Arc<Group>, StateEvents)> {
    reopen_with(dir, 0, refused).await
}

async fn reopen_with(
    dir: &Path,
    reserve_bytes: u64,
    refused: RefusedEntries,
) -> Result<(Arc<Group>, StateEvents)> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match open_with(dir, 256 * MB, reserve_bytes, refused.clone()).await {
            Err(error) if error.message.contains("already ") && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return opened,
        }
    }
}

/// Symptom: a full map stayed full, whatever was deleted, and of 150 deletions 103 got
/// 507 because they had travelled with insertions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_map_takes_deletions_and_then_writes_again() {
    let dir = tempfile::tempdir().unwrap();
    let (group, _events) =
        open_with(dir.path(), 160 * MB, 0, RefusedEntries::default()).await.unwrap();
    let (mut last, mut error) = (0, None);
    while error.is_none() {
        last += 1;
        error = group.propose(put(last, MB)).await.err();
        trim(&group).await;
        assert!(last < 1000);
    }
    assert!(last > 20, "{last}");
    assert_eq!(error.unwrap().kind, Kind::StorageFull);

    let reader = group.snapshot("a reader of the test".into()).unwrap();
    let deletions = (1..last).map(|id| group.propose(delete(id)));
    let insertions = (0..50).map(|id| group.propose(put(1000 + id, MB)));
    let (deleted, inserted) = tokio::join!(join_all(deletions), join_all(insertions));
    let failed = deleted.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(failed.is_empty(), "{failed:?}");
    let refused = inserted.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(refused.len() > 30 && refused.iter().all(|error| error.kind == Kind::StorageFull));
    trim(&group).await;

    // What was deleted is still seen by a reader: the refusal names it.
    let error = loop {
        clear(&group).await;
        match group.propose(put(2000, MB)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.message.contains("a reader of the test"), "{error}");
    drop(reader);
    let wait = async {
        while group.propose(put(2000, MB)).await.is_err() {
            clear(&group).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("the map stays full");
    for id in 3000..3010 {
        group.propose(put(id, MB)).await.unwrap();
        trim(&group).await;
    }
    group.shutdown().await;
}

/// What the tasks do.
async fn trim(group: &Group) {
    group.propose(Command::TrimChanges { bytes_max: 0, rows: 1000 }).await.unwrap();
}

async fn clear(group: &Group) {
    trim(group).await;
    group.propose(Command::ClearGarbage { rows: 1000 }).await.unwrap();
}

/// A disk on which less is free than the reserve, as the group sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_grows_and_takes_deletions_and_chores() {
    let dir = tempfile::tempdir().unwrap();
    let (group, events) = open(dir.path()).await;
    group.propose(put(0, 10)).await.unwrap();
    group.shutdown().await;
    drop((group, events));
    // Three quarters of the reserve are free.
    let reserve = crate::storage::free_disk_bytes(dir.path()) / 3 * 4;
    let none = RefusedEntries::default();
    let (group, _events) = reopen_with(dir.path(), reserve, none).await.unwrap();
    let error = group.propose(put(1, MB / 4)).await.unwrap_err();
    assert_eq!(error.kind, Kind::StorageFull);
    assert!(error.message.contains("disk"), "{error}");
    group.propose(delete(0)).await.unwrap();
    // Membership and what else is small and makes nothing grow.
    clear(&group).await;
    group.shutdown().await;
}

/// Symptom: a node that is too old for the cluster threw away the state that it had, and could not
/// start with the one that took its place.
#[tokio::test]
async fn a_copy_of_a_feature_level_that_is_too_new_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let (own, newer) = (dir.path().join("own"), dir.path().join("newer"));
    let state = Arc::new(Generations::open(&own, 64 * MB).unwrap());
    let (refused, formats) = (RefusedEntries::default(), GroupFormats::THIS);
    let thread = WriterThread::start(0).unwrap();
    let commit = CommitLimits { after: Duration::from_millis(1), bytes: 64 << 20 };
    let (writer, _events) =
        Writer::start(state.clone(), commit, refused, formats, &thread).unwrap();
    let newer = Store::open(&newer, 64 * MB).unwrap();
    let level = GroupFormats::NEXT.features.newest;
    let (mut txn, mut applier) = (newer.write().unwrap(), Applier::supporting(level));
    applier.begin(&txn).unwrap();
    let raised = applier.apply(&mut txn, 1, Command::SetFeatureLevel { level }.into()).unwrap();
    assert_eq!(raised.result, Ok(Outcome::Done));
    applier.flush(&mut txn).unwrap();
    txn.commit().unwrap();
    let received = Arc::new(ReceivedState::copy(&newer, &state).unwrap());
    let current = state.current();
    assert!(writer.install(received).await.is_err());
    while writer.failure().is_none() {
        tokio::task::yield_now().await;
    }
    let expected = format!("feature level {level}");
    assert!(writer.failure().unwrap().contains(&expected), "{:?}", writer.failure());
    assert!(Arc::ptr_eq(&current, &state.current()));
}
