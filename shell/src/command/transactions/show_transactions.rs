//! `show transactions`: lists the open transactions of the cluster.

use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::TransactionInfo;
use serde_json::{Value, json};

pub(super) static COMMAND: Command = Command {
    names: &["show transactions"],
    help: "List the open transactions",
    driver: &["list_transactions"],
    parse: |_| action(ShowTransactions),
    ..Command::READ
};

#[derive(Debug)]
struct ShowTransactions;

impl Action for ShowTransactions {
    async fn run(self, session: &mut Session) -> StatementResult {
        Ok(report(&session.client.list_transactions().await?, session.format()))
    }
}

fn report(transactions: &[TransactionInfo], format: Format) -> Output {
    let text = match transactions {
        [] => "No transaction is open.\n".to_owned(),
        transactions => rows(&transactions.iter().map(row).collect::<Vec<_>>(), format),
    };
    Output::Report { text, answer: json!(transactions) }
}

fn row(one: &TransactionInfo) -> Value {
    json!({
        "id": one.id, "user": one.user, "index": one.index,
        "age": format!("{} s", one.age_ms / 1000), "idle": format!("{} s", one.idle_ms / 1000),
        "reads": one.reads, "writes": one.writes, "bytes": one.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, rendered};

    #[test]
    fn open_transactions_are_rows() {
        let format = Format::plain(Mode::Line);
        assert_eq!(rendered(&report(&[], format)), "No transaction is open.\n");
        let one = TransactionInfo {
            id: "t1".into(),
            user: "ada".into(),
            index: 5,
            age_ms: 61_500,
            idle_ms: 900,
            reads: 3,
            writes: 2,
            bytes: 40,
        };
        let text = rendered(&report(&[one], format));
        assert!(text.contains("age    = 61 s\nidle   = 0 s\n"), "{text}");
    }
}
