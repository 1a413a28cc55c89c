//! `shard migrate`: moves a replica of a shard to another node.

use super::{shard, strategy};
use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::Migration;

pub(super) static COMMAND: Command = Command {
    names: &["shard migrate", "shard move"],
    arguments: &[
        Required(Kind::Other("shard")),
        Valued("--from", "node", Kind::Node),
        Valued("--to", "node", Kind::Node),
        Valued("--strategy", "strategy", Kind::Other("LIVE_COPY, SNAPSHOT or INCREMENTAL")),
    ],
    help: "Move a replica of a shard from one node to another",
    examples: &[
        "shard migrate shard-03 --from n1 --to n4",
        "shard migrate shard-03 --from n1 --to n4 --strategy SNAPSHOT",
    ],
    driver: &["migrate_shard"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct MigrateShard {
    shard: String,
    migration: Migration,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let shard = shard(words)?;
    let (mut from, mut to, mut by) = (None, None, None);
    words.flags(|flag, words| {
        match flag {
            "--from" => from = Some(words.required("the node")?),
            "--to" => to = Some(words.required("the node")?),
            "--strategy" => by = Some(strategy(&words.required("the strategy")?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (Some(from_node), Some(to_node)) = (from, to) else {
        return Err("both nodes are needed: --from <node> --to <node>".into());
    };
    action(MigrateShard { shard, migration: Migration { from_node, to_node, strategy: by } })
}

impl Action for MigrateShard {
    async fn run(self, session: &mut Session) -> StatementResult {
        let MigrateShard { shard, migration } = self;
        session.client.migrate_shard(&shard, &migration).await?;
        let Migration { from_node, to_node, .. } = migration;
        done(format!("{shard} moves from {from_node} to {to_node}; see how far with: shard list"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use jettra_driver::wire::MigrationStrategy;

    #[test]
    fn both_nodes_are_named() {
        let (from_node, to_node) = ("n1".to_owned(), "n4".to_owned());
        let strategy = Some(MigrationStrategy::Snapshot);
        let migration = Migration { from_node, to_node, strategy };
        let moved = MigrateShard { shard: "shard-03".into(), migration };
        let text = "shard migrate 3 --to n4 --from n1 --strategy snapshot";
        assert_eq!(parsed::<MigrateShard>(text), moved);
        assert!(parse(&format!("{text}s")).unwrap_err().contains("LIVE_COPY"));
        assert!(parse("shard migrate 3 --to n4").unwrap_err().contains("--from <node>"));
    }
}
