//! Membership changes are idempotent, and refused if they would do harm.

use jettra_tests::{Cluster, Role, Settings, wait_until};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn registering_and_removing_twice_is_the_same_as_once() {
    let cluster = Cluster::start("member-twice", 3).await;
    let before = cluster.members(0).await.expect("the members");
    let url = cluster.nodes[1].url();
    for through in 0..3 {
        cluster.act(through, "register", json!({"url": url})).await.ok();
        cluster.act(through, "deregister", json!({"node": "never-there"})).await.ok();
        cluster.act(through, "deregister", json!({"url": "http://127.0.0.1:1"})).await.ok();
    }
    cluster.wait_caught_up().await;
    assert_eq!(cluster.members(0).await.expect("the members"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_with_a_taken_name_is_refused_with_both_addresses() {
    let cluster = Cluster::start("member-name", 2).await;
    let before = cluster.members(0).await.expect("the members");
    let beside = cluster.bed.dir().join("beside");
    std::fs::create_dir_all(&beside).expect("a folder");
    let mut twin =
        cluster.bed.node("beside/node2", Settings::new(Role::Waiting).key("NodeID", "node2"));
    twin.start();
    wait_until("the twin answers", async || twin.http().try_get("/health").await.map(drop)).await;
    let answer = cluster.act(0, "register", json!({"url": twin.url()})).await;
    let details = &answer.refused(409, "node_conflict").json()["error"]["details"];
    let text = details.to_string();
    assert!(text.contains(&twin.url()) && text.contains(&cluster.nodes[1].url()), "{text}");
    cluster.wait_caught_up().await;
    assert_eq!(cluster.members(0).await.expect("the members"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_removed_through_itself_and_hands_over_first() {
    let mut cluster = Cluster::start("member-self", 3).await;
    let leader = cluster.leader().await;
    let name = cluster.nodes[leader].name.clone();
    cluster.act(leader, "deregister", json!({"node": name})).await.ok();
    cluster.wait_health(leader, "removed").await;
    cluster.nodes[leader].kill();
    cluster.wait_active(2).await;
    let follower = cluster.follower().await;
    let name = cluster.nodes[follower].name.clone();
    cluster.act(follower, "deregister", json!({"node": name})).await.ok();
    cluster.wait_health(follower, "removed").await;
    cluster.nodes[follower].kill();
    cluster.wait_active(1).await;
    let last = cluster.leader().await;
    let name = cluster.nodes[last].name.clone();
    for force in [false, true] {
        let body = json!({"node": name, "force": force});
        cluster.act(last, "deregister", body).await.refused(409, "would_lose_quorum");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_would_lose_the_quorum_is_refused_unless_forced() {
    let mut cluster = Cluster::start("member-quorum", 3).await;
    let leader = cluster.leader().await;
    let others: Vec<_> = (0..3).filter(|index| *index != leader).collect();
    let [dead, live] = [others[0], others[1]].map(|index| cluster.nodes[index].name.clone());
    cluster.nodes[others[0]].kill();
    cluster.wait_status(&dead, "INACTIVE").await;
    for action in ["stop", "deregister"] {
        let answer = cluster.act(leader, action, json!({"node": live})).await;
        let details = answer.refused(409, "would_lose_quorum").json()["error"]["details"].clone();
        assert_eq!(details, json!({"live_voters": 1, "needed": 2}));
    }
    cluster.client().create_database("still_writable").await.expect("written");
    let body = json!({"node": live, "force": true});
    cluster.act(leader, "stop", body).await.ok();
    assert_eq!(cluster.nodes[others[1]].wait_exit().await.code(), Some(0));
    cluster.nodes[others[0]].start();
    cluster.nodes[others[1]].start();
    cluster.wait_active(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_node_is_removed_and_cannot_come_back_by_a_restart() {
    let mut cluster = Cluster::start("member-dead", 3).await;
    let index = cluster.follower().await;
    let name = cluster.nodes[index].name.clone();
    cluster.nodes[index].kill();
    cluster.wait_status(&name, "INACTIVE").await;
    let through = cluster.leader().await;
    cluster.act(through, "deregister", json!({"node": name})).await.ok();
    cluster.wait_active(2).await;
    cluster.nodes[index].start();
    cluster.wait_health(index, "removed").await;
    let http = cluster.nodes[index].http();
    assert_eq!(http.get("/health").await.status, 503);
    http.get("/api/dbs").await.refused(503, "removed");
    let body = json!({"url": cluster.nodes[index].url()});
    cluster.act(through, "register", body).await.refused(409, "stale_node");
    let members = cluster.members(through).await.expect("the members");
    assert!(members.iter().all(|node| node["_id"] != *name), "{members:?}");
    assert_eq!(members.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_disk_was_emptied_is_refused_until_it_is_removed() {
    let mut cluster = Cluster::start("member-wiped", 3).await;
    let index = cluster.follower().await;
    let name = cluster.nodes[index].name.clone();
    cluster.nodes[index].kill();
    cluster.nodes[index].wipe();
    cluster.nodes[index].start();
    cluster.wait_health(index, "waiting").await;
    let through = cluster.leader().await;
    let body = json!({"url": cluster.nodes[index].url()});
    cluster.act(through, "register", body.clone()).await.refused(409, "stale_node");
    cluster.wait_health(index, "waiting").await;
    cluster.act(through, "deregister", json!({"node": name})).await.ok();
    cluster.act(through, "register", body).await.ok();
    cluster.wait_active(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_moves_to_another_machine_by_removal_and_registration() {
    let mut cluster = Cluster::start("member-move", 3).await;
    let client = cluster.client();
    let documents = client.collection::<Value>("shop", "moved");
    client.create_collection("shop", "moved").await.expect("a collection");
    for number in 0..50 {
        documents.insert(&json!({"_id": number})).await.expect("written");
    }
    for round in 0..3 {
        // The first node is the oldest one in each round.
        let index = 0;
        let name = cluster.nodes[index].name.clone();
        let new = cluster.add_waiting(&format!("moved{round}")).await;
        let through = 1 + round % 2;
        let body = json!({"url": cluster.nodes[new].url()});
        cluster.act(through, "register", body).await.ok();
        cluster.wait_active(4).await;
        cluster.act(through, "deregister", json!({"node": name})).await.ok();
        let mut old = cluster.nodes.remove(index);
        old.kill();
        cluster.wait_active(3).await;
    }
    let documents = cluster.client().collection::<Value>("shop", "moved");
    assert_eq!(documents.count().await.expect("a count"), 50);
    cluster.wait_caught_up().await;
    for index in 0..3 {
        let local = cluster.client_of(index).collection::<Value>("shop", "moved");
        let local = local.with_level(jettra_driver::ReadLevel::Local);
        assert_eq!(local.count().await.expect("a count"), 50);
    }
}
