//! This node as a member: its identity, the other members, and how it reacts to changes.

pub mod admin;
pub mod announce;
pub mod audit;
pub mod bootstrap;
pub mod clocks;
pub mod forward;
pub mod founding;
pub mod groups;
pub mod health;
pub mod identity;
pub mod join;
pub mod levels;
pub mod membership;
pub mod memory;
pub mod node_state;
pub mod nodes;
pub mod placement;
pub mod probe;
pub mod processes;
pub mod reconcile;
pub mod report;
pub mod secrets;

use crate::config::{Config, host_of};
use crate::dial::Dialer;
use crate::error::{Error, Kind, Result};
use crate::format::GroupFormats;
use crate::host::Host;
use crate::raft::Group;
use crate::raft::joining::MoveRate;
use crate::raft::link::Links;
use crate::raft::memory_budget::MemoryBudget;
use crate::raft::node_key::NodeKey;
use crate::raft::peer_client::PeerClient;
use crate::raft::peers::PeerUrls;
use crate::raft::replay::Inbox;
use crate::raft::threads::RaftThreads;
use crate::raft::types::{GroupId, SYSTEM_GROUP};
use crate::tasks::Tasks;
use crate::tls::Certificates;
use founding::{Founding, Part};
use groups::{Groups, Replica};
use identity::Identity;
use nodes::Nodes;
use parking_lot::Mutex;
use placement::Placements;
use placement::rounds::Rounds;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// What this program supports.
    pub formats: GroupFormats,
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
    /// What this process and its machine use.
    pub host: Arc<Host>,
    /// Memory for request bodies and pending writes.
    pub memory: MemoryBudget,
    /// The members, as this node has applied them.
    pub nodes: Arc<Nodes>,
    /// The members that answer this node while there is no leader.
    contacts: Mutex<announce::Contacts>,
    /// What this node has agreed to while it belongs to no cluster.
    founding: Mutex<Founding>,
    part: watch::Sender<Part>,
    /// The last report of the leader about the cluster.
    leader_view: Mutex<Option<report::LeaderReport>>,
    /// The cluster secret, for a new node with a join token.
    secret: String,
    node_id: Arc<str>,
    identity: Mutex<Identity>,
    /// The processes of other nodes that it may start; none: it may not.
    processes: Option<processes::Processes>,
    /// The groups of this node.
    pub groups: Groups,
    /// Where all groups are, as this node has applied it.
    pub placements: Arc<Placements>,
    /// Where the leaders of groups are of which this node has no replica, as last heard.
    group_leaders: Mutex<BTreeMap<GroupId, String>>,
    exit: watch::Sender<Option<Exit>>,
    removed: AtomicBool,
    /// Whether replicas move until they are spread evenly, as an administrator has asked.
    rebalancing: AtomicBool,
    /// How fast the replicas catch up that groups of this node let in.
    rounds: Mutex<Rounds>,
    /// Everything that outlives a request runs here, not on a thread that serves HTTP.
    runtime: tokio::runtime::Handle,
    /// Where the consensus of each group runs.
    pub raft_threads: RaftThreads,
    /// The connections to other nodes of each of those threads.
    links: Vec<Links>,
    /// How fast this node sends joining replicas what they lack.
    move_rate: Arc<MoveRate>,
    opening: tokio::sync::Mutex<()>,
    /// What this node does over time for each group that it leads.
    tasks: Mutex<BTreeMap<GroupId, Arc<Tasks>>>,
}

