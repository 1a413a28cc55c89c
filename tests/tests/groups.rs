//! Groups of replicas beside the system group: databases in them, calls to any node, replicas that move,
//! and rights that hold in all of them.

use jettra_driver::wire::{
    AuditEntry, GroupReply, GroupState, Migration, MigrationStrategy, NewGroup, NodeInfo, Removal,
    ShardInfo, TaskState,
};
use jettra_driver::{AuditQuery, Client, ReadLevel, TaskQuery, WatchOptions};
use jettra_tests::load::{DATABASE, INSERTS, Load, tokens};
use jettra_tests::{Cluster, DEADLINE, Fault, Settings, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;

const SIGABRT: i32 = 6;

fn on(id: u64, members: &[&str]) -> NewGroup {
    let members = members.iter().map(|name| (*name).to_owned()).collect();
    NewGroup { id, members: Some(members), ..NewGroup::default() }
}

/// Waits until a group has exactly these voters, and serves.
async fn wait_members(cluster: &Cluster, id: u64, members: &[&str]) -> GroupReply {
    let expected: BTreeSet<&str> = members.iter().copied().collect();
    wait_until(&format!("group {id} on {members:?}"), async || {
        let group = cluster.client().group(id).await.map_err(|error| error.to_string())?;
        let wanted: BTreeSet<&str> = group.members.iter().map(String::as_str).collect();
        let placed: BTreeSet<&str> =
            group.replicas.iter().map(|replica| replica.node.as_str()).collect();
        let settled = group.ready
            && wanted == expected
            && placed == expected
            && group.replicas.iter().all(|replica| replica.replica.is_some());
        if settled { Ok(group) } else { Err(format!("{group:?}")) }
    })
    .await
}

/// A removal that is waited for.
fn removal() -> Removal {
    Removal { wait: true, ..Removal::default() }
}

fn holds(cluster: &Cluster, node: usize, group: u64) -> bool {
    cluster.nodes[node].data_dir().join(format!("groups/{group}")).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_a_group_is_served_by_every_node() {
    let mut cluster = Cluster::start("groups-serve", 4).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    let again = client.create_group(&on(3, &["node1"]), false).await.unwrap_err();
    assert_eq!((again.status(), again.code()), (Some(409), Some("group_exists")), "{again}");
    client.create_database_in("shop", 3).await.expect("a database");
    client.create_database_in("shop", 3).await.expect("it is there");
    let elsewhere = client.create_database_in("shop", 0).await.unwrap_err();
    assert_eq!(elsewhere.code(), Some("name_taken"), "{elsewhere}");
    assert!((0..3).all(|node| holds(&cluster, node, 3)) && !holds(&cluster, 3, 3));

    // Each node takes a write, and each node reads it at once.
    for writer in 0..4 {
        let id = format!("by-{writer}");
        let target = format!("/api/v1/databases/shop/collections/people/documents/{id}");
        let written =
            cluster.nodes[writer].http().json("PUT", &target, &json!({"n": writer})).await;
        let written = written.ok();
        assert!(written.header("x-jettra-index").ends_with("@3"), "{:?}", written.headers);
        for reader in 0..4 {
            let read = cluster.nodes[reader].http().get(&target).await.ok();
            assert_eq!(read.json()["n"], json!(writer), "{writer} to {reader}");
            let index = written.header("x-jettra-index");
            let seen = format!("{target}?level=session&index={index}");
            cluster.nodes[reader].http().get(&seen).await.ok();
        }
    }
    for node in 0..4 {
        let http = cluster.nodes[node].http();
        let find = "/api/v1/databases/shop/collections/people/find";
        let found = http.post(find, &json!({"filter": {"n": {"$gte": 1}}, "sort": {"n": 1}})).await;
        assert_eq!(found.ok().json()["documents"].as_array().map(Vec::len), Some(3));
        let collections = http.get("/api/dbs/shop/cols").await.ok();
        assert_eq!(collections.json().as_array().map(Vec::len), Some(1 + node));
        let databases = http.get("/api/dbs").await.ok().json();
        let listed = databases.as_array().expect("a list").iter();
        let shop = listed.clone().find(|one| one["name"] == "shop").expect("it is listed");
        assert_eq!(shop["group"], 3);
        // What a body names.
        let created = json!({"database": "shop", "collection": format!("c{node}")});
        http.post("/api/cols", &created).await.ok();
        let index = json!({"keys": {"n": 1}});
        http.post("/api/v1/databases/shop/collections/people/indexes", &index).await.ok();
    }
    let hash = "/api/v1/databases/shop/hash";
    let first = cluster.nodes[0].http().get(hash).await.ok().json();
    assert!(first["collections"]["people"].is_object(), "{first}");
    for node in &cluster.nodes[1..] {
        assert_eq!(node.http().get(hash).await.ok().json(), first);
    }
    check_feed(&cluster).await;
    check_across_groups(&cluster).await;
    check_audit(&mut cluster).await;
    check_databases_change(&cluster).await;
}

/// A node without a replica serves a feed too, which another node reads for it.
async fn check_feed(cluster: &Cluster) {
    let far = cluster.client_of(3).collection::<Value>("shop", "people");
    let mut feed = far.watch(WatchOptions::new()).await.expect("a feed");
    let near = cluster.client_of(0).collection::<Value>("shop", "people");
    for number in 0..3 {
        near.insert(&json!({"_id": format!("fed-{number}")})).await.expect("written");
        let change = tokio::time::timeout(DEADLINE, feed.next()).await.expect("a change in time");
        let change = change.expect("it goes on").expect("a change");
        assert_eq!(change.id, Some(format!("fed-{number}").as_str().into()));
        assert!(change.token.ends_with("@3"), "{}", change.token);
    }
}

/// Nothing is atomic across groups, and what is asked for is refused with the reason.
async fn check_across_groups(cluster: &Cluster) {
    let http = cluster.nodes[3].http();
    http.post("/api/dbs", &json!({"name": "own"})).await.ok();
    let insert = |database: &str| json!({"insert": {"database": database, "collection": "c", "document": {"n": 1}}});
    let batch = json!({"then": [insert("shop"), insert("shop")]});
    http.post("/api/v1/batch", &batch).await.ok();
    let batch = json!({"then": [insert("shop"), insert("own")]});
    http.post("/api/v1/batch", &batch).await.refused(422, "cross_group_transaction");

    let begun = http.post("/api/v1/transactions?db=shop", &json!({})).await.ok().json();
    let tx = begun["id"].as_str().expect("an id").to_owned();
    assert!(tx.ends_with("@3"), "{tx}");
    let inside = format!("/api/v1/databases/shop/collections/people/documents?tx={tx}");
    http.post(&inside, &json!({"_id": "tx", "n": 9})).await.ok();
    let other = format!("/api/v1/databases/own/collections/c/documents?tx={tx}");
    http.post(&other, &json!({"n": 9})).await.refused(422, "cross_group_transaction");
    let read = "/api/v1/databases/shop/collections/people/documents/tx";
    assert_eq!(http.get(read).await.status, 404, "it is not committed");
    http.post(&format!("/api/v1/transactions/{tx}/commit"), &json!({})).await.ok();
    http.get(read).await.ok();
}

/// Each node lists the audit entries of all groups in the order of time, page after page, and names a
/// group that does not answer.
async fn check_audit(cluster: &mut Cluster) {
    let client = cluster.client();
    client.drop_collection("shop", "c0").await.expect("dropped");
    let eve = json!({"username": "eve", "password": "a long password", "role": "reader", "allowed_dbs": ["*"]});
    cluster.nodes[3].http().post("/api/v1/users", &eve).await.ok();
    client.drop_collection("shop", "c1").await.expect("dropped");
    for node in 0..4 {
        let client = cluster.client_of(node);
        let all = client.audit(&AuditQuery::default()).await.expect("entries");
        let line = |entry: &AuditEntry| (entry.group, entry.action.clone(), entry.target.clone());
        let lines: Vec<_> = all.entries.iter().take(3).map(line).collect();
        let dropped = |name: &str| (3, "drop_collection".to_owned(), format!("shop.{name}"));
        assert_eq!(lines[0], dropped("c1"), "{lines:?}");
        assert_eq!((lines[1].0, lines[1].1.as_str()), (0, "user_create"), "{lines:?}");
        assert_eq!(lines[2], dropped("c0"), "{lines:?}");
        assert!(all.missing_groups.is_empty());
        let mut query = AuditQuery { limit: Some(2), ..AuditQuery::default() };
        let mut paged = Vec::new();
        while let page = client.audit(&query).await.expect("entries")
            && !page.entries.is_empty()
        {
            paged.extend(page.entries);
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        assert_eq!(paged, all.entries);
    }
    client.create_group(&on(5, &["node2"]), true).await.expect("a group");
    cluster.nodes[1].kill();
    let far = cluster.client_of(3);
    wait_until("the other groups' entries", async || {
        let rest = far.audit(&AuditQuery::default()).await.map_err(|error| error.to_string())?;
        let others = rest.entries.iter().any(|entry| entry.group == 3);
        if others && rest.missing_groups == [5] { Ok(()) } else { Err(format!("{rest:?}")) }
    })
    .await;
    let tasks = far.list_tasks(&TaskQuery::default()).await.expect("the tasks of the others");
    assert!(tasks.missing_groups == [5] && tasks.tasks.iter().any(|task| task.group == 3));
    assert_eq!(far.list_transactions().await.expect("none").missing_groups, [5]);
    cluster.nodes[1].start();
    client.remove_group(5, removal()).await.expect("removed");
}

/// A database is renamed and dropped in its group, and the group goes when it is empty.
async fn check_databases_change(cluster: &Cluster) {
    let (client, http) = (cluster.client(), cluster.nodes[3].http());
    let refused = client.remove_group(3, removal()).await.unwrap_err();
    assert_eq!(refused.code(), Some("group_in_use"), "{refused}");
    client.rename_database("shop", "store").await.expect("renamed");
    http.get("/api/v1/databases/store/collections/people/documents/by-0").await.ok();
    let old = http.get("/api/v1/databases/shop/collections/people/documents/by-0").await;
    old.refused(404, "database_not_found");
    client.drop_database("store").await.expect("dropped");
    http.get("/api/v1/databases/store/collections/people/documents/by-0")
        .await
        .refused(404, "database_not_found");
    let kept = Removal { snapshot: true, timeout_ms: Some(60_000), ..removal() };
    client.remove_group(3, kept).await.expect("removed");
    client.remove_group(3, removal()).await.expect("it is gone");
    let kept = cluster.nodes.iter().filter_map(|node| {
        let names = std::fs::read_dir(node.data_dir().join("removed-groups")).ok()?;
        let names: Vec<_> = names.flatten().map(|entry| entry.file_name()).collect();
        Some(names.len() == 1 && names[0].to_string_lossy().starts_with("3-"))
    });
    assert_eq!(kept.collect::<Vec<_>>(), [true; 3], "each node with a replica keeps it");
    let gone = client.group(3).await.unwrap_err();
    assert_eq!((gone.status(), gone.code()), (Some(404), Some("group_not_found")));
    assert!((0..4).all(|node| !holds(cluster, node, 3)));
    // The number may be used again, and nothing of the former group is there.
    client.create_group(&on(3, &["node2", "node3", "node4"]), true).await.expect("another group");
    client.create_database_in("store", 3).await.expect("a database");
    assert_eq!(http.get("/api/dbs/store/cols").await.ok().json(), json!([]));
}

/// Takes the crash out of a node's settings and starts it again.
async fn restart_after_crash(cluster: &mut Cluster, node: usize, step: &str) {
    let exit = cluster.nodes[node].wait_exit().await;
    assert_eq!(exit.signal(), Some(SIGABRT), "no crash after {step}: {exit}");
    cluster.nodes[node].settings.env.clear();
    cluster.nodes[node].start();
}

/// Every node crashes at its first step of this kind; each goes on after its restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_any_step_of_a_group_is_finished() {
    let mut cluster = Cluster::start("groups-crash", 3).await;
    for (number, step) in
        (3..).zip(["Place", "Activate(", "AddLearner", "AddVoter", "ActivateGroup"])
    {
        let client = cluster.client();
        let victim = match step {
            "Place" => cluster.leader().await,
            _ => 0,
        };
        cluster.nodes[victim].kill();
        cluster.nodes[victim].settings.env = vec![("JETTRA_CRASH_AFTER".into(), step.into())];
        cluster.nodes[victim].start();
        cluster.wait_active(3).await;
        cluster.lead_with(victim).await;
        // The first one founds the group, so it takes the steps.
        let members = ["node1", "node2", "node3"];
        let mut group = on(number, &members);
        if step != "Place" {
            group.members = Some(vec!["node1".into(), "node2".into(), "node3".into()]);
        }
        let _ = client.create_group(&group, false).await;
        restart_after_crash(&mut cluster, victim, step).await;
        cluster.wait_active(3).await;
        let group = wait_members(&cluster, number, &members).await;
        assert_eq!(group.state, GroupState::Active);
        client.create_database_in(&format!("db{number}"), number).await.expect("a database");
    }
    // The leader of the system group dies between a change of a database and its record.
    let leader = cluster.follower().await;
    cluster.nodes[leader].kill();
    cluster.nodes[leader].settings.env =
        vec![("JETTRA_CRASH_AFTER".into(), "\"DatabaseChanged\"".into())];
    cluster.nodes[leader].start();
    cluster.wait_active(3).await;
    cluster.lead_with(leader).await;
    let renaming = {
        let client = cluster.client();
        tokio::spawn(async move { client.rename_database("db3", "renamed").await })
    };
    restart_after_crash(&mut cluster, leader, "DatabaseChanged").await;
    let _ = renaming.await;
    cluster.wait_active(3).await;
    wait_until("the database is renamed", async || {
        let databases =
            cluster.client().list_databases().await.map_err(|error| error.to_string())?;
        let names: Vec<_> = databases.iter().map(|one| one.name.as_str()).collect();
        match names.contains(&"renamed") && !names.contains(&"db3") {
            true => Ok(()),
            false => Err(format!("{names:?}")),
        }
    })
    .await;
    cluster.client().create_collection("renamed", "c").await.expect("it is there");
}

/// A node that holds replicas is removed only after they have gone, and one address has one name.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_used_is_not_removed_unless_it_is_drained() {
    let mut cluster = Cluster::start("groups-nodes", 3).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    let refused = client.remove_node("node3", false).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(409), Some("node_in_use")));
    assert!(refused.to_string().contains("node is using, current ref count: 1"), "{refused}");
    client.remove_node("unknown", false).await.expect("it is not there");
    let (node2, other) = (cluster.nodes[1].url(), "http://127.0.0.1:1");
    let same = client.add_node(Some("node2"), &node2, true).await.expect("it is there");
    assert_eq!(same.id, "node2");
    let moved = client.add_node(Some("node2"), other, false).await.unwrap_err();
    assert_eq!((moved.status(), moved.code()), (Some(409), Some("node_conflict")));
    assert!(moved.to_string().contains("host/port is not same"), "{moved}");
    let fourth = cluster.add_waiting("node4").await;
    let added = client.add_node(Some("node4"), &cluster.nodes[fourth].url(), true).await;
    assert_eq!(added.expect("added").id, "node4");
    client.remove_node("node3", true).await.expect("drained");
    wait_members(&cluster, 3, &["node1", "node2", "node4"]).await;
    client.remove_node("node4", true).await.expect("the group gets smaller");
    wait_members(&cluster, 3, &["node1", "node2"]).await;
}

