//! Forwarding to the leader: where a request must run, and sending it there.

use super::Cluster;
use super::placement::report::LeaderStatus;
use crate::auth::{User, user_changed};
use crate::engine::command::CredentialRevisions;
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::SignedHead;
use crate::raft::peer_client::{PeerError, PeerRequest};
use crate::raft::{GroupId, RaftId};
use crate::status::HttpStatus;
use bytes::Bytes;
use jettra_driver::wire::{ErrorBody, StatusReply};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use crate::raft::node_key::{FROM_HEADER, USER_HEADER};

/// Path of the request that confirms a caller's credentials on the leader.
const CONFIRM_PATH: &str = "/api/v1/session";

/// Path of the question which replica leads a group.
pub const LEADER_PATH: &str = "/raft/rpc/leader";
/// Path of the question what the leader of a group knows of it.
pub const STATUS_PATH: &str = "/raft/rpc/group-status";
/// Path of the question for the audit entries of a group.
const AUDIT_PATH: &str = "/raft/rpc/group-audit";
/// Path of the call that ends the process of a node that was removed.
const END_PATH: &str = "/raft/rpc/end";
/// Longest time for the answer.
const LEADER_TIMEOUT: Duration = Duration::from_millis(500);

/// Where a request that needs the leader must run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// This node leads.
    Here,
    /// Another node leads.
    There(RaftId),
    /// No leader is known.
    Nowhere,
}

/// Decides where a request that needs the leader must run. Pure.
pub fn destination(leading: bool, leader: Option<RaftId>, me: RaftId) -> Destination {
    match leader {
        _ if leading => Destination::Here,
        Some(leader) if leader != me => Destination::There(leader),
        _ => Destination::Nowhere,
    }
}

/// A request that is forwarded to the leader.
#[derive(Debug, Clone)]
pub struct ForwardedRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers that matter to the handler.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The user that this node has authenticated.
    pub user: String,
    /// The address of that user's client.
    pub from: Option<String>,
}

/// The leader's response.
#[derive(Debug)]
pub struct ForwardedResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers of the response.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// The error of a call that got no answer.
fn unanswered(error: PeerError) -> Error {
    if error.is_unsent() {
        crate::raft::proposer::not_leader()
    } else {
        crate::raft::proposer::outcome_unknown()
    }
}

/// Longest time for a feed that another node serves through this one.
const FEED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Sends a request for a feed to the node at `url`, and returns its response before it has ended; or the
/// whole response, when it is no feed.
///
/// # Errors
/// Those of [`send`].
pub async fn send_feed(
    cluster: &Cluster,
    url: &str,
    call: &ForwardedRequest,
) -> Result<std::result::Result<reqwest::Response, ForwardedResponse>> {
    let answer = request(cluster, url, call, FEED_MAX).await?;
    match answer.status().is_success() {
        true => Ok(Ok(answer)),
        false => whole(answer).await.map(Err),
    }
}

/// Sends a request to the leader at `url`.
///
/// # Errors
/// `no_leader` if it cannot have arrived; `outcome_unknown` if it may have.
pub async fn send(
    cluster: &Cluster,
    url: &str,
    call: &ForwardedRequest,
) -> Result<ForwardedResponse> {
    // The leader gives up first, so that its own response arrives.
    let timeout = Duration::from_millis(cluster.config.request_timeout_ms) + Duration::from_secs(2);
    whole(request(cluster, url, call, timeout).await?).await
}

async fn request(
    cluster: &Cluster,
    url: &str,
    call: &ForwardedRequest,
    timeout: Duration,
) -> Result<reqwest::Response> {
    let head = SignedHead {
        method: &call.method,
        target: &call.target,
        user: Some(&call.user),
        from: call.from.as_deref(),
    };
    let sent = PeerRequest { head, headers: &call.headers, body: call.body.clone(), timeout };
    cluster.forwarding.send(url, sent).await.map_err(unanswered)
}

