//! Where the data is: the groups beside the system group, their replicas, and the databases in them,
//! derived from this node's own applied copy of `_system._groups` and `_system._databases`.
//!
//! Three tasks bring what is into line with what is intended. Each takes one step at a time, decides on
//! it by a pure function, and leaves a state from which any other node goes on:
//! [`decide`] on the leader of the system group (which node is to hold what),
//! [`steps`] on the leader of each group (its membership), and
//! [`replicas`] on every node (which replicas are open).

pub mod decide;
pub mod explain;
pub mod leaders;
pub mod replicas;
pub mod report;
pub mod rounds;
#[cfg(test)]
pub(crate) mod samples;
pub mod steps;
pub mod work;

use super::nodes::Nodes;
use crate::engine::placement::{self, DatabaseDocument, GroupDocument, GroupState, ReplicaState};
use crate::error::Result;
use crate::raft::peers::PeerUrls;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, RaftId};
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// What this node has applied of the placement.
#[derive(Debug, Default)]
pub struct PlacementView {
    /// The groups beside the system group.
    pub groups: BTreeMap<GroupId, GroupDocument>,
    /// The databases in them.
    pub databases: BTreeMap<String, DatabaseDocument>,
}

impl PlacementView {
    /// The group that holds a database, or would hold it.
    pub fn group_of(&self, database: &str) -> GroupId {
        self.databases.get(database).map_or(SYSTEM_GROUP, |known| known.group)
    }

    /// The nodes that hold a replica, or are to hold one.
    pub fn holding(&self) -> BTreeSet<RaftId> {
        let placed = |group: &GroupDocument| {
            let placed = group.replicas.iter().map(|replica| replica.node);
            placed.chain(group.nodes()).collect::<Vec<_>>()
        };
        self.groups.values().flat_map(placed).collect()
    }

    /// The numbers of the groups that are to have replicas.
    pub fn live(&self) -> impl Iterator<Item = GroupId> {
        let live = self.groups.values().filter(|group| group.state != GroupState::Removing);
        live.map(|group| group.group)
    }
}

/// The applied placement. Refreshed when an entry has changed it.
#[derive(Default)]
pub struct Placements {
    view: RwLock<Arc<PlacementView>>,
    /// Whether there is a database outside of the system group: every call asks for its group.
    placed: AtomicBool,
    /// One for each task that follows it.
    changed: [Notify; 3],
}

/// A task that follows the placement.
#[derive(Debug, Clone, Copy)]
pub enum Follower {
    /// [`decide`]
    Decisions,
    /// [`steps`]
    Steps,
    /// [`replicas`]
    Replicas,
}

impl Placements {
    /// Reads the placement again.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn refresh(&self, system: &Group) -> Result<()> {
        let read = system.read()?;
        let groups = placement::groups(&read)?.into_iter().map(|group| (group.group, group));
        let databases = placement::databases(&read)?.into_iter();
        let databases = databases.map(|database| (database.name.clone(), database));
        let view = PlacementView { groups: groups.collect(), databases: databases.collect() };
        self.placed.store(!view.databases.is_empty(), Ordering::Release);
        *self.view.write() = Arc::new(view);
        self.wake();
        Ok(())
    }

    /// The group that holds a database, or would hold it.
    pub fn group_of(&self, database: &str) -> GroupId {
        match self.placed.load(Ordering::Acquire) {
            true => self.view.read().group_of(database),
            false => SYSTEM_GROUP,
        }
    }

    /// Lets the tasks look again.
    pub fn wake(&self) {
        self.changed.iter().for_each(Notify::notify_one);
    }

    /// What this node has applied.
    pub fn view(&self) -> Arc<PlacementView> {
        self.view.read().clone()
    }

    /// Waits until the placement is read again. For one task of each kind.
    async fn changed(&self, follower: Follower) {
        self.changed[follower as usize].notified().await;
    }
}

/// The addresses of a group's replicas: those of the nodes that they are placed on.
pub struct ReplicaUrls {
    /// The group.
    pub group: GroupId,
    /// Where its replicas are.
    pub placements: Arc<Placements>,
    /// The addresses of the nodes.
    pub nodes: Arc<Nodes>,
}

impl PeerUrls for ReplicaUrls {
    fn url(&self, replica: RaftId) -> Option<String> {
        let view = self.placements.view();
        let node = view.groups.get(&self.group)?.replica(replica)?.node;
        self.nodes.url(node)
    }

    fn is_joining(&self, replica: RaftId) -> bool {
        let view = self.placements.view();
        let document = view.groups.get(&self.group).and_then(|group| group.replica(replica));
        document.is_some_and(|replica| replica.state == ReplicaState::Joining)
    }
}
