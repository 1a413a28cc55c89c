//! Operations on several collections that are carried out together or not at all, under
//! conditions.

use super::confirm::{self, Action};
use super::documents::new_id;
use super::writes::{Delete, Update, filter_text, insert_operation, write_limits};
use super::{Response, Session, Step, Steps};
use crate::auth::Permission;
use crate::config::BATCH_PARTS_MAX;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::command::{Batch, BatchCondition, BatchStep};
use crate::engine::command::{Command, OperationResult, Outcome};
use crate::engine::document::{NewDocument, Revision, check_document};
use crate::engine::system::check_name;
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};

/// A request to carry operations out together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchRequest {
    /// What must hold; all of it.
    pub conditions: Vec<(Namespace, Condition)>,
    /// Carried out when it does.
    pub then: Vec<(Namespace, BatchOperation)>,
    /// Carried out when it does not.
    pub otherwise: Vec<(Namespace, BatchOperation)>,
}

/// A condition of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    /// The document; none: any that matches.
    pub id: Option<DocumentId>,
    /// The revision that it must have.
    pub revision: Option<Revision>,
    /// What it must match.
    pub filter: Option<Value>,
    /// Whether there must be such a document, or must not.
    pub exists: bool,
}

/// An operation of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchOperation {
    /// Inserts a document that must not exist.
    Insert(Value),
    /// Writes a document, whether or not there was one.
    Save(Value),
    /// Updates documents.
    Update(Update),
    /// Deletes documents.
    Delete(Delete),
    /// Reads a document.
    Get(DocumentId),
}

/// What a batch did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BatchOutcome {
    /// Whether the conditions held.
    pub succeeded: bool,
    /// What each operation did.
    pub results: Vec<OperationResult>,
}

/// Carries a batch out.
///
/// # Errors
/// `invalid_body` and `invalid_query`, which name the part; `needs_confirmation`; those of the
/// operations, which name the part too.
pub async fn batch(session: &Session, request: BatchRequest) -> Result<Response<BatchOutcome>> {
    if request.then.is_empty() && request.otherwise.is_empty() {
        return Err(Error::new(Kind::InvalidBody, "then and else are both empty")
            .hint("list the operations in then"));
    }
    let parts = request.conditions.len() + request.then.len() + request.otherwise.len();
    if parts > BATCH_PARTS_MAX {
        let message = format!("the batch has {parts} parts, {BATCH_PARTS_MAX} are allowed");
        return Err(Error::new(Kind::InvalidBody, message).hint("send it in several batches"));
    }
    check_one_group(session, &request)?;
    check_confirmed(session, request.then.iter().chain(&request.otherwise)).await?;
    let step = |(namespace, operation)| step(session, namespace, operation);
    let batch = Batch {
        conditions: checked("if", request.conditions, |(namespace, condition)| {
            Ok((writable(session, namespace)?, checked_condition(condition)?))
        })?,
        then: checked("then", request.then, step)?,
        otherwise: checked("else", request.otherwise, step)?,
        time_ms: session.group()?.time_ms(),
        limits: write_limits(session),
    };
    let mut steps = Steps::new(session);
    let done = steps.propose(Step::Keyed, Command::Batch(Box::new(batch))).await;
    let done = done.and_then(|applied| match applied.outcome {
        Outcome::Batched { succeeded, results } => {
            Ok(Response::at(BatchOutcome { succeeded, results }, applied.index))
        }
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    });
    if let Ok(done) = &done {
        steps.note_forgotten(done.value.results.iter().any(|wrote| wrote.forgotten.is_some()));
    }
    steps.finish(done)
}

/// Refuses a batch on databases of several groups, which decide independently.
fn check_one_group(session: &Session, request: &BatchRequest) -> Result<()> {
    let own = session.group_number();
    let groups = &session.service().cluster.groups;
    let named = request.conditions.iter().map(|(namespace, _)| namespace);
    let changed = request.then.iter().chain(&request.otherwise).map(|(namespace, _)| namespace);
    for Namespace { database, .. } in named.chain(changed) {
        let group = groups.number_of(database);
        if group != own {
            let message =
                format!("database {database:?} is in group {group}, and others are in {own}");
            return Err(Error::new(Kind::CrossGroup, message).hint(
                "groups decide independently, so nothing is atomic across them: send a batch for \
                 each, or keep what belongs together in one group",
            ));
        }
    }
    Ok(())
}

/// A collection that a batch names, checked for writing.
fn writable(session: &Session, namespace: Namespace) -> Result<Namespace> {
    check_name("database", &namespace.database, session.config().name_bytes_max)?;
    session.check_collection(&namespace.collection)?;
    Ok(namespace)
}

fn checked_condition(condition: Condition) -> Result<BatchCondition> {
    let Condition { id, revision, filter, exists } = condition;
    let bad = |message: &str| Error::new(Kind::InvalidBody, message.to_owned());
    if id.is_none() && filter.is_none() {
        return Err(bad("a condition needs id or filter")
            .hint("id names one document, filter those that match"));
    }
    if id.is_none() && revision.is_some() {
        return Err(
            bad("a condition with revision needs id").hint("a revision belongs to one document")
        );
    }
    let filter = filter.as_ref().map(filter_text).transpose()?;
    Ok(BatchCondition { id, revision, filter, exists })
}

fn step(
    session: &Session,
    namespace: Namespace,
    operation: BatchOperation,
) -> Result<(Namespace, BatchStep)> {
    let limits = session.limits();
    let step = match operation {
        BatchOperation::Insert(document) => {
            BatchStep::Operation(insert_operation(document, &limits)?)
        }
        BatchOperation::Save(document) => {
            let NewDocument { id, body } = check_document(document, &limits)?;
            BatchStep::Save { id: id.unwrap_or_else(new_id), body }
        }
        BatchOperation::Update(update) => BatchStep::Operation(update.operation()?),
        BatchOperation::Delete(delete) => BatchStep::Operation(delete.operation()?),
        BatchOperation::Get(id) => BatchStep::Get(id),
    };
    Ok((writable(session, namespace)?, step))
}

/// The parts of a batch, each checked and named when it is wrong.
///
/// # Errors
/// Those of `check`, with the part.
pub fn checked<T, U>(part: &str, all: Vec<T>, check: impl Fn(T) -> Result<U>) -> Result<Vec<U>> {
    let named = |at: usize, error: Error| Error {
        message: format!("{part}[{at}]: {}", error.message),
        ..error
    };
    let all = all.into_iter().enumerate();
    all.map(|(at, one)| check(one).map_err(|error| named(at, error))).collect()
}

/// Refuses a batch that asks first if it would change or delete many documents.
async fn check_confirmed(
    session: &Session,
    operations: impl Iterator<Item = &(Namespace, BatchOperation)>,
) -> Result<()> {
    for (namespace, operation) in operations {
        let (action, filter) = match operation {
            BatchOperation::Update(update) if update.multi => {
                (Action::Update, &update.selection.filter)
            }
            BatchOperation::Delete(delete) if delete.multi => {
                (Action::Delete, &delete.selection.filter)
            }
            _ => continue,
        };
        // The refusal contains the number of documents.
        session.authorize(Permission::Write, &namespace.database)?;
        confirm::check(session, namespace, action, filter).await?;
    }
    Ok(())
}
