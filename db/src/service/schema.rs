//! The JSON Schema of a collection, and dry runs of schema and rules.

use super::bounds::in_background;
use super::{Response, Session, Step, Steps};
use crate::engine::Namespace;
use crate::engine::apply::{dry_run, waiting_references};
use crate::engine::command::Command;
use crate::engine::error::violation::Violation;
use crate::engine::query::context::At;
use crate::engine::query::source::open;
use crate::engine::row::Row;
use crate::engine::rules::stored_rules;
use crate::engine::schema::{Mode, Schema};
use crate::engine::value::{from_json, relaxed};
use crate::error::{Error, Kind, Result};
use crate::storage::{Read, Table, keys};
use serde_json::Value;

/// Documents with violations that a result lists.
const INVALID_MAX: usize = 100;

/// The schema of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionSchema {
    /// The schema; none when every document fits.
    pub schema: Option<Value>,
    /// What happens to a document that does not fit.
    pub mode: Mode,
}

/// Reads the schema of a collection.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn get(session: &Session, namespace: &Namespace) -> Result<Response<CollectionSchema>> {
    session.check_readable(namespace)?;
    let group = session.group()?;
    let (read, index) = group.read_with_index()?;
    let options = open(&read, &namespace.database, &namespace.collection)?.options;
    let schema = options.schema.and_then(|text| serde_json::from_str(&text).ok());
    let mode = if options.schema_warns { Mode::Warn } else { Mode::Error };
    Ok(Response::at(CollectionSchema { schema, mode }, index))
}

/// Gives a collection a schema, for the documents that are written from then on; creates the
/// collection if need be.
///
/// # Errors
/// `invalid_query` naming what is wrong in the schema; `invalid_name`, `database_not_found`,
/// `forbidden`.
pub async fn set(
    session: &Session,
    namespace: Namespace,
    schema: &Value,
    mode: Mode,
) -> Result<Response<()>> {
    Schema::compile(schema)?;
    store(session, namespace, Some(schema.to_string()), mode == Mode::Warn).await
}

/// Removes the schema of a collection; succeeds if it has none.
///
/// # Errors
/// `invalid_name`, `database_not_found`, `collection_not_found`, `forbidden`.
pub async fn remove(session: &Session, namespace: Namespace) -> Result<Response<()>> {
    store(session, namespace, None, false).await
}

async fn store(
    session: &Session,
    namespace: Namespace,
    schema: Option<String>,
    warns: bool,
) -> Result<Response<()>> {
    session.check_writable(&namespace)?;
    let command = Command::SetSchema { namespace, schema, warns };
    let mut steps = Steps::new(session);
    let done = steps.propose(Step::Keyed, command).await;
    steps.finish(done.map(|applied| Response::at((), applied.index)))
}

/// A request to check documents without writing any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Validation {
    /// The documents; none: those that the collection holds.
    pub documents: Option<Vec<Value>>,
    /// A schema to try; none: the collection's own.
    pub schema: Option<Value>,
}

/// What a check of documents found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValidationResult {
    /// Documents that were checked.
    pub checked: u64,
    /// The first hundred of those that break something.
    pub invalid: Vec<InvalidDocument>,
    /// How many there are.
    pub invalid_count: u64,
    /// References of the collection that are not checked yet, because an index that they need is
    /// being built: `people.team`.
    pub not_in_force: Vec<String>,
}

/// A document that breaks something.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidDocument {
    /// Its `_id`, or its position in the request.
    pub document: Value,
    /// What it breaks.
    pub violations: Vec<Violation>,
}

/// Checks documents against the schema and the rules of a collection.
///
/// # Errors
/// `database_not_found`, `collection_not_found`, `invalid_query`, `forbidden`, `time_limit`.
pub async fn validate(
    session: &Session,
    namespace: &Namespace,
    request: Validation,
) -> Result<Response<ValidationResult>> {
    session.check_readable(namespace)?;
    let Namespace { database, collection: name } = namespace.clone();
    let trial = request.schema.map(|schema| Schema::compile(&schema)).transpose()?;
    let checking = in_background(session, move |read, ctx| {
        let collection = open(read, &database, &name)?;
        let schema = match (trial, &collection.options.schema) {
            (Some(trial), _) => Some(trial),
            (None, Some(text)) => {
                Some(Schema::compile(&serde_json::from_str(text).map_err(unreadable)?)?)
            }
            (None, None) => None,
        };
        let rules = stored_rules(read, &database)?;
        let broken_rules = dry_run(read, &database, &name, &rules, ctx)?;
        let mut result = ValidationResult {
            not_in_force: waiting_references(read, &database, &name, &rules)?,
            ..ValidationResult::default()
        };
        let mut check = |place: Value, document: Value| -> Result<()> {
            ctx.step()?;
            let value = from_json(document.clone(), At::root("document"))?;
            let mut violations = broken_rules(&value)?;
            violations.extend(schema.iter().flat_map(|schema| schema.check(&document)));
            result.add(place, violations);
            Ok(())
        };
        match request.documents {
            Some(documents) => {
                for (at, document) in documents.into_iter().enumerate() {
                    let text = document.to_string();
                    let document = serde_json::from_slice(&relaxed(text.as_bytes()));
                    check(at.into(), document.map_err(unreadable)?)?;
                }
            }
            None => {
                let (start, end) =
                    (keys::collection_start(collection.id), keys::collection_end(collection.id));
                for row in read.range(Table::Documents, &start, &end)? {
                    let (_, stored) = row?;
                    let json = Row::decode(stored).map(|row| row.json).unwrap_or_default();
                    let document: Value =
                        serde_json::from_slice(&relaxed(json)).map_err(unreadable)?;
                    check(document.get("_id").cloned().unwrap_or_default(), document)?;
                }
            }
        }
        Ok(result)
    });
    checking.await.map(|(result, index)| Response::at(result, index))
}

impl ValidationResult {
    /// Counts a document that was checked.
    fn add(&mut self, document: Value, violations: Vec<Violation>) {
        self.checked += 1;
        if violations.is_empty() {
            return;
        }
        self.invalid_count += 1;
        if self.invalid.len() < INVALID_MAX {
            self.invalid.push(InvalidDocument { document, violations });
        }
    }
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(Kind::Internal, error.to_string())
}
