//! `show user`: shows one user.

use super::rights::{databases, grants};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::print::{Output, fields, time};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::UserInfo;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["show user"],
    arguments: &[Required(Kind::User)],
    help: "Show one user",
    driver: &["user"],
    in_transaction: false,
    parse: |words| action(ShowUser { name: words.required("the user")? }),
    ..Command::READ
};

#[derive(Debug)]
struct ShowUser {
    name: String,
}

impl Action for ShowUser {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.user(&self.name).await?))
    }
}

fn report(user: &UserInfo) -> Output {
    let mut record = row(user);
    record["created"] = time(user.created_ms).into();
    record["changed"] = time(user.changed_ms).into();
    Output::Report { text: fields(&record), answer: json!(user) }
}

/// A user as a row of a table.
pub(super) fn row(user: &UserInfo) -> Value {
    json!({
        "user": user.username, "role": user.role,
        "databases": databases(Some(&user.role), &user.allowed_dbs),
        "grants": grants(&user.grants),
        "state": if user.disabled { "disabled" } else { "active" },
    })
}

#[cfg(test)]
pub(super) fn ada() -> UserInfo {
    UserInfo {
        id: "ada".into(),
        username: "ada".into(),
        role: "reader".into(),
        allowed_dbs: vec!["shop".into(), "crm".into()],
        grants: [("shop".to_owned(), "owner".to_owned())].into(),
        disabled: true,
        created_ms: 0,
        changed_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::rendered;

    #[test]
    fn an_administrator_has_all_databases() {
        let admin = UserInfo { role: "admin".into(), allowed_dbs: vec![], ..ada() };
        assert!(rendered(&report(&admin)).contains("databases = all"));
    }
}
