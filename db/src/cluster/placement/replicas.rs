//! Which replicas this node has open: those that are placed on it.
//!
//! A replica that may have voted goes on only with the log and the state that it had; one that has lost
//! them asks for the removal of its record, and another one is placed. A new directory is begun, and one
//! that is left over is removed, only after a read of the placement that a majority has confirmed: what
//! this node knew before a restart may be older than what it did.

use super::super::groups::Replica;
use super::super::{Cluster, identity};
use super::{Follower, PlacementView, ReplicaUrls};
use crate::engine::command::Placement;
use crate::engine::placement::{GroupDocument, GroupState, ReplicaDocument, ReplicaState};
use crate::error::Result;
use crate::pulse;
use crate::raft::types::{GroupId, SYSTEM_GROUP};
use crate::raft::{Group, replica};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Directory of the replicas that were kept when their groups were removed.
const KEPT: &str = "removed-groups";
const INTERVAL: Duration = Duration::from_millis(300);

/// Opens and closes replicas as long as this node runs.
pub async fn run(cluster: Arc<Cluster>) {
    let mut replicas = Replicas { cluster: cluster.clone(), swept: false, lost: BTreeSet::new() };
    while !cluster.is_ending() {
        if let Err(error) = replicas.arrange().await {
            tracing::debug!(%error, "the replicas are not as they are placed yet");
        }
        let changed = cluster.placements.changed(Follower::Replicas);
        let _ = tokio::time::timeout_at(pulse::next(INTERVAL), changed).await;
    }
}

struct Replicas {
    cluster: Arc<Cluster>,
    /// Whether directories that are left over were removed since the start.
    swept: bool,
    /// Replicas that have lost their directory.
    lost: BTreeSet<u64>,
}

impl Replicas {
    /// Takes the steps that are due.
    async fn arrange(&mut self) -> Result<()> {
        let cluster = self.cluster.clone();
        let me = cluster.groups.system()?.raft_id();
        let mut view = cluster.placements.view();
        let open = cluster.groups.all().into_iter().filter(|group| group.number() != SYSTEM_GROUP);
        let open: Vec<_> = open.collect();
        let placed = |view: &PlacementView, group: &Group| {
            let known = view.groups.get(&group.number());
            known.is_some_and(|known| known.replica(group.raft_id()).is_some())
        };
        // What is closed is removed, too.
        if !open.iter().all(|group| placed(&view, group)) {
            view = cluster.confirmed_placement().await?;
        }
        let placed = view.groups.values().filter_map(|group| Some((group, *group.on(me)?)));
        let wanted: BTreeMap<GroupId, (&GroupDocument, ReplicaDocument)> = placed
            .filter(|(group, _)| group.state != GroupState::Removing)
            .map(|(group, replica)| (group.group, (group, replica)))
            .collect();
        let mut missing = wanted.clone();
        for group in open {
            match missing.remove(&group.number()) {
                Some((_, replica)) if replica.id == group.raft_id() => {}
                _ => {
                    let number = group.number();
                    drop(group);
                    cluster.close_replica(number).await?;
                    self.put_away(number, view.groups.get(&number))?;
                    missing.extend(wanted.get(&number).map(|placed| (number, *placed)));
                }
            }
        }
        for group in view.groups.values().filter(|group| group.state == GroupState::Removing) {
            if let Some(replica) = group.on(me) {
                self.put_away(group.group, Some(group))?;
                let (group, replica) = (group.group, replica.id);
                let closed = Placement::RemoveReplica { group, replica, joining: false };
                cluster.propose_placement(closed).await?;
            }
        }
        for (group, replica) in missing.values() {
            if let Err(error) = self.open(group, *replica).await {
                tracing::debug!(group = group.group, %error, "a replica is not open yet");
            }
        }
        if !self.swept {
            self.sweep().await?;
        }
        Ok(())
    }

    fn dir(&self, group: GroupId) -> PathBuf {
        self.cluster.config.data_dir.join(identity::GROUPS).join(group.to_string())
    }

    /// Removes the directory of a replica that the log says is not placed here any more.
    fn remove(&self, group: GroupId) -> Result<()> {
        match std::fs::remove_dir_all(self.dir(group)) {
            Ok(()) => {
                tracing::info!(group, "the replica of this node was removed");
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(identity::failed(error)),
        }
    }

    /// Removes the directory of a replica that is closed, or keeps it if its group is being removed and
    /// says so.
    fn put_away(&self, number: GroupId, group: Option<&GroupDocument>) -> Result<()> {
        let Some(group) = group.filter(|group| group.keep_state) else {
            return self.remove(number);
        };
        if !self.dir(number).exists() {
            return Ok(());
        }
        let kept = self.cluster.config.data_dir.join(KEPT);
        let to = kept.join(format!("{}-{}", group.group, group.epoch));
        std::fs::create_dir_all(&kept).map_err(identity::failed)?;
        std::fs::rename(self.dir(group.group), &to).map_err(identity::failed)?;
        tracing::info!(
            group = group.group,
            "the group was removed; its replica is now {}",
            to.display()
        );
        Ok(())
    }

    async fn open(&mut self, group: &GroupDocument, replica: ReplicaDocument) -> Result<()> {
        let cluster = self.cluster.clone();
        let number = group.group;
        let owner = replica::owner_of(&self.dir(number))?;
        let own = owner.is_some_and(|owner| owner.raft_id == replica.id);
        if !own || replica.state == ReplicaState::Joining {
            let known = cluster.confirmed_placement().await?;
            let now = known.groups.get(&number).filter(|now| now.state != GroupState::Removing);
            let now = now.and_then(|now| now.replica(replica.id));
            if now != Some(&replica) {
                return Ok(());
            }
        }
        if !own && replica.state == ReplicaState::Active {
            if self.lost.insert(replica.id) {
                tracing::error!(
                    group = number,
                    "the replica of this node has lost its directory; it is replaced by a new one"
                );
            }
            let lost =
                Placement::RemoveReplica { group: number, replica: replica.id, joining: false };
            return cluster.propose_placement(lost).await;
        }
        if !own {
            self.remove(number)?;
        }
        let (placements, nodes) = (cluster.placements.clone(), cluster.nodes.clone());
        let urls = Arc::new(ReplicaUrls { group: number, placements, nodes });
        let formed = replica.state == ReplicaState::Active;
        let opened =
            cluster.open_replica(Replica { group: number, id: replica.id, formed, urls }).await?;
        if group.founder().map(|founder| founder.id) == Some(replica.id) {
            opened.initialize(&cluster.config.peer_url()).await?;
        }
        Ok(())
    }

    /// Removes the directories of replicas that are not placed on this node any more.
    async fn sweep(&mut self) -> Result<()> {
        let known = self.cluster.confirmed_placement().await?;
        let me = self.cluster.groups.system()?.raft_id();
        let dir = self.cluster.config.data_dir.join(identity::GROUPS);
        for entry in std::fs::read_dir(dir).map_err(identity::failed)?.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<GroupId>().ok());
            let Some(number) = number.filter(|number| *number != SYSTEM_GROUP) else { continue };
            let placed = known.groups.get(&number).is_some_and(|group| group.on(me).is_some());
            if !placed && self.cluster.groups.get(number).is_err() {
                self.remove(number)?;
            }
        }
        self.swept = true;
        Ok(())
    }
}
