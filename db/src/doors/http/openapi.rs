//! The OpenAPI 3.1 document, made of the route table, the descriptions and the error kinds.

use super::call::Call;
use super::describe::{Any, CLUSTER, describe};
use super::describe::{Body, Content, Description, Effect, Success, TAGS, parameter};
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::{ROUTES, Route, Runs};
use crate::auth::{Access, Permission, token};
use crate::error::Kind::{self, *};
use crate::error::Result;
use crate::status::HttpStatus;
use bytes::Bytes;
use jettra_driver::wire::{
    CLIENT_HEADER, CURSOR_HEADER, ErrorBody, FORGOTTEN_HEADER, INDEX_HEADER, LEADER_HEADER,
    MORE_HEADER, NODE_HEADER, REPLAYED_HEADER,
};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::LazyLock;

/// `GET /openapi.json`
pub const DOCUMENT: Endpoint = Endpoint::new(
    |call| Box::pin(document(call)),
    || describe(CLUSTER, "Describe this interface").gives::<Any>(200),
);

async fn document(_: Rc<Call>) -> Result<Reply> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| openapi().to_string().into());
    Ok(Reply::bytes(TEXT.clone()))
}

/// Schemas of bodies and of answers: a field may be left out of the one and not of the other.
struct Schemas {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    fn new() -> Schemas {
        let settings = || {
            SchemaSettings::draft2020_12()
                .with(|settings| settings.definitions_path = "/components/schemas".into())
        };
        Schemas {
            bodies: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    /// All that the others refer to.
    fn take(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        all.extend(self.bodies.take_definitions(true));
        all.values_mut().for_each(tidy);
        all["ErrorDetail"]["properties"]["code"] =
            json!({"$ref": "#/components/schemas/ErrorCode"});
        all.insert("ErrorCode".into(), error_code());
        all
    }
}

/// Every code of an error, with what it means.
fn error_code() -> Value {
    let one = |kind: &Kind| json!({"const": kind.code(), "description": kind.meaning()});
    let text = "Stable, for programs.";
    json!({"description": text, "type": "string", "oneOf": Kind::ALL.iter().map(one).collect::<Vec<_>>()})
}

/// Bounds that the name of a format implies, and no links that only Rust's docs can follow.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let most = match fields.get("format").and_then(Value::as_str) {
                Some("uint64" | "uint") => Some(u64::MAX),
                Some("uint32") => Some(u32::MAX.into()),
                _ => None,
            };
            if let Some(most) = most {
                fields.insert("maximum".into(), most.into());
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The whole document.
fn openapi() -> Value {
    let mut schemas = Schemas::new();
    let error = Value::from(schemas.answers.subschema_for::<ErrorBody>());
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        if let Some(description) = description(route) {
            let operation = operation(route, &description, &mut schemas, &error);
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method.to_lowercase()] = operation;
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jettra",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A replicated document database. Every node answers every call; what \
                must run on the leader is forwarded.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The node that gave this document."}],
        "tags": TAGS.map(|name| json!({"name": name})),
        "paths": paths,
        "components": {
            "schemas": schemas.take(),
            "parameters": shared_parameters(),
            "headers": headers(),
            "securitySchemes": security_schemes(),
        },
    })
}

/// What is said of a route; none of calls between nodes.
fn description(route: &Route) -> Option<Description> {
    route.endpoint.describe.map(|describe| describe())
}

fn operation(
    route: &Route,
    description: &Description,
    schemas: &mut Schemas,
    error: &Value,
) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [description.tag],
        "summary": description.summary,
        "description": who_and_where(route),
        "parameters": parameters(route, description),
        "responses": responses(route, description, schemas, error),
        "security": security(route),
    });
    if let Some(Body { shape, required }) = description.body {
        let mut schema = Value::from(shape(&mut schemas.bodies));
        tidy(&mut schema);
        let content = json!({"application/json": {"schema": schema}});
        operation["requestBody"] = json!({"required": required, "content": content});
    }
    operation
}

/// The driver's method, which JettraDBVM's calls share with those of REST.
fn operation_id(route: &Route) -> String {
    let rest = route.path.starts_with("/api/v1/");
    let shared = |other: &&Route| other.driver == route.driver && other.path != route.path;
    match !rest && ROUTES.iter().any(|other| shared(&other)) {
        true => format!("jettradbvm_{}", route.driver),
        false => route.driver.to_owned(),
    }
}

