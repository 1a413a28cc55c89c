//! Pipelines that write their result: `$out` and `$merge`.

use super::bounds::pooled;
use super::confirm::{self, Action};
use super::documents::new_id;
use super::pipelines::Pipeline;
use super::read::reading;
use super::writes::{insert_operation, write_command};
use super::{Response, Session, Step, Steps};
use crate::auth::Permission;
use crate::config::Limits;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::catalog::Options;
use crate::engine::command::{Command, Mutation, Operation, Outcome, Part, Returning, Select};
use crate::engine::document::{check_document, no_id};
use crate::engine::index::IndexSpec;
use crate::engine::query::aggregate::{Output, WhenMatched, WhenNotMatched};
use crate::engine::query::context::At;
use crate::engine::query::path::Path;
use crate::engine::query::source::open;
use crate::engine::value::{Object, Value};
use crate::engine::{retry, system};
use crate::error::{Error, ErrorClass, Kind, Result};
use crate::raft::groups::AppliedCommand;
use serde_json::json;
use std::time::Duration;

/// Documents of a pipeline's result that go into one log entry.
const OUTPUT_BATCH: usize = 500;
/// Bytes of them after which the log entry ends. Others' writes wait while it is applied.
const OUTPUT_BYTES: usize = 1 << 20;
/// How often a part of a run is proposed again while others' writes take all of the memory budget,
/// and the pause before.
const BUSY_TRIES: usize = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Writes the result of a pipeline that ends with `$out` or `$merge`, once for an idempotency key:
/// the result of a second run could be made of what the first has written. Returns the number of
/// documents.
///
/// # Errors
/// Those of the pipeline and of the writes; `outcome_unknown` when a part is written and the rest
/// cannot be.
pub async fn write_output(
    session: &Session,
    namespace: &Namespace,
    pipeline: Pipeline,
) -> Result<Response<u64>> {
    let mut steps = Steps::new(session);
    let written = write(&mut steps, namespace, pipeline).await;
    steps.finish(written)
}

async fn write(
    steps: &mut Steps<'_>,
    namespace: &Namespace,
    pipeline: Pipeline,
) -> Result<Response<u64>> {
    let session = steps.session();
    session.check_writable(namespace)?;
    session.authorize(Permission::Write, &namespace.database)?;
    session.wait_for_level().await?;
    let Some(output) = pipeline.output().cloned() else {
        return Err(Error::new(Kind::Internal, "the pipeline writes nothing"));
    };
    if let Some(earlier) = steps.earlier()? {
        return Ok(written(&earlier, 0));
    }
    let database = &namespace.database;
    let other = |collection: &str| Namespace {
        database: database.clone(),
        collection: collection.to_owned(),
    };
    if let Output::Out { collection } = &output {
        confirm::check(session, &other(collection), Action::Overwrite, &Action::all()).await?;
    }
    let documents = result(session, namespace, pipeline).await?;
    let count = documents.len() as u64;
    let applied = match output {
        Output::Out { collection } => {
            replace_collection(steps, &other(&collection), documents).await?
        }
        Output::Merge { into, on, when_matched, when_not_matched } => {
            session.check_collection(&into)?;
            let limits = session.limits();
            let operations = pooled(move || {
                let operations = documents.into_iter().map(|document| {
                    merge_operation(document, &on, when_matched, when_not_matched, &limits)
                });
                operations.collect::<Result<Vec<_>>>()
            });
            merge(steps, &other(&into), operations.await?, when_not_matched).await?
        }
    };
    Ok(written(&applied, count))
}

/// The documents that a pipeline gives.
async fn result(
    session: &Session,
    namespace: &Namespace,
    pipeline: Pipeline,
) -> Result<Vec<Value>> {
    let database = namespace.database.clone();
    let reading = reading(session, namespace, move |read, collection, ctx| {
        let mut documents = Vec::new();
        pipeline.run(read, &database, collection, ctx, |document| {
            ctx.charge(document.bytes(), "the result")?;
            documents.push(document);
            Ok(())
        })?;
        Ok(documents)
    });
    reading.await.map(|(documents, _)| documents)
}

