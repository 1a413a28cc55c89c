//! From a request to an answer: who calls, where it must run, and the errors on the way.

use super::call::Call;
use super::reply::Reply;
use super::{Place, Route, Wait};
use crate::auth::{Access, Permission, User, bad_credentials, not_authenticated, token};
use crate::cluster::forward::{self, Destination, FROM_HEADER, ForwardedRequest, USER_HEADER};
use crate::engine::command::CredentialRevisions;
use crate::engine::system::{NodeDocument, NodeStatus, TokenKind};
use crate::error::{Error, Kind, Result};
use crate::raft::RaftId;
use crate::raft::node_key::{Body, PEER_HEADER, Signature, SignedHead};
use crate::status::HttpStatus;
use crate::tls::{PeerCertificate, is_for_host};
use actix_web::http::header::{self, HeaderMap};
use base64::Engine;
use jettra_driver::wire::{
    CLIENT_HEADER, CURSOR_HEADER, ErrorBody, FORGOTTEN_HEADER, IDEMPOTENCY_HEADER, INDEX_HEADER,
    MORE_HEADER, REPLAYED_HEADER,
};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause before a call is tried again while there is no leader.
const PAUSE: Duration = Duration::from_millis(25);
/// Time between two looks whether the leader that is asked about a caller is heard still.
const HEARD_PAUSE: Duration = Duration::from_millis(100);
/// Leaders that are asked about a caller while one follows the other.
const LEADERS_MAX: usize = 4;
/// What the leader is asked on behalf of a caller whose rights are in question.
const CONFIRM_PATH: &str = "/api/v1/session";
/// Headers that go along to the leader, beside those that name the caller.
const FORWARDED_HEADERS: [&str; 7] = [
    "if-match",
    "if-none-match",
    "content-type",
    "accept",
    CLIENT_HEADER,
    IDEMPOTENCY_HEADER,
    INDEX_HEADER,
];
/// Headers of the leader's answer that the caller gets.
const RETURNED_HEADERS: [&str; 12] = [
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
];

/// What came out of a call.
pub enum Answer {
    /// This node has answered.
    Here(Reply),
    /// The leader has answered, through this node.
    Forwarded(forward::ForwardedResponse),
}

/// Who a call comes from; proof that it was admitted.
pub struct Admitted {
    from_node: bool,
}

/// Decides by the head of a call whether it is carried out; nobody's body is read before.
pub async fn admit(route: &Route, call: &mut Call) -> Result<Admitted> {
    let from_node = authenticate(route, call).await?;
    check_state(route, call)?;
    Ok(Admitted { from_node })
}

/// Carries out a call that was admitted.
pub async fn answer(route: &'static Route, call: Rc<Call>, admitted: Admitted) -> Result<Answer> {
    check_state_asked(route, &call)?;
    // The leader holds the open transactions.
    let transaction = in_transaction(&call);
    match route.place {
        Place::Here(wait) if !transaction => {
            match wait {
                Wait::Nothing => {}
                Wait::Level => {
                    // Nothing more comes to it, so it would wait in vain.
                    check_member(&call)?;
                    call.wait_for_level().await?;
                }
                Wait::Rights => wait_for_rights(&call, &admitted).await?,
            }
            carry_out(route, call).await
        }
        Place::Depends(on_the_leader) if !transaction && !on_the_leader(&call)? => {
            call.wait_for_level().await?;
            carry_out(route, call).await
        }
        _ if admitted.from_node => on_leader(route, call).await,
        _ => find_leader(route, call).await,
    }
}

fn in_transaction(call: &Call) -> bool {
    call.parameter(&["tx", "txID"]).is_some()
}

/// Refuses a call that names a state which it would not read: a transaction, or the past.
fn check_state_asked(route: &Route, call: &Call) -> Result<()> {
    let documents = super::is_about_documents(route);
    let transactions = ["/api/tx/", "/api/v1/transactions", "/api/v1/batch"];
    let possible = documents || transactions.iter().any(|path| route.path.starts_with(path));
    if in_transaction(call) && !possible {
        let message = format!("{} {} is not possible in a transaction", route.method, route.path);
        return Err(Error::new(Kind::NotInTransaction, message)
            .hint("only documents can be read and written in it; do the rest outside"));
    }
    let past = call.parameter(&["at", "asOf", "as_of"]).is_some();
    if past && !(documents && route.access == Access::User(Permission::Read)) {
        let message = format!("{} {} does not read the past", route.method, route.path);
        return Err(Error::new(Kind::InvalidParameter, message)
            .hint("leave at and asOf out; they are for reading documents"));
    }
    Ok(())
}