/// A node is drained under load; its replicas go to the others first, and no write is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_leaves_hands_its_replicas_over_under_load() {
    let mut cluster = Cluster::start("groups-drain", 4).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in(DATABASE, 3).await.expect("a database");
    client.create_collection(DATABASE, INSERTS).await.expect("a collection");
    let load = Load::inserts(&client, 4);
    load.wait_successes(50).await;
    let leaving = cluster.index_of("node2");
    let removal =
        cluster.act(cluster.index_of("node1"), "deregister", json!({"node": "node2"})).await;
    assert!(matches!(removal.status, 200 | 503), "{}", removal.text);
    wait_members(&cluster, 3, &["node1", "node3", "node4"]).await;
    cluster.wait_health(leaving, "removed").await;
    load.wait_successes(50).await;
    // One that is killed loses nothing either.
    let group = cluster.client().group(3).await.expect("the group");
    let leader = group.leader.map(|name| cluster.index_of(&name)).expect("a leader");
    cluster.nodes[leader].kill();
    load.wait_successes(50).await;
    cluster.nodes[leader].start();
    let outcomes = load.finish().await;
    let documents = cluster.client_of(leader).collection::<Value>(DATABASE, INSERTS);
    let found = wait_until("the tokens", async || tokens(&documents).await).await;
    outcomes.check(&found, "the group");
}

