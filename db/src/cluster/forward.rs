//! From any node to the leader: where a call must go, and carrying it there.

use super::Cluster;
use crate::error::{Error, Kind, Result};
use crate::raft::RaftId;
use crate::raft::node_key::{NodeKey, PEER_HEADER};
use bytes::Bytes;
use std::time::Duration;

/// Header that names the user on whose behalf a node forwards; covered by the signature.
pub const USER_HEADER: &str = "x-jettra-user";

/// Where a call that needs the leader must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// This node leads.
    Here,
    /// Another node leads.
    There(RaftId),
    /// Nobody is known to lead.
    Nowhere,
}

/// Decides where a call that needs the leader must go. Pure.
pub fn destination(leading: bool, leader: Option<RaftId>, me: RaftId) -> Destination {
    match leader {
        _ if leading => Destination::Here,
        Some(leader) if leader != me => Destination::There(leader),
        _ => Destination::Nowhere,
    }
}

/// A call on its way to the leader.
#[derive(Debug, Clone)]
pub struct Forwarded {
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
}

/// The leader's answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

fn signed_target(target: &str, user: &str) -> String {
    format!("{target}\n{user}")
}

/// Whether a forwarded call was signed by a member for this user.
pub fn verify(key: &NodeKey, signature: &str, method: &str, target: &str, user: &str) -> bool {
    key.verify(signature, method, &signed_target(target, user))
}

/// Sends a call to the leader at `url`.
///
/// # Errors
/// `no_leader` when it cannot have arrived; `outcome_unknown` when it may have.
pub async fn send(cluster: &Cluster, url: &str, call: &Forwarded) -> Result<Answer> {
    let method = reqwest::Method::from_bytes(call.method.as_bytes())
        .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let signature = cluster.key.sign(&call.method, &signed_target(&call.target, &call.user));
    let mut request = cluster
        .http
        .request(method, format!("{url}{}", call.target))
        .header(PEER_HEADER, signature)
        .header(USER_HEADER, &call.user)
        // The leader gives up first, so that its own answer arrives.
        .timeout(Duration::from_millis(cluster.config.request_timeout_ms) + Duration::from_secs(2))
        .body(call.body.clone());
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let interrupted = |error: reqwest::Error| {
        if error.is_connect() {
            crate::raft::proposer::not_leader()
        } else {
            crate::raft::proposer::outcome_unknown()
        }
    };
    let answer = request.send().await.map_err(interrupted)?;
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let headers = headers
        .filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect();
    Ok(Answer { status, headers, body: answer.bytes().await.map_err(interrupted)? })
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
    fn the_user_is_part_of_what_is_signed() {
        let key = NodeKey::new("secret");
        let signature = key.sign("POST", &signed_target("/api/doc", "ada"));
        assert!(verify(&key, &signature, "POST", "/api/doc", "ada"));
        assert!(!verify(&key, &signature, "POST", "/api/doc", "admin"));
    }
}
