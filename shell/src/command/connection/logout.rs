//! `logout`: ends the login.

use crate::command::{Action, Command, action};
use crate::session::{Credentials, Session, StatementResult, local, refused};

pub(super) static COMMAND: Command = Command {
    names: &["logout"],
    help: "Log out",
    driver: &["logout"],
    parse: |_| action(Logout),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct Logout;

impl Action for Logout {
    async fn run(self, session: &mut Session) -> StatementResult {
        let ended = match session.connection.credentials {
            Some(Credentials::Password { .. }) => session.client.logout().await,
            Some(Credentials::ApiKey(_)) => Ok(()), // the key stays valid, for its programs
            None => return refused("you are not logged in".into()),
        };
        session.use_credentials(None)?;
        ended?;
        local("Logged out.".into())
    }
}
