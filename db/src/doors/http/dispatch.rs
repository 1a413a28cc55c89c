//! From a request to a response: authentication, where the request runs, and the errors on the way.

use super::call::Call;
use super::endpoint::Prepared;
use super::listener;
use super::loopback;
use super::reply::{Events, Reply};
use super::routes::{About, Route};
use super::server::TRACE_HEADER;
use crate::auth::{
    Access, Permission, User, bad_credentials, not_authenticated, token, user_changed,
};
use crate::cluster::forward::{self, FROM_HEADER, ForwardedRequest, USER_HEADER};
use crate::engine::placement::placement_changed;
use crate::error::{Error, Kind, Result};
use crate::format::MESSAGES;
use crate::raft::GroupId;
use crate::raft::node_key::{Body, PEER_HEADER, Signature, SignedHead, format_of};
use crate::raft::proposer::not_leader;
use crate::raft::types::SYSTEM_GROUP;
use crate::service::Session;
use crate::service::place::{self, Origin, Place, Wait};
use crate::service::sessions::{self, Credentials};
use crate::tls::is_for_host;
use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use bytes::Bytes;
use futures_util::future::join_all;
use jettra_driver::wire::{
    CLIENT_HEADER, CURSOR_HEADER, FORGOTTEN_HEADER, IDEMPOTENCY_HEADER, INDEX_HEADER,
    LAST_EVENT_HEADER, MORE_HEADER, PENDING_HEADER, REPLAYED_HEADER, REQUEST_ID_HEADER,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Headers that go along to the leader, beside those that name the caller.
const FORWARDED_HEADERS: [&str; 9] = [
    TRACE_HEADER,
    "if-match",
    "if-none-match",
    "content-type",
    "accept",
    CLIENT_HEADER,
    IDEMPOTENCY_HEADER,
    INDEX_HEADER,
    LAST_EVENT_HEADER,
];
/// Headers of the leader's answer that the caller gets.
const RETURNED_HEADERS: [&str; 13] = [
    "etag",
    "location",
    "set-cookie",
    "retry-after",
    "www-authenticate",
    "x-jettra-index",
    "x-jettra-node",
    "cache-control",
    REPLAYED_HEADER,
    FORGOTTEN_HEADER,
    MORE_HEADER,
    CURSOR_HEADER,
    PENDING_HEADER,
];

/// The parameter with the number of the only group whose part of a list is asked for.
pub const GROUP_PARAMETER: &str = "group";

/// What came out of a call.
pub enum Answer {
    /// This node has answered.
    Here(Reply),
    /// The leader has answered, through this node.
    Forwarded(forward::ForwardedResponse),
}

/// Decides by the head of a call whether it is carried out; no body is read before. Returns
/// where the call came from.
pub async fn admit(route: &Route, call: &mut Call) -> Result<Origin> {
    listener::check(route, call)?;
    let origin = authenticate(route, call).await?;
    check_state(route, call)?;
    Ok(origin)
}

/// Carries out a call that was admitted.
pub async fn answer(route: &'static Route, mut call: Call, origin: Origin) -> Result<Answer> {
    call.complete_session(route)?;
    let call = Rc::new(call);
    let Prepared { place, run } = route.prepare(&call)?;
    let form = call.form()?;
    let here = async || run(call.clone()).await.map(|reply| Answer::Here(reply.in_form(form)));
    let there = async |url: &str| forward_to(route, &call, url).await;
    place::carry_out(&call.session, place, origin, here, there).await
}

/// Forwards the call to the leader, which is at `url`; or answers with the leader's address.
async fn forward_to(route: &Route, call: &Call, url: &str) -> Result<Answer> {
    if call.parameter(&["redirect"]).is_some() {
        let leader = call.cluster().nodes.at_peer_url(url);
        let place = leader.map_or_else(|| url.to_owned(), |node| node.url);
        let place = format!("{place}{}", call.target());
        return Ok(Answer::Here(Reply::empty().with_status(307).header("location", place)));
    }
    if call.parameter(&["noforward"]).is_some() {
        return Err(not_the_leader(call, url));
    }
    let request = forwarded(route, call);
    let answer = match route.is_feed() {
        true => match forward::send_feed(call.cluster(), url, &request).await? {
            Ok(feed) => return Ok(Answer::Here(pass_feed_on(feed))),
            Err(answer) => answer,
        },
        false => forward::send(call.cluster(), url, &request).await?,
    };
    if answer.is_error(Kind::NoLeader) {
        return Err(not_leader());
    }
    if answer.is_error(Kind::PlacementChanged) {
        return Err(placement_changed(call.session.database.as_deref().unwrap_or_default()));
    }
    if answer.is_error(Kind::UserChanged) {
        return Err(user_changed(&call.session.user()?.name));
    }
    Ok(Answer::Forwarded(answer))
}

/// The error for a call that is not to be forwarded to the leader, which is at `url`.
fn not_the_leader(call: &Call, url: &str) -> Error {
    let leader = call.cluster().nodes.at_peer_url(url);
    let (name, place) = leader.as_ref().map_or((url, url), |node| (&node.id, &node.url));
    let message = format!("This node is not the leader. Current leader: {name}");
    Error::new(Kind::NotLeader, message)
        .hint(format!("call {place}, or leave noforward out: any node forwards the call"))
        .details(json!({"leader": name, "url": place}))
}

/// The feed of another node, piece by piece.
fn pass_feed_on(mut feed: reqwest::Response) -> Reply {
    let headers = RETURNED_HEADERS.iter().filter_map(|name| {
        let value = feed.headers().get(*name)?.to_str().ok()?;
        Some((*name, value.to_owned()))
    });
    let mut reply = Reply { media: "text/event-stream", ..Reply::default() };
    for (name, value) in headers.collect::<Vec<_>>() {
        reply = reply.header(name, value);
    }
    let (pieces, events) = mpsc::channel(1);
    tokio::task::spawn_local(async move {
        loop {
            let piece = tokio::select! {
                piece = feed.chunk() => piece,
                () = pieces.closed() => return,
            };
            let Ok(Some(piece)) = piece else { return };
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    Reply { events: Some(Events(events)), ..reply }
}

fn forwarded(route: &Route, call: &Call) -> ForwardedRequest {
    let mut headers = Vec::new();
    for name in FORWARDED_HEADERS {
        if let Some(value) = call.headers().get(name).and_then(|value| value.to_str().ok()) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    headers.push((REQUEST_ID_HEADER.into(), call.session.request_id.to_string()));
    if let Some(token) = &call.cookie {
        headers.push(("cookie".into(), format!("{}={token}", token::COOKIE)));
    }
    let user = call.session.known_user();
    ForwardedRequest {
        method: route.method.into(),
        target: call.target().into_owned(),
        headers,
        body: call.body.clone(),
        user: user.map(|user| recognised(user)).unwrap_or_default(),
        from: call.session.from.clone(),
    }
}

fn recognised(user: &User) -> String {
    forward::recognised_text(&user.name, &user.credentials)
}

/// The headers of a forwarded answer that go back to the caller.
pub fn returned_header(name: &str) -> bool {
    RETURNED_HEADERS.contains(&name)
}

/// Asks the leader on the caller's behalf, by `here` if it is this node, else by a GET of `target`. An
/// answer that has begun is not forwarded as a whole.
///
/// # Errors
/// The leader's, and those of waiting for it.
pub async fn ask_leader<T: DeserializeOwned>(
    session: &Session,
    target: &str,
    here: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    at_leader(session, ("GET", target, Bytes::new()), Wait::Level, here).await
}

/// Has the leader carry out a change on the caller's behalf, by `here` if it is this node, else by a
/// POST of `body` to `target`.
///
/// # Errors
/// The leader's, and those of waiting for it.
pub async fn order_leader<T: DeserializeOwned>(
    session: &Session,
    target: &str,
    body: &serde_json::Value,
    here: impl AsyncFn(&Session) -> Result<T>,
) -> Result<T> {
    let body = body.to_string().into();
    at_leader(session, ("POST", target, body), Wait::Ready, async || here(session).await).await
}

async fn at_leader<T: DeserializeOwned>(
    session: &Session,
    (method, target, body): (&str, &str, Bytes),
    wait: Wait,
    here: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let there = async |url: &str| {
        let question = ForwardedRequest {
            method: method.into(),
            target: target.into(),
            headers: Vec::new(),
            body: body.clone(),
            user: recognised(session.user()?),
            from: session.from.clone(),
        };
        let answer = forward::send(&session.service().cluster, url, &question).await?;
        if let Some(error) = answer.error() {
            return Err(error);
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))
    };
    place::carry_out(session, Place::Leader(wait), Origin::Caller, here, there).await
}

/// Asks the leaders of all groups what a call asks of one, by `here` or by the same call with
/// [`GROUP_PARAMETER`]; returns the answers, and the groups that gave none in time.
///
/// # Errors
/// That of the system group.
pub async fn ask_groups<T: DeserializeOwned>(
    call: &Call,
    here: impl AsyncFn(&Session) -> Result<T>,
) -> Result<(Vec<T>, Vec<GroupId>)> {
    let placed = call.cluster().placements.view();
    let groups = [SYSTEM_GROUP].into_iter().chain(placed.groups.keys().copied());
    let target = call.target();
    let mark = if target.contains('?') { '&' } else { '?' };
    let asking = groups.map(|group| {
        let mut session = call.session.clone();
        session.named_group = Some(group);
        let target = format!("{target}{mark}{GROUP_PARAMETER}={group}");
        let here = &here;
        async move {
            let asking = ask_leader(&session, &target, async || here(&session).await);
            (group, session.service().cluster.part_of_all(group, asking).await)
        }
    });
    let (mut answers, mut missing) = (Vec::new(), Vec::new());
    for (group, answer) in join_all(asking).await {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) if group == SYSTEM_GROUP => return Err(error),
            Err(_) => missing.push(group),
        }
    }
    Ok((answers, missing))
}

/// Authenticates the caller; returns where the call came from.
async fn authenticate(route: &Route, call: &mut Call) -> Result<Origin> {
    let method = route.method;
    if matches!(route.access, Access::User(_)) || route.about == About::Session {
        call.cluster().check_started()?;
    }
    if let Some(signature) = text_header(call.headers(), PEER_HEADER).map(str::to_owned) {
        return authenticate_node(route, call, &signature, method).await;
    }
    match route.access {
        Access::Open => Ok(Origin::Caller),
        Access::Node => Err(bad_secret()),
        Access::User(permission) => {
            authenticate_user(call, method).await?;
            check_permission(call, permission)?;
            Ok(Origin::Caller)
        }
    }
}

async fn authenticate_node(
    route: &Route,
    call: &mut Call,
    signature: &str,
    method: &str,
) -> Result<Origin> {
    let user = text_header(call.headers(), USER_HEADER).map(str::to_owned);
    call.signature = Some(verify_signature(call, signature, method, user.as_deref())?);
    call.cookie = cookie(call.headers());
    if let Some(from) = text_header(call.headers(), FROM_HEADER).map(str::to_owned) {
        call.session.from = Some(from);
    }
    match (route.access, user) {
        (Access::User(permission), Some(text)) => {
            let (name, by) = forward::recognised_as(&text).ok_or_else(not_authenticated)?;
            let user = User::recognised(call.cluster().groups.system()?, name, by).await?;
            let by_login = call.cookie.is_some();
            call.session.set_user(Arc::new(user), by_login);
            check_permission(call, permission)?;
            Ok(Origin::Forwarded)
        }
        (Access::User(_), None) => Err(not_authenticated()),
        // What a member asks on its own behalf may be forwarded.
        (Access::Node, _) => Ok(Origin::Caller),
        (Access::Open, _) => Ok(Origin::Forwarded),
    }
}

/// What a node has signed, if it may call and this is a call of it that was not here before.
fn verify_signature(
    call: &Call,
    signature: &str,
    method: &str,
    user: Option<&str>,
) -> Result<Signature> {
    let format = format_of(signature).ok_or_else(bad_secret)?;
    MESSAGES.check(format, "a call of another node")?;
    let cluster = call.cluster();
    let target = call.target();
    let from = text_header(call.headers(), FROM_HEADER);
    let head = SignedHead { method, target: &target, user, from };
    let signature = cluster.key.verify(signature, head).ok_or_else(bad_secret)?;
    if cluster.certificates.as_ref().is_some_and(|files| files.has_authority()) {
        let shown = call.http.certificate();
        if !shown.is_some_and(|shown| is_for_host(&shown.0, &signature.host)) {
            return Err(bad_certificate(&signature.host, shown.is_some()));
        }
    }
    cluster.inbox.take(&signature)?;
    Ok(signature)
}

fn bad_certificate(host: &str, shown: bool) -> Error {
    let shown = if shown { "another one" } else { "none" };
    let message =
        format!("the calling node must show a certificate for {host:?}, but shows {shown}");
    Error::new(Kind::BadCertificate, message)
        .hint("give each node a TlsCert that TlsCa has signed for the host of its AdvertiseUrl")
}

/// Refuses a body that is not the one that a node has signed.
pub(super) fn check_body(call: &Call, body: &[u8]) -> Result<()> {
    match &call.signature {
        Some(signature) if signature.body != Body::of(body) => {
            Err(Error::new(Kind::BadClusterSecret, "the body is not the one that was signed")
                .hint("somebody has changed the call on its way; use TLS between the nodes"))
        }
        _ => Ok(()),
    }
}

fn bad_secret() -> Error {
    Error::new(Kind::BadClusterSecret, "this call is for nodes that know the cluster secret")
        .hint("give all nodes the same ClusterSecret or ClusterSecretFile")
}

async fn authenticate_user(call: &mut Call, method: &str) -> Result<()> {
    let token;
    let pair;
    let credentials = match text_header(call.headers(), header::AUTHORIZATION.as_str()) {
        Some(value) => match bearer(value) {
            Some(key) => Credentials::ApiKey(key),
            None => {
                pair = basic(value).ok_or_else(bad_credentials)?;
                Credentials::Password { name: &pair.0, password: &pair.1 }
            }
        },
        None if loopback::admits(call)? => Credentials::Loopback,
        None => {
            token = cookie(call.headers()).ok_or_else(not_authenticated)?;
            if method != "GET" && !call.headers().contains_key(CLIENT_HEADER) {
                return Err(cross_site("a change by cookie"));
            }
            Credentials::Login(&token)
        }
    };
    let from = call.session.from.as_deref();
    let user = sessions::authenticate(&call.app.service, credentials, from).await?;
    let cookie = match credentials {
        Credentials::Login(text) => Some(text.to_owned()),
        _ => None,
    };
    call.session.set_user(user, cookie.is_some());
    call.cookie = cookie;
    Ok(())
}

/// The error for what a page of somebody else's could have sent.
pub(super) fn cross_site(what: &str) -> Error {
    Error::new(Kind::CrossSite, format!("{what} needs the header X-Jettra-Client"))
        .hint("send the header, or use HTTP Basic or an API key")
}

/// Refuses a caller without the permission: in the database that the head of the call names,
/// else in every one; then the rest of the call names it, and is checked where it is read.
fn check_permission(call: &Call, permission: Permission) -> Result<()> {
    match (permission, call.parameter(&["db", "database"])) {
        (Permission::Read | Permission::Write | Permission::Own, Some(database)) => {
            call.session.authorize(permission, database)
        }
        _ => call.session.require(permission),
    }
}

pub(super) fn text_header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let (name, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs =
        all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == token::COOKIE).map(|(_, token)| token.to_owned()).next()
}

/// Refuses what a paused or removed node must not answer.
fn check_state(route: &Route, call: &Call) -> Result<()> {
    match route.access {
        Access::User(Permission::Read | Permission::Write | Permission::Own) => {
            call.app.service.check_serving()
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_read_or_refused() {
        assert_eq!(basic("Basic YTpiOmM="), Some(("a".into(), "b:c".into())));
        for bad in ["", "Basic", "Bearer YTpi", "Basic !!", "Basic YWI="] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; jettra_session=abc; b=2".parse().unwrap());
        assert_eq!(cookie(&headers), Some("abc".into()));
    }
}