impl Cluster {
    /// Creates a node with this identity; its groups are opened later, the first by
    /// [`Cluster::open`].
    pub fn new(
        config: Config,
        secret: &str,
        identity: Identity,
        certificates: Option<Arc<Certificates>>,
        formats: GroupFormats,
    ) -> Result<Arc<Self>> {
        let boot = uuid::Uuid::now_v7().to_string();
        let host = host_of(&config.peer_url()).unwrap_or_default();
        let key = NodeKey::new(secret, &host, &boot);
        let part = match identity.cluster_id.is_some() {
            true => Part::Member,
            false if bootstrap::makes_cluster(&config) => Part::Founder,
            false => Part::Open,
        };
        let placements = Arc::<Placements>::default();
        let caller = || {
            let dialer = Dialer::new(&config, certificates.as_ref())?;
            Ok::<_, Error>(PeerClient::new(dialer, key.clone()))
        };
        let raft_threads = RaftThreads::start(config.http_workers).map_err(identity::failed)?;
        let calls = caller()?;
        let lanes = 0..config.http_workers.max(1);
        let links =
            lanes.map(|lane| Links::new(calls.clone(), lane, raft_threads.lane(lane).clone()));
        Ok(Arc::new(Cluster {
            links: links.collect(),
            move_rate: Arc::new(MoveRate::new(config.move_mb_per_second)),
            calls,
            forwarding: caller()?,
            secret: secret.to_owned(),
            key,
            inbox: Inbox::default(),
            certificates,
            boot,
            host: Arc::new(Host::new(&config.data_dir)),
            memory: MemoryBudget::new(config.body_memory_mb << 20),
            nodes: Arc::default(),
            contacts: Mutex::default(),
            founding: Mutex::new(Founding::load(&config.data_dir)?),
            part: watch::Sender::new(part),
            leader_view: Mutex::default(),
            node_id: identity.node_id.as_str().into(),
            groups: Groups::new(config.url(), identity.cluster_id.is_some(), placements.clone()),
            placements,
            group_leaders: Mutex::default(),
            identity: Mutex::new(identity),
            exit: watch::Sender::new(None),
            removed: AtomicBool::new(false),
            rebalancing: AtomicBool::new(false),
            rounds: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
            raft_threads,
            opening: tokio::sync::Mutex::new(()),
            tasks: Mutex::default(),
            processes: config.start_nodes_in.as_deref().map(processes::Processes::new),
            config,
            formats,
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

    /// Whether this node has a copy of the cluster's state, and so of its users.
    ///
    /// # Errors
    /// `not_registered`, `starting`.
    pub fn check_started(&self) -> Result<()> {
        self.groups.system()?;
        if self.nodes.all().is_empty() {
            return Err(groups::starting());
        }
        Ok(())
    }

    /// Whether the members reach this node at the address that it has for nodes. Before they know it,
    /// they call where clients do.
    pub fn is_known_at_peer_url(&self) -> bool {
        let Ok(group) = self.groups.system() else { return true };
        let url = self.config.peer_url();
        self.nodes.url(group.raft_id()).is_some_and(|known| nodes::same_address(&known, &url))
    }

    /// The tasks of a group.
    pub fn tasks(&self, group: GroupId) -> Arc<Tasks> {
        self.tasks.lock().entry(group).or_default().clone()
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

    /// Stores the identity and opens the system group with it. Does nothing if it is open with the same
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
        let (Some(_), Some(raft_id)) = (&identity.cluster_id, identity.raft_id) else {
            return Err(Error::new(Kind::Internal, "the identity names no cluster"));
        };
        if self.groups.system().is_ok() {
            return self.identity().check_same(&identity);
        }
        let mine = self.identity();
        let formed = mine.formed && mine.names_same(&identity);
        self.set_identity(Identity { formed, ..identity })?;
        let urls = self.nodes.clone();
        let replica = Replica { group: SYSTEM_GROUP, id: raft_id, formed, urls };
        let group = self.open_replica_here(replica).await?;
        if !formed {
            tokio::spawn(self.clone().record_formed(group));
        }
        // As one task: when their intervals end at the same time, one thread wakes for them.
        let cluster = self.clone();
        tokio::spawn(async move {
            tokio::join!(
                membership::run(cluster.clone()),
                levels::run(cluster.clone()),
                memory::run(cluster.clone()),
                announce::run(cluster.clone()),
                clocks::run(cluster.clone()),
                placement::replicas::run(cluster.clone()),
                placement::work::run_steps(cluster.clone()),
                placement::work::run_decisions(cluster.clone()),
            )
        });
        Ok(())
    }

    /// Stores the identity of this node.
    fn set_identity(&self, identity: Identity) -> Result<()> {
        identity.save(&self.config.data_dir)?;
        self.groups.set_admitted(identity.cluster_id.is_some());
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
}
