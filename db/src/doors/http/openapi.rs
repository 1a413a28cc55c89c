//! The OpenAPI 3.1 document, made of the route table, the descriptions and the error kinds.

mod parameters;
mod responses;
mod schemas;

use super::call::Call;
use super::describe::{Any, Body, CLUSTER, Description, TAGS, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use super::routes::{ROUTES, Route, Runs};
use crate::auth::{Access, Permission, token};
use crate::error::Result;
use bytes::Bytes;
use jettra_driver::wire::{CLIENT_HEADER, ErrorBody};
use schemas::{Schemas, tidy};
use serde_json::{Map, Value, json};
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
            "parameters": parameters::shared(),
            "headers": responses::headers(),
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
        "parameters": parameters::of_route(route, description),
        "responses": responses::of_route(route, description, schemas, error),
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

#[cfg(test)]
mod tests {
    use super::parameters::{SHARED, parameter};
    use super::*;
    use std::collections::BTreeSet;

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
