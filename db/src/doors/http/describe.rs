//! What a call takes and gives, in words and shapes: the language in which each handler's file
//! describes its endpoints. The OpenAPI document is made of that and of the route table.

use crate::error::Kind::{self, *};
use jettra_driver::wire::*;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// The JSON Schema of a type; shared parts go to the generator.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What an answer consists of.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// JSON of this shape.
    Json(Shape),
    /// The same, or plain text for a client that does not ask for JSON.
    JsonOrText(Shape),
    /// Server-sent events with JSON of these shapes in them.
    Events(Shape),
    /// Nothing.
    Empty,
}

/// A successful answer.
#[derive(Debug, Clone, Copy)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// What it consists of.
    pub content: Content,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Its shape.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
}

/// What a call does beside answering; further parameters and errors follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It reads the replicated state, as fresh as is asked for.
    Reads,
    /// It reads the replicated state as it is.
    ReadsLatest,
    /// It puts something into the log.
    Proposes,
    /// It puts something into the log, and may be repeated under a key.
    Writes,
    /// It may do either, by its body.
    ReadsOrWrites,
}

/// The description of one route.
#[derive(Debug, Clone)]
pub struct Description {
    /// The group it is listed under.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Parameters of the query; those that must be there end with `!`.
    pub query: Vec<&'static str>,
    /// The body it takes.
    pub body: Option<Body>,
    /// How it answers when it succeeds; several of one status stand for any of them.
    pub answers: Vec<Success>,
    /// What it does.
    pub effect: Effect,
    /// Whether the change may be bound to a revision.
    pub if_match: bool,
    /// Whether it takes an `Idempotency-Key` though it puts nothing into the log.
    pub keyed: bool,
    /// Errors of its own, beside those that follow from the rest.
    pub errors: Vec<Kind>,
}

/// What is said of an endpoint, beside its handler.
pub fn describe(tag: &'static str, summary: &'static str) -> Description {
    Description {
        tag,
        summary,
        query: Vec::new(),
        body: None,
        answers: Vec::new(),
        effect: Effect::None,
        if_match: false,
        keyed: false,
        errors: Vec::new(),
    }
}

impl Description {
    /// With parameters of the query; `!` ends those that must be there.
    pub fn query(mut self, names: &'static str) -> Self {
        self.query.extend(names.split(' '));
        self
    }

    /// With a body.
    pub fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body { shape: SchemaGenerator::subschema_for::<T>, required: true });
        self
    }

    /// With a body that may be left out.
    pub fn optional_body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body { shape: SchemaGenerator::subschema_for::<T>, required: false });
        self
    }

    fn answer(mut self, status: u16, content: Content) -> Self {
        self.answers.push(Success { status, content });
        self
    }

    /// Answers with JSON.
    pub fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.answer(status, Content::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// Answers as JettraDBVM does: shortly, in text unless JSON is asked for.
    pub fn says(self) -> Self {
        self.answer(200, Content::JsonOrText(SchemaGenerator::subschema_for::<StatusReply>))
    }

    /// Answers with JSON if it is asked for, else in text.
    pub fn gives_or_says<T: JsonSchema>(self, status: u16) -> Self {
        self.answer(status, Content::JsonOrText(SchemaGenerator::subschema_for::<T>))
    }

    /// Answers with events.
    pub fn sends<T: JsonSchema>(self) -> Self {
        self.answer(200, Content::Events(SchemaGenerator::subschema_for::<T>))
    }

    /// Nothing, for a reader that has it already.
    pub fn gives_known(self) -> Self {
        self.answer(304, Content::Empty)
    }

    /// Answers with nothing.
    pub fn gives_nothing(self) -> Self {
        self.answer(204, Content::Empty)
    }

    /// Reads the state, as fresh as is asked for.
    pub fn reads(self) -> Self {
        Description { effect: Effect::Reads, ..self }
    }

    /// Takes an idempotency key, though it puts nothing into the log.
    pub fn keyed(self) -> Self {
        Description { keyed: true, ..self }.fails(&[InvalidParameter, IdempotencyKeyReused])
    }

    /// Reads the state as it is.
    pub fn reads_latest(self) -> Self {
        Description { effect: Effect::ReadsLatest, ..self }
    }

    /// Puts something into the log.
    pub fn proposes(self) -> Self {
        Description { effect: Effect::Proposes, ..self }
    }

    /// Puts something into the log, and may be repeated under a key.
    pub fn writes(self) -> Self {
        Description { effect: Effect::Writes, ..self }
    }

    /// Does either, by its body.
    pub fn reads_or_writes(self) -> Self {
        Description { effect: Effect::ReadsOrWrites, ..self }
    }

    /// May be bound to a revision.
    pub fn if_match(self) -> Self {
        Description { if_match: true, ..self }.fails(&[RevisionMismatch])
    }

    /// Has errors of its own.
    pub fn fails(mut self, errors: &[Kind]) -> Self {
        self.errors.extend(errors);
        self
    }
}

