//! Asking which node is at an address, and inviting it as a member.
//!
//! The caller sends a signature, never the secret; the response is signed too, over the caller's
//! request, so that a host cannot pass for a node by repeating old responses.

use super::Cluster;
use super::identity::Identity;
use crate::engine::system::Program;
use crate::error::{Error, Kind, Result};
use crate::raft::node_key::{NodeKey, PEER_HEADER, SignedHead, hex};
use crate::raft::peer_client::{IDENTITY_PATH, PeerError, PeerRequest};
use crate::status::HttpStatus;
use jettra_driver::wire::ErrorBody;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Path of the invitation.
pub const INVITE_PATH: &str = "/raft/rpc/invite";
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time for one check whether a node is gone, and the pause before the next.
const GONE_TIMEOUT: Duration = Duration::from_millis(250);
const GONE_PAUSE: Duration = Duration::from_millis(50);
const INVITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A node's description of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeDescription {
    /// Its name, cluster and number.
    pub identity: Identity,
    /// The address that it advertises.
    pub url: String,
    /// Identity of its process.
    pub boot: String,
    /// Whether it is configured to be a member (`distributed: true`).
    pub distributed: bool,
    /// What it runs.
    #[serde(default)]
    pub program: Option<Program>,
}

impl Cluster {
    /// The description of this node.
    pub fn introduce(&self) -> NodeDescription {
        NodeDescription {
            identity: self.identity(),
            url: self.config.url(),
            boot: self.boot.clone(),
            distributed: self.config.distributed,
            program: Some(self.program()),
        }
    }

    /// Asks the node at `url` for its identity.
    ///
    /// # Errors
    /// `node_unreachable`, `not_a_node`, `secret_mismatch`.
    pub async fn probe(&self, url: &str) -> Result<NodeDescription> {
        self.ask_signed(url, "GET", IDENTITY_PATH, &()).await
    }

    /// Asks the node at `url`, of which the answer is signed too; a `GET` has no body.
    ///
    /// # Errors
    /// Those of [`Cluster::probe`].
    pub(super) async fn ask_signed<T: DeserializeOwned>(
        &self,
        url: &str,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let mut nonce = [0; 16];
        let _ = getrandom::fill(&mut nonce);
        let target = format!("{path}?nonce={}", hex(&nonce));
        let head = SignedHead { method, target: &target, ..SignedHead::default() };
        let internal = |error: serde_json::Error| Error::new(Kind::Internal, error.to_string());
        let body = match method {
            "GET" => Vec::new(),
            _ => serde_json::to_vec(body).map_err(internal)?,
        };
        let question =
            PeerRequest { head, body: body.into(), timeout: PROBE_TIMEOUT, ..Default::default() };
        let answer = self.calls.send(url, question).await;
        let answer = answer.map_err(|error| unreachable(url, error))?;
        let status = answer.status();
        let signature = answer.headers().get(PEER_HEADER).and_then(|value| value.to_str().ok());
        let signature = signature.map(str::to_owned);
        let body = answer.text().await;
        let body = body.map_err(|error| unreachable(url, PeerError::Broken(error)))?;
        if status == 401 && body.contains(Kind::BadClusterSecret.code()) {
            return Err(secret_mismatch(url));
        }
        if status.as_u16() == Kind::Misdirected.status()
            && let Ok(ErrorBody { error }) = serde_json::from_str(&body)
        {
            let message = format!("{url} refuses this node: {}", error.message);
            return Err(Error::new(Kind::Misdirected, message).hint(error.hint.unwrap_or_default()));
        }
        let introduction = serde_json::from_str(&body).ok().filter(|_| status.is_success());
        let introduction: T = introduction.ok_or_else(|| not_a_node(url))?;
        let signature = signature.ok_or_else(|| not_a_node(url))?;
        if !verify_answer(&self.key, &signature, &target, &body) {
            return Err(secret_mismatch(url));
        }
        Ok(introduction)
    }

    /// Waits until nothing listens at `url`.
    pub async fn wait_gone(&self, url: &str) {
        loop {
            let head = SignedHead { method: "GET", target: IDENTITY_PATH, ..SignedHead::default() };
            let question = PeerRequest { head, timeout: GONE_TIMEOUT, ..PeerRequest::default() };
            if self.calls.send(url, question).await.is_err_and(|error| error.is_unsent()) {
                return;
            }
            tokio::time::sleep(GONE_PAUSE).await;
        }
    }

    /// Informs the node at `url` that it is a member with this identity.
    ///
    /// # Errors
    /// Those of [`Cluster::probe`]; `foreign_cluster` if it belongs to another cluster.
    pub async fn invite(&self, url: &str, identity: &Identity) -> Result<()> {
        let head = SignedHead { method: "POST", target: INVITE_PATH, ..SignedHead::default() };
        let body = serde_json::to_vec(identity)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?
            .into();
        let invitation =
            PeerRequest { head, body, timeout: INVITE_TIMEOUT, ..PeerRequest::default() };
        let answer = self.calls.send(url, invitation).await;
        let answer = answer.map_err(|error| unreachable(url, error))?;
        if answer.status().is_success() {
            return Ok(());
        }
        let body = answer.text().await.unwrap_or_default();
        Err(Error::new(Kind::ForeignCluster, format!("{url} refused the invitation: {body}"))
            .hint("a node joins with an empty DataDir"))
    }
}

const ANSWER: &str = "answer";

/// Signs a response to the request `target`.
pub fn sign_answer(key: &NodeKey, target: &str, body: &str) -> String {
    key.prove(ANSWER, &[target, body])
}

fn verify_answer(key: &NodeKey, signature: &str, target: &str, body: &str) -> bool {
    key.is_proof(signature, ANSWER, &[target, body])
}

/// The error for a missing response; what exactly answers at an address is not revealed to the
/// caller.
fn unreachable(url: &str, error: PeerError) -> Error {
    let why = match &error {
        PeerError::Broken(broken) if broken.is_timeout() => "no answer in time",
        PeerError::Broken(broken) if broken.is_connect() => return error.into_error(url),
        PeerError::Broken(_) => "the connection broke",
        PeerError::NotSent(_) => return error.into_error(url),
    };
    Error::new(Kind::NodeUnreachable, format!("{url} cannot be reached: {why}"))
        .hint("start the node first, and check address, port and firewall")
}

fn not_a_node(url: &str) -> Error {
    Error::new(Kind::NotANode, format!("{url} answers, but is not a Jettra node"))
        .hint("check host and port")
}

fn secret_mismatch(url: &str) -> Error {
    Error::new(Kind::SecretMismatch, format!("the node at {url} has another cluster secret"))
        .hint("give all nodes the same ClusterSecret or ClusterSecretFile and restart it")
}
