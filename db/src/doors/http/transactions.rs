//! Transactions and batches over HTTP.

use super::call::Call;
use super::describe::{CHANGE_ERRORS, COMMIT_ERRORS, SELECTION_ERRORS, TRANSACTIONS, describe};
use super::dispatch::ask_groups;
use super::endpoint::Endpoint;
use super::find::{optional, value};
use super::reply::{Reply, Values};
use super::writes::{delete_part, update_part};
use crate::engine::Namespace;
use crate::engine::limits::Limits;
use crate::error::{Kind, Result};
use crate::service::Session;
use crate::service::batch::{
    self, BatchOperation as Operation, BatchOutcome, BatchRequest, checked,
};
use crate::service::transactions::{self, BegunTransaction, TransactionEntry};
use crate::wire::{IntoWire, document_id};
use jettra_driver::wire::{
    BatchBody, BatchOperation, BatchReply, BatchResult, CommitReply, Condition, DeleteBody,
    TransactionInfo, TransactionReply, TransactionsReply,
};
use std::cmp::Reverse;
use std::rc::Rc;

/// The id of the transaction that a call is about.
///
/// # Errors
/// `invalid_parameter` when it is missing.
pub fn id(call: &Call) -> Result<&str> {
    call.required(&["tx", "txID"])
}

/// `POST /api/v1/transactions`
pub const BEGIN: Endpoint = Endpoint::new(
    |call| Box::pin(begin(call)),
    || {
        describe(TRANSACTIONS, "Begin a transaction")
            .gives::<TransactionReply>(201)
            .reads_latest()
            .keyed()
    },
);

async fn begin(call: Rc<Call>) -> Result<Reply> {
    let begun = transactions::begin(&call.session).await?;
    let index = begun.index.unwrap_or_default();
    Ok(Reply::of(begun.map(|BegunTransaction { id, idle_ms, max_ms }| {
        Reply::json(&TransactionReply { id, index, idle_ms, max_ms }).with_status(201)
    })))
}

/// `POST /api/v1/transactions/{tx}/commit`
pub const COMMIT: Endpoint = Endpoint::new(
    |call| Box::pin(commit(call)),
    || {
        describe(TRANSACTIONS, "Commit a transaction")
            .gives::<CommitReply>(200)
            .proposes()
            .fails(COMMIT_ERRORS)
    },
);

async fn commit(call: Rc<Call>) -> Result<Reply> {
    let committed = transactions::commit(&call.session, id(&call)?).await?;
    Ok(Reply::of(
        committed.map(|writes| Reply::json(&CommitReply { status: "committed".into(), writes })),
    ))
}

/// `DELETE /api/v1/transactions/{tx}`: succeeds if there is no such transaction.
pub const END: Endpoint = Endpoint::new(
    |call| Box::pin(end(call)),
    || {
        describe(TRANSACTIONS, "Roll a transaction back; succeeds if it does not exist")
            .gives_nothing()
            .proposes()
            .fails(&[Kind::NotPossibleNow, Kind::IdempotencyFull])
    },
);

async fn end(call: Rc<Call>) -> Result<Reply> {
    let ended = transactions::end(&call.session, id(&call)?).await?;
    Ok(Reply::of(ended.map(|()| Reply::empty())))
}

/// `GET /api/v1/transactions`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(TRANSACTIONS, "List the open transactions: one's own, for administrators all")
            .query("group")
            .gives::<TransactionsReply>(200)
            .reads()
            .fails(&[Kind::InvalidParameter, Kind::GroupNotFound])
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let here = async |session: &Session| {
        let entries = transactions::list(session).await?.value;
        let transactions = entries.into_iter().map(info).collect();
        Ok(TransactionsReply { transactions, missing_groups: Vec::new() })
    };
    if call.session.database.is_some() || call.session.named_group.is_some() {
        return Ok(Reply::json(&here(&call.session).await?));
    }
    let (parts, missing_groups) = ask_groups(&call, here).await?;
    let mut transactions: Vec<_> = parts.into_iter().flat_map(|part| part.transactions).collect();
    transactions.sort_by_key(|open| Reverse(open.age_ms));
    Ok(Reply::json(&TransactionsReply { transactions, missing_groups }))
}

