//! The HTTP server: the route table mounted on actix, and limits on what comes in.

use super::call::{App, Call, Http, Listener, MovedCall};
use super::dispatch::{self, Answer};
use super::endpoint::Endpoint;
use super::listener;
use super::reply::Reply;
use super::respond::{pass_on, respond, respond_error};
use super::routes::{About, KV_AT_ROOT, ROUTES, Route, Runs};
use super::{body, web as page};
use crate::auth::Access;
use crate::cluster::forward::USER_HEADER;
use crate::config::Config;
use crate::doors::peer;
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::service::Session;
use crate::service::place::{Origin, Wait, begins_again};
use actix_cors::Cors;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Condition;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use jettra_driver::wire::{
    CLIENT_HEADER, CURSOR_HEADER, FORGOTTEN_HEADER, IDEMPOTENCY_HEADER, INDEX_HEADER,
    LAST_EVENT_HEADER, LEADER_HEADER, MORE_HEADER, NODE_HEADER, Position, REPLAYED_HEADER,
    REQUEST_ID_HEADER,
};
use matchit::Router;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// Time that a call has to end from the moment in which the node is asked to stop. Shorter than
/// what the server waits for its connections, so that the caller learns what has happened.
const STOPPING_CALL_MAX: Duration = Duration::from_millis(1500);
/// Largest body that is parsed on a thread that serves HTTP.
const LIGHT_BODY_BYTES_MAX: usize = 64 << 10;
/// Largest body of a query that is begun there.
const BRIEF_BODY_BYTES_MAX: usize = 1 << 10;
/// Longest name of a call that a caller may give.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Header with the trace that a call belongs to, as W3C defines it.
pub(super) const TRACE_HEADER: &str = "traceparent";
/// Largest body of a call that needs no credentials.
const OPEN_BODY_BYTES_MAX: usize = 64 << 10;

pub(super) static STREAM: Route = web_socket(
    "/raft/rpc/stream",
    Endpoint::between_nodes(|call| Box::pin(std::future::ready(peer::no_socket(&call, false)))),
);
pub(super) static SNAPSHOT: Route = web_socket(
    "/raft/rpc/snapshot",
    Endpoint::between_nodes(|call| Box::pin(std::future::ready(peer::no_socket(&call, true)))),
);

/// A WebSocket between nodes, which `upgrade` serves. Without an upgrade it is refused.
const fn web_socket(path: &'static str, endpoint: Endpoint) -> Route {
    Route {
        method: "GET",
        path,
        access: Access::Node,
        runs: Runs::Here(Wait::Nothing),
        about: About::Other,
        endpoint,
        driver: "",
        shell: "",
    }
}

/// Mounts all routes: the server passes every call to one function, which finds its route.
pub fn mount(services: &mut ServiceConfig) {
    services.default_service(web::to(route));
}

/// The routes of each path. actix would compare a call with the patterns of about a hundred paths,
/// one after the other.
static PATHS: LazyLock<Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut paths: BTreeMap<&'static str, Vec<&'static Route>> = BTreeMap::new();
    for route in ROUTES.iter().chain(KV_AT_ROOT).chain([&STREAM, &SNAPSHOT]) {
        paths.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in paths {
        router.insert(path, routes).expect("the paths of the route table are well formed");
    }
    router
});