/// Waits until a shard is `active` on exactly these nodes.
async fn wait_shard(cluster: &Cluster, shard: &str, nodes: &[&str]) -> ShardInfo {
    wait_until(&format!("{shard} on {nodes:?}"), async || {
        let found = cluster.client().shard(shard).await.map_err(|error| error.to_string())?;
        let on: BTreeSet<&str> = found.nodes.iter().map(String::as_str).collect();
        match found.status == "active" && on == nodes.iter().copied().collect() {
            true => Ok(found),
            false => Err(format!("{found:?}")),
        }
    })
    .await
}

/// A replica moves to another node under load, whatever node dies on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_migrates_under_load_although_nodes_die() {
    let mut cluster = Cluster::start("groups-migrate", 4).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in(DATABASE, 3).await.expect("a database");
    client.create_collection(DATABASE, INSERTS).await.expect("a collection");
    let load = Load::inserts(&client, 4);
    load.wait_successes(50).await;
    let migration = |from: &str, to: &str| Migration {
        from_node: from.into(),
        to_node: to.into(),
        strategy: None,
    };
    for (from, to, code) in [
        ("node4", "node1", "not_possible_now"),
        ("node1", "node2", "not_possible_now"),
        ("node1", "node9", "node_not_found"),
    ] {
        let refused = client.migrate_shard("shard-03", &migration(from, to)).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
    }
    let unknown = client.migrate_shard("shard-07", &migration("node1", "node4")).await.unwrap_err();
    assert_eq!(unknown.code(), Some("group_not_found"), "{unknown}");

    // Node 4 takes the place of each other one in turn, and each time another node dies meanwhile.
    let names = ["node1", "node2", "node3", "node4"];
    let mut free = 3;
    for (from, dies) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
        client
            .migrate_shard("shard-03", &migration(names[from], names[free]))
            .await
            .expect("decided");
        cluster.nodes[dies].kill();
        cluster.nodes[dies].start();
        let left: Vec<&str> = (0..4).filter(|node| *node != from).map(|node| names[node]).collect();
        wait_shard(&cluster, "shard-03", &left).await;
        free = from;
    }
    load.wait_successes(50).await;
    cluster.wait_active(4).await;
    let outcomes = load.finish().await;
    let documents = client.collection::<Value>(DATABASE, INSERTS);
    let found = tokens(&documents).await.expect("the tokens");
    outcomes.check(&found, "the shard");
    wait_until("the shard counts its documents", async || {
        let shard = client.shard("shard-03").await.map_err(|error| error.to_string())?;
        let all = (shard.documents, shard.vector_count) == (found.len() as u64, found.len() as u64);
        if all { Ok(()) } else { Err(format!("{shard:?} of {}", found.len())) }
    })
    .await;
}

