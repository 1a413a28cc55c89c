//! `migrate-shard`: moves a replica of a shard to another node.

use super::named;
use crate::command::Argument::Valued;
use crate::command::shards::strategy;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::Migration;
use serde_json::json;

const FLAGS: [&str; 4] = ["--shard-id", "--from-node", "--to-node", "--strategy"];

pub(super) static COMMAND: Command = Command {
    names: &["migrate-shard"],
    arguments: &[
        Valued("--shard-id", "shard", Kind::Other("shard")),
        Valued("--from-node", "node", Kind::Node),
        Valued("--to-node", "node", Kind::Node),
        Valued("--strategy", "strategy", Kind::Other("LIVE_COPY, SNAPSHOT or INCREMENTAL")),
    ],
    help: "Move a shard from one node to another",
    examples: &["migrate-shard --shard-id shard-03 --from-node n1 --to-node n4"],
    driver: &["migrate_shard"],
    parse: |words| {
        let [shard_id, from_node, to_node, given] = named(words, FLAGS, 1)?;
        let strategy = (!given.is_empty()).then(|| strategy(&given)).transpose()?;
        action(MigrateShard { shard_id, migration: Migration { from_node, to_node, strategy } })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct MigrateShard {
    shard_id: String,
    migration: Migration,
}

impl Action for MigrateShard {
    async fn run(self, session: &mut Session) -> StatementResult {
        let MigrateShard { shard_id, migration } = self;
        let moved = session.client.migrate_shard(&shard_id, &migration).await?;
        let Migration { from_node, to_node, .. } = migration;
        let next = format!("see how far with: shard-status --shard-id {shard_id}");
        let text = format!("{shard_id} moves from {from_node} to {to_node}; {next}");
        Ok(Output::Changed { text, answer: json!(moved) })
    }
}
