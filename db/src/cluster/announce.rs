//! What a node announces by itself: a request for admission while it is not a member, its return
//! while its own applied document says that it is inactive, and what it runs while that document
//! says something else.

use super::Cluster;
use crate::engine::Command;
use crate::engine::system::{NodeDocument, NodeStatus, Program};
use crate::error::{Error, Kind, Result};
use crate::pulse;
use crate::raft::node_key::SignedHead;
use crate::raft::peer_client::{PeerError, PeerRequest};
use crate::raft::peers::RpcResult;
use crate::raft::{Group, RaftId};
use parking_lot::MutexGuard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(1);
/// Time without a leader after which the other members are asked.
const LEADERLESS: Duration = Duration::from_secs(1);
/// Path of the announcement of a member.
pub const HELLO_PATH: &str = "/raft/rpc/hello";
/// Path of the request for admission.
pub const JOIN_PATH: &str = "/raft/rpc/join";

/// The announcement of a member that is back, or runs another version than before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnnounceRequest {
    /// The cluster of the member.
    pub cluster_id: String,
    /// Its name.
    pub node_id: String,
    /// Its number.
    pub raft_id: RaftId,
    /// What it runs.
    #[serde(default)]
    pub program: Option<Program>,
}

/// The response to [`AnnounceRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AnnounceResponse {
    /// The member is shown as active, or will be.
    Known,
    /// The called node does not lead, or cannot decide yet.
    AskAgain,
    /// The cluster has removed this member.
    Removed,
}