/// How many documents a pipeline has written; `count`, unless the outcome is an earlier one.
fn written(applied: &AppliedCommand, count: u64) -> Response<u64> {
    let written = match applied.outcome {
        Outcome::Output { written } => written,
        _ => count,
    };
    Response::at(written, applied.index)
}

/// Operations that go into one log entry: the first of these that are few and small enough.
fn next_batch(operations: &mut impl Iterator<Item = Operation>) -> Vec<Operation> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while batch.len() < OUTPUT_BATCH && bytes < OUTPUT_BYTES {
        let Some(operation) = operations.next() else { break };
        bytes += operation.bytes();
        batch.push(operation);
    }
    batch
}

/// Carries the operations of a `$merge` out, some at a time.
async fn merge(
    steps: &mut Steps<'_>,
    into: &Namespace,
    operations: Vec<Operation>,
    when_not_matched: WhenNotMatched,
) -> Result<AppliedCommand> {
    let session = steps.session();
    session.check_writable(into)?;
    let must_match = when_not_matched == WhenNotMatched::Fail;
    let (run, total) = (uuid::Uuid::new_v4().as_u64_pair().0, operations.len() as u64);
    let (mut written, mut index) = (0, session.group()?.visible_index());
    let mut operations = operations.into_iter();
    for number in 0.. {
        let batch = next_batch(&mut operations);
        if batch.is_empty() && session.key.is_none() {
            break;
        }
        let after = written + batch.len() as u64;
        // Whether all were found is known only afterwards: then an empty part says so.
        let last = batch.is_empty() || after == total && !must_match;
        let filters: Vec<String> = match must_match {
            true => batch.iter().filter_map(filter_of).collect(),
            false => Vec::new(),
        };
        let part = Part { run, number, written: after, total, last };
        let applied = propose_part(steps, into, batch, part).await;
        let applied = applied.map_err(|error| interrupted(error, written, total))?;
        let Outcome::OperationResults(results) = &applied.outcome else {
            // An earlier request with the key has come first.
            return Ok(applied);
        };
        let mut first = None;
        for (at, result) in results.iter().enumerate() {
            let failed = match result {
                Ok(wrote) if must_match && wrote.matched == 0 && wrote.inserted.is_none() => {
                    Some(unmatched(filters.get(at)))
                }
                Ok(_) => None,
                Err(error) => Some(error.clone()),
            };
            written += u64::from(failed.is_none());
            first = first.or(failed);
        }
        if let Some(error) = first {
            return Err(retry::partly(error, written, total));
        }
        index = applied.index;
        if last {
            break;
        }
    }
    Ok(AppliedCommand { index, outcome: Outcome::Output { written }, repeated: false })
}

fn unmatched(filter: Option<&String>) -> Error {
    let filter = filter.map_or("", String::as_str);
    let message = format!("$merge found no document that matches {filter}");
    Error::new(Kind::NotApplicable, message).hint("others are merged already")
}