/// Runs the call here, and says when its answer was given before.
async fn carry_out(route: &'static Route, call: Rc<Call>) -> Result<Answer> {
    let proposed = call.proposed.clone();
    proposed.begin();
    match (route.handler)(call).await {
        Ok(mut reply) => {
            for (name, holds) in
                [(REPLAYED_HEADER, &proposed.repeated), (FORGOTTEN_HEADER, &proposed.forgotten)]
            {
                reply = if holds.get() { reply.header(name, "true") } else { reply };
            }
            Ok(Answer::Here(reply))
        }
        Err(error) => {
            let repeated = error.repeated || proposed.repeated.get();
            Err(Error { repeated, ..proposed.honest(error) })
        }
    }
}

/// Waits until the leader has confirmed the caller's rights, as long as this node hears a leader.
async fn wait_for_rights(call: &Call, admitted: &Admitted) -> Result<()> {
    let group = call.group()?;
    for _ in 0..LEADERS_MAX {
        let leader = group.leader();
        let asked = async {
            match forward::destination(group.is_leader(), leader, group.raft_id()) {
                Destination::Here => group.wait_linearizable().await.map(drop),
                Destination::There(leader) if !admitted.from_node => ask_leader(call, leader).await,
                _ => Ok(()),
            }
        };
        let replaced = async {
            while group.leader() == leader {
                tokio::time::sleep(HEARD_PAUSE).await;
            }
        };
        let asked = tokio::select! {
            asked = asked => asked,
            () = replaced => Ok(()),
        };
        match asked {
            Err(error) if error.kind == Kind::UserChanged => return Err(error),
            // Its successor knows what it had acknowledged.
            _ if group.leader().is_some() && group.leader() != leader => {}
            _ => break,
        }
    }
    call.user()?.confirm(group)
}

