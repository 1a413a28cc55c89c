//! `kv get`: shows the value of a key.

use super::key;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["kv get"],
    arguments: &[Required(Kind::Other("key"))],
    help: "Show the value of a key; null if it does not exist",
    examples: &["kv get user:1"],
    driver: &["kv_get"],
    parse: |words| action(GetKey { key: key(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct GetKey {
    key: String,
}

impl Action for GetKey {
    async fn run(self, session: &mut Session) -> StatementResult {
        let value = session.client.kv_get(&self.key).await?.unwrap_or_default();
        Ok(Output::Report { text: format!("{value}\n"), answer: value })
    }
}
