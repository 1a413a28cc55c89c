//! `show transactions`: lists the open transactions of the cluster.

use crate::command::groups::missing;
use crate::command::{Action, Command, action};
use crate::print::{Format, Output, rows};
use crate::session::{Session, StatementResult};
use jettra_driver::wire::{TransactionInfo, TransactionsReply};
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

fn report(reply: &TransactionsReply, format: Format) -> Output {
    let text = match reply.transactions.as_slice() {
        [] => "No transaction is open.\n".to_owned(),
        transactions => rows(&transactions.iter().map(row).collect::<Vec<_>>(), format),
    };
    let text = text + &missing(&reply.missing_groups);
    Output::Report { text, answer: json!(reply.transactions) }
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
        let reply =
            |transactions, missing_groups| TransactionsReply { transactions, missing_groups };
        let text = rendered(&report(&reply(vec![], vec![3]), format));
        assert_eq!(text, "No transaction is open.\nNo answer from group 3.\n");
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
        let text = rendered(&report(&reply(vec![one], vec![]), format));
        assert!(text.contains("age    = 61 s\nidle   = 0 s\n"), "{text}");
    }
}
