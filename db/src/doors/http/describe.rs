//! What the routes take and give, in words and shapes: one description for each row of
//! [`ROUTES`](super::ROUTES) that users may call. The OpenAPI document is made of both.

use super::auth::{Credentials, NewPassword};
use super::catalog::{CollectionRename, DatabaseRename, NewCollection, NewDatabase};
use super::cluster::{NodeName, Registration};
use super::jettradbvm::catalog::JettraDbvmNewIndex;
use crate::error::Kind::{self, *};
use jettra_driver::wire::*;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The JSON Schema of a type; shared parts go to the generator.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What an answer consists of.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// JSON of this shape.
    Json(Shape),
    /// The same, or plain text for who does not ask for JSON.
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

/// All names of read levels.
fn level_names() -> Vec<&'static str> {
    use jettra_driver::ReadLevel;
    let others = ReadLevel::OTHER_NAMES.iter().map(|(other, _)| *other);
    ReadLevel::NAMES.into_iter().chain(others).collect()
}

/// The description of one route.
#[derive(Debug, Clone)]
pub struct Description {
    /// HTTP method, as in the route table.
    pub method: &'static str,
    /// Path, as in the route table.
    pub path: &'static str,
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

fn route(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
) -> Description {
    Description {
        method,
        path,
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

fn get(path: &'static str, tag: &'static str, summary: &'static str) -> Description {
    route("GET", path, tag, summary)
}

fn post(path: &'static str, tag: &'static str, summary: &'static str) -> Description {
    route("POST", path, tag, summary)
}

fn put(path: &'static str, tag: &'static str, summary: &'static str) -> Description {
    route("PUT", path, tag, summary)
}

fn patch(path: &'static str, tag: &'static str, summary: &'static str) -> Description {
    route("PATCH", path, tag, summary)
}

fn delete(path: &'static str, tag: &'static str, summary: &'static str) -> Description {
    route("DELETE", path, tag, summary)
}

impl Description {
    fn query(mut self, names: &'static str) -> Self {
        self.query.extend(names.split(' '));
        self
    }

    fn body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body { shape: SchemaGenerator::subschema_for::<T>, required: true });
        self
    }

    fn optional_body<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body { shape: SchemaGenerator::subschema_for::<T>, required: false });
        self
    }

    fn answer(mut self, status: u16, content: Content) -> Self {
        self.answers.push(Success { status, content });
        self
    }

    fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.answer(status, Content::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// The ancestor's short answers, which are text for who does not ask for JSON.
    fn says(self) -> Self {
        self.answer(200, Content::JsonOrText(SchemaGenerator::subschema_for::<StatusReply>))
    }

    fn sends<T: JsonSchema>(self) -> Self {
        self.answer(200, Content::Events(SchemaGenerator::subschema_for::<T>))
    }

    /// Nothing, for a reader that has it already.
    fn gives_known(self) -> Self {
        self.answer(304, Content::Empty)
    }

    fn gives_nothing(self) -> Self {
        self.answer(204, Content::Empty)
    }

    fn reads(self) -> Self {
        Description { effect: Effect::Reads, ..self }
    }

    fn keyed(self) -> Self {
        Description { keyed: true, ..self }.fails(&[InvalidParameter, IdempotencyKeyReused])
    }

    fn reads_latest(self) -> Self {
        Description { effect: Effect::ReadsLatest, ..self }
    }

    fn proposes(self) -> Self {
        Description { effect: Effect::Proposes, ..self }
    }

    fn writes(self) -> Self {
        Description { effect: Effect::Writes, ..self }
    }

    fn reads_or_writes(self) -> Self {
        Description { effect: Effect::ReadsOrWrites, ..self }
    }

    fn if_match(self) -> Self {
        Description { if_match: true, ..self }.fails(&[RevisionMismatch])
    }

    fn fails(mut self, errors: &[Kind]) -> Self {
        self.errors.extend(errors);
        self
    }
}

