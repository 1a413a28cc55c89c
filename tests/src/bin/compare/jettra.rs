//! Jettra: a cluster of release builds.

use crate::http::Http;
use crate::process::{Process, metered, wait_for};
use crate::system::System;
use crate::workload::{
    AGE_MIN, CITIES, FIRST, GROUP, GROUP_SIZE, ID, Large, PRICE_MAX, Plan, SEQUENCE, Sample, Work,
    once, repeat, small,
};
use crate::wrk::{self, Request};
use base64::Engine;
use jettra_tests::measure::Failure;
use jettra_tests::{PASSWORD, SECRET, free_ports};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Documents in one call of a bulk load.
const BATCH: u64 = 1000;

/// Time after which a client without an answer calls another node.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A cluster. Its settings are the defaults.
pub(crate) struct Jettra {
    name: &'static str,
    nodes: Vec<Process>,
    port: u16,
    leader: usize,
    http: Http,
    dir: PathBuf,
    loads: usize,
}

impl Jettra {
    /// Starts `count` nodes of the program in `programs`, with data in `dir`.
    pub(crate) fn start(
        name: &'static str,
        programs: &Path,
        dir: &Path,
        count: u16,
    ) -> Result<Jettra, Failure> {
        let program = programs.join("jettradb");
        std::fs::create_dir_all(dir)?;
        let port = free_ports(count);
        let nodes: Result<_, Failure> = (0..count)
            .map(|at| {
                let log = dir.join(format!("n{at}.log"));
                Process::start(command(&program, dir, port, at), &log, "KILL")
            })
            .collect();
        let http = Http::new(Some(PASSWORD))?;
        let (nodes, dir) = (nodes?, dir.to_owned());
        let mut jettra = Jettra { name, nodes, port, leader: 0, http, dir, loads: 0 };
        wait_for("the first node", || jettra.health(0))?;
        for at in 1..usize::from(count) {
            let node = json!({"url": format!("http://{}", jettra.address(at))});
            wait_for("a further node", || jettra.post("/api/cluster/register", &node))?;
        }
        jettra.settle()?;
        jettra.post("/api/dbs", &json!({"name": "b"}))?;
        Ok(jettra)
    }

