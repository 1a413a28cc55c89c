//! Which node founds the cluster: the one with the lowest `node_id` that somebody answers, and never two.

use super::{conf, example, health, start};
use jettra_tests::{Cluster, wait_until};
use serde_json::json;

/// The identity of the cluster that a node belongs to.
async fn cluster_id(cluster: &Cluster, index: usize) -> String {
    let status = cluster.nodes[index].http().get("/api/cluster").await.ok().json();
    status["clusterId"].as_str().expect("a cluster").to_owned()
}

/// Checks that all three nodes belong to one cluster, which this one has founded.
async fn check_one_cluster(cluster: &Cluster, founder: usize) {
    cluster.wait_active(3).await;
    let first = cluster_id(cluster, 0).await;
    for index in 1..3 {
        assert_eq!(cluster_id(cluster, index).await, first);
    }
    assert_eq!(health(&cluster.nodes[founder]).await["raft_id"], 1);
}

async fn wait_log(cluster: &Cluster, index: usize, text: &str) {
    wait_until(&format!("node{} logs {text:?}", index + 1), async || {
        let log = cluster.nodes[index].log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}

/// Makes every node name all others in `join`.
fn join_all(cluster: &Cluster, ports: &[u16]) {
    for index in 0..3 {
        let others = ports.iter().enumerate().filter(|(other, _)| *other != index);
        let join: Vec<_> = others.map(|(_, port)| format!("127.0.0.1:{port}")).collect();
        let path = conf(cluster, index);
        let text = std::fs::read_to_string(&path).expect("a configuration file");
        let lines = text.lines().map(|line| match line.starts_with("join") {
            true => format!("join = {}", json!(join)),
            false => line.to_owned(),
        });
        std::fs::write(path, lines.collect::<Vec<_>>().join("\n")).expect("it is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_wait_for_the_first_node() {
    let (mut cluster, _) = example("s3-first-last").await;
    start(&mut cluster, 1);
    start(&mut cluster, 2);
    for index in [1, 2] {
        wait_log(&cluster, index, "none of Peers answers").await;
        assert_eq!(health(&cluster.nodes[index]).await["status"], "waiting");
    }
    start(&mut cluster, 0);
    check_one_cluster(&cluster, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_name_each_other_and_start_at_once_found_one_cluster() {
    let (mut cluster, ports) = example("s3-mesh").await;
    join_all(&cluster, &ports);
    (0..3).rev().for_each(|index| start(&mut cluster, index));
    cluster.wait_active(3).await;
    let ids = [cluster_id(&cluster, 0).await, cluster_id(&cluster, 1).await];
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[1], cluster_id(&cluster, 2).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lowest_that_is_there_founds_and_a_later_one_joins() {
    let (mut cluster, ports) = example("s3-lowest").await;
    join_all(&cluster, &ports);
    start(&mut cluster, 1);
    start(&mut cluster, 2);
    cluster.wait_health(1, "ok").await;
    start(&mut cluster, 0);
    check_one_cluster(&cluster, 1).await;
    assert_eq!(health(&cluster.nodes[0]).await["node_id"], 1);
}

/// A node that has agreed to another candidate never founds a cluster by itself, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_agreed_waits_for_the_founder() {
    let (mut cluster, ports) = example("s3-agreed").await;
    join_all(&cluster, &ports);
    let url = format!("http://127.0.0.1:{}", ports[0]);
    let first = json!({"node_id": "1", "boot": "gone", "url": url, "may_found": true});
    let data = cluster.nodes[2].data_dir();
    std::fs::create_dir_all(&data).expect("a data directory");
    std::fs::write(data.join("founding.json"), json!({"1": first}).to_string()).expect("a file");
    start(&mut cluster, 2);
    start(&mut cluster, 1);
    wait_log(&cluster, 1, "may have created it, and does not answer").await;
    wait_log(&cluster, 2, "node \"2\" creates the cluster").await;
    for index in [1, 2] {
        assert_eq!(health(&cluster.nodes[index]).await["status"], "waiting");
    }
    start(&mut cluster, 0);
    check_one_cluster(&cluster, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founder_without_its_data_founds_no_second_cluster() {
    let (mut cluster, _) = example("s3-wiped").await;
    (0..3).for_each(|index| start(&mut cluster, index));
    check_one_cluster(&cluster, 0).await;
    let id = cluster_id(&cluster, 1).await;
    cluster.nodes[0].kill();
    cluster.nodes[0].wipe();
    start(&mut cluster, 0);
    wait_log(&cluster, 0, "is a member, but its disk is empty").await;
    assert_eq!(health(&cluster.nodes[0]).await["status"], "waiting");
    // Once an administrator has removed what it was, it is admitted as a new node.
    wait_until("the lost node is removed", async || {
        let body = json!({"node": "1"});
        let answer = cluster.try_act(1, "deregister", body).await?;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    cluster.wait_active(3).await;
    assert_eq!(cluster_id(&cluster, 0).await, id);
}
