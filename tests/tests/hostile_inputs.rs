//! Whatever a client with the right to write sends: every node continues to serve calls, returns no
//! 500, keeps within its memory, and has the same state as the others, even after all were killed.
//!
//! `JETTRA_HOSTILE_SEED` and `JETTRA_HOSTILE_SECONDS` choose another run. All calls are in the file
//! `calls` of the directory that a failed run leaves; `JETTRA_HOSTILE_REPLAY` names such a file,
//! complete or shortened, to send its calls again.

use jettra_tests::hostile::{Act, COLLECTIONS, Hostile, Update, quoted};
use jettra_tests::{Answer, Cluster, Http, Random, long, random_seed, send, setting, source};
use jettra_tests::{try_send, wait_until};
use serde_json::json;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

const DATABASE: &str = "hostile";
const FIXED_SEED: u64 = 10;
/// Acts in progress at the same time.
const ACTS: usize = 6;
/// Rounds after which the database is dropped, so that rules and schemas don't refuse everything.
const ROUNDS: usize = 40;
/// Longest time for one call, above all limits of the nodes.
const CALL_MAX: Duration = Duration::from_secs(60);
/// Memory of a node without mapped files: for its queries, one command and waiting bodies.
const MEMORY_MAX_MB: u64 = 1_500;
/// Characters of a call that are shown by a failure.
const SHOWN: usize = 300;

/// A call as it is sent.
#[derive(Debug, Clone)]
struct Call {
    method: &'static str,
    target: String,
    body: String,
}

impl Call {
    fn shown(&self) -> String {
        let body: String = self.body.chars().take(SHOWN).collect();
        format!("{} {} {} bytes: {body}", self.method, self.target, self.body.len())
    }
}

fn call(method: &'static str, collection: &str, tail: &str, body: String) -> Call {
    let target = format!("/api/v1/databases/{DATABASE}/collections/{collection}/{tail}");
    Call { method, target, body }
}

fn command(text: &str) -> Call {
    let body = format!("{{\"command\":{}}}", quoted(text));
    Call { method: "POST", target: format!("/api/command?db={DATABASE}"), body }
}

/// The path of a document by its `_id` as JSON.
fn address(id: &str) -> String {
    let text = serde_json::from_str::<String>(id).unwrap_or_else(|_| id.to_owned());
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    format!("documents/{}", encoded.collect::<String>())
}

fn update(update: &Update) -> String {
    let Update { filter, update, array_filters, upsert, .. } = update;
    let filters = match array_filters.is_empty() {
        true => String::new(),
        false => format!(",\"arrayFilters\":[{}]", array_filters.join(",")),
    };
    format!("\"filter\":{filter},\"update\":{update},\"upsert\":{upsert}{filters}")
}

/// An act as operations of a bulk write.
fn operations(act: &Act) -> Vec<String> {
    match act {
        Act::Insert { documents, .. } => {
            let insert = |document| format!("{{\"insertOne\":{{\"document\":{document}}}}}");
            documents.iter().map(insert).collect()
        }
        Act::Update(change) => {
            let name = if change.multi { "updateMany" } else { "updateOne" };
            vec![format!("{{\"{name}\":{{{}}}}}", update(change))]
        }
        Act::Delete { filter, multi, .. } => {
            let name = if *multi { "deleteMany" } else { "deleteOne" };
            vec![format!("{{\"{name}\":{{\"filter\":{filter}}}}}")]
        }
        Act::Replace { filter, document, upsert, .. } => vec![format!(
            "{{\"replaceOne\":{{\"filter\":{filter},\"replacement\":{document},\"upsert\":{upsert}}}}}"
        )],
        other => unreachable!("no part: {other:?}"),
    }
}

/// An act as operations of a batch.
fn steps(act: &Act) -> Vec<String> {
    let step = |name: &str, collection: &str, rest: &str| {
        let place = format!("\"database\":\"{DATABASE}\",\"collection\":\"{collection}\"");
        format!("{{\"{name}\":{{{place},{rest}}}}}")
    };
    match act {
        Act::Insert { collection, documents } => documents
            .iter()
            .map(|document| step("insert", collection, &format!("\"document\":{document}")))
            .collect(),
        Act::Update(change) => {
            let rest = format!("{},\"multi\":{}", update(change), change.multi);
            vec![step("update", &change.collection, &rest)]
        }
        Act::Delete { collection, filter, multi } => {
            vec![step("delete", collection, &format!("\"filter\":{filter},\"multi\":{multi}"))]
        }
        Act::Replace { collection, document, .. } => {
            vec![step("save", collection, &format!("\"document\":{document}"))]
        }
        other => unreachable!("no part: {other:?}"),
    }
}

