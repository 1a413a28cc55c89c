//! Opening a group: its log, its state, and the tasks and threads that work on them.

use super::super::clock::SharedClock;
use super::super::joining::Joining;
use super::super::log_store::LogStore;
use super::super::network::{NetworkFactory, Undelivered};
use super::super::proposer::Proposer;
use super::super::read_index::{Proof, ReadIndex};
use super::super::replica;
use super::super::retention::{Retention, SentCopies};
use super::super::snapshot::{AppliedState, CopySpace, Owner};
use super::super::state_machine::{Raft, StateMachine};
use super::super::transfer::ReceiveSlot;
use super::super::writer::{StateEvents, Writer};
use super::reads::{self, Lease};
use super::{Group, GroupConfig, LeaderContact, internal, ticks};
use crate::engine::log_time_ms;
use crate::error::{Error, Kind, Result};
use crate::storage::{Generations, Store};
use openraft::SnapshotPolicy;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant as Moment};
use tokio::runtime::Handle;
use tokio::sync::watch;

impl Group {
    /// Opens the group and joins the others. Its consensus runs on the runtime of the caller.
    ///
    /// # Errors
    /// When log or state cannot be opened, with the reason; when one of them is lost, or the state
    /// belongs to another member.
    pub async fn open(config: GroupConfig) -> Result<(Arc<Group>, StateEvents)> {
        let me = Owner {
            cluster_id: config.peers.cluster_id.to_string(),
            group: config.peers.group,
            raft_id: config.peers.from,
        };
        check_owner(&config, &me, &replica::claim(&config.dir, &me)?)?;
        let log = LogStore::open(&config.dir.join(replica::LOG), config.log_chunk_bytes)
            .map_err(|error| internal(format!("the log cannot be opened: {error}")))?;
        let state = open_state(&config)?;
        let owner = take_possession(&config, me, &log, &state.current())?;
        let refused = config.peers.refused.clone();
        let (commit, formats) = (config.commit, config.formats);
        let (writer, events) =
            Writer::start(state.clone(), commit, refused, formats, &config.writer_thread)?;
        let undelivered = Undelivered::default();
        let copies =
            CopySpace { dir: config.dir.clone(), reserve_bytes: config.proposer.reserve_bytes };
        let last_ms = log_time_ms(&state.read()?)?;
        let clock = SharedClock::new(config.peers.from, config.clock_skew_ms_max, last_ms);
        let clock = Arc::new(clock);
        let sent = SentCopies::default();
        let network = NetworkFactory {
            peers: config.peers.clone(),
            space: copies.clone(),
            copies: sent.clone(),
            copying: Arc::default(),
            undelivered: undelivered.clone(),
            clock: clock.clone(),
            links: config.links.clone(),
            joining: Joining::new(config.move_rate.clone(), config.peers.urls.clone()),
        };
        let raft_config = Arc::new(raft_config(&config)?);
        let machine = StateMachine::new(writer.clone(), state.clone(), log.clone());
        let raft_id = config.peers.from;
        let raft = Raft::new(raft_id, raft_config, network.clone(), log.clone(), machine);
        let raft = raft.await.map_err(internal)?;
        let retention = Retention {
            raft: raft.clone(),
            log: log.clone(),
            state: state.clone(),
            space: copies.clone(),
            copies: sent,
            limits: config.log_limits,
        };
        let retention = tokio::spawn(retention.run());
        let lease = lease(&config);
        let group = Group {
            confirmed: start_read_index(&raft, &config, &lease, Proof::Quorum),
            leased: start_read_index(&raft, &config, &lease, Proof::Lease),
            proposer: {
                let (raft, state) = (raft.clone(), state.clone());
                Proposer::start(raft, state, config.dir, config.proposer, formats)
            },
            lease,
            copies,
            clock,
            receiving: ReceiveSlot::default(),
            retention: Mutex::new(Some(retention)),
            request_timeout: config.request_timeout,
            raft,
            state,
            owner,
            writer,
            refused: config.peers.refused,
            undelivered,
            network,
            number: config.peers.group,
            raft_id,
            runtime: Handle::current(),
            urls: config.peers.urls,
            closed: watch::Sender::new(false),
            log: Mutex::new(Some(log)),
            heard: Mutex::new(LeaderContact { at: Moment::now(), leader: None }),
            led: Mutex::new((0, Moment::now())),
            leader_silence_max: Duration::from_millis(config.election_ms.1 * 2),
            ready_term: AtomicU64::new(0),
        };
        Ok((ticks::start(group, config.heartbeat_ms, config.election_ms.0), events))
    }
}

