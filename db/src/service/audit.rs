//! The audit log, read.

use super::bounds::pooled;
use super::{Response, Session};
use crate::auth::Permission;
use crate::engine::audit::{AuditEntry, entries};
use crate::error::Result;

/// A request for entries, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those before the entry of this number.
    pub before: Option<u64>,
    /// The largest number of entries.
    pub limit: usize,
    /// Only those by or about this user.
    pub user: Option<String>,
    /// Only those with this action.
    pub action: Option<String>,
}

/// Some entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, the newest first.
    pub entries: Vec<AuditEntry>,
    /// The `before` of the next page; none when there are no more.
    pub next: Option<u64>,
}

/// Lists entries of the audit log.
///
/// # Errors
/// `forbidden`.
pub async fn list(session: &Session, query: AuditQuery) -> Result<Response<AuditPage>> {
    session.require(Permission::Admin)?;
    let AuditQuery { before, limit, user, action } = query;
    // The user name of a failed login is its target: that user was not authenticated.
    let wanted = move |entry: &AuditEntry| {
        let of_user = |user: &String| {
            entry.user.as_ref() == Some(user) || entry.user.is_none() && entry.target == *user
        };
        user.as_ref().is_none_or(of_user)
            && action.as_ref().is_none_or(|action| entry.action == *action)
    };
    let group = session.system()?.clone();
    let (entries, index) = pooled(move || {
        let (read, index) = group.read_with_index()?;
        Ok((entries(&read, before, limit, wanted)?, index))
    })
    .await?;
    let next = entries.last().filter(|_| entries.len() >= limit).map(|entry| entry.id);
    Ok(Response::at(AuditPage { entries, next }, index))
}
