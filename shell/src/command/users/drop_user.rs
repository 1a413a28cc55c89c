//! `drop user`: deletes a user.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["drop user"],
    arguments: &[Required(Kind::User)],
    help: "Delete a user with its sessions and keys",
    driver: &["delete_user"],
    parse: |words| action(DropUser { name: words.required("the user")? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct DropUser {
    name: String,
}

impl Action for DropUser {
    async fn run(self, session: &mut Session) -> StatementResult {
        let name = &self.name;
        let warning = format!("Deletes user {name} with its sessions and API keys.");
        session.confirm_name(&warning, name)?;
        session.client.delete_user(name).await?;
        done(format!("Dropped user {name}."))
    }
}
