//! `shard-status`: shows one shard.

use super::shards::line;
use super::{bytes, grouped, named, report, titled};
use crate::command::Argument::Valued;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::ShardInfo;

pub(super) static COMMAND: Command = Command {
    names: &["shard-status"],
    arguments: &[Valued("--shard-id", "shard", Kind::Other("shard"))],
    help: "Show a shard, and how far its migration is",
    examples: &["shard-status --shard-id shard-03"],
    driver: &["shard"],
    parse: |words| {
        let [shard_id] = named(words, ["--shard-id"], 0)?;
        action(ShardStatus { shard_id })
    },
    ..Command::READ
};

#[derive(Debug)]
struct ShardStatus {
    shard_id: String,
}

impl Action for ShardStatus {
    async fn run(self, session: &mut Session) -> StatementResult {
        let shard = session.client.shard(&self.shard_id).await?;
        Ok(report(&shard, session.format(), || table(&shard), || line(&shard)))
    }
}

fn table(shard: &ShardInfo) -> String {
    let mut fields = vec![
        ("Primary Node", shard.primary_node.clone()),
        ("Replicas", shard.replicas.to_string()),
        ("Nodes", shard.nodes.join(", ")),
        ("Vector Count", grouped(shard.vector_count)),
        ("Size", bytes(shard.bytes)),
        ("Status", shard.health.to_string()),
    ];
    fields.extend(shard.waits_for.iter().map(|what| ("Waits For", what.clone())));
    fields.extend(shard.bytes_left.iter().map(|left| ("Left", bytes(*left))));
    titled(&format!("Shard {}", shard.shard_id), &fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::shards::example;

    #[test]
    fn a_shard_that_moves_says_what_it_waits_for() {
        let waits_for = Some("n4 to be admitted".to_owned());
        let text = table(&ShardInfo { waits_for, ..example() });
        assert!(text.starts_with("Shard shard-03\n==============\nPrimary Node: n1\n"), "{text}");
        assert!(text.contains("\nNodes: n1, n2\n"), "{text}");
        assert!(text.ends_with("Waits For: n4 to be admitted\nLeft: 1.5 kB\n"), "{text}");
    }
}
