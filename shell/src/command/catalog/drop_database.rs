//! `drop db`: drops a database.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["drop db", "drop database"],
    arguments: &[Required(Kind::Database)],
    help: "Drop a database with all its documents",
    driver: &["drop_database"],
    parse: |words| action(DropDatabase { name: words.required("the database")? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct DropDatabase {
    name: String,
}

impl Action for DropDatabase {
    async fn run(self, session: &mut Session) -> StatementResult {
        let name = self.name;
        let warning = format!("Drops database {name} with all its documents.");
        session.confirm_name(&warning, &name)?;
        session.client.drop_database(&name).await?;
        if session.database.as_ref() == Some(&name) {
            session.database = None;
        }
        done(format!("Dropped database {name}."))
    }
}