/// The parameters of a path, by name.
pub type PathParameters = Vec<(&'static str, String)>;

/// Finds the route of a call by its path and method.
async fn route(app: web::Data<App>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let Ok(found) = PATHS.at(http.match_info().as_str()) else {
        return other(&app, &http);
    };
    let config = app.service.config();
    if found.value.iter().any(|route| route.is_kv_at_root()) && !config.kv_at_root {
        return other(&app, &http);
    }
    // A `HEAD` is carried out as the `GET`; the server sends the head of its answer only.
    let method = if http.method() == "HEAD" { "GET" } else { http.method().as_str() };
    let Some(route) = found.value.iter().find(|route| route.method == method) else {
        return wrong_method(&app, &http, found.value);
    };
    let given = found.params.iter().map(|(name, value)| (name, decode(value)));
    let mut parameters: PathParameters = given.collect();
    if route.is_kv() {
        let (database, collection) = config.kv_collection();
        parameters.extend([("db", database.to_owned()), ("col", collection.to_owned())]);
    }
    serve(route, parameters, app, http, payload).await
}

async fn serve(
    route: &'static Route,
    parameters: PathParameters,
    app: Arc<App>,
    http: HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    let (id, began) = (request_id(&app, http.headers()), Instant::now());
    let head = Http::Received(http.clone());
    let call = make_call(app.clone(), head.clone(), http.peer_addr(), &id, parameters);
    let seen = visible_position(&app, call.parameter(&["db", "database"]));
    let answer = tokio::select! {
        biased;
        answer = serve_call(route, call, &http, &mut payload) => answer,
        () = stopped(&app), if route.access != Access::Node => Err(cut_off(route)),
    };
    let mut response = match answer {
        // A stream that nobody reads ends here.
        Ok(Answer::Here(reply)) if http.method() == "HEAD" => {
            respond(&app, Reply { events: None, ..reply }, seen)
        }
        Ok(Answer::Here(reply)) => respond(&app, reply, seen),
        Ok(Answer::Forwarded(answer)) => pass_on(&app, answer),
        Err(error) => {
            // What is missing here then has been closed.
            let closed = error.kind == Kind::Internal && app.service.cluster.is_ending();
            let error = if closed { cut_off(route) } else { error };
            body::drain(&mut payload).await;
            respond_error(&app, &head, &id, &error, seen)
        }
    };
    let time = (!route.is_feed()).then(|| began.elapsed());
    let status = response.status().as_u16();
    app.service.calls.note(route.method, route.path, status, time);
    if let Some(time) = time.filter(|time| is_slow(&app, *time)) {
        let (method, path, ms) = (route.method, http.uri().path(), time.as_millis() as u64);
        tracing::info!(request_id = &*id, method, path, status, ms, "a slow call");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID_HEADER), value);
    }
    response
}

fn is_slow(app: &App, time: Duration) -> bool {
    let limit = app.service.config().slow_ms;
    limit > 0 && time >= Duration::from_millis(limit)
}

/// Waits until the node stops and its calls have had time to end.
async fn stopped(app: &App) {
    app.service.cluster.ended().await;
    tokio::time::sleep(STOPPING_CALL_MAX).await;
}

/// The error for a call that was under way when the node had to stop.
fn cut_off(route: &Route) -> Error {
    match route.runs {
        Runs::Here(_) => crate::raft::proposer::stopping(),
        Runs::Leader(_) | Runs::ByBody => crate::raft::proposer::outcome_unknown(),
    }
}

async fn serve_call(
    route: &'static Route,
    mut call: Call,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Answer> {
    check_address(http)?;
    let app = call.app.clone();
    note_called_node(route, &mut call, http);
    let origin = dispatch::admit(route, &mut call).await?;
    let _running = match call.session.known_user() {
        Some(user) => Some(app.service.running.begin(&user.name)?),
        None => None,
    };
    let config = app.service.config();
    let limit = Duration::from_millis(config.body_timeout_ms);
    let max = match route.access {
        Access::Open => OPEN_BODY_BYTES_MAX.min(config.document_bytes_max),
        _ => config.document_bytes_max,
    };
    // What nodes say to each other is small, and must not wait for clients.
    let budget = (route.access != Access::Node).then_some(&app.service.cluster.memory);
    let reading = tokio::time::timeout(limit, body::read(http, payload, max, budget));
    let (body, permit) = reading.await.unwrap_or_else(|_| Err(body::too_slow(http, limit)))?;
    let permit = Arc::new(permit);
    let (id, parameters) = (call.session.request_id.clone(), call.path.clone());
    (call.body, call.session.permit) = (body.clone(), permit.clone());
    match carry_out(route, call, origin).await {
        Err(error) if begins_again(&error, origin) => {
            app.service.catch_up().await?;
            let head = Http::Received(http.clone());
            let mut call = make_call(app.clone(), head, http.peer_addr(), &id, parameters);
            note_called_node(route, &mut call, http);
            let origin = dispatch::admit(route, &mut call).await?;
            (call.body, call.session.permit) = (body, permit);
            carry_out(route, call, origin).await
        }
        answer => answer,
    }
}

/// Carries a call out that was admitted: here when its work is small, else on the threads for
/// clients.
async fn carry_out(route: &'static Route, call: Call, origin: Origin) -> Result<Answer> {
    if is_light(route, &call) {
        dispatch::check_body(&call, &call.body)?;
        return dispatch::answer(route, call, origin).await;
    }
    let app = call.app.clone();
    let moved = MovedCall::from(call);
    let answering = app.threads.run(move || async move {
        let call = Call::from(moved);
        dispatch::check_body(&call, &call.body)?;
        dispatch::answer(route, call, origin).await
    });
    answering.await?
}

/// Whether a call may be carried out, or begun, on a thread that serves nodes and `/health`.
fn is_light(route: &Route, call: &Call) -> bool {
    let elsewhere = ["tx", "txID", "at", "asOf", "as_of"];
    let small = match (route.about.is_light(), route.about.may_be_brief()) {
        (true, _) => call.body.len() <= LIGHT_BODY_BYTES_MAX,
        (false, brief) => brief && call.body.len() <= BRIEF_BODY_BYTES_MAX,
    };
    route.access == Access::Node || small && call.parameter(&elsewhere).is_none()
}

/// Refuses an address that is no text once it is decoded: what is put in the place of such
/// bytes would make different addresses mean the same document.
fn check_address(http: &HttpRequest) -> Result<()> {
    let address = http.uri().path_and_query().map_or("/", |target| target.as_str());
    match percent_encoding::percent_decode_str(address).decode_utf8() {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(Kind::InvalidParameter, "the address is not UTF-8")
            .hint("encode texts as UTF-8 before they are escaped with %")),
    }
}

