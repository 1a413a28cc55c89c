//! `node start`: starts a node on the machine of the node that answers.

use crate::command::Argument::{Optional, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::NewProcess;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["node start"],
    arguments: &[
        Optional(Kind::Other("name")),
        Valued("--port", "number", Kind::Other("number")),
        Valued("--config", "name", Kind::Other("name")),
    ],
    help: "Start a node beside the one that answers",
    examples: &["node start", "node start db-node-4 --port 8083"],
    driver: &["start_node"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct StartProcess {
    new: NewProcess,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut new = NewProcess::default();
    let mut flags = |words: &mut Words<'_>| {
        words.flags(|flag, words| {
            match flag {
                "--port" => {
                    let port = words.number("--port")?;
                    let port = u16::try_from(port).map_err(|_| format!("{port} is no port"))?;
                    new.port = Some(port);
                }
                "--config" => new.config_file = Some(words.required("the configuration")?),
                _ => return Ok(false),
            }
            Ok(true)
        })
    };
    flags(words)?;
    let name = words.optional()?;
    flags(words)?;
    new.node_id = name;
    action(StartProcess { new })
}

impl Action for StartProcess {
    async fn run(self, session: &mut Session) -> StatementResult {
        let started = session.client.start_node(&self.new).await?;
        let text = format!(
            "{}: {}, process {}.\n",
            started.message, started.node_address, started.process_info.pid
        );
        Ok(Output::Report { text, answer: json!(started) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn a_name_and_a_port_are_optional() {
        assert_eq!(
            parsed::<StartProcess>("node start"),
            StartProcess { new: NewProcess::default() }
        );
        let named = NewProcess {
            node_id: Some("n4".into()),
            port: Some(8083),
            config_file: Some("small".into()),
            host: None,
        };
        let text = "node start n4 --port 8083 --config small";
        assert_eq!(parsed::<StartProcess>(text), StartProcess { new: named });
        assert!(parse("node start n4 --port 70000").unwrap_err().contains("no port"));
    }
}
