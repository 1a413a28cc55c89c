//! The audit log.

use super::call::Call;
use super::reply::Reply;
use crate::auth::Caller;
use crate::cluster::Cluster;
use crate::cluster::forward::{self, ForwardedRequest};
use crate::config::PAGE_DEFAULT;
use crate::engine::audit::AuditEntry;
use crate::engine::audit::entries;
use crate::engine::command::{AuditEvent, Command};
use crate::error::{Error, Kind, Result};
use crate::service::bounds::pooled;
use crate::wire::IntoWire;
use jettra_driver::wire::AuditReply;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// Path of what nodes tell the leader for the audit log.
const NOTE_PATH: &str = "/raft/rpc/note";

/// `GET /api/v1/audit`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let page_max = call.cluster().config.page_max as u64;
    let limit = call.number("limit", PAGE_DEFAULT.min(page_max), page_max)?.max(1) as usize;
    let before = match call.parameter(&["before"]) {
        Some(_) => Some(call.number("before", 0, i64::MAX as u64)?),
        None => None,
    };
    let text = |name: &str| call.parameter(&[name]).map(str::to_owned);
    let (user, action) = (text("user"), text("action"));
    // Who failed to log in is the target: nobody has proved to be that user.
    let wanted = move |entry: &AuditEntry| {
        let of_user = |user: &String| {
            entry.user.as_ref() == Some(user) || entry.user.is_none() && entry.target == *user
        };
        user.as_ref().is_none_or(of_user)
            && action.as_ref().is_none_or(|action| entry.action == *action)
    };
    let group = call.group()?.clone();
    let (entries, index) = pooled(move || {
        let (read, index) = group.read_with_index()?;
        Ok((entries(&read, before, limit, wanted)?, index))
    })
    .await?;
    let next = entries.last().filter(|_| entries.len() >= limit).map(|entry| entry.id);
    let entries = entries.into_iter().map(IntoWire::into_wire).collect();
    Ok(Reply::json(&AuditReply { entries, next }).at(index))
}

/// What a node tells the leader.
#[derive(Serialize, Deserialize)]
struct Note {
    user: Option<String>,
    from: Option<String>,
    event: AuditEvent,
}

/// Notes something in the audit log, without waiting for it.
pub(in crate::doors) fn note(
    call: &Call,
    caller: Caller,
    action: &str,
    target: &str,
    outcome: &str,
) {
    let target = target.chars().take(200).collect();
    let event = AuditEvent { action: action.into(), target, outcome: outcome.into() };
    // It has happened, whatever becomes of the user.
    let caller = Caller { credentials: None, ..caller };
    let cluster = call.cluster().clone();
    actix_web::rt::spawn(async move {
        if let Err(error) = send(&cluster, caller, event).await {
            tracing::warn!(%error, "something could not be noted in the audit log");
        }
    });
}

async fn send(cluster: &Cluster, caller: Caller, event: AuditEvent) -> Result<()> {
    let group = cluster.group()?;
    if group.is_leader() {
        let command = Command::Audit(Box::new(event));
        return group.propose(caller.proposes(command)).await.map(drop);
    }
    let leader = group.leader().and_then(|leader| cluster.nodes.by_raft_id(leader));
    let leader = leader.ok_or_else(crate::raft::proposer::not_leader)?;
    let note = Note { user: caller.user, from: caller.from, event };
    let body =
        serde_json::to_vec(&note).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let call = ForwardedRequest {
        method: "POST".into(),
        target: NOTE_PATH.into(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: body.into(),
        user: String::new(),
        from: None,
    };
    forward::send(cluster, &leader.url, &call).await.map(drop)
}

/// `POST /raft/rpc/note`: another node has something for the audit log.
pub async fn receive(call: Rc<Call>) -> Result<Reply> {
    let Note { user, from, event } = call.json()?;
    let command = Command::Audit(Box::new(event));
    let caller = Caller { user, from, credentials: None };
    call.group()?.propose(caller.proposes(command)).await?;
    Ok(Reply::empty())
}

#[cfg(test)]
mod tests {
    /// What a client may filter by is what there is.
    #[test]
    fn every_action_is_one_that_clients_know() {
        let source = include_str!("../../../engine/src/describe.rs")
            .split("impl Description")
            .next()
            .unwrap();
        let commands = source.split("match self {").nth(1).unwrap();
        let words = commands.split('"').skip(1).step_by(2);
        let actions = words.filter(|word| word.contains('_') || *word == "login");
        let known: Vec<_> = actions.filter(|word| !word.contains(['{', '='])).collect();
        assert!(known.len() > 15, "{known:?}");
        for action in known {
            assert!(jettra_driver::wire::AUDIT_ACTIONS.contains(&action), "{action}");
        }
    }
}