    /// The address of a node, without the protocol.
    pub(crate) fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", usize::from(self.port) + node)
    }

    /// The response of `/health` if the node serves.
    fn health(&self, node: usize) -> Result<Value, Failure> {
        let url = format!("http://{}/health", self.address(node));
        self.http.get(&url)
    }

    /// Waits until all nodes serve, and notes which one leads.
    fn settle(&mut self) -> Result<(), Failure> {
        self.leader = wait_for("all nodes", || {
            let health: Result<Vec<_>, _> =
                (0..self.nodes.len()).map(|at| self.health(at)).collect();
            let health = health?;
            let leader = health.iter().position(|node| node["is_leader"] == true);
            leader.ok_or_else(|| "no leader".into())
        })?;
        Ok(())
    }

    /// The client of its calls.
    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// A node.
    pub(crate) fn node(&mut self, at: usize) -> &mut Process {
        &mut self.nodes[at]
    }

    /// The URL of a path at the leader.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address(self.leader))
    }

    /// `POST` to the leader.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.http.post(&self.url(path), body.to_string())
    }

    /// The same with a path that follows the name of a collection.
    fn of(&self, collection: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post(&format!("/api/v1/databases/b/collections/{collection}{path}"), body)
    }

    /// Inserts the documents with these numbers, each as JSON, into a collection of a database.
    pub(crate) fn bulk(
        &self,
        (database, collection): (&str, &str),
        (numbers, batch): (std::ops::Range<u64>, u64),
        document: impl Fn(u64) -> String,
    ) -> Result<(), Failure> {
        let url = self.url(&format!("/api/v1/databases/{database}/collections/{collection}/bulk"));
        for start in numbers.clone().step_by(batch as usize) {
            let end = numbers.end.min(start + batch);
            let operations: Vec<String> = (start..end)
                .map(|number| {
                    let text = document(number);
                    let rest = &text[1..];
                    format!(r#"{{"insertOne":{{"document":{{"_id":{number},{rest}}}}}"#)
                })
                .collect();
            let body = format!(r#"{{"operations":[{}]}}"#, operations.join(","));
            let reply = self.http.post(&url, body)?;
            if reply["inserted"] != end - start {
                return Err(format!("{url}: {reply}").into());
            }
        }
        Ok(())
    }

    /// Creates the collections of small documents.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        self.post("/api/cols", &json!({"database": "b", "collection": "inserts"}))?;
        self.of("docs", "/indexes", &json!({"keys": {"g": 1}})).map(drop)
    }

    /// Stores small documents; they are numbered from 0.
    pub(crate) fn add(&self, numbers: std::ops::Range<u64>) -> Result<(), Failure> {
        self.add_to("b", numbers)
    }

    /// The same in a database.
    pub(crate) fn add_to(
        &self,
        database: &str,
        numbers: std::ops::Range<u64>,
    ) -> Result<(), Failure> {
        let numbers = FIRST + numbers.start..FIRST + numbers.end;
        self.bulk((database, "docs"), (numbers, BATCH), |number| {
            small(&number.to_string(), &(number / GROUP_SIZE).to_string(), 200)
        })
    }

    /// Creates empty collections, in one database or each in one of its own; they are numbered from 0.
    pub(crate) fn create_collections(
        &self,
        numbers: std::ops::Range<u64>,
        own_database: bool,
    ) -> Result<(), Failure> {
        for number in FIRST + numbers.start..FIRST + numbers.end {
            let database = if own_database { format!("b{number}") } else { "b".to_owned() };
            let names = json!({"database": database, "collection": format!("c{number}")});
            self.post("/api/cols", &names)?;
        }
        Ok(())
    }

    /// Inserts into one of these collections with each call; the plan's documents are their number.
    pub(crate) fn insert_into_collections(
        &self,
        own_database: bool,
        plan: &Plan,
    ) -> Result<Sample, Failure> {
        let database = if own_database { format!("b{ID}") } else { "b".to_owned() };
        let line = format!("POST /api/v1/databases/{database}/collections/c{ID}/documents");
        let body = small(SEQUENCE, GROUP, 200);
        let request = Request { line, headers: credentials(), body, response_bytes: 0 };
        metered(&self.pids(), || wrk::measure(&self.address(self.leader), &request, plan))
    }

    fn large(&self) -> String {
        format!("large{}", self.loads)
    }

    fn count(&self, filter: &Value, expected: u64) -> Result<(), Failure> {
        let reply = self.of(&self.large(), "/count", &json!({"filter": filter}))?;
        match reply["count"] == expected {
            true => Ok(()),
            false => Err(format!("{filter}: {reply} instead of {expected}").into()),
        }
    }

    /// An operation that one client repeats, or carries out once.
    fn measure_large(&mut self, work: Work, plan: &Plan) -> Result<Sample, Failure> {
        let count = plan.large;
        match work {
            Work::Load => {
                self.loads += 1;
                let collection = self.large();
                let (place, numbers) = (("b", collection.as_str()), (0..count, BATCH));
                once(count, || self.bulk(place, numbers, |n| Large::new(n).text()))
            }
            Work::BuildIndex => {
                let index = json!({"keys": {"price": 1}});
                once(count, || self.of(&self.large(), "/indexes", &index).map(drop))
            }
            Work::CountIndexed => {
                let expected = Large::matching(count, |large| large.price < PRICE_MAX);
                let filter = json!({"price": {"$lt": PRICE_MAX}});
                repeat(plan, || self.count(&filter, expected))
            }
            Work::Scan => {
                let expected = Large::matching(count, |large| large.age >= AGE_MIN);
                let filter = json!({"age": {"$gte": AGE_MIN}});
                repeat(plan, || self.count(&filter, expected))
            }
            _ => {
                let group =
                    json!({"_id": "$city", "n": {"$sum": 1}, "average": {"$avg": "$price"}});
                let body = json!({"pipeline": [{"$group": group}]});
                repeat(plan, || {
                    let reply = self.of(&self.large(), "/aggregate", &body)?;
                    let groups = reply["documents"].as_array().map_or(0, Vec::len) as u64;
                    match groups == CITIES.min(count) {
                        true => Ok(()),
                        false => Err(format!("{groups} groups: {reply}").into()),
                    }
                })
            }
        }
    }
}

fn command(program: &Path, dir: &Path, port: u16, at: u16) -> Command {
    let mut command = Command::new(program);
    command.args(["--port", &(port + at).to_string(), "--node-id", &format!("n{at}")]);
    command.arg("--data-dir").arg(data_dir(dir, at)).args(["--distributed", "--log-level", "warn"]);
    if at == 0 {
        command.arg("--bootstrap");
    }
    command.env("HOME", dir).current_dir(dir);
    command.env("JETTRA_CLUSTER_SECRET", SECRET).env("JETTRA_ADMIN_PASSWORD", PASSWORD);
    command
}

