//! Shards over HTTP, with JadeVectorDB's shapes: a shard is a group of replicas.

use super::call::Call;
use super::describe::{CLUSTER, describe};
use super::endpoint::Endpoint;
use super::groups::flag;
use super::reply::Reply;
use crate::cluster::placement::explain::NodeReason;
use crate::cluster::placement::report::GroupReport;
use crate::engine::placement::{GroupState, MoveStrategy};
use crate::error::{Error, Kind, Result};
use crate::raft::GroupId;
use crate::raft::types::SYSTEM_GROUP;
use crate::service::overview::shard_name;
use crate::service::shards::{Explanation, NodeShare};
use crate::service::{groups, shards};
use crate::wire::IntoWire;
use jettra_driver::wire::{
    Migration, MigrationStrategy, PlannedMove, RebalanceReply, RingNode, RingReply,
    ShardExplanation, ShardInfo, ShardNode,
};
use std::rc::Rc;

/// A group as JadeVectorDB's clients see it.
pub(super) fn info(group: GroupReport) -> ShardInfo {
    let waits_for = group.waits_for();
    let status = match group.state {
        GroupState::Creating => "creating",
        GroupState::Removing => "removing",
        GroupState::Active if !group.is_ready() => "unavailable",
        GroupState::Active if waits_for.is_some() => "migrating",
        GroupState::Active => "active",
    };
    let placed = group.replicas.iter().filter(|replica| replica.placed.is_some());
    let nodes: Vec<_> = placed.map(|replica| replica.node.clone()).collect();
    let joining = group.replicas.iter().find(|replica| replica.is_joining());
    let entries_left = joining.and_then(|replica| replica.lag);
    let progress = joining.and_then(|replica| replica.progress).unwrap_or_default();
    let (documents, bytes) =
        group.status.as_ref().map_or((0, 0), |status| (status.documents, status.bytes));
    ShardInfo {
        health: group.health().into_wire(),
        shard_id: shard_name(group.group),
        primary_node: group.leader.unwrap_or_default(),
        replicas: nodes.len() as u64,
        nodes,
        vector_count: documents,
        documents,
        bytes,
        status: status.into(),
        entries_left,
        bytes_left: progress.bytes_left,
        left_ms: progress.left_ms,
        waits_for,
    }
}

/// The group that a call names as a shard.
fn group(call: &Call) -> Result<GroupId> {
    let text = call.required(&["shard"])?;
    let number = text.strip_prefix("shard-").and_then(|number| number.parse().ok());
    number.filter(|group| *group != SYSTEM_GROUP).ok_or_else(|| {
        Error::new(Kind::GroupNotFound, format!("there is no shard {text:?}"))
            .hint("list the shards to see their names, such as shard-03")
    })
}

/// `GET /api/v1/cluster/shards`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || describe(CLUSTER, "List the shards").gives::<Vec<ShardInfo>>(200).reads(),
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let groups = groups::list(&call.session).await?;
    Ok(Reply::of(groups.map(|groups| {
        let data = groups.into_iter().filter(|group| group.group != SYSTEM_GROUP);
        Reply::json(&data.map(info).collect::<Vec<_>>())
    })))
}

/// `GET /api/v1/cluster/shards/{shard}`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(CLUSTER, "Tell the state of a shard")
            .gives::<ShardInfo>(200)
            .reads()
            .fails(&[Kind::GroupNotFound])
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let found = groups::get(&call.session, group(&call)?).await?;
    Ok(Reply::of(found.map(|group| Reply::json(&info(group)))))
}

/// `GET /api/v1/cluster/shards/{shard}/explain`
pub const EXPLAIN: Endpoint = Endpoint::new(
    |call| Box::pin(explain(call)),
    || {
        describe(CLUSTER, "Explain why the replicas of a shard are on their nodes")
            .gives::<ShardExplanation>(200)
            .reads()
            .fails(&[Kind::GroupNotFound])
    },
);

