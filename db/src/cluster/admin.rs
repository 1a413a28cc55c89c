//! Administration of the cluster. Everything but [`Cluster::report`] runs on the leader; the doors
//! forward it there.

use super::nodes::same_address;
use super::probe::NodeDescription;
use super::{Cluster, clocks, membership};
use crate::auth::Caller;
use crate::config::check_url;
use crate::engine::system::{NodeDocument, NodeStatus, Program};
use crate::engine::{Command, Outcome, Proposal};
use crate::error::{Error, Kind, Result};
use crate::raft::{Group, RaftId};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(50);

/// Whether an operation may go on without a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Refuse what would lose the quorum.
    No,
    /// Do it all the same.
    Yes,
}

/// What becomes of the replicas that a node holds when it is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Drain {
    /// They go to other nodes first.
    #[default]
    Yes,
    /// A node that holds any is not removed.
    No,
}

/// Refuses a node that has another name than the caller expects.
fn check_name(expected: &str, name: &str, url: &str) -> Result<()> {
    if expected == name {
        return Ok(());
    }
    let message = format!("the node at {url} is {name:?}, not {expected:?}");
    Err(Error::new(Kind::NodeConflict, message)
        .hint(format!("add it as {name:?}, or start it with --node-id {expected}"))
        .details(json!({"there": name, "requested": expected})))
}

impl Cluster {
    /// Admits the node at `url`; returns its name. The reconciler makes it a voter. If a name is given,
    /// only a node of that name is admitted.
    ///
    /// # Errors
    /// `invalid_url`, `not_distributed`, those of [`Cluster::probe`], `foreign_cluster`,
    /// `stale_node`, `node_conflict`, `unsupported_feature_level`. None of them changes the cluster.
    pub async fn register(
        &self,
        url: &str,
        description: Option<String>,
        name: Option<&str>,
        by: &Caller,
    ) -> Result<String> {
        if !self.config.distributed {
            return Err(Error::new(
                Kind::NotDistributed,
                "this node runs alone (distributed: false)",
            )
            .hint("set distributed to true on it and restart; its data stays"));
        }
        let group = self.groups.system()?;
        group.wait_linearizable().await?;
        self.nodes.refresh(group)?;
        // Nodes ask for admission while the first one is still creating the cluster.
        self.check_started()?;
        let url = check_url(url)?;
        self.check_scheme(&url)?;
        let there = self.probe(&url).await?;
        if let Some(name) = name {
            check_name(name, &there.identity.node_id, &url)?;
        }
        let advertised = check_url(&there.url)?;
        let peer_url = there.program.as_ref().and_then(Program::peer_url);
        let peer_url = peer_url.map(check_url).transpose()?;
        for other in [Some(&advertised), peer_url.as_ref()].into_iter().flatten() {
            self.check_scheme(other)?;
            if !same_address(&url, other) {
                self.check_advertised(&url, other, &there).await?;
            }
        }
        self.check_admissible(&there, &advertised)?;
        let node = there.identity.node_id.clone();
        let url = self.shown_address(url, advertised);
        let program = there.program;
        let command = Command::ClusterRegister { node: node.clone(), url, description, program };
        match group.propose(by.proposes(command)).await?.outcome {
            Outcome::Registered { .. } => Ok(node),
            other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
        }
    }

    /// Where nodes present certificates to each other, all must be reached over TLS.
    fn check_scheme(&self, url: &str) -> Result<()> {
        let secured = self.certificates.as_ref().is_some_and(|files| files.has_authority());
        if !secured || url.starts_with("https://") {
            return Ok(());
        }
        Err(Error::new(Kind::InvalidUrl, format!("{url} is http, but this cluster has a TlsCa"))
            .hint("give that node TlsCert, TlsKey and TlsCa, and write https://host:port"))
    }

    /// Checks that the address a node advertises leads to the same node.
    async fn check_advertised(
        &self,
        url: &str,
        advertised: &str,
        there: &NodeDescription,
    ) -> Result<()> {
        let same = self.probe(advertised).await.is_ok_and(|other| other.boot == there.boot);
        if same {
            return Ok(());
        }
        let message = format!(
            "the node at {url} gives its address as {advertised}, which does not lead to it"
        );
        Err(Error::new(Kind::NodeUnreachable, message)
            .hint("set AdvertiseUrl on that node to an address that this one can reach"))
    }