/// Proposes a part of a run, again while the memory budget is taken: then nothing was done, and it
/// is the same part of the same run. All of it is tried, as in MongoDB, also when a document fails.
async fn propose_part(
    steps: &mut Steps<'_>,
    into: &Namespace,
    operations: Vec<Operation>,
    part: Part,
) -> Result<AppliedCommand> {
    let session = steps.session();
    let command = |operations| write_command(session, into.clone(), operations, false);
    for _ in 0..BUSY_TRIES {
        match steps.propose(Step::Part(part), command(operations.clone())?).await {
            Err(error) if error.kind == Kind::Overloaded => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
    steps.propose(Step::Part(part), command(operations)?).await
}

/// Whether an error says nothing of the documents, but that the request could not go on.
fn interrupts(class: ErrorClass) -> bool {
    class.may_be_repeated() || matches!(class, ErrorClass::Failed | ErrorClass::Unknown)
}

/// The error for a request that has written a part of its documents and cannot go on. What it would
/// write now is made of what it has written, so nobody must begin it again.
fn interrupted(error: Error, written: u64, total: u64) -> Error {
    if written == 0 || !interrupts(error.kind.class()) {
        return retry::partly(error, written, total);
    }
    let message = format!("{written} of {total} documents were written, then: {}", error.message);
    let details = json!({"written": written, "documents": total, "cause": error.kind.code()});
    Error::new(Kind::OutcomeUnknown, message)
        .hint("those that are written stay; look at them before you write the rest")
        .details(details)
}

fn filter_of(operation: &Operation) -> Option<String> {
    match operation {
        Operation::Modify { select: Select::Filter { filter, .. }, .. } => Some(filter.clone()),
        _ => None,
    }
}

/// Replaces a collection by documents, under its indexes, in one step at the end. They are written
/// to a collection that nobody sees, and only its taking the other's place is done once: until then
/// the request may begin again, also at another leader.
async fn replace_collection(
    steps: &mut Steps<'_>,
    namespace: &Namespace,
    documents: Vec<Value>,
) -> Result<AppliedCommand> {
    let session = steps.session();
    let Namespace { database, collection } = namespace;
    system::check_name("collection", collection, session.config().name_bytes_max)?;
    let count = documents.len() as u64;
    let limits = session.limits();
    let operations = pooled(move || {
        let operations = documents.into_iter().map(|document| insert_operation(document, &limits));
        operations.collect::<Result<Vec<_>>>()
    });
    let operations = operations.await?;
    // Its id contains the log's time at which it was made: the leader gives up those of long ago.
    let seconds = session.group()?.time_ms() / 1000;
    let made = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
    let aside = Namespace {
        database: database.clone(),
        collection: format!("{}{}.{collection}", system::ASIDE, uuid::Uuid::new_v7(made)),
    };
    let create = Command::CreateCollection { namespace: aside.clone() };
    steps.propose(Step::Aside, create).await?;
    let filled = match fill_aside(steps, namespace, &aside, operations).await {
        Ok(()) => {
            let run = uuid::Uuid::new_v4().as_u64_pair().0;
            let part = Part { run, number: 0, written: count, total: count, last: true };
            let (database, from, to) =
                (database.clone(), aside.collection.clone(), collection.clone());
            let replace = Command::ReplaceCollection { database, from, to };
            steps.propose(Step::Part(part), replace).await
        }
        Err(error) => Err(error),
    };
    if !matches!(&filled, Ok(applied) if !applied.repeated) {
        // What a failure here leaves is dropped by a task.
        let drop = Command::DropCollection { namespace: aside };
        let _ = steps.propose_system(Step::Aside, drop).await;
    }
    filled
}

/// Gives a collection that nobody sees the schema, versions and indexes of another, and documents.
async fn fill_aside(
    steps: &mut Steps<'_>,
    model: &Namespace,
    aside: &Namespace,
    operations: Vec<Operation>,
) -> Result<()> {
    let session = steps.session();
    let (specs, options) = structure(session, model)?;
    if options.schema.is_some() {
        let (schema, warns) = (options.schema, options.schema_warns);
        let command = Command::SetSchema { namespace: aside.clone(), schema, warns };
        steps.propose(Step::Aside, command).await?;
    }
    if let Some(versions) = options.versions {
        let keep = Some(versions.retention);
        steps.propose(Step::Aside, Command::SetVersions { namespace: aside.clone(), keep }).await?;
    }
    for spec in specs {
        steps.propose(Step::Aside, Command::CreateIndex { namespace: aside.clone(), spec }).await?;
    }
    let mut operations = operations.into_iter();
    loop {
        let batch = next_batch(&mut operations);
        if batch.is_empty() {
            return Ok(());
        }
        let command = write_command(session, aside.clone(), batch, true)?;
        match steps.propose(Step::Aside, command).await?.outcome {
            Outcome::OperationResults(results) => {
                results.into_iter().try_for_each(|one| one.map(drop))?
            }
            other => {
                return Err(Error::new(Kind::Internal, format!("unexpected outcome {other:?}")));
            }
        }
    }
}

/// The indexes and options of a collection; none when it does not exist.
fn structure(session: &Session, namespace: &Namespace) -> Result<(Vec<IndexSpec>, Options)> {
    let group = session.group()?;
    let read = group.read()?;
    Ok(match open(&read, &namespace.database, &namespace.collection) {
        Ok(found) => {
            let specs = found.indexes.iter().map(|index| index.entry.spec.clone());
            (specs.collect(), found.options)
        }
        Err(_) => Default::default(),
    })
}

/// What `$merge` does with one document.
fn merge_operation(
    document: Value,
    on: &[String],
    when_matched: WhenMatched,
    when_not_matched: WhenNotMatched,
    limits: &Limits,
) -> Result<Operation> {
    // The command holds it as text, which must be readable again.
    check_document(document.clone(), limits)?;
    let mut filter = Object::new();
    for path in on {
        let value = Path::parse(path, At::root("on"))?.get(&document).cloned();
        let value = value.ok_or_else(|| {
            Error::new(Kind::NotApplicable, format!("$merge: a document has no {path}"))
                .hint("every document of the result needs the fields named in on")
        })?;
        filter.insert(path.clone(), value);
    }
    let Value::Object(mut fields) = document else {
        return Err(Error::new(Kind::NotApplicable, "$merge: the result is not a document"));
    };
    let id = fields.shift_remove("_id");
    let inserts = when_not_matched == WhenNotMatched::Insert;
    let made = match &id {
        Some(id) => DocumentId::new(id.clone()).ok_or_else(no_id)?,
        None => new_id(),
    };
    let text = Value::Object(fields.clone()).to_json();
    let change = match when_matched {
        WhenMatched::Replace => Mutation::Replace(text),
        WhenMatched::Merge => set("$set", fields),
        WhenMatched::KeepExisting => set("$setOnInsert", fields),
        WhenMatched::Fail => return Ok(Operation::Insert { id: made, body: text }),
    };
    Ok(Operation::Modify {
        select: Select::Filter { filter: Value::Object(filter).to_json(), sort: None, hint: None },
        mutation: change,
        multi: false,
        upsert: inserts.then_some(made),
        returning: Returning::Nothing,
    })
}

/// An update with one operator; one that changes nothing when there are no fields.
fn set(operator: &str, fields: Object) -> Mutation {
    if fields.is_empty() {
        return Mutation::Merge("{}".into());
    }
    let update = Object::from_iter([(operator.to_owned(), Value::Object(fields))]);
    Mutation::Update { update: Value::Object(update).to_json(), array_filters: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DocumentId;

    fn insert(bytes: usize) -> Operation {
        Operation::Insert { id: DocumentId::from(1), body: "x".repeat(bytes) }
    }

    /// Symptom: 500 large documents of a `$merge` made a log entry of gigabytes.
    #[test]
    fn what_a_pipeline_writes_is_cut_by_bytes_and_by_documents() {
        let sizes = |operations: Vec<Operation>| {
            let mut operations = operations.into_iter();
            let batches = std::iter::from_fn(|| Some(next_batch(&mut operations)));
            batches.map(|batch| batch.len()).take_while(|size| *size > 0).collect::<Vec<_>>()
        };
        assert_eq!(sizes((0..1_200).map(|_| insert(10)).collect()), [500, 500, 200]);
        assert_eq!(sizes((0..5).map(|_| insert(OUTPUT_BYTES / 2)).collect()), [2, 2, 1]);
        assert_eq!(sizes((0..3).map(|_| insert(3 * OUTPUT_BYTES)).collect()), [1, 1, 1]);
        assert!(sizes(Vec::new()).is_empty());
    }

    #[test]
    fn an_interrupted_call_says_how_far_it_came() {
        let error = |kind| interrupted(Error::new(kind, "m"), 500, 2_000);
        for kind in [Kind::NoLeader, Kind::UserChanged, Kind::Overloaded, Kind::StorageFull] {
            let told = error(kind);
            assert_eq!(told.kind, Kind::OutcomeUnknown, "{kind:?}");
            let details = told.details.unwrap();
            assert_eq!((&details["written"], &details["documents"]), (&json!(500), &json!(2_000)));
            assert_eq!(details["cause"], kind.code());
            assert_eq!(interrupted(Error::new(kind, "m"), 0, 2_000).kind, kind, "nothing was done");
        }
        let refused = error(Kind::ValidationFailed);
        assert_eq!(refused.kind, Kind::ValidationFailed);
        assert_eq!(refused.details.unwrap()["written"], 500);
    }
}
