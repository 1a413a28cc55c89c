//! The HTTP server: the route table mounted on actix, and limits on what comes in.

use super::call::{App, Call, Http, MovedCall};
use super::dispatch::{self, Answer};
use super::endpoint::Endpoint;
use super::reply::{Events, Reply};
use super::{About, ROUTES, Route, Runs, web as page};
use crate::auth::Access;
use crate::cluster::forward::USER_HEADER;
use crate::config::Config;
use crate::doors::peer;
use crate::error::{Error, Kind, Result};
use crate::raft::memory_budget::{MemoryBudget, MemoryPermit};
use crate::raft::node_key::PROCESS_HEADER;
use crate::service::Session;
use crate::service::place::{Origin, Wait, begins_again};
use crate::status::HttpStatus;
use actix_cors::Cors;
use actix_web::http::header;
use actix_web::middleware::Condition;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, guard};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use jettra_driver::wire::{
    CLIENT_HEADER, CURSOR_HEADER, FORGOTTEN_HEADER, IDEMPOTENCY_HEADER, INDEX_HEADER,
    LAST_EVENT_HEADER, LEADER_HEADER, MORE_HEADER, NODE_HEADER, REPLAYED_HEADER,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a refused body that are still read, and thrown away.
const DRAIN_BYTES_MAX: usize = 64 << 20;
/// Longest time for that.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Pause of the client after which nothing more of it is read.
const DRAIN_PAUSE_MAX: Duration = Duration::from_millis(200);
/// Time that a call has to end from the moment in which the node is asked to stop. Shorter than
/// what the server waits for its connections, so that the caller learns what has happened.
const STOPPING_CALL_MAX: Duration = Duration::from_millis(1500);
/// Largest body that is parsed on a thread that serves HTTP.
const LIGHT_BODY_BYTES_MAX: usize = 64 << 10;
/// Largest body of a call that needs no credentials.
const OPEN_BODY_BYTES_MAX: usize = 64 << 10;

static STREAM: Route = node_route("GET", "/raft/rpc/stream");
static SNAPSHOT: Route = node_route("GET", "/raft/rpc/snapshot");

/// A WebSocket between nodes; `peer` serves it itself.
const fn node_route(method: &'static str, path: &'static str) -> Route {
    Route {
        method,
        path,
        access: Access::Node,
        runs: Runs::Here(Wait::Nothing),
        about: About::Other,
        endpoint: Endpoint::between_nodes(|_| Box::pin(std::future::ready(Ok(Reply::empty())))),
        driver: "",
        shell: "",
    }
}

/// Mounts all routes.
pub fn mount(services: &mut ServiceConfig) {
    let mut paths: Vec<&'static str> = ROUTES.iter().map(|route| route.path).collect();
    paths.dedup();
    for path in paths {
        let mut resource = web::resource(path);
        for route in ROUTES.iter().filter(|route| route.path == path) {
            resource = resource.route(
                method(route.method).to(move |app, http, payload| serve(route, app, http, payload)),
            );
        }
        services.service(resource.default_service(web::to(wrong_method)));
    }
    services.route(STREAM.path, web::get().to(serve_stream));
    services.route(SNAPSHOT.path, web::get().to(serve_snapshot));
    services.default_service(web::to(other));
}

/// A `HEAD` is carried out as the `GET`; the server sends the head of its answer only.
fn method(name: &str) -> actix_web::Route {
    match name {
        "GET" => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
        "POST" => web::post(),
        "PUT" => web::put(),
        "PATCH" => web::patch(),
        _ => web::delete(),
    }
}

async fn serve(
    route: &'static Route,
    app: web::Data<App>,
    http: HttpRequest,
    mut payload: Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let id = request_id(&app);
    let answer = tokio::select! {
        biased;
        answer = serve_call(route, make_call(app.clone(), &http, &id), &http, &mut payload) => answer,
        () = stopped(&app), if route.access != Access::Node => Err(cut_off(route)),
    };
    match answer {
        // A stream that nobody reads ends here.
        Ok(Answer::Here(reply)) if http.method() == "HEAD" => {
            respond(&app, Reply { events: None, ..reply }, index)
        }
        Ok(Answer::Here(reply)) => respond(&app, reply, index),
        Ok(Answer::Forwarded(answer)) => pass_on(&app, answer),
        Err(error) => {
            // What is missing here then has been closed.
            let closed = error.kind == Kind::Internal && app.service.cluster.is_ending();
            let error = if closed { cut_off(route) } else { error };
            drain(&mut payload).await;
            respond_error(&app, &http, &id, &error, index)
        }
    }
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
    let reading = tokio::time::timeout(limit, read_body(http, payload, max, budget));
    let (body, permit) = reading.await.unwrap_or_else(|_| Err(too_slow(http, limit)))?;
    let permit = Arc::new(permit);
    let id = call.session.request_id.clone();
    (call.body, call.session.permit) = (body.clone(), permit.clone());
    match carry_out(route, call, origin).await {
        Err(error) if begins_again(&error, origin) => {
            app.service.catch_up().await?;
            let mut call = make_call(app.clone(), http, &id);
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

/// Whether a call may be carried out on a thread that serves Raft and `/health`.
fn is_light(route: &Route, call: &Call) -> bool {
    let elsewhere = ["tx", "txID", "at", "asOf", "as_of"];
    let small = call.body.len() <= LIGHT_BODY_BYTES_MAX && call.parameter(&elsewhere).is_none();
    route.access == Access::Node || small && route.about.is_light()
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

fn too_slow(http: &HttpRequest, limit: Duration) -> Error {
    let message = format!("the body of {} did not arrive within {limit:?}", http.path());
    Error::new(Kind::InvalidBody, message).hint("send it faster, or in smaller parts")
}

/// The index that an answer may name which does not say what it reflects. It is looked up
/// before the call is carried out: later it could be newer than what the answer reflects.
fn visible_index(app: &App) -> u64 {
    app.service.cluster.group().map_or(0, |group| group.visible_index())
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
fn make_call(app: Arc<App>, http: &HttpRequest, request_id: &Arc<str>) -> Call {
    let path = http.match_info();
    let path = path.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
    let query = url::form_urlencoded::parse(http.query_string().as_bytes()).into_owned().collect();
    let from = http.peer_addr().map(|address| address.ip().to_string());
    Call {
        session: Session::new(app.service.clone(), request_id.clone(), from),
        app,
        cookie: None,
        path,
        query,
        http: Http::Received(http.clone()),
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

/// Reads a body of at most `max` bytes, taking memory permits for it as it arrives.
async fn read_body(
    http: &HttpRequest,
    payload: &mut Payload,
    max: usize,
    budget: Option<&MemoryBudget>,
) -> Result<(Bytes, MemoryPermit)> {
    let mut permit = MemoryPermit::default();
    let mut body = BytesMut::new();
    let said = said_length(http);
    if said > max {
        return Err(crate::engine::document::too_large(said, max));
    }
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Error::new(
                Kind::InvalidBody,
                format!("the body of {} was cut off: {error}", http.path()),
            )
        })?;
        let size = body.len() + chunk.len();
        if size > max {
            return Err(crate::engine::document::too_large(said.max(size), max));
        }
        if let Some(budget) = budget {
            permit.join(budget.take(chunk.len())?);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), permit))
}

/// How long the body is, as the client says.
fn said_length(http: &HttpRequest) -> usize {
    let length = http.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// Reads what is still coming of a refused call, so that the client gets the answer instead
/// of a broken connection.
async fn drain(payload: &mut Payload) {
    let deadline = Instant::now() + DRAIN_MAX;
    let mut size = 0;
    while size <= DRAIN_BYTES_MAX && Instant::now() < deadline {
        match tokio::time::timeout(DRAIN_PAUSE_MAX, payload.next()).await {
            Ok(Some(Ok(chunk))) => size += chunk.len(),
            _ => return,
        }
    }
}

async fn serve_stream(app: web::Data<App>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let id = request_id(&app);
    let mut call = make_call(app.clone(), &http, &id);
    let answer = match dispatch::admit(&STREAM, &mut call).await {
        Ok(_) => peer::stream(call, &http, payload).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| respond_error(&app, &http, &id, &error, index))
}

async fn serve_snapshot(app: web::Data<App>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let id = request_id(&app);
    let mut call = make_call(app.clone(), &http, &id);
    let answer = match dispatch::admit(&SNAPSHOT, &mut call).await {
        Ok(_) => peer::snapshot(call, &http, payload).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| respond_error(&app, &http, &id, &error, index))
}

async fn wrong_method(app: web::Data<App>, http: HttpRequest) -> HttpResponse {
    let known = ROUTES.iter().filter(|route| Some(route.path) == http.match_pattern().as_deref());
    let methods = known.map(|route| if route.method == "GET" { "GET, HEAD" } else { route.method });
    let methods = methods.collect::<Vec<_>>().join(", ");
    let message = format!("{} is not possible at {}", http.method(), http.path());
    let error = Error::new(Kind::MethodNotAllowed, message).hint(format!("use {methods}"));
    let mut response = respond_error(&app, &http, &request_id(&app), &error, visible_index(&app));
    if let Ok(methods) = header::HeaderValue::try_from(methods) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

async fn other(app: web::Data<App>, http: HttpRequest) -> HttpResponse {
    if (http.method() == "GET" || http.method() == "HEAD")
        && let Some(file) = page::file(&http, &app.service.cluster.nodes.all())
    {
        return file;
    }
    let message = format!("there is nothing at {} {}", http.method(), http.path());
    let hint = "the page is at /, the interface under /api and /api/v1";
    let error = Error::new(Kind::RouteNotFound, message).hint(hint);
    respond_error(&app, &http, &request_id(&app), &error, visible_index(&app))
}

/// Adds the headers of every answer: the node that served it, and the leader.
fn with_origin(app: &App, builder: &mut HttpResponseBuilder, node: bool) {
    let cluster = &app.service.cluster;
    if node {
        builder.insert_header((NODE_HEADER, cluster.node_id()));
    }
    let leader = cluster.group().ok().and_then(|group| group.leader());
    let nodes = cluster.nodes.all();
    if let Some(leader) = nodes.iter().find(|node| Some(node.raft_id) == leader) {
        builder.insert_header((LEADER_HEADER, leader.url.as_str()));
    }
    // An answer is data: nothing in it is to be shown as a page, framed or kept.
    builder.insert_header(("x-content-type-options", "nosniff"));
    builder
        .insert_header(("content-security-policy", "default-src 'none'; frame-ancestors 'none'"));
    builder.insert_header(("cache-control", "no-store"));
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
        ]))
        .max_age(600);
    let cors = config.cors_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin));
    Condition::new(!config.cors_origins.is_empty(), cors)
}

fn builder(status: u16) -> HttpResponseBuilder {
    let status = if status == 0 { 200 } else { status };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap_or_default())
}

