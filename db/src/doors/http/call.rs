//! One call, taken apart: what handlers get instead of an HTTP request.

use super::transaction::{Open, Transactions};
use crate::auth::{Caller, Permission, User, not_authenticated, policy};
use crate::cluster::Cluster;
use crate::engine::DocumentId;
use crate::engine::apply::database_not_found;
use crate::engine::catalog;
use crate::engine::command::{Part, RetryKey};
use crate::engine::document::{check_id_size, parse_json};
use crate::engine::{Answer, Command, Proposal, Target, retry};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::groups::AppliedCommand;
use crate::raft::memory_budget::MemoryPermit;
use crate::raft::node_key::Signature;
use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, Uri};
use bytes::Bytes;
use jettra_driver::ReadLevel;
use jettra_driver::wire::{BadLevel, IDEMPOTENCY_HEADER, INDEX_HEADER};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use xxhash_rust::xxh3::Xxh3;

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 200;

/// What all calls share.
pub struct App {
    /// This node.
    pub cluster: Arc<Cluster>,
    /// Checks credentials.
    pub passwords: crate::auth::password::Passwords,
    /// The threads that client calls are carried out on.
    pub threads: super::threads::Threads,
    /// Places for longer queries: each may keep as much memory as one query may.
    pub queries: Arc<tokio::sync::Semaphore>,
    /// Places for change feeds.
    pub feeds: Arc<tokio::sync::Semaphore>,
    /// The open transactions.
    pub transactions: Arc<Transactions>,
    /// Calls of each user that are carried out now.
    pub running: Mutex<HashMap<String, usize>>,
}

/// The place that a call has among those of its user.
pub struct RunningCall<'a> {
    app: &'a App,
    user: String,
}

impl<'a> RunningCall<'a> {
    /// Takes a place.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn begin(app: &'a App, user: &str) -> Result<Self> {
        let max = app.cluster.config.calls_per_user_max;
        let mut running = lock(&app.running);
        let count = running.entry(user.to_owned()).or_default();
        if *count >= max {
            let message = format!("user {user:?} has {max} calls running on this node");
            return Err(Error::new(Kind::Overloaded, message)
                .hint("wait for some of them; CallsPerUserMax sets the bound"));
        }
        *count += 1;
        Ok(RunningCall { app, user: user.to_owned() })
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        let mut running = lock(&self.app.running);
        if let Some(count) = running.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.user);
            }
        }
    }
}