/// Any JSON.
pub(in crate::doors) struct Any;

impl JsonSchema for Any {
    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "What the statement or query gives."})
    }
}

/// A document.
pub(in crate::doors) struct AnyDocument;

impl JsonSchema for AnyDocument {
    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A document: any JSON object.",
            "type": "object",
            "properties": {"_id": generator.subschema_for::<DocumentId>()},
        })
    }
}

/// A collection that is not there.
pub(in crate::doors) const NAMESPACE_ERRORS: &[Kind] = &[DatabaseNotFound, CollectionNotFound];
/// A document that is not there, or whose `_id` cannot be.
pub(in crate::doors) const DOCUMENT_ERRORS: &[Kind] =
    &[DatabaseNotFound, CollectionNotFound, DocumentNotFound, IdTooLong];
/// A query that cannot be, or is not carried out to its end.
pub(in crate::doors) const QUERY_ERRORS: &[Kind] =
    &[InvalidQuery, NotApplicable, QueryTooLarge, TimeLimit];
/// A change that a document does not allow.
pub(in crate::doors) const CHANGE_ERRORS: &[Kind] = &[
    DatabaseNotFound,
    InvalidName,
    InvalidId,
    IdTooLong,
    InvalidQuery,
    TooDeep,
    TooLarge,
    ValidationFailed,
    Referenced,
    UniqueViolation,
    NotIndexable,
    NotApplicable,
];
/// A change of documents that a query finds.
pub(in crate::doors) const SELECTION_ERRORS: &[Kind] =
    &[CollectionNotFound, DuplicateId, QueryTooLarge, TimeLimit];
/// A change of the catalog.
pub(in crate::doors) const NAME_ERRORS: &[Kind] = &[InvalidName, DatabaseNotFound];
/// A transaction that is not there any more, or cannot be committed.
pub(in crate::doors) const COMMIT_ERRORS: &[Kind] = &[
    TransactionLost,
    TransactionConflict,
    IdempotencyFull,
    TransactionTooLarge,
    ValidationFailed,
    Referenced,
    UniqueViolation,
    NotIndexable,
    NotApplicable,
];
/// A version that is not there.
pub(in crate::doors) const VERSION_ERRORS: &[Kind] =
    &[VersionNotFound, VersionsOff, TooOld, InvalidParameter];
/// What may be wrong with a node that is named.
pub(in crate::doors) const NODE_ERRORS: &[Kind] =
    &[NodeNotFound, NotDistributed, NotPossibleNow, Timeout, NodeUnreachable];

/// A group of calls.
pub(in crate::doors) const SESSION: &str = "Session";
/// A group of calls.
pub(in crate::doors) const CATALOG: &str = "Databases and collections";
/// A group of calls.
pub(in crate::doors) const JETTRADBVM: &str = "Documents, as JettraDBVM has them";
/// A group of calls.
pub(in crate::doors) const KV: &str = "Keys and values";
/// A group of calls.
pub(in crate::doors) const DOCUMENTS: &str = "Documents";
/// A group of calls.
pub(in crate::doors) const QUERIES: &str = "Queries";
/// A group of calls.
pub(in crate::doors) const TRANSACTIONS: &str = "Transactions";
/// A group of calls.
pub(in crate::doors) const VERSIONS: &str = "Versions and changes";
/// A group of calls.
pub(in crate::doors) const STRUCTURE: &str = "Indexes, schemas, statistics";
/// A group of calls.
pub(in crate::doors) const ACCESS: &str = "Users, tokens, audit";
/// A group of calls.
pub(in crate::doors) const CLUSTER: &str = "Cluster";

/// The groups, in the order in which they are shown.
pub const TAGS: [&str; 11] = [
    SESSION,
    CATALOG,
    DOCUMENTS,
    QUERIES,
    TRANSACTIONS,
    VERSIONS,
    STRUCTURE,
    ACCESS,
    CLUSTER,
    KV,
    JETTRADBVM,
];
