//! The Raft groups of this node. A group is always looked up, never assumed.

use super::placement::Placements;
use super::{Cluster, Exit, identity, membership};
use crate::engine::SideEffect;
use crate::engine::command::AuditEvent;
use crate::error::{Error, Kind, Result};
use crate::raft::peers::{PeerUrls, Peers};
use crate::raft::proposer::ProposerLimits;
use crate::raft::refused::RefusedEntries;
use crate::raft::replica;
use crate::raft::retention::LogLimits;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::writer::{CommitLimits, StateEvents};
use crate::raft::{Group, GroupConfig, GroupId, RaftId};
use crate::tasks::{self, Tasks};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Most bytes of log between two snapshots in groups other than the system group: each file of the log takes
/// a file handle.
const LOG_KEPT_BYTES: u64 = 4 << 20;
/// Size of a log file in them.
const LOG_CHUNK_BYTES: usize = 512 << 10;
/// Bytes of changed rows after which a transaction of the system group is committed.
const COMMIT_BYTES: u64 = 64 << 20;
/// The same in the others.
const COMMIT_BYTES_EACH: u64 = 256 << 10;

/// The open groups of a node.
pub struct Groups {
    /// Closed only when the node ends.
    system: OnceLock<Arc<Group>>,
    others: RwLock<BTreeMap<GroupId, Arc<Group>>>,
    /// Which of them holds which database.
    placements: Arc<Placements>,
    /// Whether this node belongs to a cluster; while it is open, that is what it waits for.
    admitted: AtomicBool,
    /// The address at which this node can be registered.
    url: String,
}

/// The replica of a group that this node holds.
#[derive(Clone)]
pub struct Replica {
    /// The group.
    pub group: GroupId,
    /// The number of the replica, with which it votes.
    pub id: RaftId,
    /// Whether it holds a part of the group's state already, and so must not start without it.
    pub formed: bool,
    /// The addresses of the group's replicas.
    pub urls: Arc<dyn PeerUrls>,
}

impl Groups {
    /// No groups yet, on a node with this address.
    pub(super) fn new(url: String, admitted: bool, placements: Arc<Placements>) -> Self {
        Groups {
            system: OnceLock::new(),
            others: RwLock::default(),
            placements,
            admitted: AtomicBool::new(admitted),
            url,
        }
    }

    pub(super) fn set_admitted(&self, admitted: bool) {
        self.admitted.store(admitted, Ordering::Release);
    }

    /// The system group: it holds `_system` and every database not placed elsewhere, and is on
    /// every node.
    ///
    /// # Errors
    /// `not_registered` while the node waits for admission, `starting` while a member opens it.
    pub fn system(&self) -> Result<&Arc<Group>> {
        self.system.get().ok_or_else(|| match self.admitted.load(Ordering::Acquire) {
            true => starting(),
            false => Error::new(Kind::NotRegistered, "this node is not part of a cluster yet")
                .hint(format!("register it on a member, with the address {}", self.url)),
        })
    }

    /// The group that holds a database, or the one that would create it.
    ///
    /// # Errors
    /// As [`Groups::get`].
    pub fn of(&self, database: &str) -> Result<Arc<Group>> {
        self.get(self.number_of(database))
    }

    /// The number of that group, of which this node may have no replica.
    pub fn number_of(&self, database: &str) -> GroupId {
        self.placements.group_of(database)
    }

    /// The group with this number.
    ///
    /// # Errors
    /// `misdirected` if no replica of it is open on this node; as [`Groups::system`].
    pub fn get(&self, id: GroupId) -> Result<Arc<Group>> {
        let system = self.system()?;
        if id == SYSTEM_GROUP {
            return Ok(system.clone());
        }
        self.others.read().get(&id).cloned().ok_or_else(|| {
            Error::new(Kind::Misdirected, format!("group {id} is not on this node"))
                .hint("the caller looks for a replica that was never here or is closed")
        })
    }

    /// All groups, by number.
    pub fn all(&self) -> Vec<Arc<Group>> {
        self.system.get().into_iter().chain(self.others.read().values()).cloned().collect()
    }