    /// The address shown for a member: the one that was registered first, if it is another name of
    /// the same place. A certificate is for one name.
    fn shown_address(&self, registered: String, advertised: String) -> String {
        let members = self.nodes.all();
        let known = members.iter().find(|node| same_address(&node.url, &advertised));
        match known {
            Some(node) => node.url.clone(),
            None if self.certificates.is_some() => advertised,
            None if same_address(&registered, &advertised) => registered,
            None => advertised,
        }
    }

    fn check_admissible(&self, there: &NodeDescription, url: &str) -> Result<()> {
        let name = &there.identity.node_id;
        let mine = self.identity().cluster_id;
        let known = self.nodes.all().iter().find(|node| node.id == *name).cloned();
        if !there.distributed {
            return Err(Error::new(
                Kind::NotDistributed,
                format!("node {name:?} at {url} runs alone (distributed: false)"),
            )
            .hint("set distributed to true on it, give it an empty DataDir and restart it"));
        }
        match (&there.identity.cluster_id, known) {
            (Some(cluster), _) if Some(cluster) != mine.as_ref() => {
                let message =
                    format!("node {name:?} at {url} belongs to another cluster ({cluster})");
                Err(Error::new(Kind::ForeignCluster, message)
                    .hint("remove it there, or give it an empty DataDir and restart it"))
            }
            (Some(_), None) => {
                let message =
                    format!("node {name:?} at {url} was removed from this cluster earlier");
                Err(Error::new(Kind::StaleNode, message)
                    .hint("stop it, give it an empty DataDir, start it and register it again"))
            }
            (None, Some(known))
                if known.status != NodeStatus::Joining && same_address(&known.url, url) =>
            {
                let message = format!("node {name:?} at {url} is a member, but its disk is empty");
                Err(Error::new(Kind::StaleNode, message)
                    .hint("deregister it first, then register it again as a new node"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses the removal of a node that holds replicas of groups other than the system group.
    async fn check_unused(&self, node: &NodeDocument) -> Result<()> {
        let view = self.confirmed_placement().await?;
        let used = view
            .groups
            .values()
            .filter(|group| group.wants(node.raft_id) || group.on(node.raft_id).is_some());
        let used: Vec<_> = used.map(|group| group.group).collect();
        if used.is_empty() {
            return Ok(());
        }
        let message = format!(
            "node is using, current ref count: {}: node {:?} holds replicas of groups",
            used.len(),
            node.id
        );
        Err(Error::new(Kind::NodeInUse, message)
            .hint("let it be drained, or move its replicas first")
            .details(json!({"groups": used})))
    }

    /// Removes a node and waits until it is out; succeeds if it is not a member. Its replicas of groups go
    /// to other nodes first, as far as there are any.
    ///
    /// # Errors
    /// `would_lose_quorum`, `not_possible_now`, `timeout`; without draining `node_in_use`.
    pub async fn deregister(
        &self,
        name: &str,
        force: Force,
        drain: Drain,
        by: &Caller,
    ) -> Result<()> {
        let group = self.groups.system()?;
        group.wait_linearizable().await?;
        self.nodes.refresh(group)?;
        let Some(node) = self.nodes.named(name) else {
            return Ok(());
        };
        self.check_quorum(&node, force, true)?;
        if drain == Drain::No {
            self.check_unused(&node).await?;
        }
        if node.raft_id == group.raft_id() {
            membership::hand_over(self, None).await?;
            return Err(crate::raft::proposer::not_leader());
        }
        // Whatever its status is by now, it becomes leaving.
        let leaving = Command::ClusterUpdate {
            node: node.id.clone(),
            raft_id: node.raft_id,
            role: None,
            status: Some(NodeStatus::Leaving),
            url: None,
        };
        self.change_node(group, by.proposes(leaving)).await?;
        self.wait_for(|nodes| nodes.iter().all(|other| other.raft_id != node.raft_id))
            .await
            .map_err(|_| {
                Error::new(
                    Kind::Timeout,
                    format!("node {:?} is leaving, but is not out yet", node.id),
                )
                .hint("it goes on by itself; look at the state of the cluster")
            })
    }

    async fn wait_for(&self, condition: impl Fn(&[NodeDocument]) -> bool) -> Result<()> {
        let limit = Duration::from_millis(self.config.request_timeout_ms);
        let waiting = async {
            while !condition(&self.nodes.all()) {
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::time::timeout(limit, waiting)
            .await
            .map_err(|_| Error::new(Kind::Timeout, "it did not happen in time"))
    }

    /// Proposes a change of a member and waits until it is visible on this node.
    async fn change_node(&self, group: &Arc<Group>, proposal: Proposal) -> Result<()> {
        let applied = group.propose(proposal).await?;
        group.wait_visible(applied.index).await?;
        self.nodes.refresh(group)
    }

    fn known(&self, name: &str) -> Result<NodeDocument> {
        self.nodes.named(name).ok_or_else(|| {
            let names: Vec<_> = self.nodes.all().iter().map(|node| node.id.clone()).collect();
            Error::new(Kind::NodeNotFound, format!("there is no node {name:?}"))
                .hint(format!("the members are: {}", names.join(", ")))
        })
    }

    /// Ends the process of a node and marks it `INACTIVE`, or restarts it.
    ///
    /// # Errors
    /// `node_not_found`, `would_lose_quorum`, `not_possible_now`.
    pub async fn stop(&self, name: &str, restart: bool, force: Force, by: &Caller) -> Result<()> {
        let group = self.groups.system()?;
        group.wait_linearizable().await?;
        self.nodes.refresh(group)?;
        let node = self.known(name)?;
        if !restart {
            self.check_quorum(&node, force, false)?;
        }
        let alone = self.nodes.all().len() == 1;
        if node.raft_id == group.raft_id() && !alone {
            let handed = membership::hand_over(self, None).await;
            match handed {
                Ok(()) => return Err(crate::raft::proposer::not_leader()),
                Err(error) if force == Force::No && !restart => return Err(error),
                Err(_) => {}
            }
        }
        let boot = self.boot_of(group, &node).await;
        let command = Command::ClusterStop { node: node.id, raft_id: node.raft_id, boot, restart };
        group.propose(by.proposes(command)).await.map(drop)
    }

    /// The identity of the process that runs a node now; none if it does not run.
    async fn boot_of(&self, group: &Group, node: &NodeDocument) -> Option<String> {
        if node.raft_id == group.raft_id() {
            return Some(self.boot.clone());
        }
        let there = self.probe(node.peer_url()).await.ok()?;
        (there.identity.raft_id == Some(node.raft_id)).then_some(there.boot)
    }

    /// Takes client requests and leadership away from a node; it goes on voting.
    pub async fn pause(&self, name: &str, by: &Caller) -> Result<()> {
        self.switch(name, NodeStatus::Paused, by).await
    }

    /// Reverts [`Cluster::pause`].
    pub async fn resume(&self, name: &str, by: &Caller) -> Result<()> {
        self.switch(name, NodeStatus::Active, by).await
    }

    async fn switch(&self, name: &str, to: NodeStatus, by: &Caller) -> Result<()> {
        let group = self.groups.system()?;
        group.wait_linearizable().await?;
        self.nodes.refresh(group)?;
        let node = self.known(name)?;
        let from = if to == NodeStatus::Paused { NodeStatus::Active } else { NodeStatus::Paused };
        if node.status == to {
            return Ok(());
        }
        if node.status != from {
            return Err(Error::new(
                Kind::NotPossibleNow,
                format!("node {:?} is {}", node.id, node.status),
            )
            .hint(format!("only a node that is {from} can become {to}")));
        }
        let mark =
            Command::ClusterMark { node: node.id, raft_id: node.raft_id, role: None, from, to };
        self.change_node(group, by.proposes(mark)).await
    }

    /// Transfers leadership to a node.
    ///
    /// # Errors
    /// `node_not_found`; `not_possible_now` if it is not an active voter.
    pub async fn promote(&self, name: &str) -> Result<()> {
        let group = self.groups.system()?;
        let node = self.known(name)?;
        if node.raft_id == group.raft_id() {
            return Ok(());
        }
        let voter = group.status().voters().contains(&node.raft_id);
        if node.status != NodeStatus::Active || !voter {
            let message = format!(
                "node {:?} is {} and {}",
                node.id,
                node.status,
                if voter { "votes" } else { "does not vote" }
            );
            return Err(
                Error::new(Kind::NotPossibleNow, message).hint("only an ACTIVE voter can lead")
            );
        }
        if let Some(ms) = group.clock.wrong().get(&node.raft_id) {
            let message = clocks::sentence(&node.id, *ms);
            return Err(Error::new(Kind::NotPossibleNow, message)
                .hint("set it by NTP first; it would hand leadership over again"));
        }
        membership::hand_over(self, Some(node.raft_id)).await
    }

    /// Refuses a change that would leave fewer live voters than a majority.
    fn check_quorum(&self, node: &NodeDocument, force: Force, leaves: bool) -> Result<()> {
        let group = self.groups.system()?;
        let live: BTreeSet<RaftId> = self
            .report_nodes()
            .iter()
            .filter(|node| matches!(node.status, NodeStatus::Active | NodeStatus::Paused))
            .map(|node| node.raft_id)
            .collect();
        let voters = group.status().voters();
        match quorum_after(&voters, &live, node.raft_id, leaves) {
            Ok(()) => Ok(()),
            Err(_) if force == Force::Yes && !(leaves && voters.len() == 1) => Ok(()),
            Err((live, needed)) => {
                let verb = if leaves { "removing" } else { "stopping" };
                let message = format!(
                    "{verb} node {:?} would leave {live} live voters where {needed} are needed",
                    node.id
                );
                let hint = if leaves && voters.len() == 1 {
                    "the only voter cannot be removed; stop it instead"
                } else {
                    "bring the other nodes back first, or force it"
                };
                Err(Error::new(Kind::WouldLoseQuorum, message)
                    .hint(hint)
                    .details(json!({"live_voters": live, "needed": needed})))
            }
        }
    }
}

/// Whether a majority of live voters remains when a node stops or leaves. Pure.
fn quorum_after(
    voters: &BTreeSet<RaftId>,
    live: &BTreeSet<RaftId>,
    node: RaftId,
    leaves: bool,
) -> std::result::Result<(), (usize, usize)> {
    if !voters.contains(&node) {
        return Ok(());
    }
    let size = if leaves { voters.len() - 1 } else { voters.len() };
    let needed = size / 2 + 1;
    let left = voters.intersection(live).filter(|id| **id != node).count();
    if left >= needed { Ok(()) } else { Err((left, needed)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_counted_as_it_will_be_afterwards() {
        let set = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
        let after = |voters: &[u64], live: &[u64], node, leaves| {
            quorum_after(&set(voters), &set(live), node, leaves)
        };
        assert_eq!(after(&[1, 2, 3], &[1, 2, 3], 3, false), Ok(()));
        assert_eq!(after(&[1, 2, 3], &[1, 2, 3], 3, true), Ok(()));
        assert_eq!(after(&[1, 2, 3], &[1, 2], 2, false), Err((1, 2)));
        assert_eq!(after(&[1, 2, 3], &[1, 2], 2, true), Err((1, 2)));
        assert_eq!(after(&[1, 2, 3], &[1, 2], 3, true), Ok(()), "removing the dead one helps");
        assert_eq!(after(&[1, 2], &[1, 2], 2, true), Ok(()));
        assert_eq!(after(&[1, 2], &[1, 2], 2, false), Err((1, 2)));
        assert_eq!(after(&[1], &[1], 1, true), Err((0, 1)));
        assert_eq!(after(&[1, 2, 3], &[1], 9, true), Ok(()), "a learner has no vote to lose");
    }
}
