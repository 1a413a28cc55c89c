//! `whoami`: shows the user of the shell and its rights.

use crate::command::users::{databases, grants};
use crate::command::{Action, Command, action};
use crate::print::{Output, fields};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::SessionReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["whoami", "session"],
    help: "Show your user, its role and its databases",
    driver: &["session"],
    parse: |_| action(WhoAmI),
    ..Command::READ
};

#[derive(Debug)]
struct WhoAmI;

impl Action for WhoAmI {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.session().await?))
    }
}

fn report(session: &SessionReply) -> Output {
    let role = session.role.as_deref();
    let mut record = json!({
        "user": session.username, "role": role.unwrap_or_default(),
        "databases": databases(role, &session.allowed_dbs),
    });
    if !session.grants.is_empty() {
        record["grants"] = grants(&session.grants).into();
    }
    Output::Report { text: fields(&record), answer: json!(session) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::rendered;
    use serde_json::Value;

    #[test]
    fn a_session_shows_the_rights_of_its_user() {
        let shown = |reply: Value| rendered(&report(&serde_json::from_value(reply).unwrap()));
        let text = shown(json!({
            "username": "ada", "role": "reader", "allowed_dbs": ["shop"], "grants": {"crm": "owner"},
        }));
        assert!(text.contains("databases = shop\n") && text.contains("crm=owner"), "{text}");
        let text = shown(json!({"username": "admin", "role": "admin", "allowed_dbs": ["*"]}));
        assert!(text.contains("all\n") && !text.contains("grants"), "{text}");
    }
}