async fn explain(call: Rc<Call>) -> Result<Reply> {
    let group = group(&call)?;
    let explained = shards::explain_placement(&call.session, group).await?;
    Ok(Reply::of(explained.map(|Explanation { replication_factor, epoch, nodes }| {
        let nodes = nodes.into_iter().map(|(node, reason)| {
            let NodeReason { node: _, holds, zone, others, order, reason } = reason;
            let order = order.map(|order| order as u64);
            ShardNode { node, holds, zone, other_replicas: others as u64, order, reason }
        });
        let (shard_id, nodes) = (shard_name(group), nodes.collect());
        Reply::json(&ShardExplanation { shard_id, replication_factor, epoch, nodes })
    })))
}

/// `POST /api/v1/cluster/shards/{shard}/migrate`
pub const MIGRATE: Endpoint = Endpoint::new(
    |call| Box::pin(migrate(call)),
    || {
        describe(CLUSTER, "Move a replica of a shard to another node")
            .body::<Migration>()
            .gives::<ShardInfo>(202)
            .writes()
            .fails(&[Kind::GroupNotFound, Kind::NodeNotFound, Kind::NotPossibleNow])
    },
);

async fn migrate(call: Rc<Call>) -> Result<Reply> {
    let Migration { from_node, to_node, strategy } = call.json()?;
    let strategy = strategy.map(|strategy| match strategy {
        MigrationStrategy::LiveCopy => MoveStrategy::LiveCopy,
        MigrationStrategy::Snapshot => MoveStrategy::Snapshot,
        MigrationStrategy::Incremental => MoveStrategy::Incremental,
    });
    let group = group(&call)?;
    let moved = shards::migrate(&call.session, group, &from_node, &to_node, strategy).await?;
    Ok(Reply::of(moved.map(|group| Reply::json(&info(group)).with_status(202))))
}

/// `GET /api/v1/cluster/ring`
pub const RING: Endpoint = Endpoint::new(
    |call| Box::pin(ring(call)),
    || {
        describe(CLUSTER, "Tell how the replicas are spread over the nodes")
            .gives::<RingReply>(200)
            .reads()
    },
);

async fn ring(call: Rc<Call>) -> Result<Reply> {
    let shares = shards::ring(&call.session).await?;
    Ok(Reply::of(shares.map(|shares| Reply::json(&ring_reply(shares)))))
}

/// The nodes as places on a ring.
pub(super) fn ring_reply(shares: Vec<NodeShare>) -> RingReply {
    let all: usize = shares.iter().map(|share| share.groups.len()).sum();
    let nodes = shares.into_iter().map(|share| RingNode {
        node: share.node,
        virtual_nodes: share.groups.len() as u64,
        share: share.groups.len() as f64 / all.max(1) as f64,
        groups: share.groups.into_iter().map(Into::into).collect(),
    });
    RingReply { nodes: nodes.collect(), virtual_nodes: all as u64 }
}

/// `POST /api/v1/cluster/rebalance`
pub const REBALANCE: Endpoint = Endpoint::new(
    |call| Box::pin(rebalance(call)),
    || {
        describe(
            CLUSTER,
            "Move replicas until no node holds two more than another; dry_run=true only says which",
        )
        .query("dry_run")
        .gives::<RebalanceReply>(200)
        .reads_latest()
        .fails(&[Kind::InvalidParameter])
    },
);

async fn rebalance(call: Rc<Call>) -> Result<Reply> {
    let dry_run = flag(&call, "dry_run")?;
    let planned = shards::rebalance(&call.session, dry_run).await?;
    Ok(Reply::of(planned.map(|moves| {
        let moves = moves.into_iter().map(|planned| PlannedMove {
            group: planned.group.into(),
            from_node: planned.from,
            to_node: planned.to,
        });
        Reply::json(&RebalanceReply { moves: moves.collect(), dry_run })
    })))
}
