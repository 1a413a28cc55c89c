//! Calls from this node to the other members of a group.

use super::node_key::SignedHead;
use super::peer_client::{PeerClient, PeerRequest};
use super::read_index::Proof;
use super::refused::RefusedEntries;
use super::types::{GroupId, RaftId};
use super::wire::{self, Wire};
use crate::error::{Error, Kind, Result};
use std::sync::Arc;
use std::time::Duration;

/// The query parameter with the digest of the log entries that the sender refuses.
pub const REFUSED_PARAMETER: &str = "refused";

/// Looks up the address of a member. Implemented by `cluster::nodes`.
pub trait PeerUrls: Send + Sync {
    /// The address in the node's own applied copy of the members, if it is there.
    fn url(&self, raft_id: RaftId) -> Option<String>;

    /// Whether it is a replica of a group that has never had a vote: it is sent what it lacks no faster
    /// than a node may, see [`joining`](super::joining).
    fn is_joining(&self, _: RaftId) -> bool {
        false
    }
}

/// The response to a Raft request: a refusal is not a transport error.
pub type RpcResult<T> = std::result::Result<T, String>;

/// The sender's side of the requests between members of one group.
#[derive(Clone)]
pub struct Peers {
    /// Sends the requests; shared by all groups.
    pub calls: PeerClient,
    /// The cluster that both sides must belong to.
    pub cluster_id: Arc<str>,
    /// The group.
    pub group: GroupId,
    /// This node.
    pub from: RaftId,
    /// The addresses of the members.
    pub urls: Arc<dyn PeerUrls>,
    /// The log entries that this node refuses; the other members must refuse the same.
    pub refused: RefusedEntries,
}

impl Peers {
    /// Path and query of a request to a member.
    pub(super) fn target(&self, call: &str, to: RaftId) -> String {
        let Peers { cluster_id, group, from, .. } = self;
        let digest = self.refused.digest();
        let refused = digest.map(|digest| format!("&{REFUSED_PARAMETER}={digest}"));
        let refused = refused.unwrap_or_default();
        format!("/raft/rpc/{call}?cluster={cluster_id}&group={group}&from={from}&to={to}{refused}")
    }

    fn base_url(&self, to: RaftId) -> Result<String> {
        self.urls.url(to).ok_or_else(|| {
            Error::new(Kind::NodeUnreachable, format!("the address of member {to} is not known"))
        })
    }

    /// Sends a request to a member, and reads its response.
    ///
    /// # Errors
    /// `node_unreachable` if there is no connection, `timeout`, or the member's refusal.
    pub async fn call<T: Wire>(
        &self,
        base: &str,
        call: &str,
        to: RaftId,
        body: &impl Wire,
        timeout: Duration,
    ) -> Result<T> {
        let body = wire::encode(body).map_err(internal)?.into();
        let target = self.target(call, to);
        let head = SignedHead { method: "POST", target: &target, ..SignedHead::default() };
        let call = PeerRequest { head, body, timeout, ..PeerRequest::default() };
        let answer = self.calls.send(base, call).await.map_err(|error| error.into_error(base))?;
        Peers::read(base, answer).await
    }

    async fn read<T: Wire>(base: &str, answer: reqwest::Response) -> Result<T> {
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| transport(base, &error))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Err(Error::new(Kind::Misdirected, format!("{base} answered {status}: {text}")));
        }
        let result: RpcResult<T> = wire::decode(&bytes).map_err(internal)?;
        result.map_err(|reason| Error::new(Kind::NotPossibleNow, reason))
    }

    /// Asks the leader for the log index that a read must wait for.
    pub async fn read_index(&self, leader: RaftId, proof: Proof, timeout: Duration) -> Result<u64> {
        let base = self.base_url(leader)?;
        self.call(&base, "read-index", leader, &proof, timeout).await
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

fn transport(base: &str, error: &reqwest::Error) -> Error {
    let kind = if error.is_connect() { Kind::NodeUnreachable } else { Kind::Timeout };
    Error::new(kind, format!("{base} cannot be reached: {error}"))
}