fn lock(running: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// One call.
#[derive(Clone)]
pub struct Call {
    /// What all calls share.
    pub app: Arc<App>,
    /// Who calls; none on open routes and between nodes.
    pub user: Option<Arc<User>>,
    /// What its errors are called by in the log.
    pub request_id: Arc<str>,
    /// The address that it comes from.
    pub from: Option<String>,
    /// The token of the session, when a cookie proved who calls.
    pub session: Option<String>,
    /// Parameters of the path.
    pub path: Vec<(String, String)>,
    /// Parameters of the query.
    pub query: Vec<(String, String)>,
    /// The request that it came in.
    pub http: Http,
    /// A parameter that this node adds to the address when it forwards the call.
    pub added: Option<String>,
    /// The body.
    pub body: Bytes,
    /// The room that the body takes.
    pub share: Arc<MemoryPermit>,
    /// What the node that sends it has signed, once that is verified.
    pub signature: Option<Signature>,
    /// What it has proposed.
    pub proposed: Rc<Proposed>,
}

/// The head of the request that a call came in.
#[derive(Clone)]
pub enum Http {
    /// On the thread that has received it.
    Received(HttpRequest),
    /// On another thread: without the connection.
    Moved(Arc<Head>),
}

/// The parts of a request's head that matter behind its admission.
pub struct Head {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Http {
    fn method(&self) -> &Method {
        match self {
            Http::Received(http) => http.method(),
            Http::Moved(head) => &head.method,
        }
    }

    fn uri(&self) -> &Uri {
        match self {
            Http::Received(http) => http.uri(),
            Http::Moved(head) => &head.uri,
        }
    }

    fn headers(&self) -> &HeaderMap {
        match self {
            Http::Received(http) => http.headers(),
            Http::Moved(head) => &head.headers,
        }
    }

    /// What the connection keeps beside it; none on another thread.
    pub fn conn_data<T: 'static>(&self) -> Option<&T> {
        match self {
            Http::Received(http) => http.conn_data(),
            Http::Moved(_) => None,
        }
    }

    fn head(&self) -> Arc<Head> {
        match self {
            Http::Received(http) => Arc::new(Head {
                method: http.method().clone(),
                uri: http.uri().clone(),
                headers: http.headers().clone(),
            }),
            Http::Moved(head) => head.clone(),
        }
    }
}

/// A call on its way to another thread, where it begins with nothing proposed.
pub struct MovedCall {
    app: Arc<App>,
    user: Option<Arc<User>>,
    request_id: Arc<str>,
    from: Option<String>,
    session: Option<String>,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    head: Arc<Head>,
    added: Option<String>,
    body: Bytes,
    share: Arc<MemoryPermit>,
    signature: Option<Signature>,
}

impl From<&Call> for MovedCall {
    fn from(call: &Call) -> Self {
        let call = call.clone();
        MovedCall {
            app: call.app,
            user: call.user,
            request_id: call.request_id,
            from: call.from,
            session: call.session,
            path: call.path,
            query: call.query,
            head: call.http.head(),
            added: call.added,
            body: call.body,
            share: call.share,
            signature: call.signature,
        }
    }
}

impl From<MovedCall> for Call {
    fn from(call: MovedCall) -> Self {
        Call {
            app: call.app,
            user: call.user,
            request_id: call.request_id,
            from: call.from,
            session: call.session,
            path: call.path,
            query: call.query,
            http: Http::Moved(call.head),
            added: call.added,
            body: call.body,
            share: call.share,
            signature: call.signature,
            proposed: Rc::default(),
        }
    }
}

/// Runs work that may take long on the pool for it.
///
/// # Errors
/// Those of `work`.
pub async fn pooled<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = actix_web::web::block(work).await;
    done.map_err(|error| Error::new(Kind::Internal, error.to_string()))?
}

/// What a call has proposed.
#[derive(Default)]
pub struct Proposed {
    /// How many commands. Each has a key of its own when the call has one.
    steps: Cell<u32>,
    /// How many have taken effect, and the log index of the last of them.
    done: Cell<(u32, u64)>,
    /// Whether one of them was a repetition.
    pub repeated: Cell<bool>,
    /// Whether a document of the answer is kept no longer.
    pub forgotten: Cell<bool>,
    /// Whether nobody sees what the next commands do: they have no keys, and the call has done
    /// nothing with them yet.
    pub aside: Cell<bool>,
    /// Which part of the call the next command is.
    pub part: Cell<Option<Part>>,
}

/// The number that a text in an address may mean.
pub fn number(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}

impl Proposed {
    /// Begins anew: a call that found no leader is tried again, with the same keys. What has taken
    /// effect already is not forgotten.
    pub fn begin(&self) {
        self.steps.set(0);
        self.repeated.set(false);
        self.forgotten.set(false);
        self.aside.set(false);
        self.part.set(None);
    }

    /// Notes what came of a command.
    fn note(&self, applied: &Result<AppliedCommand>) {
        let repeated = match applied {
            Ok(applied) => applied.repeated,
            Err(error) => error.repeated,
        };
        self.repeated.set(repeated || self.repeated.get());
        if let Ok(applied) = applied
            && !self.aside.get()
        {
            self.done.set((self.done.get().0 + 1, applied.index));
        }
    }

    /// What is told of an error that says that nothing was done, and that the call may be made
    /// again, when a part of it has taken effect: it must not be made again by anybody.
    pub fn honest(&self, error: Error) -> Error {
        let (done, index) = self.done.get();
        if done == 0 || !error.kind.class().may_be_repeated() {
            return error;
        }
        let message = format!("a part of the call has taken effect, then: {}", error.message);
        let details = json!({"committed": done, "cause": error.kind.code()});
        let unknown = Error::new(Kind::OutcomeUnknown, message)
            .hint("look at what was done before you make the call again")
            .details(details);
        Error { index: Some(index), ..unknown }
    }
}

