//! The audit log, read. Each group has the entries about its databases; a page merges those of all
//! groups by time.

use super::bounds::pooled;
use super::{Response, Session};
use crate::auth::Permission;
use crate::cluster::{Cluster, forward};
use crate::engine::audit::{AuditEntry, entries};
use crate::error::Result;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, ReadLevel};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The number of an entry in each group.
pub type Numbers = BTreeMap<GroupId, u64>;

/// A request for entries, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those before the entry of this number, in each group that is named here.
    pub before: Numbers,
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
    /// The entries with their groups, the newest first.
    pub entries: Vec<(GroupId, AuditEntry)>,
    /// The `before` of the next page; none when there are no more.
    pub next: Option<Numbers>,
    /// The groups that did not answer.
    pub missing: Vec<GroupId>,
}

/// A request for the entries of one group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupEntries {
    before: Option<u64>,
    limit: usize,
    user: Option<String>,
    action: Option<String>,
}

impl GroupEntries {
    /// Reads them, the newest first.
    ///
    /// # Errors
    /// Those of [`Group::wait_for_level`].
    pub async fn read(self, group: Arc<Group>, level: ReadLevel) -> Result<Vec<AuditEntry>> {
        let GroupEntries { before, limit, user, action } = self;
        group.wait_for_level(level).await?;
        // The user name of a failed login is its target: that user was not authenticated.
        let wanted = move |entry: &AuditEntry| {
            let of_user = |user: &String| {
                entry.user.as_ref() == Some(user) || entry.user.is_none() && entry.target == *user
            };
            user.as_ref().is_none_or(of_user)
                && action.as_ref().is_none_or(|action| entry.action == *action)
        };
        pooled(move || Ok(entries(&group.read()?, before, limit, wanted)?)).await
    }

    /// Reads them here, or asks the node that leads the group.
    async fn fetch(
        self,
        cluster: &Cluster,
        group: GroupId,
        level: ReadLevel,
    ) -> Result<Vec<AuditEntry>> {
        if group == SYSTEM_GROUP || cluster.has_active(group) {
            return self.read(cluster.groups.get(group)?, level).await;
        }
        let url = cluster.leader_of(group).await?;
        let answer = forward::ask_audit_of(cluster, &url, group, &self).await;
        if answer.is_err() {
            cluster.forget_leader(group);
        }
        answer
    }
}

/// Lists entries of the audit log. A data group that does not answer is named; the others' entries are
/// listed.
///
/// # Errors
/// `forbidden`; `no_leader` and `timeout` if the system group does not answer.
pub async fn list(session: &Session, query: AuditQuery) -> Result<Response<AuditPage>> {
    session.require(Permission::Admin)?;
    let cluster = &session.service().cluster;
    let system = session.system()?;
    cluster.placements.refresh(system)?;
    let index = system.visible_index();
    let groups: Vec<_> = [SYSTEM_GROUP]
        .into_iter()
        .chain(cluster.placements.view().groups.keys().copied())
        .collect();
    let fetching = groups.iter().map(|group| {
        let AuditQuery { before, limit, user, action } = query.clone();
        let before = before.get(group).copied();
        // One more than fits, to know whether there is another page.
        let part = GroupEntries { before, limit: limit + 1, user, action };
        cluster.part_of_all(*group, part.fetch(cluster, *group, session.level))
    });
    let mut parts = Vec::new();
    let mut missing = Vec::new();
    for (group, entries) in groups.iter().zip(join_all(fetching).await) {
        match entries {
            Ok(entries) => parts.push((*group, VecDeque::from(entries))),
            Err(error) if *group == SYSTEM_GROUP => return Err(error),
            Err(_) => missing.push(*group),
        }
    }
    let (entries, next) = merge(parts, query.before, query.limit);
    Ok(Response::at(AuditPage { entries, next, missing }, index))
}

type Entries = Vec<(GroupId, AuditEntry)>;

/// The first `limit` entries of all groups, and where the next page begins.
fn merge(
    mut parts: Vec<(GroupId, VecDeque<AuditEntry>)>,
    mut before: Numbers,
    limit: usize,
) -> (Entries, Option<Numbers>) {
    let mut merged = Vec::new();
    while merged.len() < limit {
        // The time of a group never goes back, so that its entries stay in order.
        let latest = parts.iter_mut().filter(|(_, entries)| !entries.is_empty());
        let latest = latest.max_by_key(|(group, entries)| {
            (entries.front().map(|entry| entry.time_ms), Reverse(*group))
        });
        let Some((group, entries)) = latest else { break };
        merged.extend(entries.pop_front().map(|entry| (*group, entry)));
    }
    if parts.iter().all(|(_, entries)| entries.is_empty()) {
        return (merged, None);
    }
    // A group without an entry on this page goes on with its first one, whatever is added meanwhile.
    let unseen =
        parts.iter().filter_map(|(group, entries)| Some((*group, entries.front()?.id + 1)));
    let seen = merged.iter().map(|(group, entry)| (*group, entry.id));
    before.extend(unseen.chain(seen));
    (merged, Some(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, time_ms: u64) -> AuditEntry {
        let text = String::new;
        let (action, target, outcome) = (text(), text(), text());
        AuditEntry { id, time_ms, user: None, from: None, action, target, outcome }
    }

    /// Pages of any size list each entry once, by time, although the groups number theirs themselves.
    #[test]
    fn pages_hold_the_entries_of_all_groups_by_time() {
        let all = [
            (0, vec![entry(90, 9), entry(40, 5), entry(7, 1)]),
            (3, vec![entry(8, 7), entry(6, 5), entry(5, 5)]),
            (4, vec![]),
            (9, vec![entry(2, 2)]),
        ];
        for limit in 1..9 {
            let mut before = Numbers::new();
            let mut listed = Vec::new();
            loop {
                let parts = all.iter().map(|(group, entries)| {
                    let number = before.get(group);
                    let older = entries
                        .iter()
                        .filter(|entry| number.is_none_or(|number| entry.id < *number));
                    (*group, older.take(limit + 1).cloned().collect())
                });
                let (page, next) = merge(parts.collect(), before.clone(), limit);
                assert!(page.len() == limit || next.is_none());
                listed.extend(page.iter().map(|(group, entry)| (*group, entry.id)));
                match next {
                    Some(next) => before = next,
                    None => break,
                }
            }
            assert_eq!(
                listed,
                [(0, 90), (3, 8), (0, 40), (3, 6), (3, 5), (9, 2), (0, 7)],
                "{limit}"
            );
        }
    }
}