/// Asks the configured peers for admission until one of them has invited this node.
pub async fn ask_peers(cluster: Arc<Cluster>) {
    let mut last_warning = String::new();
    while cluster.groups.system().is_err() && !cluster.is_ending() {
        for peer in &cluster.config.peers {
            if let Err(error) = ask(&cluster, peer).await
                && last_warning != error.message
            {
                tracing::warn!("waiting for admission by {peer}: {error}");
                last_warning = error.message;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Asks the member at `peer` for admission.
///
/// # Errors
/// Those of the call, and its refusal.
pub(super) async fn ask(cluster: &Cluster, peer: &str) -> Result<()> {
    let failed = |error: String| Error::new(Kind::NodeUnreachable, error);
    let request = serde_json::json!({"url": cluster.config.peer_url()});
    let answer = post(cluster, peer, JOIN_PATH, &request, Duration::from_secs(15)).await;
    let answer = answer.map_err(|error| error.into_error(peer))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(failed(answer.text().await.unwrap_or_default()))
}

async fn post(
    cluster: &Cluster,
    base: &str,
    path: &str,
    body: &impl Serialize,
    timeout: Duration,
) -> std::result::Result<reqwest::Response, PeerError> {
    let internal = |error: serde_json::Error| Error::new(Kind::Internal, error.to_string());
    let body = serde_json::to_vec(body).map_err(|error| PeerError::NotSent(internal(error)))?;
    let head = SignedHead { method: "POST", target: path, ..SignedHead::default() };
    let call = PeerRequest { head, body: body.into(), timeout, ..PeerRequest::default() };
    cluster.calls.send(base, call).await
}

/// The members that have answered this node lately, while there is no leader.
#[derive(Debug, Default)]
pub struct Contacts {
    leaderless_since: Option<Instant>,
    answered: BTreeMap<RaftId, Instant>,
}

impl Contacts {
    fn record_leader(&mut self, known: bool) {
        if known {
            *self = Contacts::default();
        } else {
            self.leaderless_since.get_or_insert_with(Instant::now);
        }
    }

    /// How long there has been no leader.
    fn leaderless_for(&self) -> Duration {
        self.leaderless_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether a member counts as gone: there has been no leader for a while, and the member does
    /// not answer this node.
    pub fn is_gone(&self, raft_id: RaftId, limit: Duration) -> bool {
        let answered = self.answered.get(&raft_id).map(Instant::elapsed);
        self.leaderless_for() > limit && answered.is_none_or(|silence| silence > limit)
    }
}

impl Cluster {
    /// The members that answer this node.
    pub fn contacts(&self) -> MutexGuard<'_, Contacts> {
        self.contacts.lock()
    }
}

/// Announces this node while its own document says that it is gone or runs something else, or when
/// there has been no leader for a while: a removed node would otherwise never learn of its removal, and the responses
/// show which members answer.
pub async fn run(cluster: Arc<Cluster>) {
    while !cluster.is_ending() {
        pulse::pause(INTERVAL).await;
        // A node that is stopping must not announce its return.
        if cluster.is_ending() {
            return;
        }
        let Ok(group) = cluster.groups.system() else { return };
        let status = group.status();
        cluster.contacts().record_leader(status.leader.is_some());
        if status.is_leader() {
            cluster.forget_view();
        }
        let mine = cluster.nodes.by_raft_id(group.raft_id());
        let shown_gone = mine.as_ref().is_some_and(|node| node.status == NodeStatus::Inactive);
        let program = cluster.program();
        let runs_other = mine.is_some_and(|node| node.program != Some(program));
        let leaderless = cluster.contacts().leaderless_for() > LEADERLESS;
        if status.is_leader() {
            if runs_other && let Err(error) = answer(&cluster, request(&cluster)).await {
                tracing::debug!(%error, "what this node runs was not recorded yet");
            }
        } else if shown_gone || runs_other || leaderless {
            announce(&cluster, group.raft_id(), status.leader).await;
        }
    }
}

async fn announce(cluster: &Arc<Cluster>, me: RaftId, leader: Option<RaftId>) {
    let members = cluster.nodes.all();
    let others = members.iter().filter(|node| node.raft_id != me);
    let asked = others.filter(|node| leader.is_none_or(|leader| leader == node.raft_id));
    let announcements = asked
        .map(|node| async { (node.raft_id, send_announcement(cluster, node.peer_url()).await) });
    for (raft_id, answer) in futures_util::future::join_all(announcements).await {
        match answer {
            Ok(AnnounceResponse::Removed) => cluster.set_removed(),
            Ok(AnnounceResponse::Known | AnnounceResponse::AskAgain) => {
                cluster.contacts().answered.insert(raft_id, Instant::now());
            }
            Err(error) => {
                tracing::debug!(member = raft_id, %error, "an announcement got no response")
            }
        }
    }
}

fn request(cluster: &Cluster) -> AnnounceRequest {
    let identity = cluster.identity();
    AnnounceRequest {
        cluster_id: identity.cluster_id.unwrap_or_default(),
        node_id: identity.node_id,
        raft_id: identity.raft_id.unwrap_or_default(),
        program: Some(cluster.program()),
    }
}

async fn send_announcement(cluster: &Cluster, url: &str) -> Result<AnnounceResponse> {
    let answer = post(cluster, url, HELLO_PATH, &request(cluster), TIMEOUT).await;
    let answer = answer.map_err(|error| error.into_error(url))?;
    let failed = |error: reqwest::Error| Error::new(Kind::NodeUnreachable, error.to_string());
    let result: RpcResult<AnnounceResponse> = answer.json().await.map_err(failed)?;
    result.map_err(|reason| Error::new(Kind::NotPossibleNow, reason))
}

/// Answers an announcement. Only a confirmed leader decides.
pub async fn answer(cluster: &Cluster, hello: AnnounceRequest) -> Result<AnnounceResponse> {
    let group = cluster.groups.system()?;
    if cluster.identity().cluster_id.as_deref() != Some(&hello.cluster_id) {
        return Err(Error::new(Kind::ForeignCluster, "the clusters differ"));
    }
    if !group.is_leader() {
        return Ok(AnnounceResponse::AskAgain);
    }
    group.wait_linearizable().await?;
    if !group.is_leader() {
        return Ok(AnnounceResponse::AskAgain);
    }
    cluster.nodes.refresh(group)?;
    let Some(node) = cluster.nodes.by_raft_id(hello.raft_id) else {
        return Ok(AnnounceResponse::Removed);
    };
    record_program(group, &node, hello.program).await?;
    if node.status != NodeStatus::Inactive {
        return Ok(AnnounceResponse::Known);
    }
    let heard = group.status().silent.get(&hello.raft_id).copied().flatten();
    let fresh = Duration::from_millis(cluster.config.inactive_after_ms) / 2;
    if heard.is_none_or(|silence| silence > fresh) {
        // It answers, but the log does not reach it yet, so it must not be shown as active.
        return Ok(AnnounceResponse::AskAgain);
    }
    let mark = Command::ClusterMark {
        node: node.id,
        raft_id: node.raft_id,
        role: None,
        from: NodeStatus::Inactive,
        to: NodeStatus::Active,
    };
    group.propose(mark).await?;
    Ok(AnnounceResponse::Known)
}

/// Records what a member runs, unless its document says so already.
async fn record_program(
    group: &Group,
    node: &NodeDocument,
    program: Option<Program>,
) -> Result<()> {
    let Some(program) = program.filter(|program| node.program.as_ref() != Some(program)) else {
        return Ok(());
    };
    let announce = Command::ClusterAnnounce { raft_id: node.raft_id, program };
    group.propose(announce).await.map(drop)
}
