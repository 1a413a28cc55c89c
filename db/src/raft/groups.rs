//! One Raft group on this node: log, state, consensus, and the queues in front of it.

mod open;
mod reads;
mod receive;
mod status;
mod ticks;

use super::clock::{Role, SharedClock};
use super::joining::MoveRate;
use super::link::Links;
use super::log_store::LogStore;
use super::network::{NetworkFactory, Undelivered};
use super::peers::{PeerUrls, Peers};
use super::proposer::{self, Proposer, ProposerLimits};
use super::read_index::ReadIndex;
use super::refused::RefusedEntries;
use super::retention::LogLimits;
use super::snapshot::{AppliedState, CopySpace, Owner};
use super::state_machine::Raft;
use super::threads::WriterThread;
use super::transfer::ReceiveSlot;
use super::types::{GroupId, Metrics, RaftId, TypeConfig, Vote};
use super::writer::{CommitLimits, Writer};
use crate::engine::Proposal;
use crate::engine::format;
use crate::engine::system::NodeRole;
use crate::error::{Error, Kind, Result};
use crate::format::GroupFormats;
use crate::storage::{Generations, ReadTxn};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use openraft::{BasicNode, Instant, ServerState};
use parking_lot::Mutex;
use reads::Lease;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant as Moment};
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use super::proposer::AppliedCommand;
pub use reads::ReadLevel;
pub use status::GroupStatus;

/// Longest time between two checks of the status while something is waited for.
const STATUS_PAUSE: Duration = Duration::from_millis(50);

/// The parameters of a group.
pub struct GroupConfig {
    /// Directory of the group; `log` and `state` lie in it.
    pub dir: PathBuf,
    /// Whether this member holds a part of the state already, and so must not start without it.
    pub formed: bool,
    /// Requests to the other members; names group, cluster and this node.
    pub peers: Peers,
    /// Interval of heartbeats, in milliseconds.
    pub heartbeat_ms: u64,
    /// Shortest and longest wait before an election, in milliseconds.
    pub election_ms: (u64, u64),
    /// How far a clock may be off the median of the voters' clocks before it counts as wrong.
    pub clock_skew_ms_max: u64,
    /// Log between two snapshots, after which it is purged.
    pub log_limits: LogLimits,
    /// Size of a log file in bytes.
    pub log_chunk_bytes: usize,
    /// Address space of the state, in bytes.
    pub map_bytes: usize,
    /// When applied commands are committed.
    pub commit: CommitLimits,
    /// Longest time for a write or a confirmation.
    pub request_timeout: Duration,
    /// Bounds of the proposing queue.
    pub proposer: ProposerLimits,
    /// What this program supports.
    pub formats: GroupFormats,
    /// Where the entries are applied.
    pub writer_thread: WriterThread,
    /// The connections to other nodes for the append stream.
    pub links: Links,
    /// How fast joining members are sent what they lack.
    pub move_rate: Arc<MoveRate>,
}

/// One group on this node. Shared by everything that reads or writes it.
pub struct Group {
    /// The consensus itself; used by `cluster/membership.rs` and `doors/peer`.
    pub raft: Raft,
    /// The space that copies of the state must leave free.
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
    network: NetworkFactory,
    proposer: Proposer,
    /// Read indexes that a majority has confirmed.
    confirmed: ReadIndex,
    /// Read indexes by the leader's lease.
    leased: ReadIndex,
    lease: Lease,
    request_timeout: Duration,
    number: GroupId,
    raft_id: RaftId,
    runtime: Handle,
    log: Mutex<Option<LogStore>>,
    /// The addresses of the group's replicas.
    urls: Arc<dyn PeerUrls>,
    closed: watch::Sender<bool>,
    /// When a leader last sent something; openraft itself goes on naming a silent leader.
    heard: Mutex<LeaderContact>,
    /// The last term in which this node was observed to lead, and since when.
    led: Mutex<(u64, Moment)>,
    leader_silence_max: Duration,
    /// The last term in which this node, as its leader, has applied everything acknowledged before.
    ready_term: AtomicU64,
}

/// The leader that was heard last.
#[derive(Debug, Clone, Copy)]
struct LeaderContact {
    at: Moment,
    leader: Option<RaftId>,
}

impl Group {
    /// Waits until the first members are applied and the state is durable; the first entry of every
    /// group is its members.
    pub async fn wait_formed(&self) -> Result<()> {
        self.writer.wait_visible(1).await.map_err(internal)?;
        self.writer.make_durable().await.map(drop).map_err(internal)
    }

    /// Refuses a request of a member that refuses other log entries than this one.
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

    /// The runtime that the consensus of the group runs on.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// This node's number.
    pub fn raft_id(&self) -> RaftId {
        self.raft_id
    }

    /// Makes this node the first and only member of the group. Does nothing if the group has
    /// members already.
    pub async fn initialize(&self, url: &str) -> Result<()> {
        if self.raft.is_initialized().await.map_err(internal)? {
            return Ok(());
        }
        let members = BTreeMap::from([(self.raft_id, BasicNode::new(url))]);
        self.raft.initialize(members).await.map_err(internal)
    }

    /// The current status of the group. A leader that has been silent for longer than an election
    /// takes does not count as one, nor does a leader that no quorum has answered for that long.
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

    /// Writes that wait on this node for their log entry.
    pub fn waiting(&self) -> usize {
        self.proposer.waiting()
    }