/// The call for an act that is not a transaction.
fn single(act: &Act) -> Call {
    match act {
        Act::Insert { collection, documents } if documents.len() == 1 => {
            call("POST", collection, "documents", documents[0].clone())
        }
        Act::Insert { collection, .. } => {
            let body = format!("{{\"operations\":[{}]}}", operations(act).join(","));
            call("POST", collection, "bulk", body)
        }
        Act::Put { collection, id, document } => {
            call("PUT", collection, &address(id), document.clone())
        }
        Act::Patch { collection, id, patch } => {
            call("PATCH", collection, &address(id), patch.clone())
        }
        Act::Update(change) => {
            let body = format!("{{{},\"multi\":{}}}", update(change), change.multi);
            call("POST", &change.collection, "update", body)
        }
        Act::Replace { collection, filter, document, upsert } => {
            let body =
                format!("{{\"filter\":{filter},\"replacement\":{document},\"upsert\":{upsert}}}");
            call("POST", collection, "replace", body)
        }
        Act::Delete { collection, filter, multi } => {
            let body = format!("{{\"filter\":{filter},\"multi\":{multi}}}");
            call("POST", collection, "delete", body)
        }
        Act::Bulk { collection, acts, ordered } => {
            let all: Vec<_> = acts.iter().flat_map(operations).collect();
            let body = format!("{{\"operations\":[{}],\"ordered\":{ordered}}}", all.join(","));
            call("POST", collection, "bulk", body)
        }
        Act::Batch { condition, acts } => {
            let condition = condition.as_ref().map(|(collection, filter)| {
                format!(
                    "{{\"database\":\"{DATABASE}\",\"collection\":\"{collection}\",\
                     \"filter\":{filter}}}"
                )
            });
            let then: Vec<_> = acts.iter().flat_map(steps).collect();
            let condition = condition.unwrap_or_default();
            let body = format!("{{\"if\":[{condition}],\"then\":[{}]}}", then.join(","));
            Call { method: "POST", target: "/api/v1/batch".into(), body }
        }
        Act::Restore { collection, id, version } => {
            let tail = format!("{}/versions/{version}/restore", address(id));
            call("POST", collection, &tail, String::new())
        }
        Act::Statement(text) => command(text),
        Act::Find { collection, filter, sort, projection } => {
            let body = format!(
                "{{\"filter\":{filter},\"sort\":{sort},\"projection\":{projection},\"limit\":20}}"
            );
            call("POST", collection, "find", body)
        }
        Act::Distinct { collection, field, filter } => {
            let body = format!("{{\"field\":{},\"filter\":{filter}}}", quoted(field));
            call("POST", collection, "distinct", body)
        }
        Act::Aggregate { collection, pipeline } => {
            call("POST", collection, "aggregate", format!("{{\"pipeline\":{pipeline}}}"))
        }
        other => definition(other),
    }
}

/// The call for an act that defines or drops what belongs to a collection, or the collection.
fn definition(act: &Act) -> Call {
    match act {
        Act::Index { collection, keys, options } => {
            let options = options.iter().map(|(name, value)| format!(",\"{name}\":{value}"));
            let body = format!("{{\"keys\":{keys}{}}}", options.collect::<String>());
            call("POST", collection, "indexes", body)
        }
        Act::DropIndex { collection, name } => {
            let name = address(name).replace("documents/", "indexes/");
            call("DELETE", collection, &name, String::new())
        }
        Act::Schema { collection, schema, warns } => {
            let mode = if *warns { "warn" } else { "error" };
            let body = format!("{{\"schema\":{schema},\"mode\":\"{mode}\"}}");
            call("PUT", collection, "schema", body)
        }
        Act::Rules { document } => {
            let id = document.split('"').nth(3).unwrap_or("r");
            call("PUT", "_rules", &format!("documents/{id}"), document.clone())
        }
        Act::Versions { collection, keep: Some(keep) } => {
            call("PUT", collection, "versions", format!("{{\"keep\":{keep}}}"))
        }
        Act::Versions { collection, keep: None } => {
            call("DELETE", collection, "versions", String::new())
        }
        Act::DropCollection(name) => command(&format!("DROP TABLE {name}")),
        Act::RenameCollection { from, to } => {
            command(&format!("ALTER TABLE {from} RENAME TO {to}"))
        }
        other => unreachable!("it is several calls: {other:?}"),
    }
}

