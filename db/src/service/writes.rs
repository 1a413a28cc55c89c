//! Writing by query: update, replace, delete, find-and-modify.

use super::bounds::Interrupt;
use super::confirm::{self, Action};
use super::documents::new_id;
use super::find::parse_filter;
use super::{Response, Session, Step, Steps};
use crate::config::Limits;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::budget::WRITTEN_MAX;
use crate::engine::command::{
    Command, Mutation, Operation, OperationResult, Outcome, Returning, Select, Write, WriteLimits,
};
use crate::engine::document::{NewDocument, check_document, with_id};
use crate::engine::query::context::{At, Context};
use crate::engine::query::plan::Hint;
use crate::engine::query::project::Projection;
use crate::engine::query::sort::Sort;
use crate::engine::query::update::Update as ParsedUpdate;
use crate::engine::value::{Value, parse_stored};
use crate::error::{Error, Kind, Result};
use crate::raft::groups::AppliedCommand;

/// Which documents are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// The filter; the first that matches, or all.
    pub filter: Value,
    /// Which comes first; the smallest `_id` without it.
    pub sort: Option<Value>,
    /// The index to use, by its name or its fields.
    pub hint: Option<Value>,
}

/// A request to update documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// Which.
    pub selection: Selection,
    /// Update operators, or a pipeline.
    pub update: Value,
    /// Filters for `$[name]`.
    pub array_filters: Option<Value>,
    /// All that match, not only the first.
    pub multi: bool,
    /// Insert a document when none matches.
    pub upsert: bool,
}

/// A request to replace the first document that matches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replace {
    /// Which.
    pub selection: Selection,
    /// What comes in its place.
    pub replacement: Value,
    /// Insert it when none matches.
    pub upsert: bool,
}

/// A request to delete documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delete {
    /// Which.
    pub selection: Selection,
    /// All that match, not only the first.
    pub multi: bool,
}

/// A request to change or delete the first document that matches, and to return it.
#[derive(Debug, Clone, PartialEq)]
pub struct FindAndModify {
    /// Which.
    pub selection: Selection,
    /// What happens to it.
    pub change: Modification,
    /// Filters for `$[name]`.
    pub array_filters: Option<Value>,
    /// What of the document is returned.
    pub projection: Option<Value>,
    /// Insert a document when none matches.
    pub upsert: bool,
    /// Return the document as it is afterwards, not as it was.
    pub return_after: bool,
}

/// What a [`FindAndModify`] does to its document.
#[derive(Debug, Clone, PartialEq)]
pub enum Modification {
    /// Update operators, or a pipeline.
    Update(Value),
    /// Another document comes in its place.
    Replace(Value),
    /// It is deleted.
    Delete,
}

/// What an update or a replacement did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Updated {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// The `_id` of a document that was inserted.
    pub upserted_id: Option<DocumentId>,
    /// What a schema that only warns has found, each as JSON text.
    pub warnings: Vec<String>,
}

/// What a [`FindAndModify`] did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Modified {
    /// The document, or what was asked for of it.
    pub document: Option<Value>,
    /// The `_id` of a document that was inserted.
    pub upserted_id: Option<DocumentId>,
    /// Whether the document is not kept any more.
    pub forgotten: bool,
}

/// What a write of one operation did, and at which log index.
pub struct WriteResult {
    /// What it did.
    pub wrote: OperationResult,
    /// The log index.
    pub index: u64,
}

/// The text of a filter, checked.
///
/// # Errors
/// `invalid_query`.
pub fn filter_text(filter: &Value) -> Result<String> {
    parse_filter(Some(filter))?;
    Ok(filter.to_json())
}

impl Selection {
    fn checked(&self) -> Result<Select> {
        let filter = filter_text(&self.filter)?;
        if let Some(sort) = &self.sort {
            Sort::parse(sort, At::root("sort"))?;
        }
        if let Some(hint) = &self.hint {
            Hint::parse(hint, At::root("hint"))?;
        }
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_json);
        Ok(Select::Filter { filter, sort: text(&self.sort), hint: text(&self.hint) })
    }
}

/// An update by operators or a pipeline, checked.
///
/// # Errors
/// `invalid_query`.
pub fn update_change(update: Value, array_filters: Option<Value>) -> Result<Mutation> {
    ParsedUpdate::parse(&update, array_filters.as_ref(), At::root("update"))?;
    let array_filters = array_filters.map(|filters| filters.to_json());
    Ok(Mutation::Update { update: update.to_json(), array_filters })
}

