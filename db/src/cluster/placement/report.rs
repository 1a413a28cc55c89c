//! The state of the groups: their documents, completed by what the leader of each knows.

use super::super::health::milliseconds;
use super::super::{Cluster, clocks, forward, groups};
use super::PlacementView;
use crate::engine::placement::{DatabaseState, GroupDocument, GroupState, ReplicaState};
use crate::engine::{catalog, system};
use crate::error::Result;
use crate::raft::joining::JoinProgress;
use crate::raft::types::SYSTEM_GROUP;
use crate::raft::{Group, GroupId, GroupStatus, RaftId};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the leader of a group knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderStatus {
    /// The replica that leads.
    pub leader: RaftId,
    /// Whether a majority answers it.
    pub ready: bool,
    /// Its term.
    pub term: u64,
    /// Log index of its last entry.
    pub last_log: u64,
    /// Log index of the first entry that it keeps.
    #[serde(default)]
    pub first_log: u64,
    /// Log index up to which readers see its state.
    pub applied: u64,
    /// How many documents its databases hold.
    pub documents: u64,
    /// Bytes of its state.
    pub bytes: u64,
    /// Index up to which each member has the log.
    pub matched: BTreeMap<RaftId, u64>,
    /// Milliseconds since each member answered.
    #[serde(default)]
    pub silent_ms: BTreeMap<RaftId, u64>,
    /// How far those are that are joining.
    #[serde(default)]
    pub joining: BTreeMap<RaftId, JoinProgress>,
    /// Why members do not receive what they lack.
    #[serde(default)]
    pub undelivered: BTreeMap<RaftId, String>,
}

/// One replica, or one that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// The name of its node.
    pub node: String,
    /// Its id and state, once it is placed.
    pub placed: Option<(RaftId, ReplicaState)>,
    /// Whether the group is to have it.
    pub wanted: bool,
    /// Whether it is to vote.
    pub voter: bool,
    /// Log entries that it lacks.
    pub lag: Option<u64>,
    /// Milliseconds since it answered the leader, if it is silent.
    pub silent_ms: Option<u64>,
    /// How far it is while it is joining.
    pub progress: Option<JoinProgress>,
    /// Why it does not receive what it lacks.
    pub problem: Option<String>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// Its number.
    pub group: GroupId,
    /// How far it is.
    pub state: GroupState,
    /// What its leader says; none while there is no leader.
    pub status: Option<LeaderStatus>,
    /// The name of the leader's node.
    pub leader: Option<String>,
    /// The name of the node that is to lead it.
    pub pinned: Option<String>,
    /// Voters that it is to have while there are nodes for them.
    pub replication_factor: u32,
    /// Names of the nodes that are to hold a voter.
    pub members: Vec<String>,
    /// Names of the nodes that are to hold a replica without a vote.
    pub observers: Vec<String>,
    /// Its replicas.
    pub replicas: Vec<ReplicaReport>,
    /// The names of its databases.
    pub databases: Vec<String>,
}

impl LeaderStatus {
    /// What this node knows of a group; none unless it leads it.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn of(group: &Group) -> Result<Option<LeaderStatus>> {
        let status: GroupStatus = group.status();
        if status.leader != Some(group.raft_id()) {
            return Ok(None);
        }
        let read = group.read()?;
        let mut documents = 0;
        for (database, _) in catalog::databases(&read)? {
            if database == system::DATABASE {
                continue;
            }
            for (_, collection) in catalog::collections(&read, &database)? {
                documents += catalog::totals(&read, collection)?.documents;
            }
        }
        let silences = status.members.iter().filter(|member| **member != group.raft_id());
        let silent_ms = silences.filter_map(|id| Some((*id, milliseconds(status.silence(*id)?))));
        let lag = |id| {
            status.last_log.saturating_sub(status.matched.get(&id).copied().unwrap_or_default())
        };
        Ok(Some(LeaderStatus {
            joining: group.joining().progress(lag),
            silent_ms: silent_ms.collect(),
            leader: group.raft_id(),
            ready: status.is_leader(),
            term: status.term,
            last_log: status.last_log,
            first_log: status.first_log,
            applied: group.visible_index(),
            documents,
            bytes: group.generations().current().used_bytes() as u64,
            matched: status.matched,
            undelivered: status.undelivered,
        }))
    }
}

impl ReplicaReport {
    /// The bytes of the copy of the state that it is being sent, so far and all together.
    fn copied(&self) -> Option<(u64, u64)> {
        self.progress?.copied
    }

    /// Whether it is to come, and has no vote yet.
    pub fn is_joining(&self) -> bool {
        self.wanted && matches!(self.placed, Some((_, ReplicaState::Joining)))
    }

