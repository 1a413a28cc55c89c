//! Histories of transactions in eight groups on seven nodes, while replicas move, nodes crash after each
//! step of that, disks are lost, and a node is drained: the history of every database is strictly
//! serializable, nothing acknowledged is lost, and all replicas are equal.

use jettra_driver::wire::GroupReply;
use jettra_tests::groups::{Field, GROUPS, NODES, adjust, arm, first_members, name, nth};
use jettra_tests::{Cluster, Node, wait_until};
use serde_json::json;
use std::collections::BTreeSet;

/// The migrations of each round, and the step after which the leader of the group crashes. A node that
/// takes over the leadership of one of these groups crashes after none of the steps that are left: those
/// that are to crash there have done so in an earlier round, or hold no replica of the group.
const ROUNDS: [&[(u64, &str)]; 4] = [
    &[(1, "RemoveReplica"), (2, "RemoveLearner")],
    &[(7, "HandOver"), (6, "RemoveVoter")],
    &[(3, "AddVoter"), (4, "Activate(")],
    &[(5, "AddLearner")],
];
/// The node that crashes later as the leader of the system group, in which it votes; it leads group 5.
const DECIDER: usize = 4;
/// The node that is drained; it leads group 4.
const LEAVING: usize = 3;

/// The number of the replica on a node.
fn replica_on(group: &GroupReply, node: usize) -> Option<u64> {
    group.replicas.iter().find(|replica| replica.node == name(node))?.replica
}

fn replica_ids(group: &GroupReply) -> BTreeSet<Option<u64>> {
    group.replicas.iter().map(|replica| replica.replica).collect()
}

