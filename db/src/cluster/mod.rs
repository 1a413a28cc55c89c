//! This node as a member: its identity, the other members, and how it reacts to changes.

pub mod admin;
pub mod announce;
pub mod audit;
pub mod bootstrap;
pub mod clocks;
pub mod forward;
pub mod health;
pub mod identity;
pub mod join;
pub mod membership;
pub mod nodes;
pub mod probe;
pub mod report;
pub mod secrets;
pub mod upkeep;

use crate::config::Config;
use crate::dial::Dialer;
use crate::engine::SideEffect;
use crate::engine::command::AuditEvent;
use crate::error::{Error, Kind, Result};
use crate::raft::memory_budget::MemoryBudget;
use crate::raft::node_key::NodeKey;
use crate::raft::peer_client::PeerClient;
use crate::raft::peers::Peers;
use crate::raft::proposer::ProposerLimits;
use crate::raft::refused::RefusedEntries;
use crate::raft::replay::Inbox;
use crate::raft::retention::LogLimits;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::writer::StateEvents;
use crate::raft::{Group, GroupConfig};
use crate::tls::Certificates;
use identity::Identity;
use nodes::Nodes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// Why the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop.
    Stop,
    /// It was asked to start again.
    Restart,
    /// It cannot go on.
    Failed(String),
}

/// A node as a member of its cluster, or on the way to become one.
pub struct Cluster {
    /// The settings.
    pub config: Config,
    /// Signs and verifies requests between nodes.
    pub key: NodeKey,
    /// Accepts each request of another node once.
    pub inbox: Inbox,
    /// Sends requests to other nodes.
    pub calls: PeerClient,
    /// Forwards clients' requests to the leader. Its connections are its own: those of `calls` must
    /// not depend on a thread that works for a client.
    pub forwarding: PeerClient,
    /// This node's certificate and the authority of the nodes.
    pub certificates: Option<Arc<Certificates>>,
    /// Identity of this process, new at every start.
    pub boot: String,
    /// Memory for request bodies and pending writes.
    pub memory: MemoryBudget,
    /// The members, as this node has applied them.
    pub nodes: Arc<Nodes>,
    /// The members that answer this node while there is no leader.
    contacts: Mutex<announce::Contacts>,
    /// The last report of the leader about the cluster.
    leader_view: Mutex<Option<report::LeaderReport>>,
    /// The cluster secret, for a new node with a join token.
    secret: String,
    node_id: Arc<str>,
    identity: Mutex<Identity>,
    group: OnceLock<Arc<Group>>,
    exit: watch::Sender<Option<Exit>>,
    removed: AtomicBool,
    /// Everything that outlives a request runs here, not on a thread that serves HTTP.
    runtime: tokio::runtime::Handle,
    opening: tokio::sync::Mutex<()>,
    /// Notified when there is an index to build or something dropped to clear away.
    upkeep: tokio::sync::Notify,
}

impl Cluster {
    /// Creates a node with this identity; its group is opened by [`Cluster::open`].
    pub fn new(
        config: Config,
        secret: &str,
        identity: Identity,
        certificates: Option<Arc<Certificates>>,
    ) -> Result<Arc<Self>> {
        let boot = uuid::Uuid::now_v7().to_string();
        let key = NodeKey::new(secret, &config.advertise_host().unwrap_or_default(), &boot);
        let caller = || {
            let dialer = Dialer::new(&config, certificates.as_ref())?;
            Ok::<_, Error>(PeerClient::new(dialer, key.clone()))
        };
        Ok(Arc::new(Cluster {
            calls: caller()?,
            forwarding: caller()?,
            secret: secret.to_owned(),
            key,
            inbox: Inbox::default(),
            certificates,
            boot,
            memory: MemoryBudget::new(config.body_memory_mb << 20),
            nodes: Arc::default(),
            contacts: Mutex::default(),
            leader_view: Mutex::default(),
            node_id: identity.node_id.as_str().into(),
            identity: Mutex::new(identity),
            group: OnceLock::new(),
            exit: watch::Sender::new(None),
            removed: AtomicBool::new(false),
            runtime: tokio::runtime::Handle::current(),
            opening: tokio::sync::Mutex::new(()),
            upkeep: tokio::sync::Notify::new(),
            config,
        }))
    }

    /// The identity of this node.
    pub fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// This node's name.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// The system group.
    ///
    /// # Errors
    /// `not_registered` while the node waits for admission, `starting` while a member opens it.
    pub fn group(&self) -> Result<&Arc<Group>> {
        self.group.get().ok_or_else(|| match self.identity().cluster_id {
            Some(_) => starting(),
            None => Error::new(Kind::NotRegistered, "this node is not part of a cluster yet")
                .hint(format!("register it on a member, with the address {}", self.config.url())),
        })
    }

    /// Whether this node has a copy of the cluster's state, and so of its users.
    ///
    /// # Errors
    /// `not_registered`, `starting`.
    pub fn check_started(&self) -> Result<()> {
        self.group()?;
        if self.nodes.all().is_empty() {
            return Err(starting());
        }
        Ok(())
    }

