//! Shards: where the replicas of the groups are, and moving them.

use crate::call::Call;
use crate::client::Client;
use crate::error::Result;
use crate::wire::{Migration, RebalanceReply, RingReply, ShardExplanation, ShardInfo};
use reqwest::Method;

impl Client {
    /// All shards, which are the groups but the system group.
    pub async fn list_shards(&self) -> Result<Vec<ShardInfo>> {
        self.send(Call::new(Method::GET, &["api", "v1", "cluster", "shards"])).await?.json()
    }

    /// One shard, such as `shard-03`.
    ///
    /// # Errors
    /// `group_not_found`.
    pub async fn shard(&self, shard: &str) -> Result<ShardInfo> {
        self.send(Call::new(Method::GET, &["api", "v1", "cluster", "shards", shard])).await?.json()
    }

    /// Why the replicas of a shard are on their nodes.
    ///
    /// # Errors
    /// `group_not_found`.
    pub async fn explain_shard(&self, shard: &str) -> Result<ShardExplanation> {
        let path = ["api", "v1", "cluster", "shards", shard, "explain"];
        self.send(Call::new(Method::GET, &path)).await?.json()
    }

    /// Moves a replica of a shard to another node. It returns once that is decided; the status of the
    /// shard is `migrating` until it is done.
    ///
    /// # Errors
    /// `group_not_found`, `node_not_found`; `not_possible_now` if the one node has no voter of the shard,
    /// or the other one has a replica.
    pub async fn migrate_shard(&self, shard: &str, migration: &Migration) -> Result<ShardInfo> {
        let path = ["api", "v1", "cluster", "shards", shard, "migrate"];
        self.send(Call::new(Method::POST, &path).body(migration)).await?.json()
    }

    /// How the replicas are spread over the nodes.
    pub async fn ring(&self) -> Result<RingReply> {
        self.send(Call::new(Method::GET, &["api", "v1", "cluster", "ring"])).await?.json()
    }

    /// Moves replicas until no node holds two more than another; with `dry_run` it only says which.
    pub async fn rebalance(&self, dry_run: bool) -> Result<RebalanceReply> {
        let mut call = Call::new(Method::POST, &["api", "v1", "cluster", "rebalance"]);
        if dry_run {
            call = call.query("dry_run", "true");
        }
        self.send(call).await?.json()
    }
}
