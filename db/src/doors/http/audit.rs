//! The audit log over HTTP.

use super::call::Call;
use super::describe::{ACCESS, describe};
use super::endpoint::Endpoint;
use super::reply::Reply;
use crate::config::PAGE_DEFAULT;
use crate::error::{Error, Kind, Result};
use crate::service::audit::{self, AuditPage, AuditQuery};
use crate::wire::IntoWire;
use jettra_driver::wire::{AuditReply, NotAPosition};
use jettra_driver::{Position, Positions};
use std::rc::Rc;

/// `GET /api/v1/audit`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(ACCESS, "The entries of the audit log, the latest first")
            .query("limit before user action")
            .gives::<AuditReply>(200)
            .reads()
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let page_max = call.session.config().page_max as u64;
    let limit = call.number("limit", PAGE_DEFAULT.min(page_max), page_max)?.max(1) as usize;
    let before = match call.parameter(&["before"]) {
        Some(text) => text.parse().map_err(|error: NotAPosition| {
            Error::new(Kind::InvalidParameter, format!("before: {error}"))
                .hint("give the next of the page before")
        })?,
        None => Positions::default(),
    };
    let before = before.iter().map(|Position { group, index }| (group, index)).collect();
    let text = |name: &str| call.parameter(&[name]).map(str::to_owned);
    let query = AuditQuery { before, limit, user: text("user"), action: text("action") };
    let page = audit::list(&call.session, query).await?;
    Ok(Reply::of(page.map(|AuditPage { entries, next, missing }| {
        let entries = entries.into_iter().map(IntoWire::into_wire).collect();
        let next = next.map(|next| {
            let mut positions = Positions::default();
            next.into_iter()
                .for_each(|(group, index)| positions.advance(Position { group, index }));
            positions
        });
        Reply::json(&AuditReply { entries, next, missing_groups: missing })
    })))
}

#[cfg(test)]
mod tests {
    /// What a client may filter by is what there is.
    #[test]
    fn every_action_is_one_that_clients_know() {
        let source = include_str!("../../../engine/src/command/audit.rs");
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