async fn answer_to(http: &Http, call: &Call) -> Result<Answer, String> {
    let request = http.request(call.method, &call.target).timeout(CALL_MAX);
    let request = request.header("content-type", "application/json");
    try_send(request.body(call.body.clone())).await
}

/// Carries out an act and returns its calls with their responses.
async fn carry_out(http: Http, act: Act) -> Vec<(Call, Result<Answer, String>)> {
    let Act::Transaction(acts) = act else {
        let call = single(&act);
        let answer = answer_to(&http, &call).await;
        return vec![(call, answer)];
    };
    let begin = Call { method: "POST", target: "/api/v1/transactions".into(), body: String::new() };
    let begun = answer_to(&http, &begin).await;
    let id = begun.as_ref().map(|answer| answer.json()["id"].as_str().unwrap_or("x").to_owned());
    let mut all = vec![(begin, begun.clone())];
    let Ok(id) = id else { return all };
    for act in &acts {
        let mut call = single(act);
        call.target += &format!("?tx={id}");
        let answer = answer_to(&http, &call).await;
        all.push((call, answer));
    }
    let target = format!("/api/v1/transactions/{id}/commit");
    let commit = Call { method: "POST", target, body: String::new() };
    let answer = answer_to(&http, &commit).await;
    all.push((commit, answer));
    all
}

/// One run against a cluster.
struct Run {
    cluster: Cluster,
    calls: File,
    /// Number of responses with each status.
    statuses: BTreeMap<u16, usize>,
    slowest: Duration,
    memory_mb: u64,
    rounds: usize,
}

impl Run {
    async fn start(name: &str) -> Run {
        let turn = Cell::new(0);
        // Each node commits at different log indexes.
        let cluster = Cluster::start_with(name, 3, |settings| {
            let commit_ms = [1, 40, 400][turn.replace(turn.get() + 1) % 3];
            settings.key("CommitMs", commit_ms).key("QueryTimeoutMs", 3_000)
        })
        .await;
        let calls = File::create(cluster.bed.dir().join("calls")).expect("a file for the calls");
        let (statuses, slowest) = (BTreeMap::new(), Duration::ZERO);
        Run { cluster, calls, statuses, slowest, memory_mb: 0, rounds: 0 }
    }

    /// Creates the database anew, with a few documents of every kind.
    async fn renew(&mut self) {
        let http = self.cluster.nodes[0].http();
        let name = json!({"name": DATABASE});
        send(http.request("DELETE", &format!("/api/dbs?name={DATABASE}")).json(&name)).await.ok();
        http.post("/api/dbs", &name).await.ok();
        for collection in COLLECTIONS {
            let wide: Vec<_> = (0..2_000).map(|_| json!([])).collect();
            let numbers: Vec<_> = (0..1_000).collect();
            let documents = [
                json!({"_id": 0, "a": wide, "n": 1}),
                json!({"_id": 1, "a": numbers, "n": {"$numberDecimal": "3E-6000"}}),
                json!({"_id": 2, "a": {"b": [{"price": 1}]}, "s": "x".repeat(20_000)}),
                json!({"_id": 3, "lines": [{"price": 1}, {"price": 2}], "tags": ["a", "b"]}),
            ];
            let inserts = documents.map(|document| json!({"insertOne": {"document": document}}));
            let bulk = call("POST", collection, "bulk", json!({"operations": inserts}).to_string());
            let done = answer_to(&http, &bulk).await.expect("an answer");
            assert_eq!(done.status, 200, "{}", done.text);
        }
    }

    /// Sends acts concurrently and then checks all nodes.
    async fn round(&mut self, acts: Vec<(usize, Act)>) {
        self.rounds += 1;
        let tasks: Vec<_> = acts
            .into_iter()
            .map(|(node, act)| {
                let http = self.cluster.nodes[node].http();
                let call = match &act {
                    Act::Transaction(acts) => acts.iter().map(single).collect(),
                    act => vec![single(act)],
                };
                for call in call {
                    writeln!(self.calls, "{}\t{}\t{}", call.method, call.target, call.body)
                        .expect("the calls can be written down");
                }
                tokio::spawn(carry_out(http, act))
            })
            .collect();
        let began = Instant::now();
        let mut sent = Vec::new();
        for task in tasks {
            for (call, answer) in task.await.expect("a client does not panic") {
                match answer {
                    Ok(answer) if answer.status == 500 => {
                        panic!("500 {}\n{}", answer.text, call.shown())
                    }
                    Ok(answer) => *self.statuses.entry(answer.status).or_default() += 1,
                    // The client refuses to send more than 64 KiB of headers.
                    Err(error) if error.contains("kind: Builder") => {}
                    Err(error) => panic!("no answer: {error}\n{}", call.shown()),
                }
                sent.push(call.shown());
            }
        }
        self.slowest = self.slowest.max(began.elapsed());
        self.check(&sent.join("\n")).await;
    }

