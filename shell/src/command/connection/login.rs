//! `login`: logs in as another user.

use crate::command::Argument::{Optional, Required};
use crate::command::{Action, Command, Kind, action};
use crate::session::{PASSWORD_IN_SCRIPTS, Session, StatementResult, local};

pub(super) static COMMAND: Command = Command {
    names: &["login"],
    arguments: &[Required(Kind::User), Optional(Kind::Other("password"))],
    help: "Log in; asks for a password that is left out",
    driver: &["login", "credentials"],
    holds_secret: |line| line.split_whitespace().count() > 2,
    parse: |words| action(Login { user: words.required("the user")?, password: words.optional()? }),
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct Login {
    user: String,
    /// Asked for when it is left out.
    password: Option<String>,
}

impl Action for Login {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Login { user, password } = self;
        let password = match password {
            Some(password) => password,
            None => session.ask_secret("Password: ", PASSWORD_IN_SCRIPTS)?,
        };
        let reply = session.client.login(&user, &password).await?;
        let role = reply.role.map_or(String::new(), |role| format!(" ({role})"));
        let text = format!("Logged in as {user}{role}.");
        session.use_password(&user, password)?;
        session.learn_members().await?;
        local(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn the_password_may_be_left_out() {
        let login = |password: Option<&str>| Login {
            user: "ada".into(),
            password: password.map(str::to_owned),
        };
        assert_eq!(parsed::<Login>("login ada"), login(None));
        assert_eq!(parsed::<Login>("LOGIN ada 'a b'"), login(Some("a b")));
    }
}