/// Moves one replica of each group, whose leader crashes after the step. If another node leads by then,
/// it takes the step, so the replica moves again.
async fn migrate_with_crashes(field: &mut Field, round: &[(u64, &'static str)]) {
    for (attempt, back) in [false, true, false].into_iter().enumerate() {
        let mut moves = Vec::new();
        for (id, step) in round.iter().copied() {
            if attempt > 0 && field.crashes.contains(&step) {
                continue;
            }
            let [leader, other, _] = first_members(id);
            if field.members(id).await.contains(&leader) {
                field.lead(id, leader).await;
            }
            let term = field.group(id).await.ok().and_then(|group| group.term);
            let (from, to) = (if step == "HandOver" { leader } else { other }, nth(id + 1));
            let (from, to) = if back { (to, from) } else { (from, to) };
            moves.push((id, step, term, field.migrate(id, from, to).await));
        }
        for (id, step, term, members) in moves {
            wait_until(&format!("a crash after {step}"), async || {
                let group = field.wait_settled(id, &members).await;
                let over = field.crashes.contains(&step) || group.term != term;
                if over { Ok(()) } else { Err(format!("{group:?}")) }
            })
            .await;
        }
    }
    let crashed = round.iter().all(|(_, step)| field.crashes.contains(step));
    assert!(crashed, "{round:?}: {:?}", field.crashes);
}

/// Sets for each node the steps after which it crashes, and restarts all of them.
async fn arm_all(field: &mut Field) {
    for (id, step) in ROUNDS.concat() {
        let leader = first_members(id)[0];
        // The leader of the system group at the end of the drain crashes then.
        field.due[leader] = match (leader, step) {
            (DECIDER, _) => [step, "Place", "SetNodes", "Deregister"].into(),
            // It is set later: after the restart, leaders hand over to those that are named.
            (_, "HandOver") => ["Deregister"].into(),
            _ => [step, "Deregister"].into(),
        };
    }
    field.cluster.nodes.iter_mut().for_each(Node::kill);
    for (node, due) in field.cluster.nodes.iter_mut().zip(&field.due) {
        arm(node, due);
        node.start();
    }
    field.cluster.wait_active(NODES).await;
    for id in 1..=GROUPS {
        field.lead(id, first_members(id)[0]).await;
    }
    // Those that take over later keep it, because none of them is to crash after handing over.
    for id in 1..=GROUPS {
        wait_until("nobody is named", async || {
            let named = field.cluster.client().set_group_leader(id, None).await;
            named.map_err(|error| error.to_string())
        })
        .await;
    }
}

/// The leader of a group is killed, and started again with a step after which it is to crash.
async fn kill_a_leader(field: &mut Field, id: u64, step: &'static str) {
    let node = first_members(id)[0];
    field.cluster.nodes[node].kill();
    field.wait_progress().await;
    field.due[node].push_front(step);
    arm(&mut field.cluster.nodes[node], &field.due[node]);
    field.cluster.nodes[node].start();
}

/// The leader of a group is killed and its replica moves to another node meanwhile, while the leader of the
/// system group crashes. The replica that returns is no member any more, and its directory goes.
async fn return_a_replica(field: &mut Field, id: u64) {
    field.cluster.lead_with(DECIDER).await;
    let members = field.members(id).await;
    let leader = field.group(id).await.expect("the group").leader.expect("a leader");
    let gone = field.cluster.index_of(&leader);
    let to = (0..NODES).find(|node| !members.contains(node) && ![DECIDER, LEAVING].contains(node));
    let directory = field.cluster.nodes[gone].data_dir().join(format!("groups/{id}"));
    field.cluster.nodes[gone].kill();
    let members = field.migrate(id, gone, to.expect("a node without a replica")).await;
    let before = field.wait_settled(id, &members).await;
    assert!(field.crashes.contains(&"Place"), "{:?}", field.crashes);
    assert!(directory.exists());
    field.wait_progress().await;
    field.cluster.nodes[gone].start();
    wait_until("its directory goes", async || {
        if directory.exists() { Err("it is there".to_owned()) } else { Ok(()) }
    })
    .await;
    let after = field.wait_settled(id, &members).await;
    assert_eq!(replica_ids(&after), replica_ids(&before));
}

/// The leader of a group is killed and loses its directory: another replica takes the place of its own,
/// which never votes again.
async fn wipe_a_replica(field: &mut Field, id: u64) {
    let members = field.members(id).await;
    let before = field.wait_settled(id, &members).await;
    let wiped = field.cluster.index_of(before.leader.as_ref().expect("a leader"));
    let directory = field.cluster.nodes[wiped].data_dir().join(format!("groups/{id}"));
    field.cluster.nodes[wiped].kill();
    std::fs::remove_dir_all(directory).expect("it was there");
    field.cluster.nodes[wiped].start();
    wait_until("another replica", async || {
        let group = field.wait_settled(id, &members).await;
        match replica_on(&group, wiped) != replica_on(&before, wiped) {
            true => Ok(()),
            false => Err(format!("{group:?}")),
        }
    })
    .await;
}

/// A node that leads a group and holds replicas of others is drained, while the leader of the system group
/// crashes after the first and the last step of that.
async fn drain_a_node(field: &mut Field) {
    field.cluster.wait_active(NODES).await;
    field.cluster.lead_with(DECIDER).await;
    let body = json!({"node": name(LEAVING)});
    // The answer depends on how far it comes before the crash.
    drop(field.cluster.try_act(0, "deregister", body).await);
    wait_until("the node is drained", async || {
        field.revive().await;
        let crashed = ["SetNodes", "Deregister"].iter().all(|step| field.crashes.contains(step));
        let health = field.cluster.nodes[LEAVING].http().try_get("/health").await?;
        match crashed && health.json()["status"] == "removed" {
            true => Ok(()),
            false => Err(format!("{} {:?}", health.text, field.crashes)),
        }
    })
    .await;
    field.wait_progress().await;
    field.cluster.nodes[LEAVING].kill();
    field.cluster.wait_active(NODES - 1).await;
    for id in 1..=GROUPS {
        let members = field.members(id).await;
        assert!(!members.contains(&LEAVING), "group {id} on {members:?}");
        field.wait_settled(id, &members).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_of_all_groups_are_strictly_serializable_while_replicas_move_and_nodes_crash() {
    let mut field = Field::create(Cluster::start_with("groups-history", NODES, adjust).await).await;
    arm_all(&mut field).await;
    field.start_clients().await;
    field.wait_progress().await;
    kill_a_leader(&mut field, 7, "HandOver").await;
    for round in ROUNDS {
        migrate_with_crashes(&mut field, round).await;
        field.wait_progress().await;
    }
    return_a_replica(&mut field, 2).await;
    wipe_a_replica(&mut field, 3).await;
    drain_a_node(&mut field).await;
    field.check().await;
}
