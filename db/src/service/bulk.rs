//! Many operations on one collection in one step.

use super::confirm::{self, Action};
use super::writes::{Delete, Replace, Update, insert_operation, new_insert, write_command};
use super::{Response, Session, Step, Steps};
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::command::{Operation, OperationResult, Outcome, WriteTotals};
use crate::engine::document::NewDocument;
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use std::collections::BTreeMap;

/// One operation of a bulk write.
#[derive(Debug, Clone, PartialEq)]
pub enum BulkOperation {
    /// Inserts a document.
    Insert(Value),
    /// Updates documents.
    Update(Update),
    /// Replaces a document.
    Replace(Replace),
    /// Deletes documents.
    Delete(Delete),
}

/// What a bulk write did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BulkResult {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// Documents that were inserted by operations that insert.
    pub inserted: u64,
    /// The `_id`s of those, by the number of the operation.
    pub inserted_ids: BTreeMap<usize, DocumentId>,
    /// The `_id`s of documents that were upserted, by the number of the operation.
    pub upserted_ids: BTreeMap<usize, DocumentId>,
    /// What a schema that only warns has found, each as JSON text.
    pub warnings: Vec<String>,
    /// The operations that were refused, by their numbers.
    pub errors: BTreeMap<usize, Error>,
    /// Whether only the totals are still known.
    pub details_forgotten: bool,
}

impl BulkResult {
    /// The first error, with the number of its operation.
    pub fn first_error(&self) -> Option<(usize, &Error)> {
        self.errors.iter().next().map(|(at, error)| (*at, error))
    }
}

/// Carries many operations out. Those that are refused are in the result, not an error, unless none
/// of them can be read.
///
/// # Errors
/// `needs_confirmation`; those of the first operation, when none can be carried out; those of the
/// proposal.
pub async fn bulk(
    session: &Session,
    namespace: Namespace,
    operations: Vec<Result<BulkOperation>>,
    ordered: bool,
) -> Result<Response<BulkResult>> {
    for operation in operations.iter().flatten() {
        let (action, filter) = match operation {
            BulkOperation::Update(update) if update.multi => {
                (Action::Update, &update.selection.filter)
            }
            BulkOperation::Delete(delete) if delete.multi => {
                (Action::Delete, &delete.selection.filter)
            }
            _ => continue,
        };
        confirm::check(session, &namespace, action, filter).await?;
    }
    let limits = session.limits();
    let operations = operations.into_iter().map(|operation| match operation? {
        BulkOperation::Insert(document) => insert_operation(document, &limits),
        BulkOperation::Update(update) => update.operation(),
        BulkOperation::Replace(replace) => replace.operation(&limits),
        BulkOperation::Delete(delete) => delete.operation(),
    });
    let parsed = Parsed::new(operations, ordered);
    if parsed.operations.is_empty()
        && let Some((at, error)) = parsed.refused.first().cloned()
    {
        let message = format!("operations[{at}]: {}", error.message);
        return Err(Error { message, ..error });
    }
    let mut steps = Steps::new(session);
    let done = write(&mut steps, namespace, parsed, ordered).await;
    steps.finish(done)
}

/// Inserts documents, one after the other, up to the first that is refused.
///
/// # Errors
/// Those of a document that cannot be stored, before any is inserted; those of the proposal.
pub async fn insert_all(
    session: &Session,
    namespace: Namespace,
    documents: Vec<Value>,
) -> Result<Response<BulkResult>> {
    let limits = session.limits();
    let operations = documents.into_iter().map(|document| insert_operation(document, &limits));
    let operations = operations.collect::<Result<Vec<_>>>()?;
    let mut steps = Steps::new(session);
    let parsed = Parsed::new(operations.into_iter().map(Ok), true);
    let done = write(&mut steps, namespace, parsed, true).await;
    steps.finish(done)
}

