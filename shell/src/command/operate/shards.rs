//! `shards`: lists the shards.

use super::{grouped, report};
use crate::command::{Action, Command, action};
use crate::print::{Format, boxed};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ShardInfo;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["shards"],
    help: "List the shards with primary, replicas, documents and health",
    driver: &["list_shards"],
    parse: |_| action(Shards),
    ..Command::READ
};

#[derive(Debug)]
struct Shards;

impl Action for Shards {
    async fn run(self, session: &mut Session) -> StatementResult {
        let shards = session.client.list_shards().await?;
        let format = session.format();
        Ok(report(&shards, format, || table(&shards, format), || compact(&shards)))
    }
}

/// The shards in a box.
pub(super) fn table(shards: &[ShardInfo], format: Format) -> String {
    if shards.is_empty() {
        return "There is no shard; create one with: group create\n".to_owned();
    }
    let row = |shard: &ShardInfo| -> Value {
        json!({
            "Shard ID": shard.shard_id, "Primary Node": shard.primary_node,
            "Replicas": shard.replicas, "Vector Count": grouped(shard.vector_count),
            "Status": shard.health.to_string(),
        })
    };
    boxed(&shards.iter().map(row).collect::<Vec<_>>(), format)
}

fn compact(shards: &[ShardInfo]) -> String {
    shards.iter().map(|shard| line(shard) + "\n").collect()
}

/// A shard in one line.
pub(super) fn line(shard: &ShardInfo) -> String {
    format!(
        "{} | {} | {} | {} replicas | {} documents",
        shard.health,
        shard.shard_id,
        shard.primary_node,
        shard.replicas,
        grouped(shard.vector_count)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::shards::example;
    use crate::print::Mode;

    #[test]
    fn shards_stand_in_a_box_with_grouped_numbers() {
        let shard = ShardInfo {
            shard_id: "shard-00".into(),
            primary_node: "node-worker-001".into(),
            vector_count: 125_432,
            ..example()
        };
        let expected = "\
┌──────────┬─────────────────┬──────────┬──────────────┬─────────┐
│ Shard ID │ Primary Node    │ Replicas │ Vector Count │ Status  │
├──────────┼─────────────────┼──────────┼──────────────┼─────────┤
│ shard-00 │ node-worker-001 │ 2        │ 125,432      │ HEALTHY │
└──────────┴─────────────────┴──────────┴──────────────┴─────────┘";
        let shards = [shard];
        assert_eq!(table(&shards, Format::plain(Mode::Table)), expected);
        let line = "HEALTHY | shard-00 | node-worker-001 | 2 replicas | 125,432 documents\n";
        assert_eq!(compact(&shards), line);
        assert!(table(&[], Format::plain(Mode::Table)).contains("group create"));
    }
}
