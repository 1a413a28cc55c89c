//! 100 groups of three replicas on three nodes.

use crate::{PATIENCE, text};
use futures_util::{StreamExt, stream};
use jettra_driver::Client;
use jettra_driver::wire::{GroupReply, NewGroup, ReplicaInfo};
use jettra_tests::groups::{is_settled, name};
use jettra_tests::{Cluster, long, wait_within};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const NODES: usize = 3;
const GROUPS: u64 = 100;
const COLLECTION: &str = "docs";
/// Documents that are written to each database each time.
const DOCUMENTS: u64 = 5;
/// Groups that a node must lead to count as leading a third.
const THIRD: u64 = 30;
/// Calls under way at one time.
const CALLS: usize = 4;

fn database(group: u64) -> String {
    format!("db{group:03}")
}

/// Does something for every group, for some of them at one time.
async fn for_each<F: Future<Output = Result<(), jettra_driver::Error>>>(
    what: &str,
    work: impl Fn(u64) -> F,
) -> Duration {
    let started = Instant::now();
    let done = stream::iter(1..=GROUPS).map(|id| {
        let working = work(id);
        async move { (id, working.await) }
    });
    let done: Vec<_> = done.buffer_unordered(CALLS).collect().await;
    for (id, result) in done {
        result.unwrap_or_else(|error| panic!("{what} {id}: {error}"));
    }
    started.elapsed()
}

/// Waits until each group satisfies a condition, by what one node says; returns how long that took.
async fn wait_all(
    client: &Client,
    what: &str,
    condition: impl Fn(&GroupReply) -> bool,
) -> Duration {
    let started = Instant::now();
    wait_within(PATIENCE, what, async || {
        let groups = client.list_groups().await.map_err(text)?;
        assert_eq!(groups.len() as u64, 1 + GROUPS);
        let missing: Vec<_> = groups.iter().filter(|group| !condition(group)).collect();
        let first = missing.first();
        first.map_or(Ok(()), |group| Err(format!("{} groups, {group:?}", missing.len())))
    })
    .await;
    started.elapsed()
}

/// Whether a group is complete and no replica lacks anything or is silent.
fn is_whole(group: &GroupReply) -> bool {
    let up = |replica: &ReplicaInfo| replica.silent_ms.is_none() && replica.lag == Some(0);
    let settled = group.id == 0 && group.ready || is_settled(group);
    settled && group.replicas.len() == NODES && group.replicas.iter().all(up)
}

/// Writes some documents to each database.
async fn write(client: &Client, round: u64) -> Duration {
    for_each("writes to", |id| async move {
        let documents = client.collection::<Value>(&database(id), COLLECTION);
        for number in 0..DOCUMENTS {
            documents.insert(&json!({"_id": format!("{round}-{number}")})).await?;
        }
        Ok(())
    })
    .await
}

/// Creates the groups with a database each; prints how long that takes.
async fn create(client: &Client) {
    let created = for_each("group", |id| async move {
        client.create_group(&NewGroup { id, ..NewGroup::default() }, false).await.map(drop)
    })
    .await;
    let ready = wait_all(client, "all groups are complete", is_whole).await;
    let databases = for_each("database", |id| async move {
        client.create_database_in(&database(id), id).await?;
        client.create_collection(&database(id), COLLECTION).await
    })
    .await;
    let written = write(client, 0).await;
    println!(
        "{GROUPS} groups created in {created:.1?}, complete {ready:.1?} later; \
         databases in {databases:.1?}, {DOCUMENTS} writes to each in {written:.1?}"
    );
}

/// Waits until leadership is spread, and returns the node that leads most of the groups.
async fn most_leading(client: &Client) -> String {
    let started = Instant::now();
    let led = wait_within(PATIENCE, "every node leads about a third", async || {
        let mut led: BTreeMap<String, u64> = BTreeMap::new();
        for group in client.list_groups().await.map_err(text)? {
            *led.entry(group.leader.unwrap_or_default()).or_default() += 1;
        }
        match led.len() == NODES && led.values().all(|count| *count >= THIRD) {
            true => Ok(led),
            false => Err(format!("{led:?}")),
        }
    })
    .await;
    println!("leadership is spread after {:.1?}: {led:?}", started.elapsed());
    led.into_iter().max_by_key(|(_, count)| *count).expect("there are nodes").0
}

#[tokio::test(flavor = "multi_thread")]
async fn long_a_hundred_groups_have_leaders_again_when_one_of_three_nodes_is_killed() {
    if !long() {
        return;
    }
    let mut cluster = Cluster::start("groups-hundred", NODES).await;
    let client = cluster.client();
    create(&client).await;
    let victim = cluster.index_of(&most_leading(&client).await);
    let memory: Vec<_> = cluster.nodes.iter().map(|node| node.memory_mb()).collect();
    println!("the nodes have {memory:?} MB");

    cluster.nodes[victim].kill();
    let (gone, others) = (name(victim), cluster.client_among(&cluster.running()));
    let led = wait_all(&others, "all groups have leaders again", |group| {
        group.ready && group.leader.as_ref().is_some_and(|leader| *leader != gone)
    })
    .await;
    let written = write(&others, 1).await;
    println!("{gone} is killed: all led after {led:.1?}, written to in {written:.1?}");

    cluster.nodes[victim].start();
    let whole = wait_all(&others, "all groups are complete again", is_whole).await;
    let written = write(&client, 2).await;
    println!("{gone} is started: all complete after {whole:.1?}, written to in {written:.1?}");
    cluster.wait_active(NODES).await;
    for id in 1..=GROUPS {
        let documents = client.collection::<Value>(&database(id), COLLECTION);
        let count = documents.list(1000, None).await.expect("the documents").documents.len();
        assert_eq!(count as u64, 3 * DOCUMENTS, "group {id}");
        cluster.wait_equal(&database(id), "after the restart").await;
    }
}
