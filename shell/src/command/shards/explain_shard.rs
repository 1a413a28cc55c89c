//! `shard explain`: explains why the replicas of a shard are on their nodes.

use super::shard;
use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ShardExplanation, ShardNode};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["shard explain"],
    arguments: &[Required(Kind::Other("shard"))],
    help: "Explain why the replicas of a shard are on their nodes",
    examples: &["shard explain shard-03", "shard explain 3"],
    driver: &["explain_shard"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ExplainShard {
    shard: String,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ExplainShard { shard: shard(words)? })
}

impl Action for ExplainShard {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.explain_shard(&self.shard).await?, session.format()))
    }
}

fn report(shard: &ShardExplanation, format: Format) -> Output {
    let text = rows(&shard.nodes.iter().map(row).collect::<Vec<_>>(), format);
    Output::Report { text, answer: json!(shard) }
}

fn row(node: &ShardNode) -> Value {
    json!({
        "node": node.node, "holds": if node.holds { "yes" } else { "no" },
        "order": node.order.map(|order| order.to_string()).unwrap_or_default(),
        "other replicas": node.other_replicas, "zone": node.zone.as_deref().unwrap_or_default(),
        "reason": node.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::{Mode, rendered};

    #[test]
    fn each_node_has_its_reason() {
        let explain = ExplainShard { shard: "shard-03".into() };
        assert_eq!(parsed::<ExplainShard>("shard explain 3"), explain);
        let node = ShardNode {
            node: "n1".into(),
            holds: true,
            zone: Some("z1".into()),
            other_replicas: 2,
            order: Some(1),
            reason: "it would be chosen again".into(),
        };
        let (shard_id, nodes) = ("shard-03".into(), vec![node]);
        let shard = ShardExplanation { shard_id, replication_factor: 3, epoch: 7, nodes };
        let text = rendered(&report(&shard, Format::plain(Mode::Line)));
        assert!(text.contains("holds          = yes\n"), "{text}");
        assert!(text.contains("zone           = z1\n"), "{text}");
    }
}