/// A node that joins gets replicas, and every node holds as many as any other, or one more.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_to_a_node_that_is_down_says_so_and_is_called_back() {
    let mut cluster = Cluster::start("groups-stuck", 4).await;
    let client = cluster.client_of(0);
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    cluster.nodes[3].kill();
    let there = Migration { from_node: "node3".into(), to_node: "node4".into(), strategy: None };
    client.migrate_shard("shard-03", &there).await.expect("it begins");
    wait_until("what it waits for", async || {
        let shard = client.shard("shard-03").await.map_err(|error| error.to_string())?;
        let waits_for = shard.waits_for.clone().unwrap_or_default();
        let named = shard.status == "migrating" && waits_for.starts_with("node4 to answer, silent");
        if named { Ok(()) } else { Err(format!("{shard:?}")) }
    })
    .await;
    let back = Migration { from_node: "node4".into(), to_node: "node3".into(), strategy: None };
    client.migrate_shard("shard-03", &back).await.expect("it is called back");
    let shard = wait_shard(&cluster, "shard-03", &["node1", "node2", "node3"]).await;
    assert_eq!(shard.waits_for, None, "{shard:?}");
    assert_eq!(shard.status, "active");

    // The same by its task, which any node names.
    client.migrate_shard("shard-03", &there).await.expect("it begins");
    let moves = TaskQuery { kind: Some("place-replicas".into()), ..TaskQuery::default() };
    let moves = async || cluster.client_of(1).list_tasks(&moves).await.map(|reply| reply.tasks);
    let task = wait_until("its task", async || {
        let listed = moves().await.map_err(|error| error.to_string())?;
        let found = listed.iter().find(|task| task.state == TaskState::Running && task.group == 3);
        let reason = found.and_then(|task| task.reason.as_deref()).unwrap_or_default();
        match reason.starts_with("waits for node4 to answer, silent") {
            true => Ok(found.cloned().expect("it has a reason")),
            false => Err(format!("{listed:?}")),
        }
    })
    .await;
    assert!(task.cancellable, "{task:?}");
    client.cancel_task(&task.id).await.expect("it is cancelled");
    wait_shard(&cluster, "shard-03", &["node1", "node2", "node3"]).await;
    let ended = client.wait_for_task(&task.id).await.expect("its end");
    assert_eq!(ended.state, TaskState::Cancelled);
    client.cancel_task(&task.id).await.expect("it is cancelled already");
    let created = moves().await.expect("the tasks").into_iter();
    let mut done = created.filter(|task| task.state == TaskState::Done);
    let done = done.next().expect("the group was created");
    let refused = client.cancel_task(&done.id).await.unwrap_err();
    assert_eq!(refused.code(), Some("not_possible_now"), "{refused}");
}

