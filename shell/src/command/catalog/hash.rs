//! `hash`: shows hashes of a database, by which nodes can be compared.

use crate::command::Argument::Optional;
use crate::command::{Action, Command, Kind, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::HashReply;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["hash"],
    arguments: &[Optional(Kind::Database)],
    help: "Show hashes, equal on all nodes at the same log index",
    driver: &["hash"],
    parse: |words| action(ShowHash { database: words.optional()? }),
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowHash {
    /// The database in use when it is left out.
    database: Option<String>,
}

impl Action for ShowHash {
    async fn run(self, session: &mut Session) -> StatementResult {
        let database = match &self.database {
            Some(name) => name,
            None => session.need_database()?,
        };
        Ok(report(&session.client.hash(database).await?, session.format()))
    }
}

fn report(reply: &HashReply, format: Format) -> Output {
    let collections = reply.collections.iter();
    let table: Vec<Value> = collections
        .map(|(name, hash)| {
            json!({"collection": name, "documents": hash.documents, "indexes": hash.indexes})
        })
        .collect();
    let mut text = rows(&table, format);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text += &format!("At log index {}.\n", reply.index);
    Output::Report { text, answer: json!(reply) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_database_may_be_named() {
        let hash = |database: Option<&str>| ShowHash { database: database.map(str::to_owned) };
        assert_eq!(parsed::<ShowHash>("hash shop"), hash(Some("shop")));
        assert_eq!(parsed::<ShowHash>("hash"), hash(None));
    }
}