fn replacement(value: Value, limits: &Limits) -> Result<Mutation> {
    let operator = match &value {
        Value::Object(fields) => fields.keys().find(|name| name.starts_with('$')).cloned(),
        _ => None,
    };
    let NewDocument { id, body } = check_document(value, limits)?;
    if let Some(name) = operator {
        return Err(At::root("replacement")
            .invalid(format!("must be a document, and {name} is an update operator"))
            .hint("use update instead of replacement to change parts of a document"));
    }
    // An _id goes along: apply compares it with that of the document which is found.
    Ok(Mutation::Replace(match id {
        Some(id) => with_id(&id, &body),
        None => body,
    }))
}

impl Update {
    /// What the log is to say of it.
    ///
    /// # Errors
    /// `invalid_query`.
    pub fn operation(self) -> Result<Operation> {
        Ok(Operation::Modify {
            select: self.selection.checked()?,
            mutation: update_change(self.update, self.array_filters)?,
            multi: self.multi,
            upsert: self.upsert.then(new_id),
            returning: Returning::Nothing,
        })
    }
}

impl Replace {
    /// What the log is to say of it.
    ///
    /// # Errors
    /// `invalid_query`, and those of a document.
    pub fn operation(self, limits: &Limits) -> Result<Operation> {
        Ok(Operation::Modify {
            select: self.selection.checked()?,
            mutation: replacement(self.replacement, limits)?,
            multi: false,
            upsert: self.upsert.then(new_id),
            returning: Returning::Nothing,
        })
    }
}

impl Delete {
    /// What the log is to say of it.
    ///
    /// # Errors
    /// `invalid_query`.
    pub fn operation(self) -> Result<Operation> {
        let (select, multi) = (self.selection.checked()?, self.multi);
        Ok(Operation::Delete { select, multi, returning: Returning::Nothing })
    }
}

impl FindAndModify {
    fn operation(self, limits: &Limits) -> Result<Operation> {
        let returning = if self.return_after { Returning::After } else { Returning::Before };
        let select = self.selection.checked()?;
        let upsert = self.upsert.then(new_id);
        let change = match self.change {
            Modification::Update(update) => update_change(update, self.array_filters)?,
            Modification::Replace(value) => replacement(value, limits)?,
            Modification::Delete => {
                return Ok(Operation::Delete {
                    select,
                    multi: false,
                    returning: Returning::Before,
                });
            }
        };
        Ok(Operation::Modify { select, mutation: change, multi: false, upsert, returning })
    }
}

/// The insertion of a document, with a new `_id` if it has none.
///
/// # Errors
/// Those of a document.
pub fn insert_operation(document: Value, limits: &Limits) -> Result<Operation> {
    Ok(new_insert(check_document(document, limits)?))
}

/// The insertion of a document that is checked, with a new `_id` if it has none.
pub fn new_insert(NewDocument { id, body }: NewDocument) -> Operation {
    Operation::Insert { id: id.unwrap_or_else(new_id), body }
}

/// The bounds of a write.
pub fn write_limits(session: &Session) -> WriteLimits {
    let config = session.config();
    WriteLimits {
        documents_max: config.write_documents_max,
        document_bytes_max: config.document_bytes_max as u64,
        depth_max: config.depth_max as u32,
        memory_max: (config.query_memory_mb as u64) << 20,
        steps_max: config.write_steps_max,
        written_max: WRITTEN_MAX,
    }
}

/// The command that carries operations out in one step.
///
/// # Errors
/// `not_registered`, `starting`.
pub fn write_command(
    session: &Session,
    namespace: Namespace,
    operations: Vec<Operation>,
    ordered: bool,
) -> Result<Command> {
    Ok(Command::Write(Box::new(Write {
        namespace,
        create_database: false,
        operations,
        ordered,
        time_ms: session.group()?.time_ms(),
        limits: write_limits(session),
    })))
}

/// What the only operation of a write did.
///
/// # Errors
/// Why it was refused.
pub fn only_result(applied: AppliedCommand) -> Result<WriteResult> {
    let index = applied.index;
    match applied.outcome {
        Outcome::OperationResults(results) => {
            let wrote =
                results.into_iter().next().unwrap_or_else(|| Ok(OperationResult::default()))?;
            Ok(WriteResult { wrote, index })
        }
        other => Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}"))),
    }
}

