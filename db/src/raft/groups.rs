//! One Raft group on this node: log, state, consensus, and the queues in front of it.

mod reads;

use super::clock::SharedClock;
use super::log_store::LogStore;
use super::network::{NetworkFactory, Peers, Undelivered};
use super::proposer::{self, Proposer, ProposerLimits};
use super::read_index::{Proof, ReadIndex};
use super::refused::RefusedEntries;
use super::retention::{LogLimits, Retention, SentCopies};
use super::snapshot::{AppliedState, CopySpace, Owner};
use super::state_machine::{StateEvents, StateMachine, Writer};
use super::transfer::ReceiveSlot;
use super::types::{GroupId, Metrics, Raft, RaftId, TypeConfig, Vote};
use crate::engine::system::NodeRole;
use crate::engine::{Proposal, log_time_ms};
use crate::error::{Error, Kind, Result};
use crate::storage::{Generations, ReadTxn, Store};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{BasicNode, Instant, ServerState, SnapshotPolicy};
use parking_lot::Mutex;
use reads::Lease;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant as Moment};

pub use super::proposer::AppliedCommand;
pub use reads::ReadLevel;

/// Time between two questions to a majority where many read: each wakes every node.
const QUESTION_DISTANCE: Duration = Duration::from_millis(1);
/// Longest time between two looks at the status while something is waited for.
const STATUS_PAUSE: Duration = Duration::from_millis(50);

/// What a group is made from.
pub struct GroupConfig {
    /// Directory of the group; `log` and `state` lie in it.
    pub dir: PathBuf,
    /// Whether this member holds a part of the state already, and so must not begin anew.
    pub formed: bool,
    /// The calls to the other members; names group, cluster and this node.
    pub peers: Peers,
    /// Interval of heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// Shortest and longest wait before an election, in milliseconds.
    pub election_ms: (u64, u64),
    /// How far a clock may be off the median of the voters' before it is a wrong one.
    pub clock_skew_ms_max: u64,
    /// Log between two snapshots, after which it is purged.
    pub log_limits: LogLimits,
    /// Size of a log file in bytes.
    pub log_chunk_bytes: usize,
    /// Address space of the state, in bytes.
    pub map_bytes: usize,
    /// Time after which applied commands are committed.
    pub commit_after: Duration,
    /// Longest time for a write or a confirmation.
    pub request_timeout: Duration,
    /// Bounds of the proposing queue.
    pub proposer: ProposerLimits,
}

/// One group on this node. Shared by everything that reads or writes it.
pub struct Group {
    /// The consensus itself; used by `cluster/membership.rs` and `api/peer.rs`.
    pub raft: Raft,
    /// What copies of the state must leave free.
    pub copies: CopySpace,
    /// The time of the log.
    pub clock: Arc<SharedClock>,
    /// Which copy is being received.
    pub receiving: ReceiveSlot,
    retention: Mutex<Option<tokio::task::JoinHandle<()>>>,
    state: Arc<Generations>,
    owner: Owner,
    writer: Writer,
    refused: RefusedEntries,
    undelivered: Undelivered,
    proposer: Proposer,
    /// Read indexes that a majority has confirmed.
    confirmed: ReadIndex,
    /// Read indexes by the leader's lease.
    leased: ReadIndex,
    lease: Lease,
    request_timeout: Duration,
    number: GroupId,
    raft_id: RaftId,
    threads: Mutex<Option<(LogStore, std::thread::JoinHandle<()>)>>,
    /// When a leader last sent something; openraft itself keeps naming a silent leader.
    heard: Mutex<LeaderContact>,
    /// The last term that this node was seen to lead, and since when.
    led: Mutex<(u64, Moment)>,
    leader_silence_max: Duration,
    /// The last term in which this node, as its leader, has seen all that was acknowledged.
    ready_term: AtomicU64,
}

/// The leader that was heard last.
#[derive(Debug, Clone, Copy)]
struct LeaderContact {
    at: Moment,
    leader: Option<RaftId>,
}

/// What is known of a group at one moment, in plain values.
#[derive(Debug, Clone, Default)]
pub struct GroupStatus {
    /// What this node does.
    pub role: Option<NodeRole>,
    /// Who leads, as far as this node knows.
    pub leader: Option<RaftId>,
    /// This node's term.
    pub term: u64,
    /// Who votes; two sets while the membership changes.
    pub configs: Vec<BTreeSet<RaftId>>,
    /// Who receives the log: voters and learners.
    pub members: BTreeSet<RaftId>,
    /// Index of the last entry in this node's log.
    pub last_log: u64,
    /// Index up to which each member has the log; on the leader only.
    pub matched: BTreeMap<RaftId, u64>,
    /// Time since each member answered; on the leader only.
    pub silent: BTreeMap<RaftId, Option<Duration>>,
    /// For how long this node has led; on the leader only.
    pub led: Option<Duration>,
    /// The leader that this node heard last, and the time since then.
    pub heard: Option<(RaftId, Duration)>,
    /// Why members do not get the entries that they lack; on the leader only.
    pub undelivered: BTreeMap<RaftId, String>,
    /// Why the group has stopped working, if it has.
    pub failure: Option<String>,
}

