//! Commands about transactions and batches.

mod batch;
mod begin;
mod commit;
mod end_transaction;
mod rollback;
mod show_transactions;

use super::Group;
use crate::failure::Failure;
use crate::session::Session;
use jettra_driver::Transaction;

pub(super) static GROUP: Group = Group {
    title: "Transactions",
    commands: &[
        &begin::COMMAND,
        &commit::COMMAND,
        &rollback::COMMAND,
        &show_transactions::COMMAND,
        &end_transaction::COMMAND,
        &batch::COMMAND,
    ],
};

/// The open transaction.
fn open_transaction(session: &Session) -> Result<&Transaction, Failure> {
    session
        .transaction
        .as_ref()
        .ok_or_else(|| Failure::Refused("no transaction is open; begin one with: begin".into()))
}