fn data_dir(dir: &Path, at: u16) -> PathBuf {
    dir.join(format!("n{at}"))
}

/// The header that shows the credentials of the user `admin`.
fn credentials() -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(format!("admin:{PASSWORD}"));
    format!("Authorization: Basic {text}\r\n")
}

/// The request of an operation that many clients carry out, in a database.
pub(crate) fn request(work: Work, database: &str) -> Option<Request> {
    let target = match work {
        Work::Insert(_) | Work::InsertAtFollower => "POST %/inserts/documents".to_owned(),
        Work::Update => format!("PUT %/docs/documents/{ID}?id_type=int"),
        Work::Get => format!("GET %/docs/documents/{ID}?id_type=int"),
        Work::LocalGet => format!("GET %/docs/documents/{ID}?id_type=int&level=local"),
        Work::Find => "POST %/docs/find?level=local".to_owned(),
        _ => return None,
    };
    let (body, response_bytes) = match work {
        Work::Insert(bytes) => (small(SEQUENCE, GROUP, bytes), 0),
        Work::InsertAtFollower | Work::Update => (small(SEQUENCE, GROUP, 200), 0),
        Work::Find => (format!(r#"{{"filter":{{"g":{GROUP}}}}}"#), 200 * GROUP_SIZE as usize),
        _ => (String::new(), 200),
    };
    Some(Request {
        line: target.replace('%', &format!("/api/v1/databases/{database}/collections")),
        headers: credentials(),
        body,
        response_bytes,
    })
}

impl System for Jettra {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Process::pid).collect()
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn fill(&mut self, documents: u64) -> Result<(), Failure> {
        self.create()?;
        self.add(0..documents)
    }

    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure> {
        let node = match work {
            Work::InsertAtFollower => (self.leader + 1) % self.nodes.len(),
            _ => self.leader,
        };
        metered(&self.pids(), || match request(work, "b") {
            Some(request) => wrk::measure(&self.address(node), &request, plan),
            None => self.measure_large(work, plan),
        })
        .map(Some)
    }

    fn inserted(&self) -> Result<u64, Failure> {
        let reply = self.of("inserts", "/count", &json!({}))?;
        reply["count"].as_u64().ok_or_else(|| format!("count: {reply}").into())
    }

    fn verify(&self, documents: u64) -> Result<(), Failure> {
        let id = FIRST + documents / 2;
        let path = format!("/api/v1/databases/b/collections/docs/documents/{id}?id_type=int");
        let url = format!("http://{}{path}", self.address(self.leader));
        let found = self.http.get(&url)?;
        let group = self.of("docs", "/find", &json!({"filter": {"g": id / GROUP_SIZE}}))?;
        let documents = group["documents"].as_array().map_or(0, Vec::len) as u64;
        match found["g"] == id / GROUP_SIZE && documents == GROUP_SIZE {
            true => Ok(()),
            false => Err(format!("{}: {found}, {group}", self.name).into()),
        }
    }

    fn restart_node(&mut self) -> Result<Option<f64>, Failure> {
        let node = (self.leader + 1) % self.nodes.len();
        self.nodes[node].end("TERM")?;
        let started = Instant::now();
        self.nodes[node].restart()?;
        let path = format!("/api/v1/databases/b/collections/docs/documents/{FIRST}?id_type=int");
        let url = format!("http://{}{path}", self.address(node));
        wait_for("a node that was restarted", || self.http.get(&url))?;
        Ok(Some(started.elapsed().as_secs_f64()))
    }

    fn kill_leader(&mut self) -> Result<Option<f64>, Failure> {
        let (leader, count) = (self.leader, self.nodes.len());
        let killed = Instant::now();
        self.nodes[leader].end("KILL")?;
        let mut others = (1..count).map(|step| (leader + step) % count).cycle();
        wait_for("a write without the leader", || {
            let node = others.next().unwrap_or_default();
            let path = "/api/v1/databases/b/collections/inserts/documents";
            let url = format!("http://{}{path}", self.address(node));
            self.http.post_within(&url, small("1", "1", 200), ANSWER_MAX)
        })?;
        let seconds = killed.elapsed().as_secs_f64();
        self.nodes[leader].restart()?;
        self.settle()?;
        Ok(Some(seconds))
    }
}