    /// What a replica that is to come waits for.
    fn lacks(&self) -> String {
        let (node, problem) = (&self.node, self.problem.as_ref());
        let problem = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
        match (self.copied(), self.silent_ms, self.lag) {
            (Some((_, 0)), _, _) => format!("{node} to take a copy of the state{problem}"),
            (Some((done, total)), _, _) => {
                let [done, total] = [done, total].map(|bytes| bytes as f64 / (1 << 20) as f64);
                format!(
                    "{node} to receive a copy of the state, {done:.1} of {total:.1} MB{problem}"
                )
            }
            (None, Some(ms), _) => format!("{node} to answer, silent for {}", clocks::length(ms)),
            (None, None, Some(entries @ 1..)) => {
                format!("{node} to receive the log, {entries} entries{problem}")
            }
            _ => format!("{node} to be admitted{problem}"),
        }
    }

    fn is_changing(&self) -> bool {
        !self.wanted || !matches!(self.placed, Some((_, ReplicaState::Active)))
    }
}

impl GroupReport {
    /// What the change of its replicas that is under way waits for; none if there is no change.
    pub fn waits_for(&self) -> Option<String> {
        let changing = self.replicas.iter().filter(|replica| replica.is_changing());
        // An old replica goes when the new ones are in.
        let replica = changing.min_by_key(|replica| !replica.wanted)?;
        let node = &replica.node;
        Some(match (&self.status, replica.placed) {
            (None, _) => "a leader: a majority of its voters must run".to_owned(),
            (Some(status), _) if !status.ready => "answers of a majority of its voters".to_owned(),
            _ if !replica.wanted => format!("{node} to give its replica up"),
            (_, None) => format!("{node}, which must run, to open its replica"),
            _ => replica.lacks(),
        })
    }
}

fn problem_of(status: Option<&LeaderStatus>, id: RaftId) -> Option<String> {
    status?.undelivered.get(&id).cloned()
}

impl Cluster {
    /// How long a replica has not answered the leader of its group, if that is long.
    fn silence_of(&self, status: Option<&LeaderStatus>, id: RaftId) -> Option<u64> {
        let limit = milliseconds(self.silent_after());
        status?.silent_ms.get(&id).copied().filter(|silent| *silent > limit)
    }

    /// All groups, the system group first.
    ///
    /// # Errors
    /// `not_registered`, `starting`.
    pub async fn placed_groups(&self) -> Result<Vec<GroupReport>> {
        let view = self.placements.view();
        let reporting = view.groups.values().map(|group| self.report_placed(group, &view));
        let mut reports = vec![self.report_system().await?];
        reports.extend(join_all(reporting).await);
        Ok(reports)
    }

    /// One group.
    ///
    /// # Errors
    /// `group_not_found`.
    pub async fn report_group(&self, number: GroupId) -> Result<GroupReport> {
        if number == SYSTEM_GROUP {
            return self.report_system().await;
        }
        let view = self.placements.view();
        let group = view.groups.get(&number).ok_or_else(|| groups::group_not_found(number))?;
        Ok(self.report_placed(group, &view).await)
    }

    /// What the leader of a group says of it.
    async fn leader_status(&self, group: GroupId) -> Option<LeaderStatus> {
        if let Ok(here) = self.groups.get(group)
            && let Ok(Some(status)) = LeaderStatus::of(&here)
        {
            return Some(status);
        }
        let url = self.leader_of(group).await.ok()?;
        let status = forward::ask_status_of(self, &url, group).await.ok().flatten();
        if status.is_none() {
            self.forget_leader(group);
        }
        status
    }

    async fn report_placed(&self, group: &GroupDocument, view: &PlacementView) -> GroupReport {
        let status = self.leader_status(group.group).await;
        let name = |id: &RaftId| self.name_of(*id);
        let lag = |id: RaftId| {
            let status = status.as_ref()?;
            let known =
                if id == status.leader { Some(&status.last_log) } else { status.matched.get(&id) };
            Some(status.last_log.saturating_sub(*known?))
        };
        let mut replicas: Vec<_> = group
            .replicas
            .iter()
            .map(|replica| ReplicaReport {
                node: name(&replica.node),
                placed: Some((replica.id, replica.state)),
                wanted: group.wants(replica.node),
                voter: group.voters.contains(&replica.node),
                lag: lag(replica.id),
                silent_ms: self.silence_of(status.as_ref(), replica.id),
                progress: status
                    .as_ref()
                    .and_then(|status| status.joining.get(&replica.id).copied()),
                problem: problem_of(status.as_ref(), replica.id),
            })
            .collect();
        let missing = group.voters.iter().chain(&group.observers);
        replicas.extend(missing.filter(|node| group.on(**node).is_none()).map(|node| {
            ReplicaReport {
                node: name(node),
                placed: None,
                wanted: true,
                voter: group.voters.contains(node),
                lag: None,
                silent_ms: None,
                progress: None,
                problem: None,
            }
        }));
        let leader = status.as_ref().and_then(|status| group.replica(status.leader));
        let held = view.databases.values().filter(|database| {
            database.group == group.group && database.state != DatabaseState::Reserved
        });
        GroupReport {
            group: group.group,
            state: group.state,
            leader: leader.map(|replica| name(&replica.node)),
            pinned: group.leader.as_ref().map(name),
            replication_factor: group.replication_factor,
            members: group.voters.iter().map(name).collect(),
            observers: group.observers.iter().map(name).collect(),
            replicas,
            databases: held.map(|database| database.name.clone()).collect(),
            status,
        }
    }

