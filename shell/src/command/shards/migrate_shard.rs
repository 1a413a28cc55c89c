//! `shard migrate`: moves a replica of a shard to another node.

use super::shard;
use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{Migration, MigrationStrategy};

pub(super) static COMMAND: Command = Command {
    names: &["shard migrate", "shard move"],
    arguments: &[
        Required(Kind::Other("shard")),
        Valued("--from", "node", Kind::Node),
        Valued("--to", "node", Kind::Node),
    ],
    help: "Move a replica of a shard from one node to another",
    examples: &["shard migrate shard-03 --from n1 --to n4"],
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
    let (mut from, mut to) = (None, None);
    words.flags(|flag, words| {
        match flag {
            "--from" => from = Some(words.required("the node")?),
            "--to" => to = Some(words.required("the node")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (Some(from_node), Some(to_node)) = (from, to) else {
        return Err("both nodes are needed: --from <node> --to <node>".into());
    };
    let strategy = MigrationStrategy::LiveCopy;
    action(MigrateShard { shard, migration: Migration { from_node, to_node, strategy } })
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

    #[test]
    fn both_nodes_are_named() {
        let (from_node, to_node) = ("n1".to_owned(), "n4".to_owned());
        let migration = Migration { from_node, to_node, strategy: MigrationStrategy::LiveCopy };
        let moved = MigrateShard { shard: "shard-03".into(), migration };
        assert_eq!(parsed::<MigrateShard>("shard migrate 3 --to n4 --from n1"), moved);
        assert!(parse("shard migrate 3 --to n4").unwrap_err().contains("--from <node>"));
    }
}