    /// Whether the cluster has removed this node.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Records that the cluster has removed this node.
    pub fn set_removed(&self) {
        if !self.removed.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                "the cluster has removed this node; to use it again, stop it, give it an empty \
                 DataDir and register it"
            );
        }
    }

    /// Asks the process to end.
    pub fn end(&self, exit: Exit) {
        self.exit.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(exit);
            }
            first
        });
    }

    /// Whether the process is about to end.
    pub fn is_ending(&self) -> bool {
        self.exit.borrow().is_some()
    }

    /// Waits until the process is to end.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.subscribe();
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
        ended.unwrap_or(Exit::Stop)
    }

    /// Stores the identity and opens the group with it. Does nothing if it is open with the same
    /// identity.
    ///
    /// # Errors
    /// `foreign_cluster` if the node belongs to another cluster or has another Raft id.
    pub async fn open(self: &Arc<Self>, identity: Identity) -> Result<()> {
        let cluster = self.clone();
        let opening = self.runtime.spawn(async move { cluster.open_here(identity).await });
        opening.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))?
    }

    async fn open_here(self: Arc<Self>, identity: Identity) -> Result<()> {
        let _one_at_a_time = self.opening.lock().await;
        let (Some(cluster_id), Some(raft_id)) = (identity.cluster_id.clone(), identity.raft_id)
        else {
            return Err(Error::new(Kind::Internal, "the identity names no cluster"));
        };
        if self.group.get().is_some() {
            return self.identity().check_same(&identity);
        }
        let mine = self.identity();
        let formed = mine.formed && mine.names_same(&identity);
        self.set_identity(Identity { formed, ..identity })?;
        let peers = Peers {
            calls: self.calls.clone(),
            cluster_id: cluster_id.into(),
            group: SYSTEM_GROUP,
            from: raft_id,
            urls: self.nodes.clone(),
            refused: RefusedEntries::new(self.config.refused_entries()?),
        };
        let (group, events) = Group::open(self.group_config(peers, formed)).await?;
        self.nodes.refresh(&group)?;
        let _ = self.group.set(group.clone());
        if !formed {
            tokio::spawn(self.clone().record_formed(group));
        }
        tokio::spawn(self.clone().follow_events(events));
        tokio::spawn(membership::run(self.clone()));
        tokio::spawn(announce::run(self.clone()));
        tokio::spawn(clocks::run(self.clone()));
        tokio::spawn(upkeep::run(self.clone()));
        Ok(())
    }

    /// Stores the identity of this node.
    fn set_identity(&self, identity: Identity) -> Result<()> {
        identity.save(&self.config.data_dir)?;
        *self.identity.lock() = identity;
        Ok(())
    }

    /// Records, once this node holds a part of the cluster's state, that it must never start
    /// without it: it may have voted, and its acknowledgements may count.
    async fn record_formed(self: Arc<Self>, group: Arc<Group>) {
        let formed = match group.wait_formed().await {
            Ok(()) => self.set_identity(Identity { formed: true, ..self.identity() }),
            Err(error) => Err(error),
        };
        if let Err(error) = formed
            && !self.is_ending()
        {
            self.end(Exit::Failed(error.to_string()));
        }
    }

    fn group_config(&self, peers: Peers, formed: bool) -> GroupConfig {
        let config = &self.config;
        GroupConfig {
            formed,
            dir: config.data_dir.join(identity::GROUPS).join(peers.group.to_string()),
            peers,
            heartbeat_ms: config.heartbeat_ms,
            election_ms: (config.election_min_ms, config.election_max_ms),
            clock_skew_ms_max: config.clock_skew_max_ms,
            log_limits: LogLimits {
                entries: config.snapshot_every,
                bytes: config.snapshot_log_mb << 20,
            },
            log_chunk_bytes: config.log_chunk_mb << 20,
            map_bytes: config.map_size_gb << 30,
            commit_after: Duration::from_millis(config.commit_ms),
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            proposer: ProposerLimits {
                queue_max: config.queue_max,
                memory: self.memory.clone(),
                batch_max: config.batch_max,
                reserve_bytes: config.disk_reserve_mb << 20,
            },
        }
    }

    /// Carries out the effects of applied entries, until the group ends.
    async fn follow_events(self: Arc<Self>, mut events: StateEvents) {
        while let Some(effect) = events.effects.recv().await {
            let Ok(group) = self.group() else { return };
            match effect {
                SideEffect::NodesChanged => {
                    if let Err(error) = self.nodes.refresh(group) {
                        tracing::error!(%error, "the members could not be read");
                    }
                }
                SideEffect::Stop { boot, restart } if boot == self.boot => {
                    tracing::info!(restart, "told to stop by the cluster");
                    self.end(if restart { Exit::Restart } else { Exit::Stop });
                }
                SideEffect::Stop { .. } => {}
                SideEffect::Upkeep => self.upkeep.notify_one(),
                // Logged once, although every node has it.
                SideEffect::Audited { user, from, event }
                    if self.group().is_ok_and(|group| group.is_leader()) =>
                {
                    let AuditEvent { action, target, outcome } = event;
                    tracing::info!(target: "jettra_db::audit", user, from, action, target, outcome, "audit");
                }
                SideEffect::Audited { .. } => {}
            }
        }
        if !self.is_ending() {
            let failure = self.group().ok().and_then(|group| group.status().failure);
            let reason = failure.unwrap_or_else(|| "the state can no longer be written".into());
            self.end(Exit::Failed(reason));
        }
    }

    /// Leaves in order: transfers leadership, then closes the group.
    pub async fn shutdown(&self) {
        let Ok(group) = self.group() else { return };
        if group.is_leader()
            && let Err(error) = membership::hand_over_to_any(self).await
        {
            tracing::debug!(%error, "leadership was not handed over");
        }
        group.shutdown().await;
    }
}

fn starting() -> Error {
    Error::new(Kind::Starting, "this node has no copy of the cluster's state at hand yet")
        .hint("try again in a moment, or use another node")
}