    /// Checks that every node runs, is healthy, serves a linearizable read and keeps within its memory.
    async fn check(&mut self, sent: &str) {
        for index in 0..self.cluster.nodes.len() {
            let node = &mut self.cluster.nodes[index];
            assert!(node.is_running(), "{} has ended\n{sent}", node.name);
            let http = node.http();
            wait_until(&format!("{} is well after\n{sent}\n", node.name), async || {
                let health = http.try_get("/health").await?;
                let read = http.try_get("/api/dbs").await?;
                match (health.status, read.status) {
                    (200, 200) if health.json()["status"] == "ok" => Ok(()),
                    _ => Err(format!("{} {}", health.text, read.text)),
                }
            })
            .await;
            let memory = node.memory_mb();
            self.memory_mb = self.memory_mb.max(memory);
            assert!(memory < MEMORY_MAX_MB, "{} takes {memory} MB\n{sent}", node.name);
        }
    }

    /// Sends the acts of a seed until `end`.
    async fn until(&mut self, seed: u64, end: Instant) {
        println!("JETTRA_HOSTILE_SEED={seed}");
        let (mut random, mut nodes) = (Random(seed), Random(!seed));
        let mut hostile = Hostile::new(statements(), |end| random.below(end));
        for round in 0.. {
            if Instant::now() > end {
                break;
            }
            if round % ROUNDS == 0 {
                self.renew().await;
            }
            let count = self.cluster.nodes.len() as u64;
            let acts = (0..ACTS).map(|_| (nodes.below(count) as usize, hostile.act()));
            self.round(acts.collect()).await;
        }
    }

    /// Sends the calls of a file in sequence.
    async fn replay(&mut self, path: &str) {
        self.renew().await;
        let text = std::fs::read_to_string(path).expect("the file of JETTRA_HOSTILE_REPLAY");
        for line in text.lines() {
            let parts: Vec<_> = line.splitn(3, '\t').collect();
            let [method, target, body] = parts[..] else { panic!("not a call: {line}") };
            let method =
                ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|m| *m == method);
            let method = method.expect("a method");
            let call = Call { method, target: target.to_owned(), body: body.to_owned() };
            let answer = answer_to(&self.cluster.nodes[0].http(), &call).await;
            println!("{}\n -> {answer:?}", call.shown());
            self.check(&call.shown()).await;
        }
    }

    /// Checks that all copies are equal, also after every node was killed and has replayed its log.
    async fn finish(mut self) {
        self.cluster.wait_equal(DATABASE, "after the calls").await;
        self.cluster.nodes.iter_mut().for_each(jettra_tests::Node::kill);
        self.cluster.nodes.iter_mut().for_each(jettra_tests::Node::start);
        for index in 0..self.cluster.nodes.len() {
            self.cluster.wait_health(index, "ok").await;
        }
        self.check("after a restart").await;
        self.cluster.wait_equal(DATABASE, "after a restart").await;
        let Run { statuses, slowest, memory_mb, rounds, .. } = self;
        println!("{rounds} rounds: {statuses:?}; the slowest {slowest:?}; {memory_mb} MB at most");
    }
}

/// The seed statements of the fuzz targets.
fn statements() -> Vec<String> {
    let corpus = source::root().join("tests/fuzz/corpus");
    let mut paths: Vec<_> = ["jql", "sql", "mongo"]
        .into_iter()
        .flat_map(|name| std::fs::read_dir(corpus.join(name)).expect("the corpus"))
        .map(|entry| entry.expect("a file").path())
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

async fn run(name: &str, seconds: u64, seeds: &[u64]) {
    let mut run = Run::start(name).await;
    if let Ok(path) = std::env::var("JETTRA_HOSTILE_REPLAY") {
        run.replay(&path).await;
        return run.finish().await;
    }
    let part = Duration::from_secs(setting("JETTRA_HOSTILE_SECONDS").unwrap_or(seconds)) / 2;
    for seed in seeds {
        run.until(setting("JETTRA_HOSTILE_SEED").unwrap_or(*seed), Instant::now() + part).await;
    }
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_input_crashes_or_blocks_a_node() {
    run("hostile", 10, &[FIXED_SEED, random_seed()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_no_input_crashes_or_blocks_a_node() {
    if long() {
        run("hostile-long", 600, &[random_seed(), random_seed() + 1]).await;
    }
}