fn respond(app: &App, reply: Reply, index: u64) -> HttpResponse {
    let mut builder = builder(reply.status);
    with_origin(app, &mut builder, true);
    builder.insert_header((INDEX_HEADER, reply.index.unwrap_or(index)));
    for (name, value) in reply.headers {
        builder.insert_header((name, value));
    }
    if !reply.media.is_empty() {
        builder.content_type(reply.media);
    }
    match reply.events {
        Some(Events(mut pieces)) => {
            let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
            builder.streaming(pieces.map(Ok::<_, std::io::Error>))
        }
        None => builder.body(reply.body),
    }
}

fn pass_on(app: &App, answer: crate::cluster::forward::ForwardedResponse) -> HttpResponse {
    let mut builder = builder(answer.status);
    with_origin(app, &mut builder, false);
    for (name, value) in answer.headers {
        if name == "content-type" {
            builder.content_type(value);
        } else if dispatch::returned_header(&name) {
            builder.insert_header((name, value));
        }
    }
    builder.body(answer.body)
}

static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// A name for a call, by which the log can be searched for its errors.
fn request_id(app: &App) -> Arc<str> {
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let boot = &app.service.cluster.boot;
    format!("{}-{number}", boot.get(boot.len().saturating_sub(6)..).unwrap_or(boot)).into()
}