fn who_and_where(route: &Route) -> String {
    let who = match route.access {
        Access::Open => "Open to everybody.".to_owned(),
        Access::User(Permission::Login) => "For every user.".to_owned(),
        Access::User(permission) => {
            format!("For users who may `{}`.", format!("{permission:?}").to_lowercase())
        }
        Access::Node => "For nodes.".to_owned(),
    };
    let place = match route.runs {
        Runs::Here(_) => "Runs on the node that is called",
        Runs::Leader(_) => "Runs on the leader",
        Runs::ByBody => "Runs on the leader when it changes something",
    };
    format!("{who} {place}. Driver: `{}`; shell: `{}`.", route.driver, route.shell)
}

/// Who may call it, and how that is proved.
fn security(route: &Route) -> Value {
    if route.access == Access::Open {
        return json!([]);
    }
    let cookie = match route.method {
        "GET" => json!({"session": []}),
        _ => json!({"session": [], "page": []}),
    };
    json!([{"basic": []}, {"key": []}, cookie])
}

fn security_schemes() -> Value {
    json!({
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "Name and password. The `token` of `POST /api/login` is this header's value.",
        },
        "key": {"type": "http", "scheme": "bearer", "description": "An API key, which `POST /api/v1/tokens` makes."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": token::COOKIE,
            "description": "The session that `POST /api/login` begins.",
        },
        "page": {
            "type": "apiKey",
            "in": "header",
            "name": CLIENT_HEADER,
            "description": "Any value, with the cookie: a foreign page cannot send it.",
        },
    })
}

/// Whether a call can belong to a transaction, or read the past.
fn states(route: &Route) -> (bool, bool) {
    (route.about.is_documents(), route.reads_documents())
}

fn parameters(route: &Route, description: &Description) -> Vec<Value> {
    let in_path =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<_> = in_path.map(|name| make_parameter("path", name, true)).collect();
    for name in &description.query {
        let plain = name.trim_end_matches('!');
        all.push(make_parameter("query", plain, plain != *name));
    }
    let (transaction, past) = states(route);
    let reads = matches!(description.effect, Effect::Reads | Effect::ReadsOrWrites);
    let writes = matches!(description.effect, Effect::Writes | Effect::ReadsOrWrites);
    let knows = description.answers.iter().any(|answer| answer.status == 304);
    let further = [
        (transaction, &["tx"][..]),
        (past, &["at", "asOf"]),
        (reads, &["level", "index", "freshness"]),
        (!route.runs.is_here(), &["redirect"]),
        (description.if_match, &["If-Match"]),
        (description.if_match || knows, &["If-None-Match"]),
        (writes || description.keyed, &["Idempotency-Key"]),
    ];
    let names = further.into_iter().filter(|(wanted, _)| *wanted).flat_map(|(_, names)| names);
    let link = |name: &&str| json!({"$ref": format!("#/components/parameters/{name}")});
    all.extend(names.map(link));
    all
}

/// Parameters that many calls take, with the part of the request where they stand.
const SHARED: [(&str, &str); 10] = [
    ("query", "tx"),
    ("query", "at"),
    ("query", "asOf"),
    ("query", "level"),
    ("query", "index"),
    ("query", "freshness"),
    ("query", "redirect"),
    ("header", "If-Match"),
    ("header", "If-None-Match"),
    ("header", "Idempotency-Key"),
];

fn shared_parameters() -> Map<String, Value> {
    let make = |(place, name): (&str, &str)| (name.to_owned(), make_parameter(place, name, false));
    SHARED.into_iter().map(make).collect()
}

fn make_parameter(place: &str, name: &str, required: bool) -> Value {
    let (description, schema) = parameter(name).unwrap_or_default();
    let mut parameter =
        json!({"name": name, "in": place, "required": required, "description": description});
    // An object in a query is JSON text.
    match schema["type"] == "object" {
        true => parameter["content"] = json!({"application/json": {"schema": schema}}),
        false => parameter["schema"] = schema,
    }
    parameter
}