/// Any JSON.
struct Any;

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
struct Document;

impl JsonSchema for Document {
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

/// A change of a document.
struct Patch;

impl JsonSchema for Patch {
    fn schema_name() -> Cow<'static, str> {
        "Patch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The fields to change, where `null` removes one (JSON Merge Patch); or \
                update operators such as `{\"$inc\": {\"n\": 1}}`.",
            "type": "object",
        })
    }
}

/// The answer to `POST /api/doc`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it gives a shape only")]
struct Saved {
    /// The document's `_id`.
    id: DocumentId,
}

/// The answer to `POST /api/tx/begin`.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it gives a shape only")]
struct Begun {
    /// Pass it as `tx=` to the calls that belong to the transaction.
    #[serde(rename = "txID")]
    tx_id: String,
}

/// An index in the answer to `GET /api/index`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it gives a shape only")]
struct AncestorIndex {
    /// Its fields, with commas between them.
    field: String,
    /// No two documents may have the same values.
    unique: bool,
    /// A document without the field gets the next number.
    sequential: bool,
    /// Its name.
    name: String,
    /// How far it is.
    state: IndexStateName,
}

/// A collection that is not there.
const PLACE: &[Kind] = &[DatabaseNotFound, CollectionNotFound];
/// A document that is not there, or whose `_id` cannot be.
const DOCUMENT: &[Kind] = &[DatabaseNotFound, CollectionNotFound, DocumentNotFound, InvalidId];
/// A query that cannot be, or is not carried out to its end.
const QUERY: &[Kind] = &[InvalidQuery, NotApplicable, QueryTooLarge, TimeLimit];
/// A change that a document does not allow.
const CHANGE: &[Kind] = &[
    DatabaseNotFound,
    InvalidName,
    InvalidId,
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
const CHANGES: &[Kind] = &[CollectionNotFound, DuplicateId, QueryTooLarge, TimeLimit];
/// A change of the catalog.
const NAMES: &[Kind] = &[InvalidName, DatabaseNotFound];
/// A transaction that is not there any more, or cannot be committed.
const COMMIT: &[Kind] = &[
    TransactionLost,
    TransactionConflict,
    TransactionTooLarge,
    ValidationFailed,
    Referenced,
    UniqueViolation,
    NotIndexable,
    NotApplicable,
];
/// A version that is not there.
const VERSION: &[Kind] = &[VersionNotFound, VersionsOff, TooOld, InvalidParameter];
/// What may be wrong with a node that is named.
const NODE: &[Kind] = &[NodeNotFound, NotDistributed, NotPossibleNow, Timeout, NodeUnreachable];

const SESSION: &str = "Session";
const CATALOG: &str = "Databases and collections";
const ANCESTOR: &str = "Documents, as JettraDBVM has them";
const DOCUMENTS: &str = "Documents";
const QUERIES: &str = "Queries";
const TRANSACTIONS: &str = "Transactions";
const VERSIONS: &str = "Versions and changes";
const STRUCTURE: &str = "Indexes, schemas, statistics";
const ACCESS: &str = "Users, tokens, audit";
const CLUSTER: &str = "Cluster";

/// The groups, in the order in which they are shown.
pub const TAGS: [&str; 10] = [
    SESSION,
    CATALOG,
    DOCUMENTS,
    QUERIES,
    TRANSACTIONS,
    VERSIONS,
    STRUCTURE,
    ACCESS,
    CLUSTER,
    ANCESTOR,
];

/// Every description, in the order of the route table.
#[rustfmt::skip]
pub fn descriptions() -> Vec<Description> {
    vec![
        post("/api/login", SESSION, "Check a name and password, and begin a session")
            .body::<Credentials>().gives::<LoginReply>(200).proposes().fails(&[BadCredentials, UserDisabled, TooManyAttempts, NotRegistered, Starting, Timeout]),
        post("/api/logout", SESSION, "End the session of the cookie")
            .gives::<StatusReply>(200).proposes(),
        get("/api/v1/session", SESSION, "Tell who is calling")
            .gives::<SessionReply>(200),
        post("/api/change-password", SESSION, "Change one's own password, and end one's sessions")
            .body::<NewPassword>().gives::<StatusReply>(200).proposes().fails(&[Timeout]),

        get("/api/dbs", CATALOG, "List the databases")
            .gives::<Vec<DatabaseInfo>>(200).reads(),
        post("/api/dbs", CATALOG, "Create a database; a success as well when it exists")
            .body::<NewDatabase>().gives::<StatusReply>(200).writes().fails(NAMES),
        delete("/api/dbs", CATALOG, "Drop a database; a success as well when there is none")
            .query("name!").gives::<StatusReply>(200).writes().fails(NAMES),
        post("/api/dbs/rename", CATALOG, "Give a database another name")
            .body::<DatabaseRename>().gives::<StatusReply>(200).writes().fails(NAMES).fails(&[NameTaken]),
        get("/api/dbs/{db}/cols", CATALOG, "List the names of a database's collections")
            .gives::<Vec<String>>(200).reads().fails(&[DatabaseNotFound]),
        post("/api/cols", CATALOG, "Create a collection, and its database if need be; a success as well when it exists")
            .body::<NewCollection>().gives::<StatusReply>(200).writes().fails(NAMES),
        delete("/api/cols", CATALOG, "Drop a collection; a success as well when there is none")
            .query("database! collection!").gives::<StatusReply>(200).writes().fails(NAMES)
            .fails(&[Referenced, QueryTooLarge]),
        post("/api/cols/rename", CATALOG, "Give a collection another name")
            .body::<CollectionRename>().gives::<StatusReply>(200).writes().fails(NAMES)
            .fails(&[CollectionNotFound, NameTaken, InvalidQuery, TooLarge, QueryTooLarge]),

        post("/api/doc", ANCESTOR, "Save a document, over one of the same `_id`; makes database and collection if need be")
            .query("db! col!").body::<Document>().gives::<Saved>(200).writes().fails(CHANGE),
        get("/api/doc", ANCESTOR, "Read a document")
            .query("db! col! id! id_type").gives::<Document>(200).gives_known().reads().fails(DOCUMENT),
        put("/api/doc", ANCESTOR, "Put a document at an `_id`, whether or not there was one")
            .query("db! col! id! id_type").body::<Document>().gives::<StatusReply>(200).writes().if_match().fails(CHANGE),
        delete("/api/doc", ANCESTOR, "Delete a document; a success as well when there is none")
            .query("db! col! id! id_type").gives::<StatusReply>(200).writes().if_match().fails(CHANGE).fails(PLACE),
        get("/api/query", ANCESTOR, "Read documents, as a bare array")
            .query("db! col! limit offset filter sort fields skip cursor hint explain")
            .gives::<Vec<Document>>(200).gives::<ExplainReply>(200).reads().fails(PLACE).fails(QUERY),
        get("/api/count", ANCESTOR, "Count documents")
            .query("db! col! filter").gives::<CountReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/command", QUERIES, "Run a statement of JQL, SQL or Mongo's shell language")
            .query("db! confirm").fails(&[NeedsConfirmation]).body::<StatementBody>().gives::<Any>(200).gives::<StatementReply>(200).reads_or_writes()
            .fails(&[SyntaxError]).fails(QUERY).fails(CHANGE).fails(CHANGES)
            .fails(&[NameTaken, IndexConflict, IndexNotFound, DocumentNotFound]),
        get("/api/index", ANCESTOR, "List the indexes of a collection")
            .query("db! col!").gives::<Vec<AncestorIndex>>(200).reads().fails(PLACE),
        post("/api/index", ANCESTOR, "Create an index, and wait until it is built")
            .body::<JettraDbvmNewIndex>().gives::<StatusReply>(200).writes().fails(NAMES)
            .fails(&[CollectionNotFound, InvalidQuery, IndexConflict, UniqueViolation, NotIndexable, TooLarge]),
        delete("/api/index", ANCESTOR, "Drop an index; a success as well when there is none")
            .query("db! col! field!").gives::<StatusReply>(200).writes().fails(NAMES).fails(PLACE)
            .fails(&[IndexConflict]),

        get("/api/v1/databases/{db}/collections/{col}/documents", DOCUMENTS, "Read documents, page by page")
            .query("filter sort fields skip limit cursor hint explain")
            .gives::<ListReply>(200).gives::<ExplainReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/v1/databases/{db}/collections/{col}/documents", DOCUMENTS, "Insert a document; makes the collection if need be")
            .body::<Document>().gives::<WriteReply>(201).writes().fails(CHANGE).fails(&[DuplicateId]),
        get("/api/v1/databases/{db}/collections/{col}/documents/{id}", DOCUMENTS, "Read a document")
            .query("id_type").gives::<Document>(200).gives_known().reads().fails(DOCUMENT),
        put("/api/v1/databases/{db}/collections/{col}/documents/{id}", DOCUMENTS, "Put a document at an `_id`: 201 when there was none")
            .query("id_type").body::<Document>().gives::<WriteReply>(200).gives::<WriteReply>(201).writes().if_match().fails(CHANGE),
        patch("/api/v1/databases/{db}/collections/{col}/documents/{id}", DOCUMENTS, "Change fields of a document, and give it as it is then")
            .query("id_type").body::<Patch>().gives::<Document>(200).gives::<ForgottenReply>(200).writes().if_match()
            .fails(CHANGE).fails(DOCUMENT).fails(&[QueryTooLarge]),
        delete("/api/v1/databases/{db}/collections/{col}/documents/{id}", DOCUMENTS, "Delete a document")
            .query("id_type").gives_nothing().writes().if_match().fails(DOCUMENT).fails(&[InvalidName, Referenced, ValidationFailed]),

        post("/api/v1/databases/{db}/collections/{col}/find", QUERIES, "Find documents, page by page")
            .optional_body::<FindBody>().gives::<ListReply>(200).gives::<ExplainReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/v1/databases/{db}/collections/{col}/aggregate", QUERIES, "Run a pipeline")
            .query("confirm").fails(&[NeedsConfirmation])
            .body::<AggregateBody>().gives::<AggregateReply>(200).gives::<ExplainReply>(200).reads_or_writes()
            .fails(QUERY).fails(CHANGE).fails(CHANGES),
        get("/api/v1/databases/{db}/collections/{col}/count", QUERIES, "Count documents")
            .query("filter").gives::<CountReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/v1/databases/{db}/collections/{col}/count", QUERIES, "Count documents")
            .query("filter").optional_body::<CountBody>().gives::<CountReply>(200).gives::<ExplainReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/v1/databases/{db}/collections/{col}/distinct", QUERIES, "List the different values of a field")
            .body::<DistinctBody>().gives::<DistinctReply>(200).gives::<ExplainReply>(200).reads().fails(PLACE).fails(QUERY),
        post("/api/v1/databases/{db}/collections/{col}/update", QUERIES, "Update the first document that matches, or all")
            .query("confirm").fails(&[NeedsConfirmation]).body::<UpdateBody>().gives::<UpdateReply>(200).gives::<ExplainReply>(200).writes().fails(CHANGE).fails(CHANGES),
        post("/api/v1/databases/{db}/collections/{col}/replace", QUERIES, "Replace the first document that matches")
            .body::<ReplaceBody>().gives::<UpdateReply>(200).writes().fails(CHANGE).fails(CHANGES),
        post("/api/v1/databases/{db}/collections/{col}/delete", QUERIES, "Delete the first document that matches, or all")
            .query("confirm").fails(&[NeedsConfirmation]).body::<DeleteBody>().gives::<DeleteReply>(200).gives::<ExplainReply>(200).writes().fails(CHANGE).fails(CHANGES),
        post("/api/v1/databases/{db}/collections/{col}/find-and-modify", QUERIES, "Change the first document that matches, and give it")
            .body::<FindAndModifyBody>().gives::<FindAndModifyReply>(200).writes().fails(CHANGE).fails(CHANGES),
        post("/api/v1/databases/{db}/collections/{col}/bulk", QUERIES, "Carry out many changes in one step")
            .query("confirm").fails(&[NeedsConfirmation]).body::<BulkBody>().gives::<BulkReply>(200).writes().fails(CHANGE).fails(CHANGES),

        post("/api/tx/begin", ANCESTOR, "Begin a transaction")
            .gives::<Begun>(200).reads_latest().keyed(),
        post("/api/tx/commit", ANCESTOR, "Commit a transaction")
            .query("txID!").gives::<StatusReply>(200).proposes().fails(COMMIT),
        post("/api/tx/rollback", ANCESTOR, "Roll a transaction back; a success as well when there is none")
            .query("txID!").gives::<StatusReply>(200).fails(&[NotPossibleNow]),
        get("/api/v1/transactions", TRANSACTIONS, "List the open transactions: one's own, for administrators all")
            .gives::<TransactionsReply>(200).reads(),
        post("/api/v1/transactions", TRANSACTIONS, "Begin a transaction")
            .gives::<TransactionReply>(201).reads_latest().keyed(),
        post("/api/v1/transactions/{tx}/commit", TRANSACTIONS, "Commit a transaction")
            .gives::<CommitReply>(200).proposes().fails(COMMIT),
        delete("/api/v1/transactions/{tx}", TRANSACTIONS, "Roll a transaction back; a success as well when there is none")
            .gives_nothing().fails(&[NotPossibleNow]),
        post("/api/v1/batch", TRANSACTIONS, "Carry out operations on several collections together or not at all, under conditions")
            .query("tx confirm").fails(&[NeedsConfirmation]).body::<BatchBody>().gives::<BatchReply>(200).writes().fails(CHANGE).fails(CHANGES)
            .fails(&[DocumentNotFound, TransactionLost, TransactionTooLarge, NotInTransaction, CrossGroup]),

        get("/api/versions", ANCESTOR, "List the numbers of a document's former versions")
            .query("db! col! id! id_type").gives::<Vec<String>>(200).reads().fails(PLACE).fails(&[InvalidId, TimeLimit, VersionsOff]),
        get("/api/version", ANCESTOR, "Read a document as it was in a version")
            .query("db! col! id! version! id_type").gives::<Document>(200).reads().fails(DOCUMENT).fails(VERSION),
        post("/api/restore-version", ANCESTOR, "Put a document back to a version")
            .body::<RestoreVersionBody>().gives::<StatusReply>(200).writes().fails(DOCUMENT).fails(CHANGE).fails(VERSION),
        get("/api/v1/databases/{db}/collections/{col}/documents/{id}/versions", VERSIONS, "List the versions of a document")
            .query("id_type").gives::<HistoryReply>(200).reads().fails(DOCUMENT).fails(&[TimeLimit, VersionsOff]),
        get("/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}", VERSIONS, "Read a document as it was in a version")
            .query("id_type").gives::<Document>(200).reads().fails(DOCUMENT).fails(VERSION),
        get("/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/diff", VERSIONS, "Tell what differs between two versions")
            .query("to id_type").gives::<DiffReply>(200).reads().fails(DOCUMENT).fails(VERSION).fails(&[TimeLimit]),
        post("/api/v1/databases/{db}/collections/{col}/documents/{id}/versions/{version}/restore", VERSIONS, "Put a document back to a version")
            .query("id_type").gives::<WriteReply>(200).writes().fails(DOCUMENT).fails(CHANGE).fails(VERSION),
        post("/api/v1/databases/{db}/collections/{col}/documents/{id}/undelete", VERSIONS, "Put a deleted document back as it was last")
            .query("id_type").gives::<WriteReply>(200).writes().fails(DOCUMENT).fails(CHANGE).fails(VERSION).fails(&[DuplicateId]),
        get("/api/v1/databases/{db}/collections/{col}/versions", VERSIONS, "Tell whether a collection keeps versions")
            .gives::<VersionsReply>(200).reads().fails(PLACE),
        put("/api/v1/databases/{db}/collections/{col}/versions", VERSIONS, "Keep versions from now on")
            .optional_body::<VersionsBody>().gives::<VersionsReply>(200).writes().fails(NAMES).fails(PLACE),
        delete("/api/v1/databases/{db}/collections/{col}/versions", VERSIONS, "Keep no versions, and forget those that are kept")
            .gives_nothing().writes().fails(NAMES).fails(PLACE),
        get("/api/v1/databases/{db}/collections/{col}/watch", VERSIONS, "Follow the changes of a collection")
            .query("filter content after").sends::<ChangeEvent>().reads().fails(&[DatabaseNotFound, InvalidQuery, TooOld]),
        get("/api/v1/databases/{db}/watch", VERSIONS, "Follow the changes of a database")
            .query("filter content after").sends::<ChangeEvent>().reads().fails(&[DatabaseNotFound, InvalidQuery, TooOld]),

        get("/api/v1/databases/{db}/collections/{col}/indexes", STRUCTURE, "List the indexes of a collection")
            .gives::<IndexesReply>(200).reads().fails(PLACE),
        post("/api/v1/databases/{db}/collections/{col}/indexes", STRUCTURE, "Create an index: 200 when there is the same one")
            .body::<IndexBody>().gives::<IndexInfo>(201).gives::<IndexInfo>(200).writes().fails(NAMES)
            .fails(&[CollectionNotFound, InvalidQuery, IndexConflict, UniqueViolation, NotIndexable, TooLarge]),
        delete("/api/v1/databases/{db}/collections/{col}/indexes/{name}", STRUCTURE, "Drop an index, by its name or its fields")
            .gives_nothing().writes().fails(NAMES).fails(PLACE)
            .fails(&[IndexNotFound, IndexConflict]),
        get("/api/v1/databases/{db}/collections/{col}/schema", STRUCTURE, "Read the JSON Schema of a collection")
            .gives::<SchemaReply>(200).reads().fails(PLACE),
        put("/api/v1/databases/{db}/collections/{col}/schema", STRUCTURE, "Give a collection a JSON Schema")
            .body::<SchemaBody>().gives_nothing().writes().fails(NAMES).fails(PLACE).fails(&[InvalidQuery, InvalidBody]),
        delete("/api/v1/databases/{db}/collections/{col}/schema", STRUCTURE, "Take the JSON Schema away")
            .gives_nothing().writes().fails(NAMES).fails(PLACE),
        post("/api/v1/databases/{db}/collections/{col}/validate", STRUCTURE, "Check documents against rules and schema, without writing")
            .optional_body::<ValidateBody>().gives::<ValidateReply>(200).reads().fails(PLACE).fails(QUERY),
        get("/api/v1/databases/{db}/collections/{col}/stats", STRUCTURE, "Tell what a collection holds")
            .gives::<StatsReply>(200).reads().fails(PLACE),
        get("/api/v1/databases/{db}/hash", STRUCTURE, "Hash a database, to compare nodes")
            .gives::<HashReply>(200).reads().fails(&[DatabaseNotFound, TimeLimit]),

        get("/api/users", ACCESS, "List the users")
            .gives::<Vec<UserInfo>>(200).reads(),
        post("/api/users", ACCESS, "Create a user: 400 when there is one of this name")
            .body::<NewUser>().gives::<StatusReply>(200).writes(),
        delete("/api/users", ACCESS, "Delete a user")
            .query("id!").gives::<StatusReply>(200).writes().fails(&[UserNotFound, LastAdmin]),
        get("/api/v1/users", ACCESS, "List the users")
            .gives::<Vec<UserInfo>>(200).reads(),
        post("/api/v1/users", ACCESS, "Create a user")
            .body::<NewUser>().gives::<UserInfo>(201).writes().fails(&[UserExists, UserNotFound]),
        get("/api/v1/users/{user}", ACCESS, "Tell about a user")
            .gives::<UserInfo>(200).reads().fails(&[UserNotFound]),
        patch("/api/v1/users/{user}", ACCESS, "Change what is given of a user")
            .body::<UserUpdateBody>().gives::<UserInfo>(200).writes().fails(&[UserNotFound, LastAdmin]),
        delete("/api/v1/users/{user}", ACCESS, "Delete a user")
            .gives_nothing().writes().fails(&[UserNotFound, LastAdmin]),
        get("/api/v1/tokens", ACCESS, "List one's own sessions and keys, for administrators all tokens")
            .gives::<TokensReply>(200).reads(),
        post("/api/v1/tokens", ACCESS, "Make an API key")
            .body::<NewToken>().gives::<TokenReply>(201).proposes(),
        delete("/api/v1/tokens/{token}", ACCESS, "Revoke a session, an API key or a join token")
            .gives_nothing().writes().fails(&[TokenNotFound]),
        post("/api/v1/cluster/tokens", ACCESS, "Make a token with which one new node can join")
            .optional_body::<NewJoinToken>().gives::<TokenReply>(201).proposes(),
        get("/api/v1/audit", ACCESS, "Tell who did what, the latest first")
            .query("limit before user action").gives::<AuditReply>(200).reads(),

        get("/health", CLUSTER, "Tell whether this node serves calls: 503 with the reason when it does not")
            .gives::<HealthReply>(200).gives::<HealthReply>(503),
        get("/openapi.json", CLUSTER, "Describe this interface")
            .gives::<Any>(200),
        get("/api/cluster", CLUSTER, "Tell members, roles and states")
            .gives::<ClusterReply>(200),
        post("/api/cluster/register", CLUSTER, "Admit a node; a success as well when it is a member")
            .body::<Registration>().says().proposes().fails(NODE)
            .fails(&[InvalidUrl, NodeConflict, ForeignCluster, StaleNode, NotANode, SecretMismatch, AddressRefused]),
        post("/api/cluster/deregister", CLUSTER, "Remove a node; a success as well when it is unknown")
            .body::<NodeName>().gives::<StatusReply>(200).proposes().fails(NODE).fails(&[WouldLoseQuorum]),
        post("/api/cluster/stop", CLUSTER, "Stop the process of a node")
            .body::<NodeName>().gives::<StatusReply>(200).proposes().fails(NODE).fails(&[WouldLoseQuorum]),
        post("/api/cluster/pause", CLUSTER, "Take client calls and leadership away from a node")
            .body::<NodeName>().says().proposes().fails(NODE).fails(&[WouldLoseQuorum]),
        post("/api/cluster/resume", CLUSTER, "Give a paused node its work back")
            .body::<NodeName>().says().proposes().fails(NODE),
        post("/api/cluster/promote", CLUSTER, "Hand leadership to a node, or to the one that is called")
            .optional_body::<NodeName>().says().proposes().fails(NODE),
        post("/api/cluster/restart", CLUSTER, "Restart the process of a node, or of the one that is called")
            .optional_body::<NodeName>().gives::<StatusReply>(200).proposes().fails(NODE).fails(&[WouldLoseQuorum]),
        get("/raft/rpc/status", CLUSTER, "List the members")
            .gives::<Vec<NodeInfo>>(200),
    ]
}

/// What a parameter of a path, a query or a head is, by its name, with its JSON Schema.
pub fn parameter(name: &str) -> Option<(&'static str, Value)> {
    let text = || json!({"type": "string"});
    let name_of = || json!({"type": "string", "minLength": 1});
    let number = || json!({"type": "integer", "minimum": 0, "maximum": u64::MAX});
    Some(match name {
        "db" | "database" => ("The database.", name_of()),
        "col" | "collection" => ("The collection.", name_of()),
        "id" => (
            "The `_id` of the document, or the name of the user. A text that could be a number means either, the number first.",
            name_of(),
        ),
        "id_type" => (
            "Which of the two an `id` means that could be both.",
            json!({"type": "string", "enum": ["int", "string"]}),
        ),
        "name" => ("The name.", name_of()),
        "field" => ("The name of the index, or its fields with commas between them.", name_of()),
        "version" => (
            "A version, as the list of versions names it.",
            json!({"type": "string", "minLength": 1, "example": "17"}),
        ),
        "to" => ("The version to compare with; `current` when left out.", text()),
        "tx" => ("The transaction that the call belongs to.", name_of()),
        "txID" => ("The transaction.", text()),
        "filter" => ("Only documents that match this.", json!({"type": "object"})),
        "sort" => ("The order: `-age,name`, or JSON.", text()),
        "fields" => ("What of the documents is wanted: `name,-_id`, or JSON.", text()),
        "skip" | "offset" => ("Documents to leave out first.", number()),
        "limit" => ("How many at most; 100 when left out.", number()),
        "user" => ("The name of a user.", name_of()),
        "token" => ("The public part of a token, as the list of tokens names it.", name_of()),
        "action" => ("Only what was done of this kind, such as `login`.", text()),
        "before" => (
            "Only what came before the entry of this number.",
            json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        ),
        "cursor" => ("The cursor of the page before.", text()),
        "hint" => ("Name of the index to use, its fields as JSON, or `$natural`.", text()),
        "explain" => (
            "Asks for the plan instead of the documents.",
            json!({"type": "string", "enum": ["queryPlanner", "executionStats"]}),
        ),
        "confirm" => (
            "Refuses the call, with their number, when it would change or delete all documents or more than a handful.",
            json!({"type": "string", "enum": ["ask"]}),
        ),
        "content" => (
            "What of a change is told.",
            json!({"type": "string", "enum": ["document", "delta", "both"]}),
        ),
        "after" => ("The token behind which the feed begins; now when left out.", text()),
        "at" => ("Reads the collection as it was at this log index.", number()),
        "asOf" => {
            ("Reads the collection as it was at this time, such as `2026-01-31T12:00:00Z`.", text())
        }
        "level" => (
            "How fresh the answer must be; `session` and `bounded` need `index` and `freshness`. \
             Other names: `strong` for `linearizable`, `weak` for `leader`, `none`, `serializable` and \
             `stale` for `local`.",
            json!({"type": "string", "enum": level_names()}),
        ),
        "index" => ("With `level=session`: the `X-Jettra-Index` of an earlier answer.", text()),
        "freshness" => (
            "With `level=bounded`: how old the answer may be, such as `500ms`, `2s` or `1m`.",
            text(),
        ),
        "redirect" => ("Asks for the leader's address (307) instead of being forwarded.", text()),
        "If-Match" => (
            "The `ETag` of the revision that is to be changed, a list of several, or `*` for any: the document must exist.",
            json!({"type": "string", "pattern": "^(\\*|\"[0-9]{1,19}\"(, ?\"[0-9]{1,19}\")*)$"}),
        ),
        "If-None-Match" => (
            "For a reader the `ETag` that it has: 304 when that is the revision still. For a writer `*`: the document must not exist.",
            json!({"type": "string", "pattern": "^(\\*|\"[0-9]{1,19}\"(, ?\"[0-9]{1,19}\")*)$"}),
        ),
        "Idempotency-Key" => (
            "A key under which the call is made exactly once, however often it is repeated.",
            json!({"type": "string", "pattern": "^[!-~]{1,200}$"}),
        ),
        _ => return None,
    })
}
