//! `shard show`: shows one shard.

use super::{row, shard};
use crate::command::Argument::Required;
use crate::command::groups::waiting;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, rows};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["shard show"],
    arguments: &[Required(Kind::Other("shard"))],
    help: "Show a shard, such as shard-03",
    examples: &["shard show shard-03", "shard show 3"],
    driver: &["shard"],
    parse: read,
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowShard {
    shard: String,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    action(ShowShard { shard: shard(words)? })
}

impl Action for ShowShard {
    async fn run(self, session: &mut Session) -> StatementResult {
        let shard = session.client.shard(&self.shard).await?;
        let waits = waiting(shard.waits_for.as_deref());
        let text = waits + &rows(&[row(&shard)], session.format());
        Ok(Output::Report { text, answer: json!(shard) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn the_number_is_enough() {
        let shown = ShowShard { shard: "shard-03".into() };
        assert_eq!(parsed::<ShowShard>("shard show 3"), shown);
        assert_eq!(parsed::<ShowShard>("shard show shard-03"), shown);
    }
}