impl GroupStatus {
    fn from_metrics(metrics: &Metrics) -> Self {
        let membership = metrics.membership_config.membership();
        let configs = membership.get_joint_config().clone();
        let voter = configs.iter().any(|config| config.contains(&metrics.id));
        let role = match metrics.state {
            ServerState::Leader => Some(NodeRole::Leader),
            ServerState::Candidate => Some(NodeRole::Candidate),
            ServerState::Learner => Some(NodeRole::Learner),
            // A follower that hears no leader is asking for votes, or about to.
            ServerState::Follower if voter && metrics.current_leader.is_none() => {
                Some(NodeRole::Candidate)
            }
            ServerState::Follower => Some(NodeRole::Follower),
            ServerState::Shutdown => None,
        };
        let index = |id: &Option<super::types::LogId>| id.map_or(0, |id| id.index);
        GroupStatus {
            role,
            leader: metrics.current_leader,
            term: metrics.current_term,
            configs,
            members: membership.nodes().map(|(id, _)| *id).collect(),
            last_log: metrics.last_log_index.unwrap_or(0),
            matched: metrics
                .replication
                .iter()
                .flatten()
                .map(|(id, at)| (*id, index(at)))
                .collect(),
            silent: metrics
                .heartbeat
                .iter()
                .flatten()
                .map(|(id, at)| (*id, at.as_ref().map(|at| at.elapsed())))
                .collect(),
            led: None,
            heard: None,
            undelivered: BTreeMap::new(),
            failure: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        self.role == Some(NodeRole::Leader)
    }

    /// Time since a member was heard; on the leader only. A member that has not answered this
    /// leader yet may have been heard as the leader before it.
    pub fn silence(&self, member: RaftId) -> Option<Duration> {
        let answered = *self.silent.get(&member)?;
        let before = || self.heard.filter(|(leader, _)| *leader == member).map(|(_, ago)| ago);
        answered.or_else(before).or(self.led)
    }

    /// All who vote, in either set.
    pub fn voters(&self) -> BTreeSet<RaftId> {
        self.configs.iter().flatten().copied().collect()
    }
}

impl Group {
    /// Opens the group and joins the others.
    ///
    /// # Errors
    /// When log or state cannot be opened, with the reason; when one of them is missing that was
    /// there, or the state belongs to another member.
    pub async fn open(config: GroupConfig) -> Result<(Arc<Group>, StateEvents)> {
        let log =
            LogStore::open(&config.dir.join("log"), config.log_chunk_bytes).map_err(|error| {
                Error::new(Kind::Internal, format!("the log cannot be opened: {error}"))
            })?;
        clear_leftovers(&config.dir);
        if config.formed && !Generations::exist(&config.dir) {
            let dir = config.dir.display();
            return Err(lost(format!("the state of this member in {dir}/state-… is lost")));
        }
        let state = Arc::new(Generations::open(&config.dir, config.map_bytes)?);
        let owner = take_possession(&config, &log, &state.current())?;
        let (writer, events, thread) =
            Writer::start(state.clone(), config.commit_after, config.peers.refused.clone())?;
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
        };
        let raft_config = Arc::new(raft_config(&config)?);
        let machine = StateMachine::new(writer.clone(), state.clone(), log.clone());
        let raft_id = config.peers.from;
        let raft = Raft::new(raft_id, raft_config, network, log.clone(), machine)
            .await
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        tokio::spawn(follow_role(raft.clone(), clock.clone()));
        let retention = Retention {
            raft: raft.clone(),
            log: log.clone(),
            state: state.clone(),
            space: copies.clone(),
            copies: sent,
            limits: config.log_limits,
        };
        let retention = tokio::spawn(retention.run());
        let length = Duration::from_millis(config.election_ms.0);
        let given = if config.formed { length } else { Duration::ZERO };
        let lease = Lease { length, given_until: tokio::time::Instant::now() + given };
        let read_index = |proof| {
            let (raft, peers, lease) = (raft.clone(), config.peers.clone(), lease.length);
            let distance = match proof {
                Proof::Quorum => QUESTION_DISTANCE,
                Proof::Lease => Duration::ZERO,
            };
            ReadIndex::start(config.request_timeout, distance, move |within| {
                reads::ask(raft.clone(), peers.clone(), proof, lease, within)
            })
        };
        let group = Group {
            proposer: Proposer::start(raft.clone(), state.clone(), config.dir, config.proposer),
            confirmed: read_index(Proof::Quorum),
            leased: read_index(Proof::Lease),
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
            number: config.peers.group,
            raft_id,
            threads: Mutex::new(Some((log, thread))),
            heard: Mutex::new(LeaderContact { at: Moment::now(), leader: None }),
            led: Mutex::new((0, Moment::now())),
            leader_silence_max: Duration::from_millis(config.election_ms.1 * 2),
            ready_term: AtomicU64::new(0),
        };
        Ok((Arc::new(group), events))
    }

