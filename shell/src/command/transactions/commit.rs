//! `commit`: commits the open transaction.

use super::open_transaction;
use crate::command::{Action, Command, action};
use crate::print::Output;
use crate::session::{Session, StatementResult, refused};
use jettra_driver::Error;
use jettra_driver::wire::CommitReply;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["commit", "commit transaction"],
    help: "Commit the open transaction",
    driver: &["commit"],
    parse: |_| action(Commit),
    ..Command::WRITE
};

#[derive(Debug)]
struct Commit;

impl Action for Commit {
    async fn run(self, session: &mut Session) -> StatementResult {
        let transaction = open_transaction(session)?;
        let committed = transaction.commit().await;
        // A commit without an answer leaves it open here, for another commit.
        if transaction.is_ended() {
            session.transaction = None;
        }
        if let Err(Error::Unknown { reason }) = &committed {
            let next = "Type commit again: it happens once, and then the answer is known.";
            return refused(format!("the outcome of the commit is unknown: {reason}. {next}"));
        }
        let reply = committed?;
        Ok(Output::Changed { text: summary(&reply), answer: json!(reply) })
    }
}

fn summary(reply: &CommitReply) -> String {
    match reply.writes {
        0 => "Committed; nothing was written.".to_owned(),
        1 => "Committed 1 document.".to_owned(),
        writes => format!("Committed {writes} documents."),
    }
}
