//! The feature level of each group. Its leader raises it, one level at a time, once every member
//! supports the next one.
//!
//! The system group decides for all: it is on every node, so its members are the members of every
//! group, and it holds what they have announced and the maximum that an administrator has set. The
//! other groups follow it.

use super::Cluster;
use crate::auth::Caller;
use crate::engine::members::{check_level, cluster, nodes};
use crate::engine::system::{Addresses, NodeDocument, Program};
use crate::engine::{Command, format};
use crate::error::Result;
use crate::pulse;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, RaftId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_millis(900);

/// The level to which the system group is to be raised; none while it stays as it is. Pure.
///
/// A replica without a document is left over from a removal: it may still apply the log.
fn next_level(
    level: u32,
    max: Option<u32>,
    nodes: &[NodeDocument],
    replicas: &BTreeSet<RaftId>,
) -> Option<u32> {
    let known = |id: &RaftId| nodes.iter().any(|node| node.raft_id == *id);
    let next = level.saturating_add(1);
    let possible =
        !nodes.is_empty() && replicas.iter().all(known) && check_level(next, max, nodes).is_ok();
    possible.then_some(next)
}

/// The same for another group, at the level of the system group. Pure.
fn next_level_towards(level: u32, system: u32) -> Option<u32> {
    (level < system).then_some(level + 1)
}

/// Raises the levels of the groups that this node leads.
pub async fn run(cluster: Arc<Cluster>) {
    while !cluster.is_ending() {
        for group in cluster.groups.all() {
            if group.is_leader()
                && let Err(error) = cluster.raise_level(&group).await
            {
                let group = group.number();
                tracing::debug!(group, %error, "the feature level was not raised yet");
            }
        }
        pulse::pause(INTERVAL).await;
    }
}

impl Cluster {
    /// What this node runs.
    pub fn program(&self) -> Program {
        let features = self.formats.features;
        let program = Program {
            version: env!("CARGO_PKG_VERSION").into(),
            oldest_level: features.oldest,
            newest_level: features.newest,
            addresses: self
                .config
                .peer_address
                .is_some()
                .then(|| Addresses { peer_url: Some(self.config.peer_url()) }),
            zone: self.config.zone.clone(),
        };
        // Before the cluster is formed there is no level: the node asks for admission.
        let level = self.groups.system().and_then(|system| system.feature_level());
        program.at_level(level.unwrap_or(features.newest))
    }

    async fn raise_level(&self, group: &Group) -> Result<()> {
        if self.next_level_of(group)?.is_none() {
            return Ok(());
        }
        // A new leader may not have applied all that its predecessor committed.
        group.wait_linearizable().await?;
        let Some(level) = self.next_level_of(group)? else { return Ok(()) };
        let applied = group.propose(Command::SetFeatureLevel { level }).await?;
        tracing::info!(group = group.number(), level, "the feature level was raised");
        group.wait_visible(applied.index).await
    }

    fn next_level_of(&self, group: &Group) -> Result<Option<u32>> {
        let read = group.read()?;
        let level = format::feature_level(&read)?;
        if level >= self.formats.features.newest {
            return Ok(None);
        }
        if group.number() != SYSTEM_GROUP {
            return Ok(next_level_towards(level, self.groups.system()?.feature_level()?));
        }
        let max = cluster(&read)?.and_then(|cluster| cluster.max_feature_level);
        Ok(next_level(level, max, &nodes(&read)?, &group.status().members))
    }

    /// The feature level that is not exceeded, as far as this node knows; none: the newest that all
    /// members support.
    pub(super) fn max_feature_level(&self) -> Option<u32> {
        let read = self.groups.system().ok()?.read().ok()?;
        cluster(&read).ok()??.max_feature_level
    }

    /// Sets the feature level that is not exceeded; none: the newest that all members support.
    ///
    /// # Errors
    /// `invalid_parameter` if it is less than the level in force.
    pub async fn set_max_feature_level(&self, max: Option<u32>, by: &Caller) -> Result<()> {
        let group = self.groups.system()?;
        let command = Command::SetMaxFeatureLevel { max };
        let applied = group.propose(by.proposes(command)).await?;
        group.wait_visible(applied.index).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::system::{NodeRole, NodeStatus};

    fn node(raft_id: RaftId, newest_level: u32) -> NodeDocument {
        let program = Program {
            version: "1.0.0".into(),
            oldest_level: 1,
            newest_level,
            addresses: None,
            zone: None,
        };
        NodeDocument {
            id: format!("n{raft_id}"),
            raft_id,
            url: String::new(),
            role: NodeRole::Follower,
            status: NodeStatus::Inactive,
            description: None,
            program: Some(program),
        }
    }

    #[test]
    fn the_level_rises_by_one_when_every_member_supports_the_next() {
        let next = |level, max, nodes: &[NodeDocument], replicas: &[RaftId]| {
            next_level(level, max, nodes, &replicas.iter().copied().collect())
        };
        let nodes = [node(1, 3), node(5, 2)];
        assert_eq!(next(1, None, &nodes, &[1, 5]), Some(2));
        assert_eq!(next(1, None, &nodes, &[1]), Some(2), "a node that is joining counts");
        assert_eq!(next(2, None, &nodes, &[1, 5]), None, "n5 supports no more");
        assert_eq!(next(2, None, &nodes[..1], &[1]), Some(3), "n5 was removed");
        assert_eq!(next(2, None, &nodes[..1], &[1, 5]), None, "but it still gets the log");
        assert_eq!(next(1, Some(1), &nodes, &[1, 5]), None, "it is held back");
        assert_eq!(next(1, Some(2), &nodes, &[1, 5]), Some(2));
        let silent = [node(1, 3), NodeDocument { program: None, ..node(5, 3) }];
        assert_eq!(next(1, None, &silent, &[1, 5]), None, "n5 has announced nothing");
        assert_eq!(next(1, None, &[], &[]), None, "the cluster is being created");
    }

    #[test]
    fn another_group_follows_the_system_group() {
        assert_eq!(next_level_towards(1, 3), Some(2));
        assert_eq!(next_level_towards(3, 3), None);
    }
}