/// Carries one operation out.
///
/// # Errors
/// Those of the proposal and of the operation.
pub async fn write(
    session: &Session,
    namespace: Namespace,
    operation: Operation,
) -> Result<Response<OperationResult>> {
    let mut steps = Steps::new(session);
    let done = write_one(&mut steps, namespace, operation).await;
    steps.finish(done.map(|WriteResult { wrote, index }| Response::at(wrote, index)))
}

async fn write_one(
    steps: &mut Steps<'_>,
    namespace: Namespace,
    operation: Operation,
) -> Result<WriteResult> {
    let session = steps.session();
    session.check_writable(&namespace)?;
    let command = write_command(session, namespace, vec![operation], true)?;
    let result = only_result(steps.propose(Step::Keyed, command).await?)?;
    steps.note_forgotten(result.wrote.forgotten.is_some());
    Ok(result)
}

fn updated(result: WriteResult) -> Response<Updated> {
    let WriteResult { wrote, index } = result;
    let updated = Updated {
        matched: wrote.matched,
        modified: wrote.modified,
        upserted_id: wrote.inserted,
        warnings: wrote.warnings,
    };
    Response::at(updated, index)
}

/// Updates documents.
///
/// # Errors
/// `invalid_query`, `needs_confirmation`, and those of the write.
pub async fn update(
    session: &Session,
    namespace: Namespace,
    request: Update,
) -> Result<Response<Updated>> {
    if request.multi {
        confirm::check(session, &namespace, Action::Update, &request.selection.filter).await?;
    }
    let operation = request.operation()?;
    let mut steps = Steps::new(session);
    let done = write_one(&mut steps, namespace, operation).await.map(updated);
    steps.finish(done)
}

/// Replaces a document.
///
/// # Errors
/// `invalid_query`, and those of the write.
pub async fn replace(
    session: &Session,
    namespace: Namespace,
    request: Replace,
) -> Result<Response<Updated>> {
    let operation = request.operation(&session.limits())?;
    let mut steps = Steps::new(session);
    let done = write_one(&mut steps, namespace, operation).await.map(updated);
    steps.finish(done)
}

/// Deletes documents; returns how many.
///
/// # Errors
/// `invalid_query`, `needs_confirmation`, and those of the write.
pub async fn delete(
    session: &Session,
    namespace: Namespace,
    request: Delete,
) -> Result<Response<u64>> {
    if request.multi {
        confirm::check(session, &namespace, Action::Delete, &request.selection.filter).await?;
    }
    let operation = request.operation()?;
    let mut steps = Steps::new(session);
    let done = write_one(&mut steps, namespace, operation).await;
    steps.finish(done.map(|WriteResult { wrote, index }| Response::at(wrote.deleted, index)))
}

/// Changes or deletes a document and returns it.
///
/// # Errors
/// `invalid_query`, those of the write, and those of the projection.
pub async fn find_and_modify(
    session: &Session,
    namespace: Namespace,
    mut request: FindAndModify,
) -> Result<Response<Modified>> {
    let projection = request.projection.take();
    let projection =
        projection.map(|value| Projection::parse(&value, At::root("projection"))).transpose()?;
    let operation = request.operation(&session.limits())?;
    let mut steps = Steps::new(session);
    let done = write_one(&mut steps, namespace, operation).await;
    let done = done.and_then(|WriteResult { wrote, index }| {
        let document = wrote.document.map(|text| projected(session, &text, projection)).transpose();
        let (upserted_id, forgotten) = (wrote.inserted, wrote.forgotten.is_some());
        Ok(Response::at(Modified { document: document?, upserted_id, forgotten }, index))
    });
    steps.finish(done)
}

/// What a projection leaves of a document.
fn projected(session: &Session, text: &str, projection: Option<Projection>) -> Result<Value> {
    let document = parse_stored(text.as_bytes()).unwrap_or_default();
    let Some(projection) = projection else { return Ok(document) };
    let (interrupt, _waiting) = Interrupt::new(session);
    let check = || interrupt.check();
    let memory = session.config().query_memory_mb << 20;
    let ctx = Context::new(session.group()?.time_ms() as i64, memory, &check);
    // The document is changed by now, whatever becomes of its projection.
    projection.apply(&document, &ctx).map_err(|error| Error {
        message: format!("the document was changed, but: {}", error.message),
        ..error
    })
}
