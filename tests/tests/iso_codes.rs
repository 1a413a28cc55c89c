//! Real data: all records of Debian's `iso-codes`, loaded while the leader crashes, read back
//! through other nodes and compared.

use jettra_driver::{Client, Collection, DocumentId, Error};
use jettra_tests::{Cluster, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const FOLDER: &str = "/usr/share/iso-codes/json";
const WRITERS: usize = 24;
const RECORDS_MIN: usize = 14_000;

/// The records of each file, by the name of its collection.
type Data = BTreeMap<String, Vec<Value>>;

fn records() -> Data {
    let folder = std::fs::read_dir(FOLDER).unwrap_or_else(|error| {
        panic!("{FOLDER}: {error}; install the data: apt-get install iso-codes")
    });
    let paths = folder.map(|entry| entry.expect("an entry").path());
    let data = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("iso_") && name.ends_with(".json")
    };
    paths.filter(|path| data(path)).map(|path| read(&path)).collect()
}

/// `iso_639-3.json` holds `{"639-3": [record, …]}`.
fn read(path: &Path) -> (String, Vec<Value>) {
    let text = std::fs::read_to_string(path).expect("a file of iso-codes");
    let file: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).expect("its form");
    let (name, records) = file.into_iter().next().expect("one list");
    (format!("iso-{name}"), records)
}

/// Writes a record and repeats it until the outcome is known: an interrupted write may have been
/// carried out.
async fn store(collection: &Collection<Value>, number: usize, record: &Value) {
    let id = DocumentId::Int(number as i64);
    loop {
        match collection.save(&id, record).await {
            Ok(_) => return,
            Err(Error::Unknown { .. } | Error::Unavailable { .. }) => {}
            Err(error) if error.status() == Some(503) => {}
            Err(error) => panic!("record {number}: {error}"),
        }
    }
}

/// Loads all records with a few writers and counts them in `stored`.
async fn load(client: Client, data: Arc<Data>, stored: Arc<AtomicUsize>) {
    for (name, records) in data.iter() {
        client.create_collection("iso", name).await.expect("a collection");
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS.min(records.len()) {
            let collection = client.collection::<Value>("iso", name);
            let (data, name, stored) = (data.clone(), name.clone(), stored.clone());
            writers.spawn(async move {
                for (number, record) in data[&name].iter().enumerate().skip(writer).step_by(WRITERS)
                {
                    store(&collection, number, record).await;
                    stored.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        while let Some(written) = writers.join_next().await {
            written.expect("a writer does not fail");
        }
    }
}

/// Reads a collection through one node and compares it with the file.
async fn compare(cluster: &Cluster, index: usize, name: &str, records: &[Value]) {
    let collection = cluster.client_of(index).collection::<Value>("iso", name);
    assert_eq!(collection.count().await.expect("a count"), records.len() as u64, "{name}");
    let (mut cursor, mut number) = (None::<String>, 0);
    loop {
        let page = collection.list(1000, cursor.as_deref()).await.expect("a page");
        for mut found in page.documents {
            let id = found.as_object_mut().and_then(|object| object.shift_remove("_id"));
            assert_eq!(id, Some(Value::from(number)), "{name}");
            assert_eq!(found, records[number], "{name} {number}");
            number += 1;
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(number, records.len(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_iso_codes_survive_a_crash_of_the_leader() {
    let data = Arc::new(records());
    let total: usize = data.values().map(Vec::len).sum();
    assert!(data.len() == 8 && total >= RECORDS_MIN, "{} files, {total} records", data.len());
    let mut cluster = Cluster::start("iso-codes", 3).await;
    let stored = Arc::new(AtomicUsize::new(0));
    let loading = tokio::spawn(load(cluster.client(), data.clone(), stored.clone()));
    wait_until("half of the records are stored", async || {
        let count = stored.load(Ordering::Acquire);
        if count >= total / 2 { Ok(()) } else { Err(format!("{count} of {total}")) }
    })
    .await;
    let dead = cluster.leader().await;
    cluster.nodes[dead].kill();
    let at_death = stored.load(Ordering::Acquire);
    assert!(at_death < total, "all was stored before the leader died");
    loading.await.expect("the rest is stored");
    cluster.nodes[dead].start();
    cluster.wait_active(3).await;
    // The leaders served the writes; the other nodes must have all records too.
    let leader = cluster.leader().await;
    for index in (0..3).filter(|index| *index != leader) {
        for (name, records) in data.iter() {
            compare(&cluster, index, name, records).await;
        }
    }
}
