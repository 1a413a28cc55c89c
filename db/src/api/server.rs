//! The HTTP server: the route table mounted on actix, and limits on what comes in.

use super::call::{App, Call};
use super::dispatch::{self, Answer};
use super::reply::Reply;
use super::{Place, ROUTES, Route, peer, web as page};
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use jettra_driver::wire::{CLIENT_HEADER, INDEX_HEADER, LEADER_HEADER, NODE_HEADER};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a body that is refused which are still read, so that the client gets the answer
/// instead of a broken connection.
const DRAIN_BYTES_MAX: usize = 64 << 20;

static STREAM: Route = node_route("GET", "/raft/rpc/stream");
static SNAPSHOT: Route = node_route("POST", "/raft/rpc/snapshot");

/// A route between nodes whose body is not read as a whole; `peer` serves it itself.
const fn node_route(method: &'static str, path: &'static str) -> Route {
    Route {
        method,
        path,
        access: Access::Node,
        place: Place::Here,
        handler: |_| Box::pin(std::future::ready(Ok(Reply::empty()))),
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
    services.route(SNAPSHOT.path, web::post().to(serve_snapshot));
    services.default_service(web::to(other));
}

fn method(name: &str) -> actix_web::Route {
    match name {
        "GET" => web::get(),
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
    payload: Payload,
) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let answer = match read_body(&app, &http, payload).await {
        Ok(body) => {
            let mut call = make_call(app.clone(), &http, body);
            if !matches!(route.place, Place::Here) && route.access != Access::Node {
                note_called_node(&mut call);
            }
            dispatch::answer(route, call).await
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(Answer::Here(reply)) => respond(&app, reply, index),
        Ok(Answer::Forwarded(answer)) => pass_on(&app, answer),
        Err(error) => respond_error(&app, &http, &error, index),
    }
}

/// The index that an answer may name which does not say what it reflects. It is looked up
/// before the call is carried out: later it could be newer than what the answer tells.
fn visible_index(app: &App) -> u64 {
    app.cluster.group().map_or(0, |group| group.visible_index())
}

/// A call that another node carries out still knows which node was called.
fn note_called_node(call: &mut Call) {
    let forwarded = call.headers().contains_key(crate::cluster::forward::USER_HEADER);
    if !forwarded && matches!(call.http.path(), "/api/cluster/restart" | "/api/cluster/promote") {
        let name = call.cluster().node_id().to_owned();
        call.added = Some(format!("called_node={name}"));
        call.query.push(("called_node".into(), name));
    }
}

fn make_call(app: Arc<App>, http: &HttpRequest, body: Bytes) -> Call {
    let path = http.match_info();
    let path = path.iter().map(|(name, value)| (name.to_owned(), decode(value))).collect();
    let query = url::form_urlencoded::parse(http.query_string().as_bytes()).into_owned().collect();
    Call { app, user: None, session: None, path, query, http: http.clone(), added: None, body }
}

/// actix leaves escaped slashes and percent signs in path parameters.
fn decode(value: &str) -> String {
    if !value.contains('%') {
        return value.to_owned();
    }
    value.replace("%2F", "/").replace("%2f", "/").replace("%25", "%")
}

async fn read_body(app: &App, http: &HttpRequest, mut payload: Payload) -> Result<Bytes> {
    let max = app.cluster.config.document_bytes_max;
    let mut body = BytesMut::new();
    let mut size = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Error::new(
                Kind::InvalidBody,
                format!("the body of {} was cut off: {error}", http.path()),
            )
        })?;
        size += chunk.len();
        if size <= max {
            body.extend_from_slice(&chunk);
        } else if size > DRAIN_BYTES_MAX {
            break;
        } else {
            body = BytesMut::new();
        }
    }
    if size > max {
        return Err(crate::engine::document::too_large(size, max));
    }
    Ok(body.freeze())
}

