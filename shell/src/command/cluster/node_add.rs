//! `node add`: adds a node, and waits until it is connected.

use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["node add", "member add"],
    arguments: &[
        Required(Kind::Url),
        Valued("--name", "node", Kind::Other("name")),
        Valued("--peer-urls", "url", Kind::Url),
    ],
    help: "Add a node, and wait until it is connected",
    examples: &[
        "node add http://127.0.0.1:8081 --name node2",
        "member add node2 --peer-urls=http://127.0.0.1:8081",
    ],
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

/// The address, or as etcdctl has it the name, with the address after `--peer-urls`.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let first = words.required("the address")?;
    let (mut name, mut peer_url) = (None, None);
    words.flags(|flag, words| {
        let (flag, given) = match flag.split_once('=') {
            Some((flag, given)) => (flag, Some(given.to_owned())),
            None => (flag, None),
        };
        let place = match flag {
            "--name" => &mut name,
            "--peer-urls" => &mut peer_url,
            _ => return Ok(false),
        };
        let missing = format!("the value after {flag}");
        *place = Some(given.map_or_else(|| words.required(&missing), Ok)?);
        Ok(true)
    })?;
    match (name, peer_url) {
        (Some(_), Some(_)) => Err("with --peer-urls the name stands first, without --name".into()),
        (None, Some(url)) if url.contains(',') => {
            Err(format!("a node has one address, --peer-urls has several: {url}"))
        }
        (None, Some(url)) => action(NodeAdd { url, name: Some(first) }),
        (name, None) => action(NodeAdd { url: first, name }),
    }
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
    use crate::command::{parse, parsed};

    #[test]
    fn a_name_may_be_expected() {
        let added =
            |name: Option<&str>| NodeAdd { url: "http://n2".into(), name: name.map(str::to_owned) };
        assert_eq!(parsed::<NodeAdd>("node add http://n2"), added(None));
        assert_eq!(parsed::<NodeAdd>("node add http://n2 --name n2"), added(Some("n2")));
        for text in ["member add n2 --peer-urls=http://n2", "member add n2 --peer-urls http://n2"] {
            assert_eq!(parsed::<NodeAdd>(text), added(Some("n2")), "{text}");
        }
        for (text, expected) in [
            ("member add n2 --peer-urls http://a,http://b", "one address"),
            ("member add n2 --name n2 --peer-urls http://a", "without --name"),
            ("member add n2 --peer-urls", "the value after --peer-urls is missing"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
