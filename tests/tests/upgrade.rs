//! A rolling upgrade under load. `JETTRA_NEXT_VERSION` makes a node play the next version: it
//! supports one more feature level, from which on log entries have a number that this version does
//! not read.

use jettra_driver::ReadLevel;
use jettra_driver::wire::{ClusterReply, NodeInfo};
use jettra_tests::load::{DATABASE, INSERTS, Load, tokens};
use jettra_tests::{Cluster, Node, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NEXT_VERSION: &str = "JETTRA_NEXT_VERSION";
/// The newest feature level of this version.
const OLD: u32 = 3;
/// That of the next version.
const NEW: u32 = OLD + 1;
const WRITERS: usize = 4;

/// Which version a node plays from its next start on.
fn play(node: &mut Node, next: bool) {
    let next = next.then(|| (NEXT_VERSION.to_owned(), "true".to_owned()));
    node.settings.env = next.into_iter().collect();
}

/// Three nodes of this version, with writers that never pause.
async fn under_load(name: &str) -> (Cluster, Load) {
    let cluster = Cluster::start(name, 3).await;
    let client = cluster.client();
    client.create_collection(DATABASE, INSERTS).await.expect("a collection");
    let load = Load::inserts(&client, WRITERS);
    load.wait_successes(20).await;
    wait_level(&cluster, OLD).await;
    (cluster, load)
}

/// Stops a node in good order and starts it as the next version, or as this one.
async fn restart(cluster: &mut Cluster, index: usize, next: bool) {
    let node = &mut cluster.nodes[index];
    node.signal("TERM");
    assert_eq!(node.wait_exit().await.code(), Some(0), "{}", node.log());
    play(node, next);
    node.start();
    cluster.wait_active(3).await;
}

/// What each running node knows of the cluster.
async fn reports(cluster: &Cluster) -> Result<Vec<ClusterReply>, String> {
    let mut reports = Vec::new();
    for index in cluster.running() {
        let report = cluster.client_of(index).cluster_status().await;
        reports.push(report.map_err(|error| error.to_string())?);
    }
    Ok(reports)
}

/// Waits until every node has recorded which levels the first nodes support, and that the others
/// support those of this version only.
async fn wait_announced(cluster: &Cluster, upgraded: usize) {
    let expected = |name: &str| match cluster.index_of(name) < upgraded {
        true => NEW,
        false => OLD,
    };
    wait_until(&format!("{upgraded} nodes have announced the next version"), async || {
        for report in reports(cluster).await? {
            let shown = |node: &NodeInfo| node.program.as_ref().map(|program| program.newest_level);
            if !report.nodes.iter().all(|node| shown(node) == Some(expected(&node.id))) {
                return Err(format!("{:?}", report.nodes));
            }
        }
        Ok(())
    })
    .await;
}

async fn levels(cluster: &Cluster) -> Vec<Option<u32>> {
    let reports = reports(cluster).await.expect("the state of the cluster");
    reports.iter().map(ClusterReply::feature_level).collect()
}

async fn wait_level(cluster: &Cluster, level: u32) {
    wait_until(&format!("level {level} on every node"), async || {
        let found = levels(cluster).await;
        if found == vec![Some(level); found.len()] { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

/// Ends the writers: no call of theirs has failed, and every node has all that they have written.
async fn check_writes(cluster: &Cluster, load: Load) {
    let outcomes = load.finish().await;
    assert_eq!((&outcomes.refused, &outcomes.unknown), (&BTreeSet::new(), &BTreeSet::new()));
    cluster.wait_caught_up().await;
    for index in cluster.running() {
        let documents = cluster.client_of(index).collection::<Value>(DATABASE, INSERTS);
        let documents = documents.with_level(ReadLevel::Local);
        let found = tokens(&documents).await.expect("the tokens");
        outcomes.check(&found, &cluster.nodes[index].name);
    }
}

/// A node of this version cannot take part any more: neither a member, nor a new node.
async fn check_old_nodes_refused(cluster: &mut Cluster) {
    let index = cluster.follower().await;
    let node = &mut cluster.nodes[index];
    node.signal("TERM");
    assert_eq!(node.wait_exit().await.code(), Some(0), "{}", node.log());
    play(node, false);
    node.start();
    let ended = node.wait_exit().await;
    assert_eq!(ended.code(), Some(1), "{}", node.log());
    let (level, supported) = (format!("feature level {NEW}"), format!("supports 1 to {OLD}"));
    let reason = node.log().lines().last().unwrap_or_default().to_owned();
    for part in [&level, &supported, &format!("a version that supports {NEW}")] {
        assert!(reason.contains(part.as_str()), "{part} is not in: {reason}");
    }
    play(node, true);
    node.start();
    cluster.wait_active(3).await;

    let fresh = cluster.add_waiting("fresh").await;
    let through = cluster.leader_among(&[0, 1, 2]).await;
    let url = json!({"url": cluster.nodes[fresh].url()});
    let refused = cluster.act(through, "register", url.clone()).await;
    for part in ["\"fresh\"", &format!("levels 1 to {OLD}"), &format!("level {NEW}")] {
        assert!(refused.text.contains(&part.replace('"', "\\\"")), "{part}: {}", refused.text);
    }
    refused.refused(409, "unsupported_feature_level");
    let node = &mut cluster.nodes[fresh];
    node.kill();
    play(node, true);
    node.start();
    cluster.wait_health(fresh, "waiting").await;
    cluster.act(through, "register", url).await.ok();
    cluster.wait_active(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_rises_by_itself_once_the_last_node_runs_the_next_version() {
    let (mut cluster, load) = under_load("upgrade").await;
    for index in 0..3 {
        wait_announced(&cluster, index).await;
        assert_eq!(levels(&cluster).await, [Some(OLD); 3], "{index} nodes run the next version");
        restart(&mut cluster, index, true).await;
        load.wait_successes(50).await;
    }
    wait_announced(&cluster, 3).await;
    wait_level(&cluster, NEW).await;
    load.wait_successes(50).await;
    check_writes(&cluster, load).await;
    check_old_nodes_refused(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_held_back_rises_when_it_is_let_go_and_until_then_a_node_can_go_back() {
    let (mut cluster, load) = under_load("upgrade-held").await;
    let client = cluster.client();
    client.set_max_feature_level(Some(OLD)).await.expect("held");
    for index in 0..3 {
        restart(&mut cluster, index, true).await;
    }
    wait_announced(&cluster, 3).await;
    load.wait_successes(100).await;
    assert_eq!(levels(&cluster).await, [Some(OLD); 3]);
    let held = reports(&cluster).await.expect("the state of the cluster");
    assert!(held.iter().all(|report| report.max_feature_level == Some(OLD)), "{held:?}");

    restart(&mut cluster, 2, false).await;
    wait_announced(&cluster, 2).await;
    restart(&mut cluster, 2, true).await;
    wait_announced(&cluster, 3).await;

    client.set_max_feature_level(None).await.expect("let go");
    wait_level(&cluster, NEW).await;
    load.wait_successes(50).await;
    let error = client.set_max_feature_level(Some(OLD)).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_parameter"), "{error}");
    assert!(error.to_string().contains(&format!("max: the feature level is {NEW}")), "{error}");
    check_writes(&cluster, load).await;
}