/// Opens the state. A member that has had one must not start without it.
fn open_state(config: &GroupConfig) -> Result<Arc<Generations>> {
    clear_leftovers(&config.dir);
    if config.formed && !Generations::exist(&config.dir) {
        let dir = config.dir.display();
        return Err(lost(format!("the state of this member in {dir}/state-… is lost")));
    }
    Ok(Arc::new(Generations::open(&config.dir, config.map_bytes)?))
}

/// The lease that a leader has, and the one that this member may have given before it started again.
fn lease(config: &GroupConfig) -> Lease {
    let length = Duration::from_millis(config.election_ms.0);
    let given = if config.formed { length } else { Duration::ZERO };
    Lease { length, given_until: tokio::time::Instant::now() + given }
}

fn start_read_index(raft: &Raft, config: &GroupConfig, lease: &Lease, proof: Proof) -> ReadIndex {
    let (raft, peers, lease) = (raft.clone(), config.peers.clone(), lease.length);
    // What costs all nodes something is shared by as many reads as possible.
    let gathered = proof == Proof::Quorum;
    ReadIndex::start(config.request_timeout, gathered, move |within| {
        reads::ask(raft.clone(), peers.clone(), proof, lease, within)
    })
}

/// Makes a new state this member's own. A member that has lost its log or its state must not go on:
/// it would vote again, and take part in majorities for entries that it has forgotten.
fn take_possession(
    config: &GroupConfig,
    me: Owner,
    log: &LogStore,
    store: &Store,
) -> Result<Owner> {
    let (owner, empty) = {
        let read = store.read()?;
        (Owner::load(&read)?, AppliedState::load(&read)?.log_id.is_none())
    };
    let dir = config.dir.display();
    check_owner(config, &me, owner.as_ref().unwrap_or(&me))?;
    if config.formed && empty {
        return Err(lost(format!("the state of this member in {dir}/state-… is lost")));
    }
    if config.formed && log.is_empty() {
        return Err(lost(format!("the log of this member in {dir}/log is lost")));
    }
    if owner.is_none() {
        let mut txn = store.write()?;
        me.save(&mut txn)?;
        txn.commit()?;
        store.sync()?;
    }
    Ok(me)
}

fn check_owner(config: &GroupConfig, me: &Owner, owner: &Owner) -> Result<()> {
    if owner == me {
        return Ok(());
    }
    let name = |owner: &Owner| {
        let Owner { cluster_id, group, raft_id } = owner;
        format!("member {raft_id} of group {group} of cluster {cluster_id}")
    };
    let (dir, other, me) = (config.dir.display(), name(owner), name(me));
    Err(lost(format!("the state in {dir} belongs to {other}, and this node is {me}")))
}

fn lost(message: String) -> Error {
    Error::new(Kind::StaleNode, message).hint(
        "put back what is missing (is the disk mounted?), or remove this node from the cluster, \
         give it an empty DataDir and register it again",
    )
}

/// Removes copies whose sending was interrupted.
fn clear_leftovers(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("outgoing-") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn raft_config(config: &GroupConfig) -> Result<openraft::Config> {
    openraft::Config {
        cluster_name: config.peers.cluster_id.to_string(),
        heartbeat_interval: config.heartbeat_ms,
        election_timeout_min: config.election_ms.0,
        election_timeout_max: config.election_ms.1,
        enable_pre_vote: Some(true),
        // The state is committed after the response, so a restarted leader does not know how far it
        // had acknowledged; an election settles it.
        enable_leader_restore: Some(false),
        // `retention` decides about both, by bytes too.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..openraft::Config::default()
    }
    .validate()
    .map_err(internal)
}