/// The position that an answer may name which does not say what it reflects. It is looked up
/// before the call is carried out: later it could be newer than what the answer reflects.
pub(super) fn visible_position(app: &App, database: Option<&str>) -> Position {
    let groups = &app.service.cluster.groups;
    let group = match database {
        Some(database) => groups.of(database),
        None => groups.system().cloned(),
    };
    let position = |group: &Group| Position { group: group.number(), index: group.visible_index() };
    group.map_or_else(|_| Position::default(), |group| position(&group))
}

/// A call about the members that another node carries out still knows which node was called.
fn note_called_node(route: &Route, call: &mut Call, http: &HttpRequest) {
    let is_order = route.about == About::Members && matches!(route.runs, Runs::Leader(_));
    if is_order && !http.headers().contains_key(USER_HEADER) {
        let name = call.cluster().node_id().to_owned();
        call.added = Some(format!("called_node={name}"));
        call.query.push(("called_node".into(), name));
    }
}

/// A call without its body.
pub(super) fn make_call(
    app: Arc<App>,
    http: Http,
    from: Option<SocketAddr>,
    request_id: &Arc<str>,
    path: PathParameters,
) -> Call {
    let query = http.uri().query().unwrap_or_default().as_bytes();
    let query = url::form_urlencoded::parse(query).into_owned().collect();
    let from = from.map(|address| address.ip().to_string());
    Call {
        session: Session::new(app.service.clone(), request_id.clone(), from),
        app,
        cookie: None,
        path,
        query,
        http,
        added: None,
        body: Bytes::new(),
        signature: None,
    }
}

/// actix leaves escaped slashes, plus and percent signs in path parameters.
fn decode(value: &str) -> String {
    match value.contains('%') {
        // No other escape is left, and a literal percent sign is one of them.
        true => percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned(),
        false => value.to_owned(),
    }
}

