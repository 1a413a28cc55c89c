//! `kv set`: sets a key to a value.

use super::key;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["kv set"],
    arguments: &[Required(Kind::Other("key")), Required(Kind::Other("json"))],
    help: "Set a key to any JSON; a text stands in quotes",
    examples: &["kv set user:1 \"Alice\"", "kv set config:theme {name: \"dark\"}"],
    driver: &["kv_set"],
    parse: |words| {
        let key = key(words)?;
        action(SetKey { key, value: words.json("the value, such as \"Alice\",")? })
    },
    ..Command::WRITE
};

#[derive(Debug)]
struct SetKey {
    key: String,
    value: Value,
}

impl Action for SetKey {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.kv_set(&self.key, &self.value).await?;
        done(format!("Key '{}' set.", self.key))
    }
}