/// Asks the leader whether it knows the same of the caller as this node.
async fn ask_leader(call: &Call, leader: RaftId) -> Result<()> {
    let node = call.cluster().nodes.by_raft_id(leader);
    let url = &node.ok_or_else(crate::raft::proposer::not_leader)?.url;
    let question = ForwardedRequest {
        method: "GET".into(),
        target: CONFIRM_PATH.into(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
        user: recognised_text(call.user()?),
        from: call.from.clone(),
    };
    let answer = forward::send(call.cluster(), url, &question).await?;
    match says(&answer, Kind::UserChanged) {
        true => Err(crate::auth::user_changed(&call.user()?.name)),
        false => Ok(()),
    }
}

/// Runs the call here, on the leader, if what let its caller in still holds. What it proposes is
/// compared again by apply.
async fn carry_out_leading(route: &'static Route, call: Rc<Call>) -> Result<Answer> {
    let reads = match route.place {
        Place::Leader => route.method == "GET",
        Place::Here(_) => true,
        // Outside of a transaction it would be carried out where it came.
        Place::Depends(on_the_leader) => in_transaction(&call) && !on_the_leader(&call)?,
    };
    match &call.user {
        Some(_) if reads => call.wait_for_level().await?,
        Some(user) => {
            let group = call.group()?;
            group.wait_ready().await?;
            user.confirm(group)?;
        }
        None => {}
    }
    carry_out(route, call).await
}

/// A call that another node has forwarded is not forwarded again: that node tries again.
async fn on_leader(route: &'static Route, call: Rc<Call>) -> Result<Answer> {
    if call.group()?.is_leader() {
        carry_out_leading(route, call).await
    } else if route.access == Access::Node {
        find_leader(route, call).await
    } else {
        Err(crate::raft::proposer::not_leader())
    }
}

/// Runs the call here or on the leader; while there is none, waits for one.
async fn find_leader(route: &'static Route, call: Rc<Call>) -> Result<Answer> {
    let limit = Duration::from_millis(call.cluster().config.request_timeout_ms);
    let deadline = Instant::now() + limit;
    loop {
        let error = match attempt(route, &call).await {
            Err(error) if error.kind == Kind::NoLeader => error,
            done => return done,
        };
        if Instant::now() + PAUSE >= deadline {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn attempt(route: &'static Route, call: &Rc<Call>) -> Result<Answer> {
    let group = call.group()?;
    match forward::destination(group.is_leader(), group.leader(), group.raft_id()) {
        Destination::Here => carry_out_leading(route, call.clone()).await,
        Destination::Nowhere => Err(crate::raft::proposer::not_leader()),
        Destination::There(leader) => {
            let node = call.cluster().nodes.by_raft_id(leader);
            let url = &node.ok_or_else(crate::raft::proposer::not_leader)?.url;
            if call.parameter(&["redirect"]).is_some() {
                let place = format!("{url}{}", call.target());
                return Ok(Answer::Here(Reply::empty().with_status(307).header("location", place)));
            }
            let answer = forward::send(call.cluster(), url, &forwarded(route, call)).await?;
            if says(&answer, Kind::NoLeader) {
                return Err(crate::raft::proposer::not_leader());
            }
            if says(&answer, Kind::UserChanged) {
                return Err(crate::auth::user_changed(&call.user()?.name));
            }
            Ok(Answer::Forwarded(answer))
        }
    }
}

/// Whether the leader has refused a call with this error.
fn says(answer: &forward::ForwardedResponse, kind: Kind) -> bool {
    answer.status == kind.status()
        && serde_json::from_slice::<ErrorBody>(&answer.body)
            .is_ok_and(|body| body.error.code == kind.code())
}

fn forwarded(route: &Route, call: &Call) -> ForwardedRequest {
    let mut headers = Vec::new();
    for name in FORWARDED_HEADERS {
        if let Some(value) = call.headers().get(name).and_then(|value| value.to_str().ok()) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    if let Some(token) = &call.session {
        headers.push(("cookie".into(), format!("{}={token}", token::COOKIE)));
    }
    ForwardedRequest {
        method: route.method.into(),
        target: call.target().into_owned(),
        headers,
        body: call.body.clone(),
        user: call.user.as_deref().map(recognised_text).unwrap_or_default(),
        from: call.from.clone(),
    }
}

/// The headers of a forwarded answer that go back to the caller.
pub fn returned_header(name: &str) -> bool {
    RETURNED_HEADERS.contains(&name)
}

/// Proves who calls; tells whether another node does.
async fn authenticate(route: &Route, call: &mut Call) -> Result<bool> {
    let method = route.method;
    if matches!(route.access, Access::User(_)) || route.path == "/api/login" {
        call.cluster().check_started()?;
    }
    if let Some(signature) = text_header(call.headers(), PEER_HEADER).map(str::to_owned) {
        return authenticate_node(route, call, &signature, method).await;
    }
    match route.access {
        Access::Open => Ok(false),
        Access::Node => Err(bad_secret()),
        Access::User(permission) => {
            authenticate_user(call, method).await?;
            check_permission(call, permission)?;
            Ok(false)
        }
    }
}

async fn authenticate_node(
    route: &Route,
    call: &mut Call,
    signature: &str,
    method: &str,
) -> Result<bool> {
    let user = text_header(call.headers(), USER_HEADER).map(str::to_owned);
    call.signature = Some(verify_signature(call, signature, method, user.as_deref())?);
    call.session = cookie(call.headers());
    if let Some(from) = text_header(call.headers(), FROM_HEADER).map(str::to_owned) {
        call.from = Some(from);
    }
    match (route.access, user) {
        (Access::User(permission), Some(text)) => {
            let (name, by) = recognised_as(&text).ok_or_else(not_authenticated)?;
            let user = User::recognised(call.group()?, name, by).await?;
            call.user = Some(Arc::new(user));
            check_permission(call, permission)?;
            Ok(true)
        }
        (Access::User(_), None) => Err(not_authenticated()),
        (Access::Open | Access::Node, _) => Ok(true),
    }
}

/// What a node has signed, if it may call and this is a call of it that was not here before.
fn verify_signature(
    call: &Call,
    signature: &str,
    method: &str,
    user: Option<&str>,
) -> Result<Signature> {
    let cluster = call.cluster();
    let target = call.target();
    let from = text_header(call.headers(), FROM_HEADER);
    let head = SignedHead { method, target: &target, user, from };
    let signature = cluster.key.verify(signature, head).ok_or_else(bad_secret)?;
    if cluster.certificates.as_ref().is_some_and(|files| files.has_authority()) {
        let shown = call.http.conn_data::<PeerCertificate>();
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

/// What a node tells another about the user that it has recognised.
fn recognised_text(user: &User) -> String {
    let CredentialRevisions { user: revision, token } = &user.credentials;
    match token {
        None => format!("{} {revision}", user.name),
        Some((id, of_token)) => format!("{} {revision} {id} {of_token}", user.name),
    }
}

fn recognised_as(text: &str) -> Option<(&str, CredentialRevisions)> {
    let mut parts = text.split(' ');
    let (name, user) = (parts.next()?, parts.next()?.parse().ok()?);
    let token = match (parts.next(), parts.next()) {
        (Some(id), Some(revision)) => Some((id.to_owned(), revision.parse().ok()?)),
        _ => None,
    };
    Some((name, CredentialRevisions { user, token }))
}

async fn authenticate_user(call: &mut Call, method: &str) -> Result<()> {
    let group = call.group()?.clone();
    if let Some(value) = text_header(call.headers(), header::AUTHORIZATION.as_str()) {
        let user = match bearer(value) {
            Some(key) => token::user(&group, TokenKind::ApiKey, key).await?,
            None => {
                let (name, password) = basic(value).ok_or_else(bad_credentials)?;
                super::auth::verify(call, &name, &password).await?
            }
        };
        call.user = Some(Arc::new(user));
        return Ok(());
    }
    let Some(token) = cookie(call.headers()) else {
        return Err(not_authenticated());
    };
    if method != "GET" && !call.headers().contains_key(CLIENT_HEADER) {
        return Err(cross_site("a change by cookie"));
    }
    call.user = Some(Arc::new(token::user(&group, TokenKind::Session, &token).await?));
    call.session = Some(token);
    Ok(())
}

/// The error for what a page of somebody else's could have sent.
pub(super) fn cross_site(what: &str) -> Error {
    Error::new(Kind::CrossSite, format!("{what} needs the header X-Jettra-Client"))
        .hint("send the header, or use HTTP Basic or an API key")
}

/// Refuses a caller without the permission: in the database that the head of the call names,
/// else in every one; then the rest of the call tells, and is checked where it is read.
fn check_permission(call: &Call, permission: Permission) -> Result<()> {
    let rights = &call.user()?.rights;
    match (permission, call.parameter(&["db", "database"])) {
        (Permission::Read | Permission::Write | Permission::Own, Some(database)) => {
            call.authorize(permission, database)
        }
        _ if rights.may_somewhere(permission) => Ok(()),
        _ => Err(call.forbidden(permission, None)),
    }
}

fn text_header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
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

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs =
        all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == token::COOKIE).map(|(_, token)| token.to_owned()).next()
}

/// Refuses what a paused, removed or failed node must not answer.
fn check_state(route: &Route, call: &Call) -> Result<()> {
    match route.access {
        Access::User(Permission::Read | Permission::Write | Permission::Own) => check_serving(call),
        _ => Ok(()),
    }
}

/// Refuses to serve on a node that is removed.
fn check_member(call: &Call) -> Result<()> {
    match call.cluster().is_removed() {
        true => Err(Error::new(Kind::Removed, "this node was removed from its cluster")
            .hint("use another node")),
        false => Ok(()),
    }
}

/// Refuses to serve on a node that is paused or removed.
pub(super) fn check_serving(call: &Call) -> Result<()> {
    check_member(call)?;
    let cluster = call.cluster();
    let me = cluster.group()?.raft_id();
    let paused = |node: &NodeDocument| node.raft_id == me && node.status == NodeStatus::Paused;
    if cluster.nodes.all().iter().any(paused) {
        return Err(Error::new(Kind::Paused, "this node is paused")
            .hint("use another node, or resume it with POST /api/cluster/resume"));
    }
    Ok(())
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
    fn a_node_tells_whom_it_has_recognised_and_by_what() {
        for credentials in [
            CredentialRevisions { user: 7, token: None },
            CredentialRevisions { user: 9, token: Some(("ab12".into(), 3)) },
        ] {
            let rights = crate::auth::Rights {
                role: None,
                databases: Vec::new(),
                grants: Default::default(),
                role_max: None,
                databases_only: None,
            };
            let user = User { name: "ada".into(), rights, credentials: credentials.clone() };
            assert_eq!(recognised_as(&recognised_text(&user)), Some(("ada", credentials)));
        }
        for bad in ["", "ada", "ada x", "ada 1 id x"] {
            assert_eq!(recognised_as(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=1; jettra_session=abc; b=2".parse().unwrap());
        assert_eq!(cookie(&headers), Some("abc".into()));
    }
}
