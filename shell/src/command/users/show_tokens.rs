//! `show tokens`: lists sessions, API keys and join tokens.

use super::rights::databases;
use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows, time};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{TokenInfo, TokenKind};
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["show tokens", "show keys"],
    help: "List your sessions and API keys; administrators see all",
    driver: &["list_tokens"],
    in_transaction: false,
    parse: |_| action(ShowTokens),
    ..Command::READ
};

#[derive(Debug)]
struct ShowTokens;

impl Action for ShowTokens {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.list_tokens().await?, session.format()))
    }
}

fn report(tokens: &[TokenInfo], format: Format) -> Output {
    let text = match tokens {
        [] => "There are no sessions and no keys.\n".to_owned(),
        tokens => rows(&tokens.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(tokens) }
}

fn row(token: &TokenInfo) -> Value {
    json!({
        "id": token.id, "kind": kind(token.kind), "user": token.user,
        "name": token.name.as_deref().unwrap_or_default(), "may": limits(token),
        "created": time(token.created_ms), "ends": token.expires_ms.map_or("never".into(), time),
    })
}

fn kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Session => "session",
        TokenKind::ApiKey => "API key",
        TokenKind::Join => "join token",
    }
}

/// The most that a token may do, in words.
fn limits(token: &TokenInfo) -> String {
    let role = token.role.as_deref();
    match (token.kind, role, &token.databases) {
        (TokenKind::Join, ..) => "admit one node".to_owned(),
        (_, None, None) => "all that its user may do".to_owned(),
        (_, role, None) => role.unwrap_or_default().to_owned(),
        (_, role, Some(names)) => {
            format!("{} in {}", role.unwrap_or("all"), databases(None, names))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};

    #[test]
    fn the_limits_of_a_token_are_words() {
        let info: TokenInfo = serde_json::from_value(json!({
            "id": "0f", "kind": "api_key", "user": "ada", "role": "reader",
            "databases": ["shop"], "created_ms": 0,
        }))
        .unwrap();
        let unlimited = TokenInfo { role: None, databases: None, ..info.clone() };
        let all = TokenInfo { role: None, ..info.clone() };
        let table = [
            (&info, "reader in shop"),
            (&all, "all in shop"),
            (&unlimited, "all that its user may do"),
        ];
        for (token, expected) in table {
            assert_eq!(limits(token), expected);
        }
        assert!(rendered(&report(&[], Format::plain(Mode::Compact))).contains("no sessions"));
    }
}
