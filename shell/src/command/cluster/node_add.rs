//! `node add`: adds a node, and waits until it is connected.

use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["node add"],
    arguments: &[Required(Kind::Url), Valued("--name", "node", Kind::Other("name"))],
    help: "Add a node, and wait until it is connected",
    examples: &["node add http://127.0.0.1:8081 --name node2"],
    driver: &["add_node"],
    parse: read,
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct NodeAdd {
    url: String,
    /// The name that it is expected to have.
    name: Option<String>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let url = words.required("the address")?;
    let mut name = None;
    words.flags(|flag, words| {
        match flag {
            "--name" => name = Some(words.required("the name")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(NodeAdd { url, name })
}

impl Action for NodeAdd {
    async fn run(self, session: &mut Session) -> StatementResult {
        let added = session.client.add_node(self.name.as_deref(), &self.url, true).await?;
        done(format!("Added {} at {}.", added.id, added.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_name_may_be_expected() {
        let added =
            |name: Option<&str>| NodeAdd { url: "http://n2".into(), name: name.map(str::to_owned) };
        assert_eq!(parsed::<NodeAdd>("node add http://n2"), added(None));
        assert_eq!(parsed::<NodeAdd>("node add http://n2 --name n2"), added(Some("n2")));
    }
}
