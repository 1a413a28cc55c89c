//! `revoke token`: revokes a session, an API key or a join token.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["revoke token", "revoke key"],
    arguments: &[Required(Kind::Token)],
    help: "Revoke a session, an API key or a join token",
    driver: &["revoke_token"],
    parse: |words| action(RevokeToken { id: id_of(&words.required("the token")?) }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct RevokeToken {
    id: String,
}

/// The id in a token. A caller that has found a secret can revoke it without sending it anywhere.
fn id_of(token: &str) -> String {
    let inner =
        token.strip_prefix("jettra_").map(|rest| rest.strip_prefix("join_").unwrap_or(rest));
    match inner.and_then(|inner| inner.split_once('_')) {
        Some((id, _)) => id.to_owned(),
        None => token.to_owned(),
    }
}

impl Action for RevokeToken {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.revoke_token(&self.id).await?;
        done(format!("Revoked {}.", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_secret_stands_for_its_id() {
        for token in ["token 0f", "token jettra_0f_secret", "key jettra_join_0f_secret"] {
            let expected = RevokeToken { id: "0f".into() };
            assert_eq!(parsed::<RevokeToken>(&format!("revoke {token}")), expected, "{token}");
        }
    }
}