    /// The consensus as openraft describes it: the last applied entry, and the membership.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn describe(&self) -> Result<(serde_json::Value, serde_json::Value)> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let applied = serde_json::to_value(metrics.last_applied).map_err(internal)?;
        let membership = serde_json::to_value(&*metrics.membership_config).map_err(internal)?;
        Ok((applied, membership))
    }

    /// The last vote of this node.
    pub fn vote(&self) -> Vote {
        self.raft.metrics().borrow_watched().vote
    }

    /// The leader of [`Group::status`], without the cost of the rest.
    pub fn leader(&self) -> Option<RaftId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.current_leader.filter(|_| self.leadership_is_fresh(&metrics))
    }

    /// Whether this node leads, and a quorum has answered it lately.
    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.raft_id)
    }

    /// openraft goes on naming a leader that is silent or cut off.
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

    /// Records that a leader has sent something.
    pub fn record_leader(&self) {
        let leader = self.raft.metrics().borrow_watched().current_leader;
        *self.heard.lock() = LeaderContact { at: Moment::now(), leader };
    }

    fn heard(&self) -> LeaderContact {
        *self.heard.lock()
    }

    fn leader_silence(&self) -> Duration {
        self.heard().at.elapsed()
    }

    /// How long this node has been observed to lead in this term.
    fn led_for(&self, term: u64) -> Duration {
        let mut led = self.led.lock();
        if led.0 != term {
            *led = (term, Moment::now());
        }
        led.1.elapsed()
    }

    /// Waits until `condition` holds for [`Group::status`], or the time is up; returns which.
    pub async fn wait_until(
        &self,
        limit: Duration,
        condition: impl Fn(&GroupStatus) -> bool,
    ) -> bool {
        let mut metrics = self.raft.metrics();
        let waiting = async {
            while !condition(&self.status()) {
                // Silence changes the status without an event from openraft.
                let changed = tokio::time::timeout(STATUS_PAUSE, metrics.changed()).await;
                if changed.is_ok_and(|changed| changed.is_err()) {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    /// Proposes a command, of the database itself or on behalf of a user, and waits until it is
    /// applied. The proposal gets its time stamp here.
    ///
    /// # Errors
    /// Those of [`Proposer::propose`]; `outcome_unknown` if the time is up.
    pub async fn propose(&self, proposal: impl Into<Proposal>) -> Result<AppliedCommand> {
        let proposal = Proposal { time_ms: self.time_ms(), ..proposal.into() };
        tokio::time::timeout(self.request_timeout, self.proposer.propose(proposal))
            .await
            .unwrap_or_else(|_| Err(proposer::outcome_unknown()))
    }

    /// The time of the log, in milliseconds since 1970, which decides about sessions, API keys,
    /// TTLs and `$$NOW` on every node. See [`Clock`](super::clock::Clock).
    pub fn time_ms(&self) -> u64 {
        update_role(&self.raft.server_metrics().borrow_watched(), &self.clock);
        self.clock.time_ms()
    }

    /// A log index that is another one as soon as users or tokens have changed in a state that is
    /// visible. What is read of them after this index was taken is valid as long as it stays.
    pub fn accounts_index(&self) -> u64 {
        self.writer.accounts_index()
    }

    /// As [`Group::read`], with the log index of the state that it sees.
    pub fn read_with_index(&self) -> Result<(ReadTxn<'_>, u64)> {
        let read = self.state.read()?;
        let index = AppliedState::stored_index(&read)?;
        Ok((read, index))
    }

    /// As [`Group::read_with_index`], for a snapshot that `reader` keeps for longer.
    pub fn snapshot(&self, reader: String) -> Result<(ReadTxn<'static>, u64)> {
        let read = self.state.current().snapshot(reader)?;
        let index = AppliedState::stored_index(&read)?;
        Ok((read, index))
    }

    /// Waits until readers on this node see more than the log index.
    pub async fn wait_beyond(&self, index: u64) -> Result<()> {
        self.writer.wait_beyond(index).await.map_err(internal)
    }

    /// A snapshot of the state for reading. Not for holding across an `.await`.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        Ok(self.state.read()?)
    }

    /// The feature level in force, as far as this node has applied the log.
    pub fn feature_level(&self) -> Result<u32> {
        Ok(format::feature_level(&self.read()?)?)
    }

    /// The generations of the state, to receive another one.
    pub fn generations(&self) -> &Generations {
        &self.state
    }

    /// The owner of the state.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The address of a replica of the group.
    pub fn url(&self, id: RaftId) -> Option<String> {
        self.urls.url(id)
    }

    /// Whether the group is closed here, or about to be.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits until the group is closed here.
    pub async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Leaves the consensus and closes log and state, in that order.
    pub async fn shutdown(&self) {
        self.closed.send_replace(true);
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
        let log = self.log.lock().take();
        if let Some(log) = log {
            let durable = self.writer.make_durable().await;
            if let Err(error) = durable.and_then(|_| log.wait_idle().map(drop)) {
                tracing::warn!(%error, "the last writes are in the log only");
            }
        }
    }
}

/// Passes the clock whether this member leads, and the voters.
fn update_role(metrics: &RaftServerMetrics<TypeConfig>, clock: &SharedClock) {
    let membership = &metrics.membership_config;
    let leading = metrics.state == ServerState::Leader;
    let role = Role { membership: *membership.log_id(), leading };
    clock.set_role(role, || membership.voter_ids().collect());
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}
