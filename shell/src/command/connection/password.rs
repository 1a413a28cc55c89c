//! `password`: changes the password of the user.

use crate::command::Argument::Optional;
use crate::command::{Action, Command, Kind, action};
use crate::session::{PASSWORD_IN_SCRIPTS, Session, StatementResult, done, refused};

pub(super) static COMMAND: Command = Command {
    names: &["password"],
    arguments: &[Optional(Kind::Other("old")), Optional(Kind::Other("new"))],
    help: "Change your password; asks for passwords that are left out",
    driver: &["change_password"],
    holds_secret: |line| line.split_whitespace().count() > 1,
    parse: |words| {
        let passwords = match words.optional()? {
            Some(old) => Some((old, words.required("the new password")?)),
            None => None,
        };
        action(ChangePassword { passwords })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct ChangePassword {
    /// The old and the new one; asked for when they are left out.
    passwords: Option<(String, String)>,
}

impl Action for ChangePassword {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Some(user) = session.user().map(str::to_owned) else {
            return refused("log in with your password first; type: login <user>".into());
        };
        let (old, new) = match self.passwords {
            Some(passwords) => passwords,
            None => (
                session.ask_secret("Old password: ", PASSWORD_IN_SCRIPTS)?,
                session.ask_secret_twice("New password: ", PASSWORD_IN_SCRIPTS)?,
            ),
        };
        session.client.change_password(&old, &new).await?;
        session.use_password(&user, new)?;
        done("Changed the password.".into())
    }
}