/// The whole response.
async fn whole(answer: reqwest::Response) -> Result<ForwardedResponse> {
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    let interrupted = |_| crate::raft::proposer::outcome_unknown();
    let body = answer.bytes().await.map_err(interrupted)?;
    let answer = ForwardedResponse { status, headers, body };
    if answer.is_error(Kind::Replayed) {
        // A copy of this request has been delivered before, and the leader has answered that one.
        return Err(crate::raft::proposer::outcome_unknown());
    }
    Ok(answer)
}

/// Longest time for a call between nodes about groups.
const NODE_CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What a node answers to a command of another node.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Applied {
    /// The log index of the command.
    pub index: u64,
}

/// What a node knows of the leader of a group.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct KnownLeader {
    /// The replica that leads.
    pub leader: Option<RaftId>,
}

/// Has another node carry out a command that concerns groups; returns its log index.
///
/// # Errors
/// That of the command; `no_leader` if it cannot have arrived, `outcome_unknown` if it may have.
pub async fn call_node(cluster: &Cluster, url: &str, target: &str, body: Vec<u8>) -> Result<u64> {
    let head = SignedHead { method: "POST", target, ..SignedHead::default() };
    let call =
        PeerRequest { head, body: body.into(), timeout: NODE_CALL_TIMEOUT, ..Default::default() };
    let Applied { index } = ask_node(cluster, url, call, unanswered).await?;
    Ok(index)
}

/// Asks a node that was removed to end its process.
///
/// # Errors
/// `not_possible_now` while it does not know that it was removed; others if it does not answer.
pub async fn end_removed(cluster: &Cluster, url: &str) -> Result<()> {
    let head = SignedHead { method: "POST", target: END_PATH, ..SignedHead::default() };
    let call = PeerRequest { head, timeout: LEADER_TIMEOUT, ..Default::default() };
    ask_node::<StatusReply>(cluster, url, call, unanswered).await.map(drop)
}

/// Asks another node which replica leads a group of which it holds one.
///
/// # Errors
/// `no_leader` if it does not answer; `misdirected` if it holds none.
pub async fn ask_leader_of(cluster: &Cluster, url: &str, group: GroupId) -> Result<Option<RaftId>> {
    let target = format!("{LEADER_PATH}?group={group}");
    let head = SignedHead { method: "GET", target: &target, ..SignedHead::default() };
    let call = PeerRequest { head, timeout: LEADER_TIMEOUT, ..Default::default() };
    let KnownLeader { leader } = ask_node(cluster, url, call, unanswered).await?;
    Ok(leader)
}

/// Asks another node what it knows of a group that it leads; none if it does not lead it.
///
/// # Errors
/// As [`ask_leader_of`].
pub async fn ask_status_of(
    cluster: &Cluster,
    url: &str,
    group: GroupId,
) -> Result<Option<LeaderStatus>> {
    let target = format!("{STATUS_PATH}?group={group}");
    let head = SignedHead { method: "GET", target: &target, ..SignedHead::default() };
    let call = PeerRequest { head, timeout: LEADER_TIMEOUT, ..Default::default() };
    ask_node(cluster, url, call, unanswered).await
}

/// Asks another node for audit entries of a group, by `query` in JSON.
///
/// # Errors
/// Those of reading them; as [`ask_leader_of`].
pub async fn ask_audit_of<T: DeserializeOwned>(
    cluster: &Cluster,
    url: &str,
    group: GroupId,
    query: &impl Serialize,
) -> Result<T> {
    let target = format!("{AUDIT_PATH}?group={group}");
    let body =
        serde_json::to_vec(query).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let head = SignedHead { method: "POST", target: &target, ..SignedHead::default() };
    let timeout = Duration::from_millis(cluster.config.request_timeout_ms);
    let call = PeerRequest { head, headers: &[], body: body.into(), timeout };
    ask_node(cluster, url, call, unanswered).await
}

