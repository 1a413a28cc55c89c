//! Change feeds and versions while leaders crash: a feed delivers every change once, and its events
//! agree with the documents, their versions and what every replica keeps of them.

use jettra_driver::wire::{ChangeContent, ChangeEvent, ChangeKind, VersionsBody};
use jettra_driver::{ChangeFeed, Collection, DocumentId, ReadLevel, WatchOptions};
use jettra_tests::{Cluster, wait_until};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const DATABASE: &str = "shop";
const COLLECTION: &str = "items";
const IDS: usize = 20;
const HASH: &str = "/api/v1/databases/shop/hash?level=local";

type Model = BTreeMap<DocumentId, Value>;

fn items(cluster: &Cluster) -> Collection<Value> {
    cluster.client().collection(DATABASE, COLLECTION)
}

/// Inserts, updates and deletes documents until `done`, and counts the successful writes.
async fn write(
    items: Collection<Value>,
    writer: usize,
    done: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) {
    for turn in writer.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let id = json!(format!("item{}", (turn * 7 + writer) % IDS));
        let filter = json!({"_id": id});
        let wrote = match turn % 5 {
            0 => items.delete_one(filter).await.map(drop),
            1 => items
                .update_many((
                    json!({"n": {"$gt": 3}}),
                    json!({"$inc": {"n": -1}, "$unset": {"w": 1}}),
                ))
                .await
                .map(drop),
            _ => {
                let update = json!({"$inc": {"n": 1}, "$set": {"w": writer, "deep.turn": turn}});
                let body =
                    jettra_driver::wire::UpdateBody { upsert: true, ..(filter, update).into() };
                items.update_one(body).await.map(drop)
            }
        };
        if wrote.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Applies a change to a model and checks that it fits: no change is missing or repeated.
fn follow(model: &mut Model, change: &ChangeEvent) {
    let id = change.id.clone().expect("a document");
    let before = model.get(&id);
    match change.operation {
        ChangeKind::Insert => assert_eq!(before, None, "{change:?}"),
        ChangeKind::Update => {
            let mut after = before.cloned().unwrap_or_else(|| panic!("{change:?}"));
            let delta = change.delta.as_ref().expect("a delta");
            delta.removed.iter().for_each(|path| remove(&mut after, path));
            delta.updated.iter().for_each(|(path, value)| set(&mut after, path, value.clone()));
            assert_eq!(Some(&after), change.document.as_ref(), "{change:?}");
        }
        ChangeKind::Delete => {
            assert_eq!(before, change.document.as_ref(), "{change:?}");
            model.remove(&id);
            return;
        }
        other => panic!("{other:?}"),
    }
    model.insert(id, change.document.clone().expect("a document"));
}

fn parent<'v>(value: &'v mut Value, path: &str) -> (&'v mut Map<String, Value>, String) {
    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop().unwrap_or_default().to_owned();
    let mut at = value;
    for name in names {
        at = &mut at[name];
    }
    (at.as_object_mut().expect("an object"), last)
}

fn set(value: &mut Value, path: &str, new: Value) {
    let (object, name) = parent(value, path);
    object.insert(name, new);
}

fn remove(value: &mut Value, path: &str) {
    let (object, name) = parent(value, path);
    object.shift_remove(&name);
}

async fn all(items: &Collection<Value>) -> Model {
    let found = items.list(1000, None).await.expect("the documents");
    let id = |document: &Value| serde_json::from_value(document["_id"].clone()).expect("an _id");
    found.documents.into_iter().map(|document| (id(&document), document)).collect()
}

/// The changes that a feed delivers, up to the insertion of the document with this `_id`.
async fn read_until(mut feed: ChangeFeed, last: &Value) -> Vec<ChangeEvent> {
    let mut changes: Vec<ChangeEvent> = Vec::new();
    loop {
        match feed.next().await.expect("a change") {
            Ok(change) => changes.push(change),
            // No node responded for a while: it resumes after the last event.
            Err(error) if error.code() != Some("too_old") => continue,
            Err(error) => panic!("{error}"),
        }
        let document = changes.last().and_then(|change| change.document.as_ref());
        if document.is_some_and(|document| document["_id"] == *last) {
            return changes;
        }
    }
}

/// Kills and starts leaders and a follower, each after some more successful writes.
async fn kill_nodes(cluster: &mut Cluster, writes: &AtomicUsize) {
    for round in 0..3 {
        let before = writes.load(Ordering::Relaxed);
        wait_until("more writes", async || {
            let now = writes.load(Ordering::Relaxed);
            if now >= before + 60 { Ok(()) } else { Err(format!("{now} of {before}")) }
        })
        .await;
        let victim = match round {
            1 => cluster.follower().await,
            _ => cluster.leader().await,
        };
        cluster.nodes[victim].kill();
        cluster.nodes[victim].start();
    }
}

/// Checks that the versions of a document are those that its changes describe.
async fn check_versions(items: &Collection<Value>, id: &DocumentId, changes: &[ChangeEvent]) {
    let changes: Vec<_> = changes.iter().filter(|change| change.id.as_ref() == Some(id)).collect();
    let versions = items.history(id).await.expect("versions");
    assert_eq!(versions.len(), changes.len());
    for (version, change) in versions.iter().rev().zip(changes) {
        assert_eq!(version.operation, Some(change.operation));
        assert_eq!(version.revision, change.revision);
        assert_eq!(version.version.split('.').next(), Some(change.index.to_string().as_str()));
        let kept = items.version(id, &version.version).await.expect("an answer");
        let expected = change.document.as_ref().filter(|_| change.operation != ChangeKind::Delete);
        assert_eq!(kept.map(|document| document.value).as_ref(), expected);
    }
}

