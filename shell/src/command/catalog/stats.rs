//! `stats`: shows number and size of the documents and indexes of a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::{Format, Output, fields, index_table};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::StatsReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["stats"],
    arguments: &[Required(Kind::Collection)],
    help: "Show number and size of documents and indexes",
    driver: &["stats"],
    parse: |words| action(Stats { collection: arguments::collection(words)? }),
    ..Command::READ
};

#[derive(Debug)]
struct Stats {
    collection: String,
}

impl Action for Stats {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection_outside(&self.collection).await?;
        Ok(report(&collection.stats().await?, session.format()))
    }
}

/// The statistics of a collection, then its indexes.
fn report(reply: &StatsReply, format: Format) -> Output {
    let record = json!({
        "documents": reply.documents, "bytes": reply.bytes,
        "average_bytes": reply.average_bytes, "schema": reply.schema,
    });
    let text = fields(&record) + &index_table(&reply.indexes, format);
    Output::Report { text, answer: json!(reply) }
}
