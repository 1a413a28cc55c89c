//! The responses to calls: success, errors and headers.

use super::schemas::{Schemas, tidy};
use crate::auth::{Access, Permission};
use crate::doors::http::describe::{Content, Description, Effect, Shape, Success};
use crate::doors::http::routes::{Route, has_plain_errors};
use crate::error::Kind::{self, *};
use crate::status::HttpStatus;
use jettra_driver::wire::{
    CURSOR_HEADER, FORGOTTEN_HEADER, INDEX_HEADER, LEADER_HEADER, MORE_HEADER, NODE_HEADER,
    PlainErrorBody, REPLAYED_HEADER,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn of_route(
    route: &Route,
    description: &Description,
    schemas: &mut Schemas,
    error: &Value,
) -> BTreeMap<String, Value> {
    let mut responses = BTreeMap::new();
    for Success { status, content } in &description.answers {
        let response = responses
            .entry(status.to_string())
            .or_insert_with(|| json!({"description": "Done.", "headers": header_links()}));
        let mut add = |media: &str, shape: Shape| {
            let mut schema = Value::from(shape(&mut schemas.answers));
            tidy(&mut schema);
            let content = &mut response["content"][media]["schema"];
            *content = match content.take() {
                Value::Null => schema,
                first => json!({"anyOf": [first, schema]}),
            };
        };
        match content {
            Content::Empty => {}
            Content::Json(shape) => add("application/json", *shape),
            Content::JsonOrText(shape) => {
                add("application/json", *shape);
                response["content"]["text/plain"] = json!({"schema": {"type": "string"}});
            }
            Content::Events(shape) => add("text/event-stream", *shape),
        }
    }
    if !route.runs.is_here() {
        let location = json!({"schema": {"type": "string", "format": "uri"}});
        let text = "With `redirect`: the leader is there.";
        responses
            .insert("307".into(), json!({"description": text, "headers": {"Location": location}}));
    }
    for (status, kinds) in by_status(&errors(route, description)) {
        let response = || error_response(route, &kinds, error, schemas);
        responses.entry(status.to_string()).or_insert_with(response);
    }
    responses
}

fn by_status(errors: &BTreeSet<Kind>) -> BTreeMap<u16, Vec<Kind>> {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in errors {
        by_status.entry(kind.status()).or_default().push(*kind);
    }
    by_status
}

fn error_response(route: &Route, kinds: &[Kind], error: &Value, schemas: &mut Schemas) -> Value {
    let codes: Vec<_> = kinds.iter().map(|kind| kind.code()).collect();
    let meanings: Vec<_> = kinds.iter().map(|kind| kind.meaning()).collect();
    let code = json!({"code": {"enum": codes}});
    let plain = has_plain_errors(route.path)
        .then(|| Value::from(schemas.answers.subschema_for::<PlainErrorBody>()));
    let (error, one_of) = match &plain {
        Some(plain) => (plain, json!({"properties": code})),
        None => (error, json!({"properties": {"error": {"properties": code}}})),
    };
    json!({
        "description": meanings.join(" "),
        "content": {"application/json": {"schema": {"allOf": [error, one_of]}}},
    })
}

/// Every error that a call may end with: its own, and those that follow from the rest.
fn errors(route: &Route, description: &Description) -> BTreeSet<Kind> {
    const USER: &[Kind] = &[
        NotAuthenticated,
        BadCredentials,
        Forbidden,
        UserDisabled,
        TooManyAttempts,
        Overloaded,
        UserChanged,
        NotRegistered,
        Starting,
        Stopping,
    ];
    const BODY: &[Kind] = &[InvalidJson, DuplicateKey, InvalidBody, TooDeep, TooLarge, Overloaded];
    const READ: &[Kind] = &[InvalidParameter, NoLeader, Timeout, Overloaded, Stopping];
    const WRITE: &[Kind] = &[
        NoLeader,
        Overloaded,
        TooLarge,
        QueryTooLarge,
        OutcomeUnknown,
        EntryRefused,
        StorageFull,
        Stopping,
    ];
    const KEY: &[Kind] =
        &[InvalidParameter, IdempotencyKeyReused, IdempotencyKeyExpired, IdempotencyFull];
    const TRANSACTION: &[Kind] =
        &[TransactionLost, TransactionTooLarge, NotInTransaction, CrossGroup];
    const PAST: &[Kind] = &[InvalidParameter, TooOld, VersionsOff];
    let user = matches!(route.access, Access::User(_));
    let documents =
        !matches!(route.access, Access::Open | Access::User(Permission::Login | Permission::Admin));
    let effect = description.effect;
    let reads = matches!(effect, Effect::Reads | Effect::ReadsLatest | Effect::ReadsOrWrites);
    let writes = matches!(effect, Effect::Writes | Effect::ReadsOrWrites);
    let (transaction, past) = (route.about.is_documents(), route.reads_documents());
    let has_parameters = route.path.contains('{') || !description.query.is_empty();
    let rules = [
        (true, &[Internal][..]),
        (user, USER),
        (user, &[CrossSite]),
        (documents, &[Removed, Paused]),
        (description.body.is_some(), BODY),
        (has_parameters || description.if_match, &[InvalidParameter]),
        (!route.runs.is_here(), &[NoLeader, NotLeader, Stopping]),
        (reads, READ),
        (writes || effect == Effect::Proposes, WRITE),
        (writes, KEY),
        (transaction, TRANSACTION),
        (past, PAST),
    ];
    let implied = rules.into_iter().filter(|(holds, _)| *holds).flat_map(|(_, kinds)| kinds);
    implied.chain(&description.errors).copied().collect()
}

/// Headers that every answer may have.
const HEADERS: [(&str, &str, &str); 7] = [
    (
        INDEX_HEADER,
        "string",
        "The log index that the answer reflects: `17`, or `17@3` in the log of group 3.",
    ),
    (NODE_HEADER, "string", "The node that has carried the call out."),
    (LEADER_HEADER, "string", "Where the leader is reached."),
    (REPLAYED_HEADER, "string", "`true` when an earlier call with the same key got this answer."),
    (
        FORGOTTEN_HEADER,
        "string",
        "`true` when a document that this answer had is kept no longer: the write was made, and `revision` is what it gave.",
    ),
    (
        MORE_HEADER,
        "string",
        "`true` when a statement gives more documents than the array in this answer has; call again with `page` or `cursor` in the body.",
    ),
    (CURSOR_HEADER, "string", "The `cursor` for the documents that follow."),
];

pub(super) fn headers() -> Map<String, Value> {
    let header = |kind: &str, text: &str| json!({"description": text, "schema": {"type": kind}});
    HEADERS.iter().map(|(name, kind, text)| ((*name).to_owned(), header(kind, text))).collect()
}

fn header_links() -> Map<String, Value> {
    let link = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    HEADERS.iter().map(|(name, ..)| ((*name).to_owned(), link(name))).collect()
}
