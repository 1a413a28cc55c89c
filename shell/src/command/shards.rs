//! Commands about shards: where the replicas of the groups are, and moving them.

mod explain_shard;
mod list_shards;
mod migrate_shard;
mod rebalance;
mod show_ring;
mod show_shard;

use super::Group;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{MigrationStrategy, ShardInfo};
use serde_json::{Value, json};

pub(super) static GROUP: Group = Group {
    title: "Shards",
    commands: &[
        &list_shards::COMMAND,
        &show_shard::COMMAND,
        &explain_shard::COMMAND,
        &migrate_shard::COMMAND,
        &show_ring::COMMAND,
        &rebalance::COMMAND,
    ],
};

/// Takes the name of a shard, of which the number is enough.
fn shard(words: &mut Words<'_>) -> ParseResult<String> {
    let name = words.required("the shard")?;
    Ok(match name.parse::<u64>() {
        Ok(number) => format!("shard-{number:02}"),
        Err(_) => name,
    })
}

/// The strategy with a name, in whatever case it is written.
pub(super) fn strategy(name: &str) -> ParseResult<MigrationStrategy> {
    let found = MigrationStrategy::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found
        .map(|(_, strategy)| *strategy)
        .ok_or_else(|| format!("{name} is no strategy; use LIVE_COPY, SNAPSHOT or INCREMENTAL"))
}

/// What a replica that is to come lacks: `1200 kB, 3 s`.
fn left(shard: &ShardInfo) -> String {
    let bytes = shard.bytes_left.map(|bytes| format!("{} kB", bytes.div_ceil(1000)));
    let time = shard.left_ms.map(|ms| format!("{} s", ms.div_ceil(1000)));
    bytes.into_iter().chain(time).collect::<Vec<_>>().join(", ")
}

/// A shard as a row of a list.
fn row(shard: &ShardInfo) -> Value {
    json!({
        "shard": shard.shard_id, "status": shard.status, "primary": shard.primary_node,
        "nodes": shard.nodes.join(" "), "documents": shard.documents, "bytes": shard.bytes,
        "left": left(shard),
    })
}

#[cfg(test)]
pub(super) fn example() -> ShardInfo {
    ShardInfo {
        shard_id: "shard-03".into(),
        primary_node: "n1".into(),
        replicas: 2,
        nodes: vec!["n1".into(), "n2".into()],
        vector_count: 7,
        documents: 7,
        bytes: 4096,
        status: "active".into(),
        health: jettra_driver::wire::ShardHealth::Healthy,
        entries_left: None,
        bytes_left: Some(1500),
        left_ms: Some(2500),
        waits_for: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_where_a_shard_is() {
        assert_eq!(row(&example())["nodes"], "n1 n2");
        assert_eq!(row(&example())["left"], "2 kB, 3 s");
    }
}