    fn add(&self, group: Arc<Group>) {
        if group.number() == SYSTEM_GROUP {
            let _ = self.system.set(group);
        } else {
            self.others.write().insert(group.number(), group);
        }
    }
}

/// Renames the directory of a replica that is not placed here. It is never opened again.
fn set_aside(dir: &Path) -> Result<()> {
    let names = (1..).map(|number: u32| dir.with_extension(format!("aside-{number}")));
    for aside in names {
        if !aside.exists() {
            std::fs::rename(dir, &aside).map_err(identity::failed)?;
            let (dir, aside) = (dir.display(), aside.display());
            tracing::warn!("{dir} holds a replica that is not placed here; it is now {aside}");
            break;
        }
    }
    Ok(())
}

/// The error for a group that does not exist.
pub fn group_not_found(group: GroupId) -> Error {
    Error::new(Kind::GroupNotFound, format!("there is no group {group}"))
}

pub(super) fn starting() -> Error {
    Error::new(Kind::Starting, "this node has no copy of the cluster's state at hand yet")
        .hint("try again in a moment, or use another node")
}

impl Cluster {
    /// Opens a replica, and starts what runs for each group as long as it is open.
    ///
    /// # Errors
    /// Those of [`Group::open`]; `not_possible_now` if the group is open.
    pub async fn open_replica(self: &Arc<Self>, replica: Replica) -> Result<Arc<Group>> {
        let cluster = self.clone();
        let opening = self.runtime.spawn(async move {
            let _one_at_a_time = cluster.opening.lock().await;
            cluster.open_replica_here(replica).await
        });
        opening.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))?
    }

    /// As [`Cluster::open_replica`], on the runtime of the node, while `opening` is held.
    pub(super) async fn open_replica_here(
        self: &Arc<Self>,
        replica: Replica,
    ) -> Result<Arc<Group>> {
        if self.groups.all().iter().any(|group| group.number() == replica.group) {
            let message = format!("group {} is open on this node", replica.group);
            return Err(Error::new(Kind::NotPossibleNow, message));
        }
        let config = self.group_config(&replica)?;
        if replica.group != SYSTEM_GROUP {
            let owner = replica::owner_of(&config.dir)?;
            if owner.is_some_and(|owner| owner.raft_id != replica.id) {
                set_aside(&config.dir)?;
            }
        }
        let opening = self.raft_threads.of(replica.group).spawn(Group::open(config));
        let opened =
            opening.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        let (group, events) = opened?;
        if replica.group == SYSTEM_GROUP {
            self.nodes.refresh(&group)?;
            self.placements.refresh(&group)?;
        }
        self.groups.add(group.clone());
        let (cluster, open, bounds) = (self.clone(), group.clone(), (&self.config).into());
        let is_ending = move || cluster.is_ending() || open.is_closed();
        let tasks = self.tasks(group.number());
        tokio::spawn(self.clone().follow_events(group.clone(), events, tasks.clone()));
        tokio::spawn(tasks::run(tasks, group.clone(), bounds, is_ending));
        Ok(group)
    }

    /// Closes the replica of a group other than the system group, and ends what ran for it.
    ///
    /// # Errors
    /// `misdirected` if it is not open.
    pub async fn close_replica(&self, id: GroupId) -> Result<()> {
        let group = self.groups.get(id)?;
        self.groups.others.write().remove(&id);
        self.tasks.lock().remove(&id);
        group.shutdown().await;
        Ok(())
    }

    fn group_config(&self, replica: &Replica) -> Result<GroupConfig> {
        let config = &self.config;
        let cluster_id = self.identity().cluster_id;
        let cluster_id = cluster_id
            .ok_or_else(|| Error::new(Kind::Internal, "the identity names no cluster"))?;
        let refused = config.refused_entries()?.into_iter();
        let refused = refused.filter(|(at, _)| at.group == replica.group);
        let refused = refused.map(|(at, hash)| (at.index, hash)).collect();
        Ok(GroupConfig {
            formed: replica.formed,
            dir: config.data_dir.join(identity::GROUPS).join(replica.group.to_string()),
            peers: Peers {
                calls: self.calls.clone(),
                cluster_id: cluster_id.into(),
                group: replica.group,
                from: replica.id,
                urls: replica.urls.clone(),
                refused: RefusedEntries::new(replica.group, refused),
            },
            heartbeat_ms: config.heartbeat_ms,
            election_ms: (config.election_min_ms, config.election_max_ms),
            clock_skew_ms_max: config.clock_skew_max_ms,
            log_limits: LogLimits {
                entries: config.snapshot_every,
                bytes: match replica.group {
                    SYSTEM_GROUP => config.snapshot_log_mb << 20,
                    _ => (config.snapshot_log_mb << 20).min(LOG_KEPT_BYTES),
                },
            },
            // The open file is kept in memory, and there may be many groups.
            log_chunk_bytes: match replica.group {
                SYSTEM_GROUP => config.log_chunk_mb << 20,
                _ => LOG_CHUNK_BYTES,
            },
            map_bytes: config.map_size_gb << 30,
            commit: CommitLimits {
                after: Duration::from_millis(config.commit_ms),
                bytes: match replica.group {
                    SYSTEM_GROUP => COMMIT_BYTES,
                    _ => COMMIT_BYTES_EACH,
                },
            },
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            proposer: ProposerLimits {
                queue_max: config.queue_max,
                memory: self.memory.clone(),
                batch_max: config.batch_max,
                reserve_bytes: config.disk_reserve_mb << 20,
            },
            formats: self.formats,
            writer_thread: self.raft_threads.writer(replica.group).clone(),
            move_rate: self.move_rate.clone(),
            links: self.links[self.raft_threads.lane_of(replica.group)].clone(),
        })
    }

    /// Carries out the effects of applied entries, until the group ends.
    async fn follow_events(
        self: Arc<Self>,
        group: Arc<Group>,
        mut events: StateEvents,
        tasks: Arc<Tasks>,
    ) {
        loop {
            let effect = tokio::select! {
                effect = events.effects.recv() => effect,
                () = group.closed() => return,
            };
            let Some(effect) = effect else { break };
            match effect {
                // The state of another group has neither, although a copy of it was installed.
                SideEffect::NodesChanged | SideEffect::PlacementChanged
                    if group.number() != SYSTEM_GROUP => {}
                SideEffect::NodesChanged => {
                    if let Err(error) = self.nodes.refresh(&group) {
                        tracing::error!(%error, "the members could not be read");
                    }
                }
                SideEffect::PlacementChanged => {
                    if let Err(error) = self.placements.refresh(&group) {
                        tracing::error!(%error, "the placement could not be read");
                    }
                }
                SideEffect::Stop { boot, restart } if boot == self.boot => {
                    tracing::info!(restart, "told to stop by the cluster");
                    self.end(if restart { Exit::Restart } else { Exit::Stop });
                }
                // The leaders of other groups look at it.
                SideEffect::RightsTaken => self.placements.wake(),
                SideEffect::AccountsChanged | SideEffect::Stop { .. } => {}
                SideEffect::Dropped => tasks.dropped(),
                SideEffect::CollectionChanged(namespace) => tasks.collection_changed(namespace),
                SideEffect::ExpiryChanged(index) => tasks.expiry_changed(index),
                // Logged once, although every node has it.
                SideEffect::Audited { user, from, event } if group.is_leader() => {
                    let AuditEvent { action, target, outcome } = event;
                    tracing::info!(target: "jettra_db::audit", user, from, action, target, outcome, "audit");
                }
                SideEffect::Audited { .. } => {}
            }
        }
        if !self.is_ending() {
            let reason = group.status().failure;
            let reason = reason.unwrap_or_else(|| "the state can no longer be written".into());
            self.end(Exit::Failed(reason));
        }
    }

    /// Leaves in order: transfers leadership, then closes the groups.
    pub async fn shutdown(&self) {
        let Ok(system) = self.groups.system() else { return };
        self.hand_over_groups().await;
        if system.is_leader()
            && let Err(error) = membership::hand_over_to_any(self).await
        {
            tracing::debug!(%error, "leadership was not handed over");
        }
        futures_util::future::join_all(self.groups.all().iter().map(|group| group.shutdown()))
            .await;
    }
}
