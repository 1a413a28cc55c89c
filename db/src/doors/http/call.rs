//! One call, taken apart: what handlers get instead of an HTTP request.

use super::dispatch::GROUP_PARAMETER;
use super::endpoint::Handled;
use super::reply::{Form, Reply};
use super::routes::Route;
use super::server::PathParameters;
use super::threads::Threads;
use crate::auth::{Access, Permission};
use crate::cluster::Cluster;
use crate::engine::DocumentId;
use crate::engine::Namespace;
use crate::engine::command::Target;
use crate::engine::document::{check_id_size, parse_json};
use crate::engine::limits::Limits;
use crate::engine::query::context::At;
use crate::engine::value::{from_json, parse_date};
use crate::engine::versions::Moment;
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::Signature;
use crate::raft::{GroupId, ReadLevel};
use crate::service::session::IdempotencyKey;
use crate::service::{Service, Session};
use crate::tls::PeerCertificate;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, Uri};
use bytes::Bytes;
use jettra_driver::wire::{self, BadLevel, IDEMPOTENCY_HEADER, INDEX_HEADER, split_group};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// What all calls share.
pub struct App {
    /// What a node does for its callers.
    pub service: Arc<Service>,
    /// The threads that client calls are carried out on.
    pub threads: Arc<Threads>,
    /// What the listener serves that the calls come to.
    pub listener: Listener,
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// All calls.
    All,
    /// Those of clients, beside a listener for nodes (`PeerAddress`).
    Clients,
    /// Those of nodes, and what they forward.
    Nodes,
}

/// One call.
#[derive(Clone)]
pub struct Call {
    /// What all calls share.
    pub app: Arc<App>,
    /// On whose behalf it is carried out, and how; of nobody before it is admitted.
    pub session: Session,
    /// The text of the login token, when a cookie authenticated the caller.
    pub cookie: Option<String>,
    /// Parameters of the path.
    pub path: PathParameters,
    /// Parameters of the query.
    pub query: Vec<(String, String)>,
    /// The request that it came in.
    pub http: Http,
    /// A parameter that this node adds to the address when it forwards the call.
    pub added: Option<String>,
    /// The body.
    pub body: Bytes,
    /// What the node that sends it has signed, once that is verified.
    pub signature: Option<Signature>,
}

/// The head of the request that a call came in.
#[derive(Clone)]
pub enum Http {
    /// On the thread that has received it.
    Received(HttpRequest),
    /// On another thread: without the connection.
    Moved(Arc<Head>),
}

/// The parts of a request's head that matter after its admission.
pub struct Head {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// What the caller has shown of itself, if that is still known.
    pub certificate: Option<PeerCertificate>,
}

impl Http {
    /// Its method.
    pub fn method(&self) -> &Method {
        match self {
            Http::Received(http) => http.method(),
            Http::Moved(head) => &head.method,
        }
    }

    /// Its path and query.
    pub fn uri(&self) -> &Uri {
        match self {
            Http::Received(http) => http.uri(),
            Http::Moved(head) => &head.uri,
        }
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        match self {
            Http::Received(http) => http.headers(),
            Http::Moved(head) => &head.headers,
        }
    }

    /// The certificate that the caller has shown.
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        match self {
            Http::Received(http) => http.conn_data(),
            Http::Moved(head) => head.certificate.as_ref(),
        }
    }

    fn head(&self) -> Arc<Head> {
        match self {
            Http::Received(http) => Arc::new(Head {
                method: http.method().clone(),
                uri: http.uri().clone(),
                headers: http.headers().clone(),
                // It matters for the admission only.
                certificate: None,
            }),
            Http::Moved(head) => head.clone(),
        }
    }
}

/// A call on its way to another thread.
pub struct MovedCall {
    app: Arc<App>,
    session: Session,
    cookie: Option<String>,
    path: PathParameters,
    query: Vec<(String, String)>,
    head: Arc<Head>,
    added: Option<String>,
    body: Bytes,
    signature: Option<Signature>,
}

impl From<Call> for MovedCall {
    fn from(call: Call) -> Self {
        MovedCall {
            app: call.app,
            session: call.session,
            cookie: call.cookie,
            path: call.path,
            query: call.query,
            head: call.http.head(),
            added: call.added,
            body: call.body,
            signature: call.signature,
        }
    }
}

impl From<MovedCall> for Call {
    fn from(call: MovedCall) -> Self {
        Call {
            app: call.app,
            session: call.session,
            cookie: call.cookie,
            path: call.path,
            query: call.query,
            http: Http::Moved(call.head),
            added: call.added,
            body: call.body,
            signature: call.signature,
        }
    }
}

