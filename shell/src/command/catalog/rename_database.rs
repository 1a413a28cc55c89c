//! `rename db`: renames a database.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["rename db", "rename database"],
    arguments: &[Required(Kind::Database), Required(Kind::Other("new-name"))],
    help: "Rename a database",
    driver: &["rename_database"],
    parse: |words| {
        let from = words.required("the database")?;
        action(RenameDatabase { from, to: words.required("the new name")? })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct RenameDatabase {
    from: String,
    to: String,
}

impl Action for RenameDatabase {
    async fn run(self, session: &mut Session) -> StatementResult {
        let RenameDatabase { from, to } = self;
        session.client.rename_database(&from, &to).await?;
        let text = format!("Renamed database {from} to {to}.");
        if session.database.as_ref() == Some(&from) {
            session.database = Some(to);
        }
        done(text)
    }
}