fn info(entry: TransactionEntry) -> TransactionInfo {
    let TransactionEntry { id, user, index, age_ms, idle_ms, reads, writes, bytes } = entry;
    TransactionInfo { id, user, index, age_ms, idle_ms, reads, writes, bytes }
}

fn condition(condition: Condition, limits: &Limits) -> Result<(Namespace, batch::Condition)> {
    let Condition { database, collection, id, revision, filter, exists } = condition;
    let (filter, exists) = (optional(filter, "filter")?, exists.unwrap_or(true));
    let id = id.map(|id| document_id(id, limits)).transpose()?;
    let condition = batch::Condition { id, revision, filter, exists };
    Ok((Namespace { database, collection }, condition))
}

fn operation(operation: BatchOperation, limits: &Limits) -> Result<(Namespace, Operation)> {
    let at = |database, collection| Namespace { database, collection };
    Ok(match operation {
        BatchOperation::Insert { database, collection, document } => {
            (at(database, collection), Operation::Insert(value(document, "document")?))
        }
        BatchOperation::Save { database, collection, document } => {
            (at(database, collection), Operation::Save(value(document, "document")?))
        }
        BatchOperation::Update { database, collection, body } => {
            let multi = body.multi;
            (at(database, collection), Operation::Update(update_part(body, multi)?))
        }
        BatchOperation::Delete { database, collection, filter, multi } => {
            let body = DeleteBody { filter, multi, ..DeleteBody::default() };
            (at(database, collection), Operation::Delete(delete_part(body, multi)?))
        }
        BatchOperation::Get { database, collection, id } => {
            (at(database, collection), Operation::Get(document_id(id, limits)?))
        }
    })
}

/// `POST /api/v1/batch`
pub const BATCH: Endpoint = Endpoint::new(
    |call| Box::pin(batch(call)),
    || {
        describe(
            TRANSACTIONS,
            "Carry out operations on several collections together or not at all, under conditions",
        )
        .query("tx confirm")
        .fails(&[Kind::NeedsConfirmation])
        .body::<BatchBody>()
        .gives::<BatchReply>(200)
        .writes()
        .fails(CHANGE_ERRORS)
        .fails(SELECTION_ERRORS)
        .fails(&[
            Kind::DocumentNotFound,
            Kind::TransactionLost,
            Kind::TransactionTooLarge,
            Kind::NotInTransaction,
            Kind::CrossGroup,
        ])
    },
);

async fn batch(call: Rc<Call>) -> Result<Reply> {
    let body: BatchBody = call.json()?;
    let limits = call.session.limits();
    let request = BatchRequest {
        conditions: checked("if", body.conditions, |one| condition(one, &limits))?,
        then: checked("then", body.then, |one| operation(one, &limits))?,
        otherwise: checked("else", body.otherwise, |one| operation(one, &limits))?,
    };
    let done = batch::batch(&call.session, request).await?;
    Ok(Reply::of(done.map(|BatchOutcome { succeeded, results }| {
        let results = results.into_iter().map(|wrote| BatchResult {
            matched: wrote.matched,
            modified: wrote.modified,
            deleted: wrote.deleted,
            inserted_id: wrote.inserted.map(IntoWire::into_wire),
            revision: wrote.revision,
            document: wrote.document.and_then(|text| serde_json::from_str(&text).ok()),
            document_forgotten: wrote.forgotten.is_some(),
        });
        Reply::json(&BatchReply { succeeded, results: results.collect() })
            .values(Values::In(&["document", "inserted_id"]))
    })))
}
