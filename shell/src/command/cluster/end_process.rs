//! `node end`: removes the node at an address, and stops its process.

use crate::command::Argument::{Flag, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["node end"],
    arguments: &[Required(Kind::Other("address")), Flag("--keep-process")],
    help: "Remove the node at an address, and stop its process",
    examples: &["node end 127.0.0.1:8083", "node end 127.0.0.1:8083 --keep-process"],
    driver: &["end_node"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct EndProcess {
    address: String,
    /// Whether its process is stopped too.
    stop: bool,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let before = words.flag("--keep-process");
    let address = words.required("the address of the node")?;
    let keep = before || words.flag("--keep-process");
    action(EndProcess { address, stop: !keep })
}

impl Action for EndProcess {
    async fn run(self, session: &mut Session) -> StatementResult {
        let address = &self.address;
        session.confirm_yes(&format!("Removes the node at {address} from the cluster."))?;
        let ended = session.client.end_node(&self.address, self.stop).await?;
        let process = match (self.stop, ended.process_stopped) {
            (_, true) => "its process was stopped",
            (true, false) => "it had no process any more",
            (false, false) => "its process goes on",
        };
        let text = format!("{}; {process}.\n", ended.message);
        Ok(Output::Report { text, answer: json!(ended) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn the_process_is_stopped_unless_it_is_kept() {
        let ended = |stop| EndProcess { address: "h:1".into(), stop };
        assert_eq!(parsed::<EndProcess>("node end h:1"), ended(true));
        assert_eq!(parsed::<EndProcess>("node end h:1 --keep-process"), ended(false));
    }
}
