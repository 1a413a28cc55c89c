//! `show users`: lists the users.

use super::show_user::row;
use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::UserInfo;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["show users"],
    help: "List the users",
    driver: &["list_users"],
    in_transaction: false,
    parse: |_| action(ShowUsers),
    ..Command::READ
};

#[derive(Debug)]
struct ShowUsers;

impl Action for ShowUsers {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.list_users().await?, session.format()))
    }
}

fn report(users: &[UserInfo], format: Format) -> Output {
    let table: Vec<Value> = users.iter().map(row).collect();
    Output::Report { text: rows(&table, format), answer: json!(users) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::users::show_user::ada;
    use crate::print::{Mode, render, rendered};

    #[test]
    fn users_are_shown_with_their_rights() {
        let text = rendered(&report(&[ada()], Format::plain(Mode::Compact)));
        for part in ["ada", "reader", "shop, crm", "shop=owner", "disabled"] {
            assert!(text.contains(part), "{text}");
        }
        let json = Format::plain(Mode::Ndjson);
        let text = render(&report(&[ada()], json), json);
        assert!(text.starts_with("{\"_id\":\"ada\"") && text.ends_with("}\n"), "{text}");
    }
}