fn wrong_method(app: &App, http: &HttpRequest, known: &[&Route]) -> HttpResponse {
    let methods =
        known.iter().map(|route| if route.method == "GET" { "GET, HEAD" } else { route.method });
    let methods = methods.collect::<Vec<_>>().join(", ");
    let message = format!("{} is not possible at {}", http.method(), http.path());
    let error = Error::new(Kind::MethodNotAllowed, message).hint(format!("use {methods}"));
    let mut response = refuse(app, http, &error);
    if let Ok(methods) = header::HeaderValue::try_from(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

fn other(app: &App, http: &HttpRequest) -> HttpResponse {
    if app.listener == Listener::Nodes {
        let what = format!("{} {}", http.method(), http.path());
        let error = listener::for_nodes(app.service.config(), &what);
        return refuse(app, http, &error);
    }
    if (http.method() == "GET" || http.method() == "HEAD")
        && let Some(file) = page::file(http, &app.service.cluster.nodes.all())
    {
        return file;
    }
    let message = format!("there is nothing at {} {}", http.method(), http.path());
    let hint = "the page is at /, the interface under /api and /api/v1";
    let error = Error::new(Kind::RouteNotFound, message).hint(hint);
    refuse(app, http, &error)
}

/// The response for what is no route.
fn refuse(app: &App, http: &HttpRequest, error: &Error) -> HttpResponse {
    let head = Http::Received(http.clone());
    let id = request_id(app, http.headers());
    respond_error(app, &head, &id, error, visible_position(app, None))
}

static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// A name for a call, by which the logs can be searched: that of the caller (`X-Request-Id`), of its trace
/// (`traceparent`, as W3C defines it), or one of this node.
pub(super) fn request_id(app: &App, headers: &HeaderMap) -> Arc<str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&letter);
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    let trace = |parent: &str| {
        let trace = parent.split('-').nth(1)?;
        let is_one = trace.len() == 32 && trace.bytes().all(|letter| letter.is_ascii_hexdigit());
        (is_one && trace.bytes().any(|letter| letter != b'0')).then(|| Arc::from(trace))
    };
    if let Some(given) = text(REQUEST_ID_HEADER).filter(fits) {
        return given.into();
    }
    if let Some(trace) = text(TRACE_HEADER).and_then(trace) {
        return trace;
    }
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let boot = &app.service.cluster.boot;
    format!("{}-{number}", boot.get(boot.len().saturating_sub(6)..).unwrap_or(boot)).into()
}

/// What pages of other origins may do: nothing, unless the configuration lists them. They have
/// no use of the session, whose cookie no other site sends; they need a key or a password.
pub fn cors(config: &Config) -> Condition<Cors> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers(names(&[
            "authorization",
            "content-type",
            "accept",
            "if-match",
            "if-none-match",
            CLIENT_HEADER,
            IDEMPOTENCY_HEADER,
            INDEX_HEADER,
            LAST_EVENT_HEADER,
            REQUEST_ID_HEADER,
            TRACE_HEADER,
        ]))
        .expose_headers(names(&[
            "etag",
            "location",
            "retry-after",
            MORE_HEADER,
            CURSOR_HEADER,
            INDEX_HEADER,
            NODE_HEADER,
            LEADER_HEADER,
            REPLAYED_HEADER,
            FORGOTTEN_HEADER,
            REQUEST_ID_HEADER,
        ]))
        .max_age(600);
    let cors = config.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin));
    Condition::new(!config.cors_origins.is_empty(), cors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_find_is_begun_where_nodes_are_heard_and_may_go_on_elsewhere() {
        let brief = ROUTES.iter().filter(|route| route.about.may_be_brief());
        let brief: Vec<_> = brief.map(|route| (route.method, route.path)).collect();
        assert_eq!(brief, [("POST", "/api/v1/databases/{db}/collections/{col}/find")]);
    }

    /// Symptom: a reader's query made a node deaf.
    #[test]
    fn what_a_client_can_make_long_is_not_done_where_nodes_are_heard() {
        let mut near: Vec<_> = ROUTES
            .iter()
            .filter(|route| route.access != Access::Node && route.about.is_light())
            .filter(|route| !route.path.starts_with("/api/cluster"))
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        near.sort_unstable();
        let documents = "/api/v1/databases/{db}/collections/{col}/documents";
        let mut expected = vec![format!("POST {documents}")];
        expected.extend(["GET /health", "GET /livez", "GET /readyz"].map(str::to_owned));
        expected
            .extend(["GET", "PUT", "DELETE"].map(|method| format!("{method} {documents}/{{id}}")));
        expected
            .extend(["POST", "GET", "PUT", "DELETE"].map(|method| format!("{method} /api/doc")));
        expected.extend(
            ["GET /api/kv/get", "POST /api/kv/set", "POST /api/kv/delete"].map(str::to_owned),
        );
        expected.sort_unstable();
        assert_eq!(near, expected);
    }
}