/// Waits until all nodes are at the same log index, and checks that they hold the same.
async fn check_equal_replicas(cluster: &Cluster) {
    wait_until("equal replicas", async || {
        let mut hashes = Vec::new();
        for node in &cluster.nodes {
            hashes.push(node.http().try_get(HASH).await?.json());
        }
        if hashes.iter().any(|hash| hash["index"] != hashes[0]["index"]) {
            return Err("at different log indexes".into());
        }
        assert!(hashes[0]["collections"][COLLECTION]["versions"].is_string(), "{hashes:?}");
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_delivers_each_change_once_and_agrees_with_the_versions() {
    let mut cluster = Cluster::start("history", 3).await;
    let client = cluster.client();
    client.create_database(DATABASE).await.expect("a database");
    items(&cluster).keep_versions(&VersionsBody::default()).await.expect("versions");
    let watch = || WatchOptions::new().content(ChangeContent::Both);
    let feed = items(&cluster).watch(watch()).await.expect("a feed");
    let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(items(&cluster), writer, done.clone(), count.clone())))
        .collect();
    let last = json!("the last one");
    let end = last.clone();
    let reading = tokio::spawn(async move { read_until(feed, &end).await });
    kill_nodes(&mut cluster, &count).await;
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("a writer");
    }
    items(&cluster).insert(&json!({"_id": last})).await.expect("the last one");
    let changes = reading.await.expect("the feed");

    let mut model = Model::new();
    let mut moments = Vec::new();
    for (at, change) in changes.iter().enumerate() {
        follow(&mut model, change);
        if changes.get(at + 1).is_none_or(|next| next.index != change.index) && at % 9 == 0 {
            moments.push((change.index, model.clone()));
        }
    }
    assert_eq!(all(&items(&cluster)).await, model);
    assert!(changes.len() > 150 && moments.len() > 5, "{} changes", changes.len());

    // Resumed at any token and at any node, the feed delivers the same rest.
    let middle = changes.len() / 2;
    for index in 0..3 {
        let items = cluster.client_of(index).collection::<Value>(DATABASE, COLLECTION);
        let mut again = items.watch(watch().after(&changes[middle].token)).await.expect("a feed");
        for expected in &changes[middle + 1..] {
            assert_eq!(again.next().await.expect("a change").expect("a change"), *expected);
        }
        cluster.wait_caught_up().await;
        let past = items.with_level(ReadLevel::Local);
        for (index, model) in &moments {
            assert_eq!(all(&past.clone().at(*index)).await, *model, "as of {index}");
        }
    }

    // Every version can be read, and all replicas keep the same ones.
    let id = model.keys().next().expect("a document");
    check_versions(&items(&cluster), id, &changes).await;
    check_equal_replicas(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_of_changes_and_versions_are_kept_and_reported() {
    let mut cluster =
        Cluster::start_with("history-bounds", 1, |settings| settings.key("ChangesMb", 1)).await;
    let client = cluster.client();
    client.create_database(DATABASE).await.expect("a database");
    let items = items(&cluster);
    let keep = VersionsBody { keep: Some(3), keep_seconds: None };
    items.keep_versions(&keep).await.expect("versions");
    let feed = items.watch(WatchOptions::new()).await.expect("a feed");
    let begin = feed.token().to_owned();
    drop(feed);
    let id = DocumentId::from("a");
    items.save(&id, &json!({"n": 0})).await.expect("a write");
    let mut feed = items.watch(WatchOptions::new().after(&begin)).await.expect("a feed");
    let first = feed.next().await.expect("a change").expect("a change");
    assert_eq!(first.operation, ChangeKind::Insert);
    for n in 1..=12 {
        items.save(&id, &json!({"n": n, "text": "x".repeat(200_000)})).await.expect("a write");
    }
    wait_until("the history is cut", async || {
        match items.watch(WatchOptions::new().after(&first.token)).await {
            Err(error) if error.code() == Some("too_old") => Ok(()),
            Err(error) => panic!("{error}"),
            Ok(_) => Err("all of it is there".into()),
        }
    })
    .await;
    let versions = items.versions().await.expect("settings");
    assert_eq!((versions.changes, versions.keep), (3, Some(3)));
    let kept = items.history(&id).await.expect("versions");
    assert_eq!(kept.len(), 4, "three changes are kept, and the oldest former document: {kept:?}");
    let past = items.clone().at(first.index).get(&id).await.unwrap_err();
    assert_eq!(past.code(), Some("too_old"));

    // A feed resumes at its position when its node comes back.
    let mut feed = items.watch(WatchOptions::new()).await.expect("a feed");
    let token = feed.token().to_owned();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    items.save(&id, &json!({"n": 13})).await.expect("a write");
    let change = feed.next().await.expect("a change").expect("a change");
    assert_eq!(change.document, Some(json!({"_id": "a", "n": 13})));
    let mut again = items.watch(WatchOptions::new().after(token)).await.expect("a feed");
    assert_eq!(again.next().await.expect("a change").expect("a change"), change);

    let short = VersionsBody { keep: None, keep_seconds: Some(1) };
    items.keep_versions(&short).await.expect("versions");
    wait_until("old versions are removed", async || match items.versions().await {
        Ok(versions) if versions.changes == 0 && versions.bytes == 0 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    items.forget_versions().await.expect("no versions");
    let refused = items.clone().at(change.index).get(&id).await.unwrap_err();
    assert_eq!(refused.code(), Some("versions_off"));
}