/// Writes documents of 1 MB in all.
async fn fill(client: &Client, number: usize) {
    let documents = client.collection::<Value>("shop", "people");
    let text = "x".repeat(10_000);
    let batch: Vec<_> =
        (0..100).map(|n| json!({"_id": format!("{number}-{n}"), "text": text})).collect();
    documents.insert_many(&batch).await.expect("written");
}

/// A replica is sent a copy of the state, or the log, no faster than a node may, and its progress is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_moves_by_each_strategy() {
    let adjust = |settings: Settings| settings.key("MoveMbPerSecond", 1);
    let cluster = Cluster::start_with("groups-strategies", 4, adjust).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    for number in 0..2 {
        fill(&client, number).await;
    }
    let copies = |node: usize| cluster.nodes[node].log().matches("received a snapshot").count();
    let before = [copies(2), copies(3)];
    let strategies = [
        ("node3", "node4", Some(MigrationStrategy::Snapshot)),
        ("node4", "node3", None),
        ("node3", "node4", Some(MigrationStrategy::Incremental)),
        ("node4", "node3", Some(MigrationStrategy::LiveCopy)),
    ];
    for (from, to, strategy) in strategies {
        let migration = Migration { from_node: from.to_owned(), to_node: to.to_owned(), strategy };
        client.migrate_shard("shard-03", &migration).await.expect("it begins");
        let by_copy = strategy == Some(MigrationStrategy::Snapshot);
        wait_until("how far it is", async || {
            let group = client.group(3).await.map_err(|error| error.to_string())?;
            let shard = client.shard("shard-03").await.map_err(|error| error.to_string())?;
            let joins = group.replicas.iter().find(|replica| replica.node == to);
            let copied = joins
                .is_some_and(|joins| joins.copied > Some(0) && joins.copy_total > joins.copied);
            let told = shard.bytes_left > Some(0) && shard.left_ms.is_some();
            if told && copied == by_copy { Ok(()) } else { Err(format!("{shard:?} {group:?}")) }
        })
        .await;
        wait_shard(&cluster, "shard-03", &["node1", "node2", to]).await;
    }
    assert_eq!([copies(2), copies(3)], [before[0], before[1] + 1], "one was to be sent a copy");
    cluster.wait_equal("shop", "after the moves").await;
}

