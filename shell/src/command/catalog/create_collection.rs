//! `create col`: creates a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["create col", "create collection", "create table"],
    arguments: &[Required(Kind::Other("new-name"))],
    help: "Create a collection in the current database",
    driver: &["create_collection"],
    parse: |words| action(CreateCollection { name: words.required("the name")? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct CreateCollection {
    name: String,
}

impl Action for CreateCollection {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (database, name) = session.namespace(&self.name).await?;
        session.client.create_collection(&database, &name).await?;
        done(format!("Created collection {database}.{name}."))
    }
}
