//! `kv delete`: deletes a key.

use super::key;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["kv delete"],
    arguments: &[Required(Kind::Other("key"))],
    help: "Delete a key; succeeds if it does not exist",
    examples: &["kv delete user:1"],
    driver: &["kv_delete"],
    parse: |words| action(DeleteKey { key: key(words)? }),
    ..Command::WRITE
};

#[derive(Debug)]
struct DeleteKey {
    key: String,
}

impl Action for DeleteKey {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.kv_delete(&self.key).await?;
        done(format!("Key '{}' deleted.", self.key))
    }
}
