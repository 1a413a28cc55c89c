//! `connect`: connects to another cluster, or to another node of the same one.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Credentials, Session, StatementResult, local};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["connect", "connect federated"],
    arguments: &[Required(Kind::Url)],
    help: "Connect to the cluster of this node, and follow its leader",
    driver: &["builder", "seeds", "health"],
    holds_secret: holds_password,
    parse: |words| action(Connect { url: address(words)?, stay: false }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
pub(super) struct Connect {
    pub(super) url: String,
    /// Talk to this node only.
    pub(super) stay: bool,
}

/// An address may have a user and a password before its host.
pub(super) fn holds_password(line: &str) -> bool {
    line.contains('@')
}

pub(super) fn address(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the address of a node, for example http://127.0.0.1:8080,")
}

impl Action for Connect {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (node, status) = session.reconnect(self.url.clone(), self.stay).await?;
        let login = match &session.connection.credentials {
            Some(Credentials::Password { user, .. }) => format!("as {user}"),
            Some(Credentials::ApiKey(_)) => "with an API key".into(),
            None => "not logged in; type: login <user>".into(),
        };
        let status = status.replace('_', " ");
        local(format!("Connected to {} ({node}, {status}), {login}.", self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn connect_with_and_without_the_word_node() {
        let expected = |stay| Connect { url: "http://h:1".into(), stay };
        assert_eq!(parsed::<Connect>("connect http://h:1"), expected(false));
        assert_eq!(parsed::<Connect>("connect node http://h:1"), expected(true));
        assert!(parse("connect").unwrap_err().contains("connect <url>"));
    }
}
