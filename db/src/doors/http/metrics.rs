//! What a node measures: as text for Prometheus, and as JSON in the shape of rockraft. Whether it runs and
//! serves, for those that watch it.

use super::call::Call;
use super::describe::{CLUSTER, describe};
use super::endpoint::Endpoint;
use super::reply::{Reply, TEXT};
use crate::error::{Error, Kind, Result};
use crate::service::metrics::{self, Check, RaftState};
use actix_web::http::header;
use jettra_driver::wire::{MetricsReply, NodeId, ReadyCheck, ReadyReply};
use std::rc::Rc;

/// The media type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub const GET: Endpoint = Endpoint::new(
    |call| Box::pin(get(call)),
    || {
        describe(
            CLUSTER,
            "Measure this node: text for Prometheus, or JSON about its consensus if Accept names that",
        )
        .gives_or_says::<MetricsReply>(200)
    },
);

async fn get(call: Rc<Call>) -> Result<Reply> {
    let accept = call.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let accept = accept.unwrap_or_default();
    let json = accept.contains("application/json")
        || !accept.contains("text/plain")
            && !accept.contains("openmetrics")
            && call.app.service.config().metrics_default == "json";
    if json {
        let state = metrics::raft_state(&call.session)?;
        return Ok(Reply::of(state.map(|state| Reply::json(&reply(state)))));
    }
    let text = metrics::text(&call.session).await?;
    Ok(Reply::of(text.map(|text| Reply { media: PROMETHEUS, ..Reply::bytes(text) })))
}

fn reply(state: RaftState) -> MetricsReply {
    let RaftState { health, leader, last_applied, last_log_index, membership } = state;
    MetricsReply {
        node_id: NodeId(health.node_id),
        current_leader: leader.map(NodeId),
        current_term: health.term,
        last_applied,
        last_log_index,
        state: super::cluster::state_of(health.role).into(),
        membership,
    }
}

/// `GET /livez`
pub const LIVE: Endpoint = Endpoint::new(
    |_| Box::pin(std::future::ready(Ok(Reply::text("ok")))),
    || describe(CLUSTER, "Tell that the process runs").says(),
);

/// `GET /readyz`
pub const READY: Endpoint = Endpoint::new(
    |call| Box::pin(ready(call)),
    || {
        describe(
            CLUSTER,
            "Tell, line by line, whether this node serves calls and a majority answers it; with level=local \
             only whether it serves",
        )
        .query("level")
        .gives_or_says::<ReadyReply>(200)
        .gives_or_says::<ReadyReply>(503)
    },
);

async fn ready(call: Rc<Call>) -> Result<Reply> {
    let local = match call.parameter(&["level"]) {
        None | Some("linearizable") => false,
        Some("local") => true,
        Some(other) => {
            return Err(Error::new(Kind::InvalidParameter, format!("level={other} is unknown"))
                .hint("use linearizable or local, or leave it out"));
        }
    };
    let checks = metrics::ready(&call.app.service, local).await;
    let ready = checks.iter().all(|check| check.reason.is_none() || !check.needed);
    let reply = match call.wants_json() {
        true => Reply::json(&ReadyReply { ready, checks: checks.into_iter().map(wire).collect() }),
        false => Reply { media: TEXT, ..Reply::bytes(lines(&checks, ready)) },
    };
    Ok(if ready { reply } else { reply.with_status(503).header("retry-after", "1") })
}

fn wire(check: Check) -> ReadyCheck {
    let Check { name, reason, needed } = check;
    ReadyCheck { name, ok: reason.is_none(), needed, reason }
}

/// A line for each check, as Kubernetes and etcd write them.
fn lines(checks: &[Check], ready: bool) -> String {
    let line = |check: &Check| match (&check.reason, check.needed) {
        (None, _) => format!("[+]{} ok\n", check.name),
        (Some(reason), true) => format!("[-]{} failed: {reason}\n", check.name),
        (Some(reason), false) => format!("[!]{}: {reason}\n", check.name),
    };
    let lines: String = checks.iter().map(line).collect();
    let end = if ready { "readyz check passed\n" } else { "readyz check failed\n" };
    lines + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_is_missing() {
        let check = |name: &str, reason: Option<&str>, needed| Check {
            name: name.into(),
            reason: reason.map(str::to_owned),
            needed,
        };
        let checks = [
            check("serving", None, true),
            check("quorum", Some("late"), true),
            check("disk", Some("full"), false),
        ];
        let text = "[+]serving ok\n[-]quorum failed: late\n[!]disk: full\nreadyz check failed\n";
        assert_eq!(lines(&checks, false), text);
    }
}