    /// Waits until the first members are applied and the state is durable, the first entry of
    /// every group being its members.
    pub async fn wait_formed(&self) -> Result<()> {
        self.writer.wait_visible(1).await.map_err(internal)?;
        self.writer.make_durable().await.map(drop).map_err(internal)
    }

    /// Refuses a call of a member that refuses other log entries than this one.
    ///
    /// # Errors
    /// `misdirected`.
    pub fn check_refused(&self, digest: Option<&str>) -> Result<()> {
        self.refused.check(digest)
    }

    /// The group's number.
    pub fn number(&self) -> GroupId {
        self.number
    }

    /// This node's number.
    pub fn raft_id(&self) -> RaftId {
        self.raft_id
    }

    /// Makes this node the first and only member of the group. Does nothing when the group
    /// has members already.
    pub async fn initialize(&self, url: &str) -> Result<()> {
        if self.raft.is_initialized().await.map_err(internal)? {
            return Ok(());
        }
        let members = BTreeMap::from([(self.raft_id, BasicNode::new(url))]);
        self.raft.initialize(members).await.map_err(internal)
    }

    /// What is known of the group now. Neither a leader that has been silent for longer than
    /// an election takes nor a leader that no quorum has answered for so long is called one.
    pub fn status(&self) -> GroupStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let mut status = GroupStatus::from_metrics(&metrics);
        if metrics.state == ServerState::Leader {
            status.undelivered = self.undelivered.all();
            status.led = Some(self.led_for(metrics.current_term));
        }
        let heard = self.heard();
        status.heard = heard.leader.map(|leader| (leader, heard.at.elapsed()));
        if let Some(failure) = self.writer.failure() {
            status.failure = Some(failure.to_owned());
        }
        if !self.leadership_is_fresh(&metrics) {
            status.leader = None;
            if matches!(status.role, Some(NodeRole::Leader | NodeRole::Follower)) {
                status.role = Some(NodeRole::Candidate);
            }
        }
        status
    }

    /// The last vote of this node.
    pub fn vote(&self) -> Vote {
        self.raft.metrics().borrow_watched().vote
    }

    /// Who leads, as [`Group::status`] tells it, without the cost of the rest.
    pub fn leader(&self) -> Option<RaftId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.current_leader.filter(|_| self.leadership_is_fresh(&metrics))
    }

    /// Whether this node leads, and a quorum has answered it lately.
    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.raft_id)
    }

    /// openraft goes on naming a leader that is silent, and a leader that is cut off.
    fn leadership_is_fresh(&self, metrics: &Metrics) -> bool {
        let silence = if metrics.state != ServerState::Leader {
            self.leader_silence()
        } else if metrics.membership_config.voter_ids().count() == 1 {
            Duration::ZERO
        } else {
            metrics.last_quorum_acked.as_ref().map_or(Duration::ZERO, |at| at.elapsed())
        };
        silence <= self.leader_silence_max
    }

    /// Notes that a leader has sent something.
    pub fn note_leader(&self) {
        let leader = self.raft.metrics().borrow_watched().current_leader;
        *self.heard.lock() = LeaderContact { at: Moment::now(), leader };
    }

    fn heard(&self) -> LeaderContact {
        *self.heard.lock()
    }

    fn leader_silence(&self) -> Duration {
        self.heard().at.elapsed()
    }

    /// For how long this node was seen to lead in this term.
    fn led_for(&self, term: u64) -> Duration {
        let mut led = self.led.lock();
        if led.0 != term {
            *led = (term, Moment::now());
        }
        led.1.elapsed()
    }

    /// Waits until `condition` holds of [`Group::status`], or the time is up; tells which.
    pub async fn wait_until(
        &self,
        limit: Duration,
        condition: impl Fn(&GroupStatus) -> bool,
    ) -> bool {
        let mut metrics = self.raft.metrics();
        let waiting = async {
            while !condition(&self.status()) {
                // Silence changes the status without a word from openraft.
                let changed = tokio::time::timeout(STATUS_PAUSE, metrics.changed()).await;
                if changed.is_ok_and(|changed| changed.is_err()) {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    /// Proposes a command, of the database itself or on behalf of somebody, and waits until it
    /// is applied. The proposal gets its time here.
    ///
    /// # Errors
    /// Those of [`Proposer::propose`]; `outcome_unknown` when the time is up.
    pub async fn propose(&self, proposal: impl Into<Proposal>) -> Result<AppliedCommand> {
        let proposal = Proposal { time_ms: self.time_ms(), ..proposal.into() };
        tokio::time::timeout(self.request_timeout, self.proposer.propose(proposal))
            .await
            .unwrap_or_else(|_| Err(proposer::outcome_unknown()))
    }

    /// The time of the log, in milliseconds since 1970: what sessions, keys, TTLs and `$$NOW` go by
    /// on every node. See [`Clock`](super::clock::Clock).
    pub fn time_ms(&self) -> u64 {
        note_role(&self.raft.server_metrics().borrow_watched(), &self.clock);
        self.clock.time_ms()
    }

    /// As [`Group::read`], with the log index of the state that it shows.
    pub fn read_with_index(&self) -> Result<(ReadTxn<'_>, u64)> {
        let read = self.state.read()?;
        let index = AppliedState::stored_index(&read)?;
        Ok((read, index))
    }

    /// As [`Group::read_with_index`], for a view that `reader` keeps for longer.
    pub fn snapshot(&self, reader: String) -> Result<(ReadTxn<'static>, u64)> {
        let read = self.state.current().snapshot(reader)?;
        let index = AppliedState::stored_index(&read)?;
        Ok((read, index))
    }

    /// Waits until readers on this node see more than the log index.
    pub async fn wait_beyond(&self, index: u64) -> Result<()> {
        self.writer.wait_beyond(index).await.map_err(internal)
    }

    /// A view of the state for reading. Not for holding across an `.await`.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        Ok(self.state.read()?)
    }

    /// The state, to receive another generation of it.
    pub fn generations(&self) -> &Generations {
        &self.state
    }

    /// Whose state it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Leaves the consensus and closes log and state, in that order.
    pub async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the consensus did not end cleanly");
        }
        let retention = self.retention.lock().take();
        if let Some(retention) = retention {
            // It holds the log, which another process may open after this.
            retention.abort();
            let _ = retention.await;
        }
        self.state.close();
        let threads = self.threads.lock().take();
        if let Some((log, _writer)) = threads {
            let durable = self.writer.make_durable().await;
            if let Err(error) = durable.and_then(|_| log.wait_idle().map(drop)) {
                tracing::warn!(%error, "the last writes are in the log only");
            }
        }
    }
}