/// The number that a text in an address may mean.
pub fn number(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

/// The `_id` that a text in an address means by its type.
fn typed_id(text: &str, kind: &str, limits: &Limits) -> Result<DocumentId> {
    let extended = |json: Json| from_json(json, At::root("id")).ok().and_then(DocumentId::new);
    let (id, what) = match kind {
        "string" => (Some(text.into()), "a text"),
        "int" => (number(text).map(DocumentId::from), "an integer"),
        "oid" => (extended(json!({"$oid": text})), "an ObjectId, 24 hexadecimal digits"),
        "uuid" => (extended(json!({"$uuid": text})), "a UUID"),
        "json" => {
            let json = parse_json(text.as_bytes(), limits).ok();
            (json.and_then(extended), "Extended JSON of a value that can be an _id")
        }
        other => {
            return Err(Error::new(Kind::InvalidParameter, format!("id_type={other} is unknown"))
                .hint("use string, int, oid, uuid or json"));
        }
    };
    id.ok_or_else(|| {
        let message = format!("the id {text:?} is not {what}, as id_type={kind} says");
        Error::new(Kind::InvalidParameter, message)
            .hint("leave id_type out, or use that of the _id: string, int, oid, uuid or json")
    })
}

impl Call {
    /// Whether it is on the thread that has received it, where nodes are heard too.
    pub fn is_where_it_came(&self) -> bool {
        matches!(self.http, Http::Received(_))
    }

    /// Carries the call out on the threads for clients, after all.
    ///
    /// # Errors
    /// Those of `run`.
    pub async fn on_threads(&self, run: fn(Rc<Call>) -> Handled) -> Result<Reply> {
        let (app, form, moved) = (self.app.clone(), self.form()?, MovedCall::from(self.clone()));
        let answering = app.threads.run(move || async move {
            let reply = run(Rc::new(Call::from(moved))).await;
            // Giving a large answer its form takes long too.
            reply.map(|reply| reply.in_form(form))
        });
        answering.await?
    }

    /// Headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        self.http.headers()
    }

    /// Path and query.
    pub fn target(&self) -> Cow<'_, str> {
        let came = self.http.uri().path_and_query().map_or("/", |target| target.as_str());
        match &self.added {
            None => Cow::Borrowed(came),
            Some(added) if came.contains('?') => Cow::Owned(format!("{came}&{added}")),
            Some(added) => Cow::Owned(format!("{came}?{added}")),
        }
    }

    /// The node's own view of the cluster.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.app.service.cluster
    }

    /// Puts into the session what address and head say of it, as far as the route knows it.
    ///
    /// # Errors
    /// `not_in_transaction`, and `invalid_parameter` for a state that the route does not read;
    /// `invalid_parameter` for a read level that is unknown, or lacks what it needs.
    pub fn complete_session(&mut self, route: &Route) -> Result<()> {
        let transaction = self.parameter(&["tx", "txID"]).map(str::to_owned);
        if transaction.is_some() && !route.about.knows_transactions() {
            let (method, path) = (route.method, route.path);
            let message = format!("{method} {path} is not possible in a transaction");
            return Err(Error::new(Kind::NotInTransaction, message)
                .hint("only documents can be read and written in it; do the rest outside"));
        }
        let past = self.parameter(&["at", "asOf", "as_of"]).is_some();
        if past && !route.reads_documents() {
            let message = format!("{} {} does not read the past", route.method, route.path);
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint("leave at and asOf out; they are for reading documents"));
        }
        let of_data = matches!(
            route.access,
            Access::User(Permission::Read | Permission::Write | Permission::Own)
        );
        if of_data || route.path.contains("{db}") {
            self.session.database = self.database(route);
        }
        self.session.named_group = self.named_group(route)?;
        let confirm = route.asks_first() && self.confirm()?;
        if confirm || route.runs.may_read() {
            self.session.level = self.level()?;
        }
        self.session.moment = if past { self.moment()? } else { None };
        self.session.key = self.idempotency_key();
        self.session.transaction = transaction;
        self.session.confirm = confirm;
        Ok(())
    }

    /// The group that the call names by something else than a database: by the id of a transaction or a
    /// task, or as the only one whose part of a list is asked for.
    fn named_group(&self, route: &Route) -> Result<Option<GroupId>> {
        if route.lists_groups() && self.parameter(&[GROUP_PARAMETER]).is_some() {
            let number = self.number(GROUP_PARAMETER, 0, GroupId::MAX.into())?;
            return Ok(GroupId::try_from(number).ok());
        }
        let id = self.parameter(&["tx", "txID", "task"]);
        Ok(id.and_then(|id| split_group(id).ok()).map(|(_, group)| group))
    }

    /// The database whose group carries the call out; none for what is about databases themselves.
    fn database(&self, route: &Route) -> Option<Arc<str>> {
        if route.path == "/api/dbs" {
            return None;
        }
        let given = self.parameter(&["db", "database"]);
        given.map(Into::into).or_else(|| database_in(&self.body, route).map(Into::into))
    }

    /// Whether the caller is to be asked before many documents are changed.
    fn confirm(&self) -> Result<bool> {
        match self.parameter(&["confirm"]) {
            None => Ok(false),
            Some("ask") => Ok(true),
            Some(other) => {
                Err(Error::new(Kind::InvalidParameter, format!("confirm={other} is unknown"))
                    .hint("use confirm=ask, or leave it out"))
            }
        }
    }

    /// The key of the call; what cannot be a key is refused when it is used.
    fn idempotency_key(&self) -> Option<IdempotencyKey> {
        let text = self.headers().get(IDEMPOTENCY_HEADER)?.to_str().unwrap_or_default();
        let mut hash = Xxh3::new();
        for part in [self.http.method().as_str().as_bytes(), self.target().as_bytes(), &self.body] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Some(IdempotencyKey { text: text.to_owned(), fingerprint: hash.digest() })
    }

    /// The moment in the past that a call wants to read.
    fn moment(&self) -> Result<Option<Moment>> {
        let wrong = |name: &str, text: &str, hint: &str| {
            Err(Error::new(Kind::InvalidParameter, format!("{name}={text} cannot be read"))
                .hint(hint))
        };
        match (self.parameter(&["at"]), self.parameter(&["asOf", "as_of"])) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(Error::new(Kind::InvalidParameter, "at and asOf are both given")
                    .hint("give one"))
            }
            (Some(text), None) => match self.in_own_group("at", text)?.parse() {
                Ok(index) => Ok(Some(Moment::Index(index))),
                Err(_) => wrong("at", text, "use the log index of an earlier answer"),
            },
            (None, Some(text)) => {
                let date = || parse_date(text).and_then(|time_ms| u64::try_from(time_ms).ok());
                match text.parse().ok().or_else(date) {
                    Some(time_ms) => Ok(Some(Moment::Time(time_ms))),
                    None => wrong("asOf", text, "use a time such as 2026-01-31T12:00:00Z"),
                }
            }
        }
    }

    /// A parameter under any of its names; from the path, else from the query.
    pub fn parameter(&self, names: &[&str]) -> Option<&str> {
        let in_path = self.path.iter().find(|(name, _)| names.contains(name));
        let in_query = || self.query.iter().find(|(name, _)| names.contains(&name.as_str()));
        in_path
            .map(|(_, value)| value)
            .or_else(|| in_query().map(|(_, value)| value))
            .map(String::as_str)
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_parameter` naming it.
    pub fn required(&self, names: &[&str]) -> Result<&str> {
        self.parameter(names).ok_or_else(|| {
            Error::new(Kind::InvalidParameter, format!("the parameter {:?} is missing", names[0]))
                .hint(format!("add ?{}=… to the address", names[0]))
        })
    }

    /// A parameter that is a whole number.
    pub fn number(&self, name: &str, default: u64, max: u64) -> Result<u64> {
        let Some(text) = self.parameter(&[name]) else {
            return Ok(default);
        };
        let bad = || {
            Error::new(Kind::InvalidParameter, format!("{name}={text} is out of range"))
                .hint(format!("use a whole number from 0 to {max}"))
        };
        text.parse().ok().filter(|number| *number <= max).ok_or_else(bad)
    }

    /// The collection that the call names.
    ///
    /// # Errors
    /// `invalid_parameter` when database or collection is missing.
    pub fn namespace(&self) -> Result<Namespace> {
        let database = self.required(&["db", "database"])?.to_owned();
        let collection = self.required(&["col", "collection"])?.to_owned();
        Ok(Namespace { database, collection })
    }

    /// The document that the call names. A text that could be a number as well means either,
    /// unless `id_type` says which.
    ///
    /// # Errors
    /// `invalid_parameter` for a text that is not of that type, `id_too_long`.
    pub fn target_document(&self) -> Result<Target> {
        let text = self.required(&["id"])?;
        let limits = self.session.limits();
        let target = match (self.parameter(&["id_type"]), number(text)) {
            (None, Some(number)) => Target { id: number.into(), or: Some(text.into()) },
            (None, None) => DocumentId::from(text).into(),
            (Some(kind), _) => typed_id(text, kind, &limits)?.into(),
        };
        check_id_size(&target.id, &limits)?;
        Ok(target)
    }

    /// The read level asked for.
    ///
    /// # Errors
    /// `invalid_parameter` for an unknown one, and when what it needs is missing or wrong.
    fn level(&self) -> Result<ReadLevel> {
        let Some(name) = self.parameter(&["level"]) else {
            return Ok(ReadLevel::default());
        };
        let (field, value) = match name {
            "session" => ("index", self.parameter(&["index"]).or_else(|| self.seen_index())),
            "bounded" => ("freshness", self.parameter(&["freshness"])),
            _ => ("", None),
        };
        let level = wire::ReadLevel::parse(name, value);
        let level = level.map_err(|bad| bad_level(name, field, value, bad))?;
        Ok(match level {
            wire::ReadLevel::Linearizable => ReadLevel::Linearizable,
            wire::ReadLevel::Leader => ReadLevel::Leader,
            // The client may have seen other groups, too.
            wire::ReadLevel::Session(_) => {
                let seen = value.unwrap_or_default().parse::<wire::Positions>();
                ReadLevel::Session(seen.unwrap_or_default().index(self.session.group_number()))
            }
            wire::ReadLevel::Bounded(freshness) => ReadLevel::Bounded(freshness),
            wire::ReadLevel::Local => ReadLevel::Local,
            wire::ReadLevel::Auto => ReadLevel::Auto,
        })
    }

    /// The header with the log index that the client has seen.
    fn seen_index(&self) -> Option<&str> {
        self.headers().get(INDEX_HEADER).map(|value| value.to_str().unwrap_or("unreadable"))
    }

    /// The body as `T`, strictly parsed.
    ///
    /// # Errors
    /// `invalid_body` that names the field.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        shaped(parse_json(&self.body, &self.session.limits())?)
    }

    /// As [`Call::json`]; an empty body is an empty object.
    pub fn json_or_empty<T: DeserializeOwned>(&self) -> Result<T> {
        if self.body.is_empty() {
            let empty = Call { body: Bytes::from_static(b"{}"), ..self.clone() };
            return empty.json();
        }
        self.json()
    }

    /// The form of Extended JSON that the caller wants values in.
    ///
    /// # Errors
    /// `invalid_parameter` for an unknown one.
    pub fn form(&self) -> Result<Form> {
        let Some(name) = self.parameter(&["extended_json"]) else { return Ok(Form::default()) };
        Form::named(name).ok_or_else(|| {
            let message = format!("extended_json={name} is unknown");
            Error::new(Kind::InvalidParameter, message).hint("use relaxed or canonical")
        })
    }

    /// Whether the caller prefers JSON to JettraDBVM's plain text.
    pub fn wants_json(&self) -> bool {
        let accept = self.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("application/json"))
    }
}

/// The database that a body names, for calls whose address names none. What is wrong with the body is
/// for its handler to say.
fn database_in(body: &[u8], route: &Route) -> Option<String> {
    const NAMED: [&str; 5] =
        ["/api/cols", "/api/cols/rename", "/api/index", "/api/restore-version", "/api/v1/batch"];
    /// The first one, of the body itself or of a part of a batch; what a document holds comes later.
    fn first(json: &Json) -> Option<&str> {
        let named = json.get("database").or_else(|| json.get("db")).and_then(Json::as_str);
        named.or_else(|| match json {
            Json::Object(fields) => fields.values().find_map(first),
            Json::Array(parts) => parts.iter().find_map(first),
            _ => None,
        })
    }
    if route.method == "GET" || !NAMED.contains(&route.path) {
        return None;
    }
    first(&serde_json::from_slice::<Json>(body).ok()?).map(str::to_owned)
}

/// A JSON object as `T`. What serde would take as well, a list of the fields' values, is refused.
fn shaped<T: DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    let shaped = match value.is_object() {
        true => serde_json::from_value(value).map_err(|error| error.to_string()),
        false => Err("it must be a JSON object".into()),
    };
    shaped.map_err(|error| {
        Error::new(Kind::InvalidBody, format!("the body has the wrong shape: {error}"))
            .hint("see the description of this call")
    })
}

fn bad_level(name: &str, field: &str, value: Option<&str>, bad: BadLevel) -> Error {
    let message = match (bad, value) {
        (BadLevel::Name, _) => format!("level={name} is unknown"),
        (_, None) => format!("level={name} needs the parameter {field:?}"),
        (_, Some(value)) => format!("{field}={value} is wrong"),
    };
    let hint = match bad {
        BadLevel::Index => {
            "send the X-Jettra-Index of an earlier answer, as that header or as index=17".to_owned()
        }
        BadLevel::Freshness => {
            "say how old the answer may be, for example freshness=500ms, 2s or 1m".to_owned()
        }
        BadLevel::Name => bad.to_string(),
    };
    Error::new(Kind::InvalidParameter, message).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::wire::CountBody;
    use serde_json::json;

    #[test]
    fn a_list_of_values_is_no_body() {
        assert_eq!(shaped::<CountBody>(json!({})), Ok(CountBody::default()));
        for wrong in [json!([]), json!([{"n": 1}, null]), json!(null), json!("{}"), json!(1)] {
            let refused = shaped::<CountBody>(wrong.clone());
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::InvalidBody), "{wrong}");
        }
    }
}