/// As [`bulk`], of documents that are checked already.
///
/// # Errors
/// Those of the proposal.
pub async fn insert_checked(
    session: &Session,
    namespace: Namespace,
    documents: Vec<NewDocument>,
    ordered: bool,
) -> Result<Response<BulkResult>> {
    let operations = documents.into_iter().map(|new| Ok(new_insert(new)));
    let parsed = Parsed::new(operations, ordered);
    let mut steps = Steps::new(session);
    let done = write(&mut steps, namespace, parsed, ordered).await;
    steps.finish(done)
}

async fn write(
    steps: &mut Steps<'_>,
    namespace: Namespace,
    parsed: Parsed,
    ordered: bool,
) -> Result<Response<BulkResult>> {
    let Parsed { operations, numbers, refused } = parsed;
    let inserts: Vec<bool> =
        operations.iter().map(|one| matches!(one, Operation::Insert { .. })).collect();
    let session = steps.session();
    session.check_writable(&namespace)?;
    let command = write_command(session, namespace, operations, ordered)?;
    let applied = steps.propose(Step::Keyed, command).await?;
    let mut result = match applied.outcome {
        Outcome::OperationResults(results) => {
            let results = results.into_iter().zip(inserts).zip(&numbers);
            let results = results.map(|((result, insert), at)| (*at, insert, result));
            summed_up(results)
        }
        Outcome::WriteTotals(totals) => remembered(*totals, &numbers),
        other => return Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    };
    if !ordered || result.errors.is_empty() {
        result.errors.extend(refused);
    }
    for (operation, error) in &result.errors {
        let request_id = &*session.request_id;
        tracing::debug!(request_id, operation, %error, "an operation was refused");
    }
    Ok(Response::at(result, applied.index))
}

fn summed_up(results: impl Iterator<Item = (usize, bool, Result<OperationResult>)>) -> BulkResult {
    let mut sum = BulkResult::default();
    for (at, insert, result) in results {
        match result {
            Ok(wrote) => {
                sum.matched += wrote.matched;
                sum.modified += wrote.modified;
                sum.deleted += wrote.deleted;
                sum.inserted += u64::from(insert);
                sum.warnings.extend(wrote.warnings);
                if let Some(id) = wrote.inserted {
                    let ids = if insert { &mut sum.inserted_ids } else { &mut sum.upserted_ids };
                    ids.insert(at, id);
                }
            }
            Err(error) => {
                sum.errors.insert(at, error);
            }
        }
    }
    sum
}

/// What is remembered of many operations for which a repetition of the request asks.
fn remembered(totals: WriteTotals, numbers: &[usize]) -> BulkResult {
    let WriteTotals { matched, modified, deleted, inserted, failed } = totals;
    let number = |at: u64| numbers.get(at as usize).copied().unwrap_or_default();
    let errors = failed.into_iter().map(|(at, error)| (number(at), error)).collect();
    let details_forgotten = true;
    BulkResult {
        matched,
        modified,
        deleted,
        inserted,
        errors,
        details_forgotten,
        ..BulkResult::default()
    }
}

/// The operations of a bulk write that are carried out.
struct Parsed {
    operations: Vec<Operation>,
    /// Their numbers among those of the request.
    numbers: Vec<usize>,
    /// Those that cannot be parsed, with their numbers; the first ends an ordered write.
    refused: Vec<(usize, Error)>,
}

impl Parsed {
    fn new(all: impl Iterator<Item = Result<Operation>>, ordered: bool) -> Parsed {
        let (operations, numbers, refused) = Default::default();
        let mut parsed = Parsed { operations, numbers, refused };
        for (at, operation) in all.enumerate() {
            match operation {
                Ok(operation) => {
                    parsed.operations.push(operation);
                    parsed.numbers.push(at);
                }
                Err(error) => parsed.refused.push((at, error)),
            }
            if ordered && !parsed.refused.is_empty() {
                break;
            }
        }
        parsed
    }
}
