//! `use`: chooses the database of the statements that follow.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::lookup::suggestion;
use crate::session::{Session, StatementResult, local, refused};

pub(super) static COMMAND: Command = Command {
    names: &["use"],
    arguments: &[Required(Kind::Database)],
    help: "Choose the database of the statements that follow",
    driver: &["list_databases"],
    parse: |words| action(Use { name: words.required("the database")? }),
    ..Command::READ
};

#[derive(Debug)]
struct Use {
    name: String,
}

impl Action for Use {
    async fn run(self, session: &mut Session) -> StatementResult {
        let name = self.name;
        let databases = session.client.list_databases().await?;
        if !databases.iter().any(|database| database.name == name) {
            let names = databases.iter().map(|database| database.name.as_str());
            let meant = suggestion(&name, names);
            return refused(format!(
                "there is no database {name:?}{meant}; create it with: create db {name}"
            ));
        }
        session.database = Some(name.clone());
        local(format!("Using database {name}."))
    }
}