fn responses(
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
        let mut add = |media: &str, shape: super::describe::Shape| {
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
        responses.entry(status.to_string()).or_insert_with(|| error_response(&kinds, error));
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

fn error_response(kinds: &[Kind], error: &Value) -> Value {
    let codes: Vec<_> = kinds.iter().map(|kind| kind.code()).collect();
    let meanings: Vec<_> = kinds.iter().map(|kind| kind.meaning()).collect();
    let one_of = json!({"properties": {"error": {"properties": {"code": {"enum": codes}}}}});
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
    let (transaction, past) = states(route);
    let has_parameters = route.path.contains('{') || !description.query.is_empty();
    let rules = [
        (true, &[Internal][..]),
        (user, USER),
        (user && route.method != "GET", &[CrossSite]),
        (documents, &[Removed, Paused]),
        (description.body.is_some(), BODY),
        (has_parameters || description.if_match, &[InvalidParameter]),
        (!route.runs.is_here(), &[NoLeader, Stopping]),
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
    (INDEX_HEADER, "integer", "The log index that the answer reflects."),
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

fn headers() -> Map<String, Value> {
    let header = |kind: &str, text: &str| json!({"description": text, "schema": {"type": kind}});
    HEADERS.iter().map(|(name, kind, text)| ((*name).to_owned(), header(kind, text))).collect()
}

fn header_links() -> Map<String, Value> {
    let link = |name: &str| json!({"$ref": format!("#/components/headers/{name}")});
    HEADERS.iter().map(|(name, ..)| ((*name).to_owned(), link(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(document: &Value) -> Vec<&Value> {
        let paths = document["paths"].as_object().unwrap().values();
        paths.flat_map(|path| path.as_object().unwrap().values()).collect()
    }

    #[test]
    fn every_name_of_a_read_level_that_is_described_is_one() {
        let document = openapi();
        let level = &document["components"]["parameters"]["level"]["schema"]["enum"];
        let names: Vec<&str> = level.as_array().unwrap().iter().flat_map(Value::as_str).collect();
        assert_eq!(names.len(), 11, "{names:?}");
        for name in names {
            let needed = if name == "bounded" { "1s" } else { "1" };
            assert!(jettra_driver::ReadLevel::parse(name, Some(needed)).is_ok(), "{name}");
        }
    }

    /// Every place that `$ref` names.
    fn references<'d>(part: &'d Value, found: &mut BTreeSet<&'d str>) {
        match part {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_for_users_is_described_and_no_other() {
        for route in ROUTES {
            // What nodes say to each other has no driver method, also where a join token opens it.
            let described = description(route).is_some();
            assert_eq!(described, !route.driver.is_empty(), "{} {}", route.method, route.path);
        }
        let users = ROUTES.iter().filter(|route| !route.driver.is_empty()).count();
        assert_eq!(operations(&openapi()).len(), users);
    }

    #[test]
    fn every_parameter_is_explained_and_every_route_answers_something() {
        for route in ROUTES {
            let Some(one) = description(route) else { continue };
            let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{'));
            let names = in_path.map(|name| name.trim_end_matches('}'));
            for name in names.chain(one.query.iter().map(|name| name.trim_end_matches('!'))) {
                assert!(parameter(name).is_some(), "{} {}: {name}", route.method, route.path);
            }
            assert!(TAGS.contains(&one.tag), "{}", one.tag);
            assert!(!one.answers.is_empty(), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn the_document_follows_the_schema_of_openapi() {
        let schema = include_str!("openapi-3.1.schema.json");
        let schema: Value = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let document = openapi();
        let faults: Vec<_> =
            validator.iter_errors(&document).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(jsonschema::meta::is_valid(schema), "{name}: {schema:#}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
        let document = openapi();
        let mut all = BTreeSet::new();
        references(&document, &mut all);
        for reference in all {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference}");
        }
        let operations = operations(&document);
        let names: BTreeSet<_> = operations.iter().map(|one| one["operationId"].as_str()).collect();
        assert_eq!(names.len(), operations.len());
    }

    #[test]
    fn a_type_in_bodies_and_answers_has_one_schema() {
        let mut schemas = Schemas::new();
        let error = Value::from(schemas.answers.subschema_for::<ErrorBody>());
        for route in ROUTES {
            if let Some(one) = description(route) {
                operation(route, &one, &mut schemas, &error);
            }
        }
        let bodies = schemas.bodies.take_definitions(true);
        for (name, schema) in schemas.answers.take_definitions(true) {
            let other = bodies.get(&name);
            assert!(other.is_none_or(|other| *other == schema), "{name}: {schema:#} {other:?}");
        }
    }

    #[test]
    fn an_error_is_described_by_its_codes() {
        let document = openapi();
        let responses = &document["paths"]["/api/v1/databases/{db}/collections/{col}/documents/{id}"]
            ["get"]["responses"];
        let codes = responses["404"]
            .pointer(
                "/content/application~1json/schema/allOf/1/properties/error/properties/code/enum",
            )
            .unwrap();
        assert_eq!(
            *codes,
            json!(["database_not_found", "collection_not_found", "document_not_found"])
        );
        let text = responses["404"]["description"].as_str().unwrap();
        assert!(text.contains("No such document."), "{text}");
    }

    #[test]
    fn what_many_calls_take_is_explained_once() {
        for (_, name) in SHARED {
            assert!(parameter(name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_document_tells_no_secret_and_nothing_about_calls_between_nodes() {
        let text = openapi().to_string();
        for word in ["password_hash", "x-jettra-peer", "/raft/rpc/vote", "token_hash"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