async fn serve_stream(app: web::Data<App>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let call = make_call(app.clone(), &http, Bytes::new());
    let answer = match dispatch::answer(&STREAM, call.clone()).await {
        Ok(_) => peer::stream(call, &http, payload).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| respond_error(&app, &http, &error, index))
}

async fn serve_snapshot(app: web::Data<App>, http: HttpRequest, payload: Payload) -> HttpResponse {
    let app = app.into_inner();
    let index = visible_index(&app);
    let call = make_call(app.clone(), &http, Bytes::new());
    let answer = match dispatch::answer(&SNAPSHOT, call.clone()).await {
        Ok(_) => peer::snapshot(call, payload).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(reply) => respond(&app, reply, index),
        Err(error) => respond_error(&app, &http, &error, index),
    }
}

async fn wrong_method(app: web::Data<App>, http: HttpRequest) -> HttpResponse {
    let known = ROUTES.iter().filter(|route| Some(route.path) == http.match_pattern().as_deref());
    let methods: Vec<_> = known.map(|route| route.method).collect();
    let message = format!("{} is not possible at {}", http.method(), http.path());
    let error =
        Error::new(Kind::MethodNotAllowed, message).hint(format!("use {}", methods.join(", ")));
    respond_error(&app, &http, &error, visible_index(&app))
}

async fn other(app: web::Data<App>, http: HttpRequest) -> HttpResponse {
    if (http.method() == "GET" || http.method() == "HEAD")
        && let Some(file) = page::file(&http)
    {
        return file;
    }
    let message = format!("there is nothing at {} {}", http.method(), http.path());
    let hint = "the page is at /, the interface under /api and /api/v1";
    let error = Error::new(Kind::RouteNotFound, message).hint(hint);
    respond_error(&app, &http, &error, visible_index(&app))
}

/// What every answer tells: who served it, and who leads.
fn with_origin(app: &App, builder: &mut HttpResponseBuilder, node: bool) {
    let cluster = &app.cluster;
    if node {
        builder.insert_header((NODE_HEADER, cluster.node_id()));
    }
    let leader = cluster.group().ok().and_then(|group| group.leader());
    let nodes = cluster.nodes.all();
    if let Some(leader) = nodes.iter().find(|node| Some(node.raft_id) == leader) {
        builder.insert_header((LEADER_HEADER, leader.url.as_str()));
    }
    builder.insert_header(("x-content-type-options", "nosniff"));
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
        builder.append_header((name, value));
    }
    if !reply.media.is_empty() {
        builder.content_type(reply.media);
    }
    builder.body(reply.body)
}

fn pass_on(app: &App, answer: crate::cluster::forward::Answer) -> HttpResponse {
    let mut builder = builder(answer.status);
    with_origin(app, &mut builder, false);
    for (name, value) in answer.headers {
        if name == "content-type" {
            builder.content_type(value);
        } else if dispatch::returned_header(&name) {
            builder.append_header((name, value));
        }
    }
    builder.body(answer.body)
}

static REQUESTS: AtomicU64 = AtomicU64::new(1);

fn respond_error(app: &App, http: &HttpRequest, error: &Error, index: u64) -> HttpResponse {
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let boot = &app.cluster.boot;
    let id = format!("{}-{number}", boot.get(boot.len().saturating_sub(6)..).unwrap_or(boot));
    if error.kind.status() == 500 {
        tracing::error!(request_id = id, method = %http.method(), path = http.path(), %error, "a call failed");
    } else {
        tracing::debug!(request_id = id, method = %http.method(), path = http.path(), %error, "refused");
    }
    let mut reply = Reply::error(error, &id);
    // A browser would answer this header with a password prompt of its own, before the page.
    if error.kind.status() == 401 && !http.headers().contains_key(CLIENT_HEADER) {
        reply = reply.header("www-authenticate", "Basic realm=\"jettra\", charset=\"UTF-8\"");
    }
    respond(app, reply, index)
}
