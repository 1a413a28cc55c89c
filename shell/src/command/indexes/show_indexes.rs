//! `indexes`: lists the indexes of a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::indexes;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["indexes"],
    arguments: &[Required(Kind::Collection)],
    help: "List the indexes of a collection",
    driver: &["list_indexes"],
    parse: |words| action(ShowIndexes { collection: arguments::collection(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct ShowIndexes {
    collection: String,
}

impl Action for ShowIndexes {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection_outside(&self.collection).await?;
        Ok(indexes(&collection.list_indexes().await?, session.format()))
    }
}