fn respond_error(
    app: &App,
    http: &HttpRequest,
    id: &str,
    error: &Error,
    index: u64,
) -> HttpResponse {
    if error.kind.status() == 500 {
        tracing::error!(request_id = id, method = %http.method(), path = http.path(), %error, "a call failed");
    } else {
        tracing::debug!(request_id = id, method = %http.method(), path = http.path(), %error, "refused");
    }
    let mut reply = Reply::error(error, id);
    if error.repeated {
        reply = reply.header(REPLAYED_HEADER, "true");
    }
    if error.kind == Kind::WrongProcess {
        reply = reply.header(PROCESS_HEADER, app.service.cluster.inbox.name());
    }
    // A browser would answer this header with a password prompt of its own, before the page.
    if error.kind.status() == 401 && !http.headers().contains_key(CLIENT_HEADER) {
        reply = reply.header("www-authenticate", "Basic realm=\"jettra\", charset=\"UTF-8\"");
    }
    respond(app, reply, error.index.unwrap_or(index))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut expected = vec!["GET /health".to_owned(), format!("POST {documents}")];
        expected
            .extend(["GET", "PUT", "DELETE"].map(|method| format!("{method} {documents}/{{id}}")));
        expected
            .extend(["POST", "GET", "PUT", "DELETE"].map(|method| format!("{method} /api/doc")));
        expected.sort_unstable();
        assert_eq!(near, expected);
    }
}
