//! `schema`: shows the JSON Schema of a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{SchemaMode, SchemaReply};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["schema"],
    arguments: &[Required(Kind::Collection)],
    help: "Show the JSON Schema of a collection",
    driver: &["schema"],
    parse: |words| action(ShowSchema { collection: arguments::collection(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct ShowSchema {
    collection: String,
}

impl Action for ShowSchema {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.collection_outside(&self.collection).await?.schema().await?))
    }
}

/// The schema, and what happens to a document that breaks it.
fn report(reply: &SchemaReply) -> Output {
    let text = match (&reply.schema, reply.mode) {
        (None, _) => "There is no schema.\n".to_owned(),
        (Some(schema), SchemaMode::Error) => format!("Refuses what breaks it:\n{schema:#}\n"),
        (Some(schema), SchemaMode::Warn) => format!("Warns of what breaks it:\n{schema:#}\n"),
    };
    Output::Report { text, answer: json!(reply) }
}