impl Call {
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
        &self.app.cluster
    }

    /// The system group.
    pub fn group(&self) -> Result<&Arc<Group>> {
        self.app.cluster.group()
    }

    /// Who calls.
    pub fn user(&self) -> Result<&User> {
        self.user.as_deref().ok_or_else(not_authenticated)
    }

    /// On whose behalf it proposes.
    pub fn caller(&self) -> Caller {
        let user = self.user.as_ref();
        let credentials = user.map(|user| user.credentials.clone());
        Caller { user: user.map(|user| user.name.clone()), from: self.from.clone(), credentials }
    }

    /// The id of the API key that proves who calls, when one does.
    pub fn key(&self) -> Option<&str> {
        let seen =
            self.user.as_ref().filter(|_| self.session.is_none())?.credentials.token.as_ref();
        seen.map(|(id, _)| id.as_str())
    }

    /// Refuses an API key: one that leaks must not be able to let others in, nor to keep its
    /// user out.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn refuse_key(&self) -> Result<()> {
        if self.key().is_none() {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, "an API key cannot change users, or make keys and tokens")
            .hint("log in with user name and password"))
    }

    /// Refuses a caller that may not do this in a database.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn authorize(&self, permission: Permission, database: &str) -> Result<()> {
        match self.user()?.rights.may(permission, database) {
            true => Ok(()),
            false => Err(self.forbidden(permission, Some(database))),
        }
    }

    /// Refuses who may not create a database, when it is missing.
    ///
    /// # Errors
    /// `database_not_found`.
    pub async fn check_creates(&self, database: &str) -> Result<()> {
        if self.may_create(database)? {
            return Ok(());
        }
        let group = self.group()?;
        group.wait_linearizable().await?;
        match catalog::database(&group.read()?, database)? {
            Some(_) => Ok(()),
            None => Err(database_not_found(database)),
        }
    }

    /// Whether a write of the caller creates a database that is missing.
    pub fn may_create(&self, database: &str) -> Result<bool> {
        Ok(self.user()?.rights.may(Permission::Own, database))
    }

    /// The error for what the caller may not do.
    pub fn forbidden(&self, permission: Permission, database: Option<&str>) -> Error {
        let name = self.user.as_ref().map_or("", |user| &user.name);
        let what = match permission {
            Permission::Login | Permission::Admin => "administer the cluster",
            Permission::Read => "read",
            Permission::Write => "change documents",
            Permission::Own => "change the structure",
        };
        let place = match (permission, database) {
            (Permission::Login | Permission::Admin, _) => String::new(),
            (_, Some(database)) => format!(" in database {database:?}"),
            (_, None) => " in any database".into(),
        };
        Error::new(Kind::Forbidden, format!("user {name:?} may not {what}{place}"))
            .hint("ask an administrator for the right, or use another user or key")
    }

    /// The open transaction that the call belongs to.
    ///
    /// # Errors
    /// `transaction_lost`, `forbidden`.
    pub fn transaction(&self) -> Result<Option<Arc<Open>>> {
        let Some(id) = self.parameter(&["tx", "txID"]) else { return Ok(None) };
        let open = self.app.transactions.get(id, &self.user()?.name)?;
        open.check_group(self.group()?.number())?;
        Ok(Some(open))
    }

    /// Carries a command out on behalf of the caller: through the log, or in the transaction
    /// that the call belongs to. With an `Idempotency-Key` it is carried out once.
    ///
    /// # Errors
    /// Those of [`Group::propose`] and of the command.
    pub async fn propose(&self, command: Command) -> Result<AppliedCommand> {
        for (permission, database) in policy::needs(&command).ok_or_else(not_for_clients)? {
            self.authorize(permission, database)?;
        }
        let proposal = self.proposal(command)?;
        let applied = match self.transaction()? {
            Some(open) => {
                self.user()?.confirm(self.group()?)?;
                open.execute(proposal, self.app.transactions.room.clone()).await
            }
            None => self.group()?.propose(proposal).await,
        };
        self.proposed.note(&applied);
        applied
    }

    /// As [`Call::propose`], of what no client proposes by itself: the route says who may.
    pub async fn propose_here(&self, command: Command) -> Result<AppliedCommand> {
        self.send(self.proposal(command)?).await
    }

    /// Proposes something whose key, if it has one, is not that of the call.
    pub async fn send(&self, proposal: impl Into<Proposal>) -> Result<AppliedCommand> {
        let applied = self.group()?.propose(proposal).await;
        self.proposed.note(&applied);
        applied
    }

    /// What an earlier call with the key of this one came to; none when there was no such call.
    ///
    /// # Errors
    /// The error that it came to; `idempotency_key_reused`.
    pub fn earlier_answer(&self) -> Result<Option<AppliedCommand>> {
        let in_transaction = self.parameter(&["tx", "txID"]).is_some();
        let Some(key) = self.retry_key()?.filter(|_| !in_transaction) else { return Ok(None) };
        self.proposed.begin();
        let user = self.user()?.name.as_str();
        let found = retry::repeated(&self.group()?.read()?, Some(user), &key)?;
        let Some(Answer { result, repeats }) = found else { return Ok(None) };
        let (index, repeated) = (repeats.unwrap_or_default(), repeats.is_some());
        self.proposed.repeated.set(repeated);
        result.map(|outcome| Some(AppliedCommand { index, outcome, repeated }))
    }

    /// Whether the call has a key.
    pub fn is_keyed(&self) -> bool {
        self.headers().contains_key(IDEMPOTENCY_HEADER)
    }

    /// Notes whether a document of the answer is kept no longer.
    pub fn note_forgotten(&self, forgotten: bool) {
        self.proposed.forgotten.set(forgotten || self.proposed.forgotten.get());
    }

    fn proposal(&self, command: Command) -> Result<Proposal> {
        let (time_ms, retry) = (self.group()?.time_ms(), self.retry_key()?);
        Ok(Proposal { time_ms, retry, ..self.caller().proposes(command) })
    }

    /// The key of the next command that the call proposes.
    pub(super) fn retry_key(&self) -> Result<Option<RetryKey>> {
        let Some(given) = self.headers().get(IDEMPOTENCY_HEADER) else { return Ok(None) };
        if self.proposed.aside.get() {
            return Ok(None);
        }
        let key = given.to_str().ok().filter(|key| {
            (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte > b' ')
        });
        let key = key.ok_or_else(|| {
            Error::new(Kind::InvalidParameter, "the Idempotency-Key cannot be used")
                .hint(format!("use 1 to {KEY_BYTES_MAX} visible ASCII characters, such as a UUID"))
        })?;
        let part = self.proposed.part.take();
        let step = match part {
            Some(_) => 0,
            None => self.proposed.steps.replace(self.proposed.steps.get() + 1),
        };
        let mut hash = Xxh3::new();
        for part in [self.http.method().as_str().as_bytes(), self.target().as_bytes(), &self.body] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        // No client's key has a space.
        let key = if step == 0 { key.to_owned() } else { format!("{key} {step}") };
        let bytes_max = self.cluster().config.idempotency_mb << 20;
        Ok(Some(RetryKey { key, fingerprint: hash.digest(), part, bytes_max }))
    }

    /// A parameter under any of its names; from the path, else from the query.
    pub fn parameter(&self, names: &[&str]) -> Option<&str> {
        let of = |list: &'_ [(String, String)]| {
            list.iter().position(|(name, _)| names.contains(&name.as_str()))
        };
        if let Some(at) = of(&self.path) {
            return Some(&self.path[at].1);
        }
        of(&self.query).map(|at| self.query[at].1.as_str())
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

    /// Database and collection.
    pub fn place(&self) -> Result<(&str, &str)> {
        Ok((self.required(&["db", "database"])?, self.required(&["col", "collection"])?))
    }

    /// The same call for another collection.
    pub fn with_collection(&self, collection: &str) -> Call {
        let mut call = self.clone();
        call.path.retain(|(name, _)| name != "col" && name != "collection");
        call.path.push(("col".into(), collection.to_owned()));
        call
    }

    /// The same call for a collection of another database.
    pub fn with_place(&self, database: &str, collection: &str) -> Call {
        let mut call = self.with_collection(collection);
        call.path.retain(|(name, _)| name != "db" && name != "database");
        call.path.push(("db".into(), database.to_owned()));
        call
    }

    /// The document that the call names. A text that could be a number as well means either,
    /// unless `id_type` says which.
    pub fn target_document(&self) -> Result<Target> {
        let text = self.required(&["id"])?;
        let number = number(text);
        let string = DocumentId::String(text.to_owned());
        let target = match (self.parameter(&["id_type"]), number) {
            (Some("string"), _) | (None, None) => string.into(),
            (Some("int"), Some(number)) => DocumentId::Int(number).into(),
            (None, Some(number)) => Target { id: DocumentId::Int(number), or: Some(string) },
            (Some("int"), None) => {
                let message = format!("the id {text:?} is not an integer, as id_type=int says");
                return Err(Error::new(Kind::InvalidParameter, message)
                    .hint("leave id_type out, or use id_type=string"));
            }
            (Some(other), _) => {
                return Err(Error::new(
                    Kind::InvalidParameter,
                    format!("id_type={other} is unknown"),
                )
                .hint("use int or string"));
            }
        };
        check_id_size(&target.id, &self.cluster().config.limits())?;
        Ok(target)
    }

    /// The read level asked for.
    ///
    /// # Errors
    /// `invalid_parameter` for an unknown one, and when what it needs is missing or wrong.
    pub fn level(&self) -> Result<ReadLevel> {
        let Some(name) = self.parameter(&["level"]) else {
            return Ok(ReadLevel::default());
        };
        let (field, value) = match name {
            "session" => ("index", self.parameter(&["index"]).or_else(|| self.seen_index())),
            "bounded" => ("freshness", self.parameter(&["freshness"])),
            _ => ("", None),
        };
        ReadLevel::parse(name, value).map_err(|bad| bad_level(name, field, value, bad))
    }

    /// The header with the log index that the client has seen.
    fn seen_index(&self) -> Option<&str> {
        self.headers().get(INDEX_HEADER).map(|value| value.to_str().unwrap_or("unreadable"))
    }

    /// Waits until this node may answer at the level asked for, and the caller still may ask. The
    /// dispatcher does it for every route that reads.
    pub async fn wait_for_level(&self) -> Result<()> {
        let group = self.group()?;
        let level = self.level()?;
        group.wait_for_level(level).await?;
        // An index that is not here yet was acknowledged, or is an error.
        if super::view::index_asked(self)?.is_some_and(|index| index > group.visible_index()) {
            group.wait_linearizable().await?;
        }
        self.user()?.confirm(group)
    }

    /// The body as `T`, strictly parsed.
    ///
    /// # Errors
    /// `invalid_body` that names the field.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        shaped(parse_json(&self.body, &self.cluster().config.limits())?)
    }

    /// As [`Call::json`]; an empty body is an empty object.
    pub fn json_or_empty<T: DeserializeOwned>(&self) -> Result<T> {
        if self.body.is_empty() {
            let empty = Call { body: Bytes::from_static(b"{}"), ..self.clone() };
            return empty.json();
        }
        self.json()
    }

    /// Whether the caller prefers JSON over the ancestor's plain text.
    pub fn wants_json(&self) -> bool {
        let accept = self.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("application/json"))
    }
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

fn not_for_clients() -> Error {
    Error::new(Kind::Internal, "no client proposes this command")
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

    #[test]
    fn a_list_of_values_is_no_body() {
        assert_eq!(shaped::<CountBody>(json!({})), Ok(CountBody::default()));
        for wrong in [json!([]), json!([{"n": 1}, null]), json!(null), json!("{}"), json!(1)] {
            let refused = shaped::<CountBody>(wrong.clone());
            assert_eq!(refused.map_err(|error| error.kind), Err(Kind::InvalidBody), "{wrong}");
        }
    }
}