    /// The system group, which has no document: every member is a replica.
    async fn report_system(&self) -> Result<GroupReport> {
        let status = self.leader_status(SYSTEM_GROUP).await;
        let system = self.groups.system()?;
        let voters = system.status().voters();
        let nodes = self.nodes.all();
        let lag = |id: RaftId| {
            let status = status.as_ref()?;
            let known =
                if id == status.leader { Some(&status.last_log) } else { status.matched.get(&id) };
            Some(status.last_log.saturating_sub(*known?))
        };
        let replicas = nodes.iter().map(|node| ReplicaReport {
            node: node.id.clone(),
            placed: Some((node.raft_id, ReplicaState::Active)),
            wanted: true,
            voter: voters.contains(&node.raft_id),
            lag: lag(node.raft_id),
            silent_ms: self.silence_of(status.as_ref(), node.raft_id),
            progress: None,
            problem: problem_of(status.as_ref(), node.raft_id),
        });
        let named = |votes: bool| {
            let fit = nodes.iter().filter(|node| voters.contains(&node.raft_id) == votes);
            fit.map(|node| node.id.clone()).collect::<Vec<_>>()
        };
        let databases = catalog::databases(&system.read()?)?;
        let replicas: Vec<_> = replicas.collect();
        let (members, observers) = (named(true), named(false));
        Ok(GroupReport {
            group: SYSTEM_GROUP,
            state: GroupState::Active,
            leader: status.as_ref().map(|status| self.name_of(status.leader)),
            pinned: None,
            replication_factor: self.config.max_voters as u32,
            members,
            observers,
            replicas,
            databases: databases.into_iter().map(|(name, _)| name).collect(),
            status,
        })
    }

    /// The name of a node; its Raft id if it is not a member any more.
    pub fn name_of(&self, node: RaftId) -> String {
        self.nodes.by_raft_id(node).map_or_else(|| node.to_string(), |node| node.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(node: &str, placed: Option<ReplicaState>, wanted: bool) -> ReplicaReport {
        let placed = placed.map(|state| (10, state));
        ReplicaReport {
            node: node.into(),
            placed,
            wanted,
            voter: true,
            lag: None,
            silent_ms: None,
            progress: None,
            problem: None,
        }
    }

    fn report(replicas: Vec<ReplicaReport>, led: bool) -> GroupReport {
        let status = LeaderStatus {
            leader: 10,
            ready: true,
            term: 1,
            last_log: 9,
            first_log: 0,
            applied: 9,
            documents: 0,
            bytes: 0,
            matched: BTreeMap::new(),
            silent_ms: BTreeMap::new(),
            joining: BTreeMap::new(),
            undelivered: BTreeMap::new(),
        };
        GroupReport {
            group: 3,
            state: GroupState::Active,
            status: led.then_some(status),
            leader: None,
            pinned: None,
            replication_factor: 3,
            members: Vec::new(),
            observers: Vec::new(),
            replicas,
            databases: Vec::new(),
        }
    }

    #[test]
    fn a_change_names_what_it_waits_for() {
        use ReplicaState::{Active, Joining};
        let (stays, goes) = (replica("n1", Some(Active), true), replica("n3", Some(Active), false));
        let waits = |last: ReplicaReport, led| {
            report(vec![stays.clone(), goes.clone(), last], led).waits_for().unwrap()
        };
        let joining = replica("n4", Some(Joining), true);
        assert!(waits(joining.clone(), false).starts_with("a leader"));
        assert_eq!(
            waits(replica("n4", None, true), true),
            "n4, which must run, to open its replica"
        );
        let behind = ReplicaReport { lag: Some(70), ..joining.clone() };
        assert_eq!(waits(behind.clone(), true), "n4 to receive the log, 70 entries");
        let copied = Some((3 << 19, 8 << 20));
        let progress = Some(JoinProgress { copied, ..JoinProgress::default() });
        let copying = ReplicaReport { progress, silent_ms: Some(9000), ..behind.clone() };
        assert_eq!(waits(copying, true), "n4 to receive a copy of the state, 1.5 of 8.0 MB");
        let full = ReplicaReport { problem: Some("its disk is full".into()), ..behind.clone() };
        assert_eq!(waits(full, true), "n4 to receive the log, 70 entries: its disk is full");
        let silent = ReplicaReport { silent_ms: Some(9000), ..behind };
        assert_eq!(waits(silent, true), "n4 to answer, silent for 9 s");
        assert_eq!(waits(joining, true), "n4 to be admitted");
        assert_eq!(waits(replica("n4", Some(Active), true), true), "n3 to give its replica up");
        assert_eq!(report(vec![stays], false).waits_for(), None);
    }
}
