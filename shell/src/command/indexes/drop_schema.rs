//! `schema drop`: removes the JSON Schema of a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["schema drop"],
    arguments: &[Required(Kind::Collection)],
    help: "Remove the JSON Schema",
    driver: &["drop_schema"],
    parse: |words| action(DropSchema { collection: arguments::collection(words)? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct DropSchema {
    collection: String,
}

impl Action for DropSchema {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.collection_outside(&self.collection).await?.drop_schema().await?;
        done(format!("Removed the schema of {}.", self.collection))
    }
}
