//! `cluster token`: creates a token with which one new node can join.

use crate::command::Argument::Valued;
use crate::command::users::milliseconds;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Output, printable, time};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::TokenReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["cluster token", "federated token"],
    arguments: &[Valued("--hours", "N", Kind::Other("N"))],
    help: "Create a token with which one new node can join, and show it once",
    examples: &["cluster token --hours 2"],
    driver: &["create_join_token", "cluster_status"],
    parse: read,
    ..Command::WRITE
};

const HOUR_MS: u64 = 3_600_000;

#[derive(Debug, PartialEq)]
struct CreateJoinToken {
    /// After which it ends unused.
    hours: Option<u64>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut hours = None;
    words.flags(|flag, words| {
        hours = match flag {
            "--hours" => Some(words.number(flag)?),
            _ => return Ok(false),
        };
        Ok(true)
    })?;
    action(CreateJoinToken { hours })
}

impl Action for CreateJoinToken {
    /// Creates the token, and finds the node that a new one is to ask.
    async fn run(self, session: &mut Session) -> StatementResult {
        let expires_in_ms = self.hours.map(|hours| milliseconds(hours, HOUR_MS)).transpose()?;
        let client = &session.client;
        let status = client.cluster_status().await?;
        let leader = status.nodes.iter().find(|node| Some(&node.key) == status.leader_id.as_ref());
        let leader = leader.map_or_else(|| client.target(), |node| node.url.clone());
        let created = client.create_join_token(expires_in_ms).await?;
        Ok(report(&created, &leader))
    }
}

/// The token, and the command that starts a node with it.
fn report(created: &TokenReply, leader: &str) -> Output {
    let command = format!(
        "jettradb --distributed --peers {} --join-token {} --port 8080 --data-dir data",
        printable(leader),
        created.token
    );
    let until = created.info.expires_ms.map_or(String::new(), |ms| format!(" until {}", time(ms)));
    let text = format!(
        "{}\nThis token admits one node{until}. It is not shown again. Start the new node with:\n  \
         {command}\nOn another machine, add --host and --advertise-url with its address.\n",
        created.token
    );
    let mut answer = json!(created);
    answer["command"] = command.into();
    Output::Report { text, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use crate::print::rendered;

    #[test]
    fn hours_may_be_given() {
        let token = |hours| CreateJoinToken { hours };
        assert_eq!(parsed::<CreateJoinToken>("cluster token"), token(None));
        assert_eq!(parsed::<CreateJoinToken>("federated token --hours 2"), token(Some(2)));
    }

    #[test]
    fn a_join_token_comes_with_the_whole_command() {
        let created = serde_json::from_value(json!({
            "token": "jettra_join_0f_secret", "id": "0f", "kind": "join", "user": "ada",
            "created_ms": 0, "expires_ms": 3_600_000,
        }));
        let text = rendered(&report(&created.unwrap(), "http://h:1"));
        let command =
            "jettradb --distributed --peers http://h:1 --join-token jettra_join_0f_secret";
        assert!(text.contains(command), "{text}");
    }
}