/// Tells the clock whether this member leads, and who votes.
fn note_role(metrics: &RaftServerMetrics<TypeConfig>, clock: &SharedClock) {
    let voters = metrics.membership_config.voter_ids().collect();
    clock.set_role(voters, metrics.state == ServerState::Leader);
}

/// The same whenever it changes: what is told to followers depends on it.
async fn follow_role(raft: Raft, clock: Arc<SharedClock>) {
    let mut metrics = raft.server_metrics();
    drop(raft);
    loop {
        note_role(&metrics.borrow_watched(), &clock);
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

/// Makes a new state this member's own. A member that has lost its log or its state must not
/// go on: it would vote again, and take part in majorities for entries that it has forgotten.
fn take_possession(config: &GroupConfig, log: &LogStore, store: &Store) -> Result<Owner> {
    let me = Owner { cluster_id: config.peers.cluster_id.to_string(), raft_id: config.peers.from };
    let (owner, empty) = {
        let read = store.read()?;
        (Owner::load(&read)?, AppliedState::load(&read)?.log_id.is_none())
    };
    let dir = config.dir.display();
    if let Some(other) = owner.as_ref().filter(|owner| **owner != me) {
        return Err(lost(format!(
            "the state in {dir} belongs to member {} of cluster {}, and this node is member {} of \
             cluster {}",
            other.raft_id, other.cluster_id, me.raft_id, me.cluster_id
        )));
    }
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

fn lost(message: String) -> Error {
    Error::new(Kind::StaleNode, message).hint(
        "put back what is missing (is the disk mounted?), or remove this node from the cluster, \
         give it an empty DataDir and register it again",
    )
}

/// Copies whose sending was interrupted.
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
        // The state is committed behind the answer, so a restarted leader does not know how
        // far it had acknowledged; an election tells it.
        enable_leader_restore: Some(false),
        // `retention` decides about both, by bytes too.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..openraft::Config::default()
    }
    .validate()
    .map_err(internal)
}
