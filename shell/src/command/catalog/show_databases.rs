//! `show dbs`: lists the databases.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["show dbs", "show databases"],
    help: "List the databases",
    driver: &["list_databases"],
    parse: |_| action(ShowDatabases),
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowDatabases;

impl Action for ShowDatabases {
    async fn run(self, session: &mut Session) -> StatementResult {
        let databases = session.client.list_databases().await?;
        Ok(Output::Rows(databases.iter().map(|database| json!(database)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn capitals_spaces_and_the_semicolon_do_not_matter() {
        for text in ["show databases", "Show  DBS ;"] {
            assert_eq!(parsed::<ShowDatabases>(text), ShowDatabases);
        }
    }
}
