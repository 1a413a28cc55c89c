//! `drop col`: drops a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["drop col", "drop collection", "drop table"],
    arguments: &[Required(Kind::Collection)],
    help: "Drop a collection with all its documents",
    driver: &["drop_collection"],
    parse: |words| action(DropCollection { name: arguments::collection(words)? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct DropCollection {
    name: String,
}

impl Action for DropCollection {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (database, name) = session.namespace(&self.name).await?;
        let warning = format!("Drops collection {database}.{name} with all its documents.");
        session.confirm_name(&warning, &name)?;
        session.client.drop_collection(&database, &name).await?;
        done(format!("Dropped collection {database}.{name}."))
    }
}
