//! `begin`: begins a transaction, to which the statements that follow belong.

use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult, refused};
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["begin", "begin transaction", "start transaction"],
    help: "Begin a transaction, for the statements that follow",
    driver: &["begin", "client"],
    parse: |_| action(Begin),
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct Begin;

impl Action for Begin {
    async fn run(self, session: &mut Session) -> StatementResult {
        if session.transaction.is_some() {
            return refused("a transaction is open; end it with commit or rollback first".into());
        }
        let transaction = session.client.begin().await?;
        let begun = transaction.begun();
        let text = format!(
            "Began transaction {}. It reads the state of log index {}, and is rolled back after \
             {} s without a statement.",
            begun.id,
            begun.index,
            begun.idle_ms / 1000
        );
        let answer = json!(begun);
        session.transaction = Some(transaction);
        Ok(Output::Changed { text, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn the_words_of_sql_are_understood() {
        for text in ["begin", "BEGIN TRANSACTION;", "start transaction"] {
            assert_eq!(parsed::<Begin>(text), Begin, "{text}");
        }
    }
}
