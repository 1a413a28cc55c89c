//! Responses: what each of them carries, whatever the call was.

use super::call::{App, Http};
use super::dispatch;
use super::reply::{Events, Form, Reply};
use super::routes::has_plain_errors;
use crate::cluster::forward::ForwardedResponse;
use crate::error::{Error, Kind};
use crate::raft::node_key::PROCESS_HEADER;
use crate::status::HttpStatus;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::StreamExt;
use jettra_driver::wire::{
    CLIENT_HEADER, INDEX_HEADER, LEADER_HEADER, NODE_HEADER, Position, REPLAYED_HEADER,
    REQUEST_ID_HEADER, in_group,
};

const NODE: HeaderName = HeaderName::from_static(NODE_HEADER);
const LEADER: HeaderName = HeaderName::from_static(LEADER_HEADER);
const INDEX: HeaderName = HeaderName::from_static(INDEX_HEADER);
/// An answer is data: nothing in it is to be shown as a page, framed or kept.
const AS_DATA: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds the headers of every answer: the node that served it, and the leader.
fn with_origin(app: &App, builder: &mut HttpResponseBuilder, node: bool) {
    let cluster = &app.service.cluster;
    if node {
        builder.insert_header((NODE, cluster.node_id()));
    }
    let leader = cluster.groups.system().ok().and_then(|group| group.leader());
    let nodes = cluster.nodes.all();
    if let Some(leader) = nodes.iter().find(|node| Some(node.raft_id) == leader) {
        builder.insert_header((LEADER, leader.url.as_str()));
    }
    for header in AS_DATA {
        builder.insert_header(header);
    }
}

fn builder(status: u16) -> HttpResponseBuilder {
    let status = if status == 0 { 200 } else { status };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap_or_default())
}

/// The response for a reply; `seen` is its position if it names none.
pub(super) fn respond(app: &App, reply: Reply, seen: Position) -> HttpResponse {
    let mut builder = builder(reply.status);
    with_origin(app, &mut builder, true);
    let seen = Position { index: reply.index.unwrap_or(seen.index), ..seen };
    builder.insert_header((INDEX, seen.to_string()));
    if let Some(revision) = reply.revision {
        builder.insert_header((header::ETAG, format!("\"{}\"", in_group(revision, seen.group))));
    }
    for (name, value) in reply.headers {
        builder.insert_header((name, value));
    }
    if !reply.media.is_empty() {
        builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(reply.media)));
    }
    match reply.events {
        Some(Events(mut pieces)) => {
            let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
            builder.streaming(pieces.map(Ok::<_, std::io::Error>))
        }
        None => builder.body(reply.body),
    }
}

/// The leader's response to a forwarded call.
pub(super) fn pass_on(app: &App, answer: ForwardedResponse) -> HttpResponse {
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

/// The response for an error of the call with this id, which is logged.
pub(super) fn respond_error(
    app: &App,
    http: &Http,
    id: &str,
    error: &Error,
    seen: Position,
) -> HttpResponse {
    let path = http.uri().path();
    if error.kind.status() == 500 {
        tracing::error!(request_id = id, method = %http.method(), path, %error, "a call failed");
    } else {
        tracing::debug!(request_id = id, method = %http.method(), path, %error, "refused");
    }
    let query = url::form_urlencoded::parse(http.uri().query().unwrap_or_default().as_bytes());
    let form =
        query.filter(|(name, _)| name == "extended_json").find_map(|(_, name)| Form::named(&name));
    let answer = if has_plain_errors(path) { Reply::plain_error } else { Reply::error };
    let mut reply = answer(error, id, form.unwrap_or_default());
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
    let reply = reply.header(REQUEST_ID_HEADER, id);
    let index = error.index.unwrap_or(seen.index);
    respond(app, reply, Position { index, ..seen })
}
