//! Entries for the audit log about what no command has done: failed logins and joins, a leadership
//! that was handed over. The leader proposes them; other nodes send them to it.

use super::Cluster;
use super::forward::{self, ForwardedRequest};
use crate::auth::Caller;
use crate::engine::command::{AuditEvent, Command};
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Path of what nodes send the leader for the audit log.
const REPORT_PATH: &str = "/raft/rpc/note";
/// Longest target of an entry, in characters.
const TARGET_CHARS_MAX: usize = 200;

/// What a node sends the leader for the audit log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditReport {
    user: Option<String>,
    from: Option<String>,
    event: AuditEvent,
}

/// Adds an entry to the audit log, without waiting for it.
pub fn record(cluster: &Arc<Cluster>, caller: Caller, action: &str, target: &str, outcome: &str) {
    let target = target.chars().take(TARGET_CHARS_MAX).collect();
    let event = AuditEvent { action: action.into(), target, outcome: outcome.into() };
    let report = AuditReport { user: caller.user, from: caller.from, event };
    let cluster = cluster.clone();
    tokio::spawn(async move {
        if let Err(error) = report.deliver(&cluster).await {
            tracing::warn!(%error, "an audit entry could not be recorded");
        }
    });
}

impl AuditReport {
    /// Proposes the entry, as the leader.
    ///
    /// # Errors
    /// Those of [`Group::propose`](crate::raft::Group::propose).
    pub async fn propose(self, cluster: &Cluster) -> Result<()> {
        let AuditReport { user, from, event } = self;
        // It has happened, whatever becomes of the user.
        let caller = Caller { user, from, credentials: None };
        let proposal = caller.proposes(Command::Audit(Box::new(event)));
        cluster.groups.system()?.propose(proposal).await.map(drop)
    }

    async fn deliver(self, cluster: &Cluster) -> Result<()> {
        let group = cluster.groups.system()?;
        if group.is_leader() {
            return self.propose(cluster).await;
        }
        let leader = group.leader().and_then(|leader| cluster.nodes.by_raft_id(leader));
        let leader = leader.ok_or_else(crate::raft::proposer::not_leader)?;
        let body = serde_json::to_vec(&self)
            .map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        let call = ForwardedRequest {
            method: "POST".into(),
            target: REPORT_PATH.into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
            user: String::new(),
            from: None,
        };
        forward::send(cluster, &leader.url, &call).await.map(drop)
    }
}