/// What each group has of its own is listed over all of them, whatever node is asked.
#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_transactions_of_all_groups_are_listed() {
    let cluster = Cluster::start("groups-lists", 4).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    let far = cluster.nodes[3].http();
    let mut begun = Vec::new();
    for target in ["/api/v1/transactions", "/api/v1/transactions?db=shop"] {
        let id = far.post(target, &json!({})).await.ok().json()["id"].clone();
        begun.push(id.as_str().expect("an id").to_owned());
    }
    let listed = async |target: &str| {
        let reply = far.get(target).await.ok().json();
        let ids = reply["transactions"].as_array().expect("transactions").iter();
        ids.map(|open| open["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("/api/v1/transactions").await, begun);
    assert_eq!(listed("/api/v1/transactions?group=3").await, begun[1..]);
    assert_eq!(listed("/api/v1/transactions?group=0").await, begun[..1]);
    far.get("/api/v1/transactions?group=9").await.refused(404, "group_not_found");

    client.create_database("own").await.expect("a database");
    for (database, task) in [("own", "expiry-"), ("shop", "expiry-")] {
        let index = json!({"name": "ttl", "keys": {"at": 1}, "expireAfterSeconds": 3600});
        let target = format!("/api/v1/databases/{database}/collections/people/indexes");
        far.post(&target, &index).await.ok();
        let group = if database == "own" { 0 } else { 3 };
        let task = wait_until("its task", async || {
            let query = TaskQuery { kind: Some("expiry".into()), ..TaskQuery::default() };
            let listed = client.list_tasks(&query).await.map_err(|error| error.to_string())?;
            let found = listed
                .tasks
                .iter()
                .find(|found| found.group == group && found.id.starts_with(task));
            found.cloned().ok_or_else(|| format!("{listed:?}"))
        })
        .await;
        assert_eq!(task.id.ends_with("@3"), group == 3, "{task:?}");
        let shown = client.task(&task.id).await.expect("a task of any group");
        assert_eq!((shown.id, shown.database.as_deref()), (task.id, Some(database)));
    }
}

/// Replicas of a group are in different zones, and each node has its reason.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_spread_over_zones() {
    let zones = Mutex::new(vec!["c", "b", "a", "a", "a"]);
    let adjust = |settings: Settings| {
        let zone = zones.lock().expect("the zones").pop();
        settings.key("Zone", zone.expect("a zone for each node"))
    };
    let cluster = Cluster::start_with("groups-zones", 5, adjust).await;
    let client = cluster.client();
    wait_until("the zones are known", async || {
        let nodes = client.cluster_nodes().await.map_err(|error| error.to_string())?;
        let zone = |node: &NodeInfo| node.program.as_ref().and_then(|program| program.zone.clone());
        let known = nodes.iter().filter(|node| zone(node).is_some()).count();
        if known == 5 { Ok(()) } else { Err(format!("{nodes:?}")) }
    })
    .await;
    // One that was placed by name is brought into three zones, as one that is placed by the cluster is.
    client.create_group(&on(3, &["node1", "node2", "node3"]), false).await.expect("a group");
    client.create_group(&NewGroup { id: 4, ..NewGroup::default() }, false).await.expect("a group");
    for id in [3, 4] {
        wait_until("replicas in three zones", async || {
            let group = client.group(id).await.map_err(|error| error.to_string())?;
            let held =
                ["node4", "node5"].iter().all(|node| group.members.iter().any(|name| name == node));
            let settled = group.ready && group.waits_for.is_none();
            if held && settled { Ok(()) } else { Err(format!("{group:?}")) }
        })
        .await;
    }
    let explained = client.explain_shard("shard-03").await.expect("an explanation");
    let of = |name: &str| explained.nodes.iter().find(|node| node.node == name).expect("a node");
    assert!(of("node4").holds && of("node4").zone.as_deref() == Some("b"), "{explained:?}");
    let near: Vec<_> =
        ["node1", "node2", "node3"].map(of).into_iter().filter(|node| !node.holds).collect();
    assert_eq!(near.len(), 2, "{explained:?}");
    assert!(near.iter().all(|node| node.reason.contains("same zone")), "{explained:?}");
}

/// What a transaction reads keeps the files of the replica open, which the next one needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_returns_to_a_node_where_a_transaction_was_open() {
    let cluster = Cluster::start("groups-return", 4).await;
    let client = cluster.client_of(0);
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    let leader = client.group(3).await.expect("the group").leader.expect("a leader");
    let http = cluster.nodes[cluster.index_of(&leader)].http();
    let begun = http.post("/api/v1/transactions?db=shop", &json!({})).await.ok().json();
    let inside = format!(
        "/api/v1/databases/shop/collections/people/documents?tx={}",
        begun["id"].as_str().expect("an id")
    );
    http.post(&inside, &json!({"n": 1})).await.ok();
    let mut others = BTreeSet::from(["node1", "node2", "node3"]);
    others.remove(leader.as_str());
    let moved: Vec<_> = others.iter().copied().chain(["node4"]).collect();
    let back: Vec<_> = others.iter().copied().chain([leader.as_str()]).collect();
    for (from_node, to_node, nodes) in [(leader.as_str(), "node4", moved), ("node4", &leader, back)]
    {
        let strategy = None;
        let (from_node, to_node) = (from_node.to_owned(), to_node.to_owned());
        let migration = Migration { from_node, to_node, strategy };
        client.migrate_shard("shard-03", &migration).await.expect("it begins");
        wait_shard(&cluster, "shard-03", &nodes).await;
    }
    http.post(&inside, &json!({"n": 2})).await.refused(409, "transaction_lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_spread_to_a_node_that_joins() {
    let mut cluster =
        Cluster::start_with("groups-spread", 3, |settings| settings.key("AutoRebalance", false))
            .await;
    let client = cluster.client();
    for id in 1..=4 {
        client.create_group(&NewGroup { id, ..NewGroup::default() }, true).await.expect("a group");
    }
    let ring = client.ring().await.expect("the ring");
    assert!(ring.nodes.iter().all(|node| node.virtual_nodes == 4), "{ring:?}");
    let fourth = cluster.add_waiting("node4").await;
    cluster.register(fourth).await;
    cluster.wait_active(4).await;
    let planned = client.rebalance(true).await.expect("a plan");
    assert_eq!(planned.moves.len(), 3, "{planned:?}");
    assert!(planned.moves.iter().all(|planned| planned.to_node == "node4"), "{planned:?}");
    let ring = client.ring().await.expect("the ring");
    assert_eq!(ring.nodes[3].virtual_nodes, 0, "nothing was done");
    client.rebalance(false).await.expect("moves");
    wait_until("every node holds three replicas", async || {
        let ring = client.ring().await.map_err(|error| error.to_string())?;
        let shards = client.list_shards().await.map_err(|error| error.to_string())?;
        let even = ring.nodes.iter().all(|node| node.virtual_nodes == 3);
        let done = shards.iter().all(|shard| shard.status == "active" && shard.replicas == 3);
        if even && done { Ok(()) } else { Err(format!("{ring:?} {shards:?}")) }
    })
    .await;
}

/// Another node takes the replica of one that is gone for long; when that one comes back, its replica is
/// no member any more, and its directory goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_for_long_loses_its_replicas_to_others() {
    let mut cluster =
        Cluster::start_with("groups-gone", 4, |settings| settings.key("ReplaceAfterMs", 2500))
            .await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    let documents = client.collection::<Value>("shop", "people");
    documents.insert(&json!({"_id": "ada"})).await.expect("written");
    let gone = cluster.index_of("node3");
    cluster.nodes[gone].kill();
    wait_members(&cluster, 3, &["node1", "node2", "node4"]).await;
    documents.insert(&json!({"_id": "bob"})).await.expect("written");
    assert!(holds(&cluster, gone, 3));
    cluster.nodes[gone].start();
    cluster.wait_active(4).await;
    wait_until("its directory goes", async || match holds(&cluster, gone, 3) {
        true => Err("it is there".to_owned()),
        false => Ok(()),
    })
    .await;
    let group = wait_members(&cluster, 3, &["node1", "node2", "node4"]).await;
    assert_eq!(group.replicas.len(), 3, "{group:?}");
    let through = cluster.client_of(gone).collection::<Value>("shop", "people");
    for id in ["ada", "bob"] {
        through.get(&id.into()).await.expect("every node serves it");
    }
}

