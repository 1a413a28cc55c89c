//! The leader crashes right after a step of a membership change, and the next leader finishes it.

use jettra_driver::ReadLevel;
use jettra_tests::{Cluster, wait_until};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;

const DOCUMENTS: u64 = 30;
const SIGABRT: i32 = 6;

async fn cluster_with_data(name: &str, size: usize) -> Cluster {
    let cluster = Cluster::start(name, size).await;
    let client = cluster.client();
    client.create_collection("shop", "before").await.expect("a collection");
    let documents = client.collection::<Value>("shop", "before");
    for number in 0..DOCUMENTS {
        documents
            .insert(&json!({"_id": number, "square": number * number}))
            .await
            .expect("written");
    }
    cluster
}

/// Checks that all documents written before are on every node.
async fn check_data(cluster: &Cluster) {
    cluster.wait_caught_up().await;
    for index in cluster.running() {
        let local = cluster.client_of(index).collection::<Value>("shop", "before");
        let page = local.with_level(ReadLevel::Local).list(1000, None).await.expect("a page");
        let squares =
            (0..DOCUMENTS).map(|number| json!({"_id": number, "square": number * number}));
        assert_eq!(page.documents, squares.collect::<Vec<_>>(), "{}", cluster.nodes[index].name);
    }
}

/// Makes a node leader that will crash right after `step`.
async fn lead_with_crash(cluster: &mut Cluster, step: &str) -> usize {
    let members = cluster.nodes.len();
    let index = cluster.follower().await;
    cluster.nodes[index].kill();
    cluster.nodes[index].settings.env = vec![("JETTRA_CRASH_AFTER".into(), step.into())];
    cluster.nodes[index].start();
    cluster.wait_active(members).await;
    cluster.lead_with(index).await;
    index
}

/// Waits for the crash of the node, and removes the fault from its settings.
async fn wait_crash(cluster: &mut Cluster, index: usize, step: &str) {
    let exit = cluster.nodes[index].wait_exit().await;
    assert_eq!(exit.signal(), Some(SIGABRT), "no crash after {step}: {exit}");
    cluster.nodes[index].settings.env.clear();
}

/// A node joins while the leader crashes after `step`.
async fn add_through_a_crash(cluster: &mut Cluster, step: &str) {
    let fourth = cluster.add_waiting(&format!("joins-{step}")).await;
    let joining = cluster.nodes.remove(fourth);
    let leader = lead_with_crash(cluster, step).await;
    cluster.nodes.push(joining);
    let through = (leader + 1) % 3;
    let body = json!({"url": cluster.nodes[fourth].url()});
    cluster.act(through, "register", body).await.ok();
    wait_crash(cluster, leader, step).await;
    let name = cluster.nodes[fourth].name.clone();
    cluster.wait_status(&name, "ACTIVE").await;
    cluster.nodes[leader].start();
    cluster.wait_active(4).await;
    check_data(cluster).await;
}

/// The fourth node is removed while the leader crashes after `step`.
async fn remove_through_a_crash(cluster: &mut Cluster, step: &str) {
    let leader = loop {
        let leader = lead_with_crash(cluster, step).await;
        if leader != 3 {
            break leader;
        }
        cluster.nodes[leader].settings.env.clear();
        cluster.crash_and_restart(leader);
        cluster.wait_active(4).await;
    };
    let name = cluster.nodes[3].name.clone();
    // The response depends on how far the leader came; only the result is checked.
    cluster.act((leader + 1) % 3, "deregister", json!({"node": name})).await;
    wait_crash(cluster, leader, step).await;
    cluster.wait_health(3, "removed").await;
    let mut gone = cluster.nodes.remove(3);
    gone.kill();
    gone.wipe();
    cluster.nodes[leader].start();
    cluster.wait_active(3).await;
    check_data(cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_step_of_joining_and_leaving_is_finished_by_the_next_leader() {
    let mut cluster = cluster_with_data("crash-steps", 3).await;
    add_through_a_crash(&mut cluster, "AddLearner").await;
    remove_through_a_crash(&mut cluster, "RemoveVoter").await;
    add_through_a_crash(&mut cluster, "AddVoter").await;
    remove_through_a_crash(&mut cluster, "RemoveLearner").await;
    add_through_a_crash(&mut cluster, "AddLearner").await;
    remove_through_a_crash(&mut cluster, "Deregister").await;
}

/// Neither of two nodes has a quorum alone, so the crashed one restarts first.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_one_that_crashes_while_it_grows_to_two_continues_after_its_restart() {
    for step in ["AddLearner", "AddVoter", "Update"] {
        let mut cluster = cluster_with_data("crash-grow", 1).await;
        cluster.nodes[0].kill();
        cluster.nodes[0].settings.env = vec![("JETTRA_CRASH_AFTER".into(), step.into())];
        cluster.nodes[0].start();
        cluster.wait_health(0, "ok").await;
        let second = cluster.add_waiting("second").await;
        let body = json!({"url": cluster.nodes[second].url()});
        cluster.act(0, "register", body).await.ok();
        wait_crash(&mut cluster, 0, step).await;
        cluster.nodes[0].start();
        cluster.wait_active(2).await;
        check_data(&cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_change_that_lost_its_quorum_continues_when_the_nodes_are_back() {
    let mut cluster = cluster_with_data("crash-quorum", 3).await;
    let fourth = cluster.add_waiting("fourth").await;
    let body = json!({"url": cluster.nodes[fourth].url()});
    cluster.act(0, "register", body).await.ok();
    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    cluster.nodes[1].start();
    cluster.nodes[2].start();
    wait_until("all four take part", async || {
        let members = cluster.members(0).await?;
        let active = members.iter().filter(|node| node["status"] == "ACTIVE").count();
        if active == 4 { Ok(()) } else { Err(format!("{members:?}")) }
    })
    .await;
    cluster.wait_active(4).await;
    check_data(&cluster).await;
}
