//! `versions`: shows whether a collection keeps versions.

use super::summary;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["versions"],
    arguments: &[Required(Kind::Collection)],
    help: "Show whether versions are kept, and how many",
    driver: &["versions"],
    parse: |words| action(ShowVersions { collection: arguments::collection(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct ShowVersions {
    collection: String,
}

impl Action for ShowVersions {
    async fn run(self, session: &mut Session) -> StatementResult {
        let reply = session.collection_outside(&self.collection).await?.versions().await?;
        Ok(Output::Report { text: summary(&self.collection, &reply), answer: json!(reply) })
    }
}