/// A replica whose directory is lost never votes again under its number: another one takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lost_its_directory_is_replaced_by_a_new_one() {
    let mut cluster = Cluster::start("groups-lost", 3).await;
    let client = cluster.client();
    let members = ["node1", "node2", "node3"];
    client.create_group(&on(3, &members), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    let documents = client.collection::<Value>("shop", "people");
    documents.insert(&json!({"_id": "ada"})).await.expect("written");
    let before = wait_members(&cluster, 3, &members).await;
    let lost = cluster.index_of("node3");
    cluster.nodes[lost].kill();
    std::fs::remove_dir_all(cluster.nodes[lost].data_dir().join("groups/3")).expect("it was there");
    cluster.nodes[lost].start();
    let number = |group: &GroupReply| {
        let replica = group.replicas.iter().find(|replica| replica.node == "node3");
        replica.and_then(|replica| replica.replica)
    };
    wait_until("another replica", async || {
        let group = cluster.client().group(3).await.map_err(|error| error.to_string())?;
        let new = number(&group).is_some() && number(&group) != number(&before);
        if new && group.ready { Ok(()) } else { Err(format!("{group:?}")) }
    })
    .await;
    wait_members(&cluster, 3, &members).await;
    wait_until("it has the data", async || {
        let local = cluster.client_of(lost).collection::<Value>("shop", "people");
        let found = local.with_level(ReadLevel::Local).get(&"ada".into()).await;
        found.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

/// Symptom: a node that received a copy of one group's state removed its replicas of all groups. Cause: it took
/// the members and the placement from that state, where there are none.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_groups_state_leaves_the_other_replicas_of_the_node_alone() {
    let cluster = Cluster::start_with("groups-copy", 4, |settings| {
        settings.key("AutoRebalance", false).key("SnapshotEvery", 20)
    })
    .await;
    let client = cluster.client_of(0);
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_group(&on(5, &["node4"]), true).await.expect("a group");
    for (database, group) in [("shop", 3), ("store", 5)] {
        client.create_database_in(database, group).await.expect("a database");
    }
    let kept = client.collection::<Value>("store", "people");
    kept.insert(&json!({"_id": "ada"})).await.expect("written");
    let before = wait_members(&cluster, 5, &["node4"]).await;
    let documents = client.collection::<Value>("shop", "people");
    for number in 0..200 {
        documents.insert(&json!({"n": number})).await.expect("written");
    }
    let strategy = None;
    let (from_node, to_node) = ("node3".into(), "node4".into());
    let migration = Migration { from_node, to_node, strategy };
    client.migrate_shard("shard-03", &migration).await.expect("it begins");
    wait_shard(&cluster, "shard-03", &["node1", "node2", "node4"]).await;
    assert!(cluster.nodes[3].log().contains("installed a snapshot"), "no copy was needed");
    let after = wait_members(&cluster, 5, &["node4"]).await;
    assert_eq!(after.replicas, before.replicas);
    kept.get(&"ada".into()).await.expect("an answer").expect("it is there");
    assert!(!cluster.nodes[3].log().contains("was removed"), "a replica was removed");
}

/// Symptom: nodes without a replica of a group sent its writes to a former leader that had become silent until
/// it was back. Cause: only an answer made them look for another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_replica_finds_the_next_leader_when_one_becomes_silent() {
    let (cluster, links) = Cluster::start_with_links("groups-silent", 4, |settings| {
        settings.key("RequestTimeoutMs", 1500).key("AutoRebalance", false)
    })
    .await;
    let client = cluster.client_of(3);
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    let http = cluster.nodes[3].http();
    let write = async |id: &str| {
        let target = format!("/api/v1/databases/shop/collections/people/documents/{id}");
        let written = http.json("PUT", &target, &json!({"n": 1})).await;
        if written.status < 300 { Ok(()) } else { Err(written.text) }
    };
    write("before").await.expect("written");
    let leader = client.group(3).await.expect("the group").leader.expect("a leader");
    links.isolate(cluster.index_of(&leader), Fault::Blackhole);
    wait_until("a write through it", async || write("after").await).await;
    links.heal();
}

/// A right that was taken away in the system group holds in every other group once the answer is there,
/// also on a node whose copy of the users lags.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_holds_in_every_group() {
    let cluster = Cluster::start("groups-rights", 3).await;
    let client = cluster.client();
    client.create_group(&on(3, &["node1", "node2", "node3"]), true).await.expect("a group");
    client.create_database_in("shop", 3).await.expect("a database");
    client.create_collection("shop", "people").await.expect("a collection");
    let http = cluster.nodes[0].http();
    let user = json!({
        "username": "ada", "password": "a password of ada", "role": "writereader",
        "allowed_dbs": ["shop"],
    });
    http.post("/api/v1/users", &user).await.ok();
    let ada = |node: usize| cluster.nodes[node].http().login("ada", "a password of ada");
    let target = "/api/v1/databases/shop/collections/people/documents/x";
    for node in 0..3 {
        ada(node).json("PUT", target, &json!({"n": node})).await.ok();
    }
    for round in 0..5 {
        let taken = json!({"role": "reader", "allowed_dbs": ["*"]});
        let changed = http.json("PATCH", "/api/v1/users/ada", &taken).await.ok();
        assert_eq!(changed.status, 200, "every group has heard of it");
        for node in 0..3 {
            let refused = ada(node).json("PUT", target, &json!({"n": round})).await;
            refused.refused(403, "forbidden");
        }
        let given = json!({"role": "writereader"});
        http.json("PATCH", "/api/v1/users/ada", &given).await.ok();
        for node in 0..3 {
            wait_until("the right that was given", async || {
                let written = ada(node).json("PUT", target, &json!({"n": round})).await;
                if written.status < 300 { Ok(()) } else { Err(written.text) }
            })
            .await;
        }
    }
    http.json("DELETE", "/api/v1/users/ada", &json!({})).await.ok();
    for node in 0..3 {
        assert_eq!(ada(node).get(target).await.status, 401);
    }
}
