//! How a cluster, its nodes and its shards are judged.

use super::overview::*;
use crate::cluster::placement::report::{GroupReport, LeaderStatus, ReplicaReport};
use crate::cluster::report::{ClusterReport, MemberReport, ReportSource};
use crate::engine::placement::{GroupState, ReplicaState};
use crate::engine::system::{NodeRole, NodeStatus};
use crate::raft::GroupId;
use std::collections::BTreeMap;

pub(super) fn member(number: u64, status: NodeStatus) -> MemberReport {
    MemberReport {
        id: format!("n{number}"),
        raft_id: number,
        url: format!("http://10.0.0.{number}:8080"),
        role: if number == 1 { NodeRole::Leader } else { NodeRole::Follower },
        status,
        description: None,
        lag: Some(0),
        problem: None,
        last_seen_ms: Some(3),
        silent_ms: None,
        clock_ms_ahead: None,
        program: None,
    }
}

fn group(number: GroupId, silent: Option<u64>) -> GroupReport {
    let replica = |node: u64| ReplicaReport {
        node: format!("n{node}"),
        placed: Some((node * 10, ReplicaState::Active)),
        wanted: true,
        voter: true,
        lag: Some(0),
        silent_ms: silent.filter(|_| node == 3),
        progress: None,
        problem: None,
    };
    GroupReport {
        group: number,
        state: GroupState::Active,
        status: Some(LeaderStatus {
            leader: 10,
            ready: true,
            term: 1,
            last_log: 9,
            first_log: 0,
            applied: 9,
            documents: 70,
            bytes: 4096,
            matched: BTreeMap::new(),
            silent_ms: BTreeMap::new(),
            joining: BTreeMap::new(),
            undelivered: BTreeMap::new(),
        }),
        leader: Some("n1".into()),
        pinned: None,
        replication_factor: 3,
        members: ["n1", "n2", "n3"].map(str::to_owned).to_vec(),
        observers: Vec::new(),
        replicas: (1..=3).map(replica).collect(),
        databases: Vec::new(),
    }
}

pub(super) fn parts(silent: Option<u64>) -> ClusterParts {
    let mut nodes: Vec<_> = (1..=3).map(|n| member(n, NodeStatus::Active)).collect();
    nodes[2].silent_ms = silent;
    let source = ReportSource { from: "n1".into(), leader: true, age_ms: 0, note: None };
    let report = ClusterReport {
        enabled: true,
        node_id: "n2".into(),
        role: NodeRole::Follower,
        leader_id: Some("n1".into()),
        term: 1,
        cluster_id: Some("c".into()),
        applied_index: 9,
        quorum: 2,
        health: String::new(),
        groups: Vec::new(),
        max_feature_level: None,
        nodes,
        source: Some(source),
    };
    ClusterParts { report, groups: [0, 1, 2].map(|number| group(number, silent)).to_vec() }
}

#[test]
fn a_cluster_of_which_nothing_is_wrong_is_healthy() {
    let seen = parts(None).overview();
    assert_eq!((seen.health, seen.nodes, seen.active), (ClusterHealth::Healthy, 3, 3));
    assert_eq!((seen.shards, seen.replication_factor), (2, 3));
    assert_eq!(seen.master.as_deref(), Some("n1"));
    assert!(seen.reasons.is_empty(), "{seen:?}");
    let nodes = parts(None).nodes();
    assert_eq!(nodes[2].member.address(), "10.0.0.3:8080");
    assert!(nodes.iter().all(|node| node.shards == 2 && node.reason.is_none()), "{nodes:?}");
}

#[test]
fn a_silent_node_degrades_it_and_a_group_without_a_quorum_does_more() {
    let seen = parts(Some(4000)).overview();
    assert_eq!((seen.health, seen.active), (ClusterHealth::Degraded, 2));
    assert_eq!(seen.unavailable, ["n3"]);
    assert_eq!(seen.under_replicated, ["shard-01", "shard-02"]);
    let expected = ["the system group has 2 of 3 replicas", "shard-01 has 2 of 3 replicas"];
    assert_eq!(seen.reasons[..2], expected);
    assert_eq!(seen.reasons[3], "n3 does not answer, silent for 4 s");
    let mut broken = parts(None);
    broken.groups[1].status = None;
    let seen = broken.overview();
    assert_eq!(seen.health, ClusterHealth::Unhealthy);
    assert_eq!(seen.reasons, ["shard-01 has no leader; a majority of its voters must run"]);
}

#[test]
fn without_a_leader_nobody_is_called_healthy_but_the_node_that_speaks() {
    let mut alone = parts(None);
    let note = Some("There is no leader; this is what n2 knows by itself.".to_owned());
    alone.report.leader_id = None;
    alone.report.source =
        Some(ReportSource { from: "n2".into(), leader: false, age_ms: 0, note: note.clone() });
    let seen = alone.overview();
    assert_eq!((seen.health, seen.active), (ClusterHealth::Unhealthy, 1));
    assert_eq!((seen.master, seen.unavailable), (None, vec!["n1".to_owned(), "n3".to_owned()]));
    assert_eq!(seen.reasons.first(), note.as_ref());
}

#[test]
fn every_state_of_a_member_has_its_own_word() {
    use NodeCondition as C;
    let of = |status, silent_ms, heard| {
        condition(&MemberReport { silent_ms, ..member(3, status) }, heard).0
    };
    for (status, answers, silent) in [
        (NodeStatus::Active, C::Healthy, C::Unreachable),
        (NodeStatus::Paused, C::Paused, C::Unreachable),
        (NodeStatus::Joining, C::Joining, C::Unreachable),
        (NodeStatus::Leaving, C::Leaving, C::Unreachable),
        (NodeStatus::Inactive, C::Unreachable, C::Unreachable),
    ] {
        assert_eq!(of(status, None, true), answers, "{status}");
        assert_eq!(of(status, Some(900), true), silent, "{status}");
    }
    assert_eq!(of(NodeStatus::Active, None, false), C::Unknown);
    assert_eq!(of(NodeStatus::Paused, None, false), C::Unknown);
    let problem = Some("too large".to_owned());
    let stuck = MemberReport { problem, ..member(3, NodeStatus::Active) };
    let reason = Some("n3 gets no log entries: too large".to_owned());
    assert_eq!(condition(&stuck, true), (C::Degraded, reason));
}
