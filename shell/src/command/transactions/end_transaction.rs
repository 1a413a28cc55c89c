//! `end transaction`: rolls back a transaction by its id, also one of another client.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["end transaction"],
    arguments: &[Required(Kind::Transaction)],
    help: "Roll back the transaction with this id",
    driver: &["end_transaction"],
    parse: |words| action(EndTransaction { id: words.required("the transaction")? }),
    ..Command::WRITE
};

#[derive(Debug, PartialEq)]
struct EndTransaction {
    id: String,
}

impl Action for EndTransaction {
    async fn run(self, session: &mut Session) -> StatementResult {
        let id = self.id;
        session.client.end_transaction(&id).await?;
        if session.transaction_id() == Some(&id) {
            session.transaction = None;
        }
        done(format!("Ended transaction {id}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn the_id_must_be_there() {
        let expected = EndTransaction { id: "t1".into() };
        assert_eq!(parsed::<EndTransaction>("end transaction t1"), expected);
        let error = parse("end transaction").unwrap_err();
        assert!(error.contains("the transaction is missing"), "{error}");
    }
}
