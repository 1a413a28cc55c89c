//! `show collections`: lists the collections of the database in use.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["show collections", "show cols", "show tables"],
    help: "List the collections of the current database",
    driver: &["list_collections"],
    parse: |_| action(ShowCollections),
    ..Command::READ
};

#[derive(Debug)]
struct ShowCollections;

impl Action for ShowCollections {
    async fn run(self, session: &mut Session) -> StatementResult {
        let names = session.client.list_collections(session.need_database()?).await?;
        Ok(Output::Rows(names.iter().map(|name| json!({"collection": name})).collect()))
    }
}
