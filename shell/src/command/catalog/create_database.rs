//! `create db`: creates a database.

use crate::command::Argument::{Optional, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["create db", "create database"],
    arguments: &[Required(Kind::Other("new-name")), Optional(Kind::Other("group N"))],
    help: "Create a database, in the group that is named",
    examples: &["create db shop", "create db shop group 3"],
    driver: &["create_database", "create_database_in"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct CreateDatabase {
    name: String,
    /// The storage engine that JettraDBVM's users name; there is one only.
    engine: Option<String>,
    /// The group that is to hold it.
    group: Option<u64>,
}

/// `<name> [engine <name>]`, as JettraDBVM has it, and `[group <number>]`.
fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let name = words.required("the name")?;
    let engine = match words.keyword("engine") {
        true => Some(words.required("the engine")?),
        false => None,
    };
    let group = match words.keyword("group") {
        true => Some(words.number("group")?),
        false => None,
    };
    action(CreateDatabase { name, engine, group })
}

impl Action for CreateDatabase {
    async fn run(self, session: &mut Session) -> StatementResult {
        let CreateDatabase { name, engine, group } = self;
        match group {
            Some(group) => session.client.create_database_in(&name, group).await?,
            None => session.client.create_database(&name).await?,
        }
        let engine = engine.map(|_| " Every database has the same storage engine.");
        done(format!("Created database {name}.{}", engine.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn an_engine_may_be_named() {
        let created = |engine: Option<&str>| CreateDatabase {
            name: "shop".into(),
            engine: engine.map(str::to_owned),
            group: None,
        };
        let in_group = CreateDatabase { group: Some(3), ..created(None) };
        assert_eq!(parsed::<CreateDatabase>("create db shop group 3"), in_group);
        assert_eq!(parsed::<CreateDatabase>("create database shop"), created(None));
        let text = "create db shop engine JettraBasicStore";
        assert_eq!(parsed::<CreateDatabase>(text), created(Some("JettraBasicStore")));
    }
}