/// Asks another node something; `unanswered` makes the error of a call that got no answer.
pub(super) async fn ask_node<T: DeserializeOwned>(
    cluster: &Cluster,
    url: &str,
    call: PeerRequest<'_>,
    unanswered: impl FnOnce(PeerError) -> Error,
) -> Result<T> {
    let answer = cluster.forwarding.send(url, call).await.map_err(unanswered)?;
    let status = answer.status().as_u16();
    let interrupted = |_| crate::raft::proposer::outcome_unknown();
    let body = answer.bytes().await.map_err(interrupted)?;
    let answer = ForwardedResponse { status, headers: Vec::new(), body };
    match answer.error() {
        Some(error) => Err(error),
        None => serde_json::from_slice(&answer.body)
            .map_err(|error| Error::new(Kind::Internal, error.to_string())),
    }
}

/// The user that a node has authenticated, as text for another node.
pub fn recognised_text(name: &str, credentials: &CredentialRevisions) -> String {
    let CredentialRevisions { user: revision, token } = credentials;
    match token {
        None => format!("{name} {revision}"),
        Some((id, of_token)) => format!("{name} {revision} {id} {of_token}"),
    }
}

/// Name and credentials in a [`recognised_text`].
pub fn recognised_as(text: &str) -> Option<(&str, CredentialRevisions)> {
    let mut parts = text.split(' ');
    let (name, user) = (parts.next()?, parts.next()?.parse().ok()?);
    let token = match (parts.next(), parts.next()) {
        (Some(id), Some(revision)) => Some((id.to_owned(), revision.parse().ok()?)),
        _ => None,
    };
    Some((name, CredentialRevisions { user, token }))
}

impl ForwardedResponse {
    /// The error with which the leader has refused the request, if it has.
    pub fn error(&self) -> Option<Error> {
        if self.status < 400 {
            return None;
        }
        let body = serde_json::from_slice::<ErrorBody>(&self.body).ok();
        let Some(detail) = body.map(|body| body.error) else {
            return Some(Error::new(Kind::Internal, "the leader's answer cannot be read"));
        };
        let kind = Kind::ALL.iter().find(|kind| kind.code() == detail.code);
        let error = Error::new(kind.copied().unwrap_or(Kind::Internal), detail.message);
        Some(match detail.hint {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Whether the leader has refused the request with this error.
    pub fn is_error(&self, kind: Kind) -> bool {
        self.status == kind.status()
            && serde_json::from_slice::<ErrorBody>(&self.body)
                .is_ok_and(|body| body.error.code == kind.code())
    }
}

/// Asks the leader at `url` whether it knows the same revisions of a user as this node.
///
/// # Errors
/// `user_changed` if it does not; those of [`send`].
pub async fn confirm_user(
    cluster: &Cluster,
    url: &str,
    user: &User,
    from: Option<&str>,
) -> Result<()> {
    let question = ForwardedRequest {
        method: "GET".into(),
        target: CONFIRM_PATH.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        user: recognised_text(&user.name, &user.credentials),
        from: from.map(str::to_owned),
    };
    let answer = send(cluster, url, &question).await?;
    match answer.is_error(Kind::UserChanged) {
        true => Err(user_changed(&user.name)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_to_the_leader_and_never_to_itself() {
        for (leading, leader, expected) in [
            (true, Some(1), Destination::Here),
            (true, None, Destination::Here),
            (false, Some(2), Destination::There(2)),
            (false, Some(1), Destination::Nowhere),
            (false, None, Destination::Nowhere),
        ] {
            assert_eq!(destination(leading, leader, 1), expected);
        }
    }

    #[test]
    fn a_node_tells_whom_it_has_recognised_and_by_what() {
        for credentials in [
            CredentialRevisions { user: 7, token: None },
            CredentialRevisions { user: 9, token: Some(("ab12".into(), 3)) },
        ] {
            let text = recognised_text("ada", &credentials);
            assert_eq!(recognised_as(&text), Some(("ada", credentials)));
        }
        for bad in ["", "ada", "ada x", "ada 1 id x"] {
            assert_eq!(recognised_as(bad), None, "{bad}");
        }
    }
}
