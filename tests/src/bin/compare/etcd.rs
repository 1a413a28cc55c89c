//! etcd: three members, called by its HTTP gateway or by gRPC.

use crate::grpc;
use crate::http::Http;
use crate::process::{Process, metered, wait_for};
use crate::system::System;
use crate::workload::{
    ETCD, ETCD_GRPC, FIRST, ID, Large, Plan, SEQUENCE, SEQUENCE_FIRST, Sample, Work, once,
};
use crate::wrk::{self, Request};
use base64::Engine;
use jettra_tests::free_ports;
use jettra_tests::measure::Failure;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const MEMBERS: u16 = 3;
/// Operations that etcd allows in one transaction.
const BATCH: u64 = 128;
/// Keys are the bytes that texts of 16 digits stand for in Base64: 0… documents, 1… inserts, 2… the
/// documents of bulk loads.
const BULK_FIRST: u64 = 2 * SEQUENCE_FIRST;

/// Time after which a client without an answer calls another member.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A cluster.
pub(crate) struct Etcd {
    members: Vec<Process>,
    port: u16,
    leader: usize,
    http: Http,
    dir: PathBuf,
    loaded: u64,
    protocol: Protocol,
}

/// How it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Its HTTP gateway.
    Http,
    /// gRPC.
    Grpc,
}

impl Etcd {
    /// Starts three members with data in `dir`.
    pub(crate) fn start(dir: &Path, protocol: Protocol) -> Result<Etcd, Failure> {
        std::fs::create_dir_all(dir)?;
        let port = free_ports(2 * MEMBERS);
        let members: Result<_, Failure> = (0..MEMBERS)
            .map(|at| {
                Process::start(command(dir, port, at), &dir.join(format!("n{at}.log")), "KILL")
            })
            .collect();
        let http = Http::new(None)?;
        let (members, dir) = (members?, dir.to_owned());
        let mut etcd = Etcd { members, port, leader: 0, http, dir, loaded: 0, protocol };
        etcd.settle()?;
        Ok(etcd)
    }

    fn address(&self, member: usize) -> String {
        format!("127.0.0.1:{}", usize::from(self.port) + member)
    }

    fn post(&self, member: usize, path: &str, body: String) -> Result<Value, Failure> {
        self.http.post(&format!("http://{}{path}", self.address(member)), body)
    }

    /// Waits until all members serve, and notes which one leads.
    fn settle(&mut self) -> Result<(), Failure> {
        self.leader = wait_for("etcd", || {
            let mut leader = None;
            for at in 0..self.members.len() {
                let status = self.post(at, "/v3/maintenance/status", "{}".into())?;
                if status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
                {
                    leader = Some(at);
                }
            }
            leader.ok_or_else(|| "no leader".into())
        })?;
        Ok(())
    }

    /// Puts the values of these keys, as many in one transaction as etcd allows.
    fn put_all(
        &self,
        numbers: std::ops::Range<u64>,
        value: impl Fn(u64) -> String,
    ) -> Result<(), Failure> {
        for start in numbers.clone().step_by(BATCH as usize) {
            let puts: Vec<String> = (start..numbers.end.min(start + BATCH))
                .map(|number| {
                    let value = base64(&value(number));
                    format!(r#"{{"requestPut":{{"key":"{number:016}","value":"{value}"}}}}"#)
                })
                .collect();
            let body = format!(r#"{{"success":[{}]}}"#, puts.join(","));
            let reply = self.post(self.leader, "/v3/kv/txn", body)?;
            if reply["succeeded"] != true {
                return Err(format!("etcd: {reply}").into());
            }
        }
        Ok(())
    }
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn command(dir: &Path, port: u16, at: u16) -> Command {
    let peer = |at: u16| format!("http://127.0.0.1:{}", port + MEMBERS + at);
    let cluster: Vec<_> = (0..MEMBERS).map(|at| format!("n{at}={}", peer(at))).collect();
    let client = format!("http://127.0.0.1:{}", port + at);
    let mut command = Command::new("etcd");
    command.args(["--name", &format!("n{at}"), "--data-dir"]).arg(dir.join(format!("n{at}")));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at)]);
    command.args(["--initial-cluster", &cluster.join(","), "--log-level", "error"]);
    // More than its default, or it would refuse to store further documents.
    command.args(["--quota-backend-bytes", &(16u64 << 30).to_string()]);
    command
}

/// A value of this many bytes in Base64 that begins with a number of its own.
fn value(bytes: usize) -> String {
    format!("{SEQUENCE}{}", base64(&"x".repeat(bytes - 12)))
}

/// The request of an operation that many clients carry out.
fn request(work: Work) -> Option<Request> {
    let put = |key: &str, bytes| format!(r#"{{"key":"{key}","value":"{}"}}"#, value(bytes));
    let (path, body, response_bytes) = match work {
        Work::Insert(bytes) => ("put", put(SEQUENCE, bytes), 0),
        Work::InsertAtFollower => ("put", put(SEQUENCE, 200), 0),
        Work::Update => ("put", put(&format!("00000000{ID}"), 200), 0),
        Work::Get => ("range", format!(r#"{{"key":"00000000{ID}"}}"#), 200),
        Work::LocalGet => {
            ("range", format!(r#"{{"key":"00000000{ID}","serializable":true}}"#), 200)
        }
        _ => return None,
    };
    let line = format!("POST /v3/kv/{path}");
    Some(Request { line, headers: String::new(), body, response_bytes })
}

impl System for Etcd {
    fn name(&self) -> String {
        match self.protocol {
            Protocol::Http => ETCD.to_owned(),
            Protocol::Grpc => ETCD_GRPC.to_owned(),
        }
    }

    fn pids(&self) -> Vec<u32> {
        self.members.iter().filter_map(Process::pid).collect()
    }

    fn dir(&self) -> &Path {
        &self.dir
    }

    fn fill(&mut self, documents: u64) -> Result<(), Failure> {
        self.put_all(FIRST..FIRST + documents, |_| "x".repeat(200))
    }

    fn measure(&mut self, work: Work, plan: &Plan) -> Result<Option<Sample>, Failure> {
        let pids = self.pids();
        if work == Work::Load && self.protocol == Protocol::Http {
            let first = BULK_FIRST + self.loaded;
            self.loaded += plan.large;
            let document = |number| Large::new(number - first).text();
            let numbers = first..first + plan.large;
            let load = || once(plan.large, || self.put_all(numbers, document));
            return metered(&pids, load).map(Some);
        }
        let member = match work {
            Work::InsertAtFollower => (self.leader + 1) % self.members.len(),
            _ => self.leader,
        };
        let address = self.address(member);
        if self.protocol == Protocol::Grpc {
            let Some(call) = grpc::Call::of(work) else { return Ok(None) };
            return metered(&pids, || grpc::measure(&address, call, plan)).map(Some);
        }
        let Some(request) = request(work) else { return Ok(None) };
        metered(&pids, || wrk::measure(&address, &request, plan)).map(Some)
    }

    fn inserted(&self) -> Result<u64, Failure> {
        let range = json!({"key": SEQUENCE_FIRST.to_string(), "range_end": BULK_FIRST.to_string(), "count_only": true});
        let reply = self.post(self.leader, "/v3/kv/range", range.to_string())?;
        let count = reply["count"].as_str().and_then(|count| count.parse().ok());
        Ok(count.unwrap_or_default())
    }

    fn verify(&self, documents: u64) -> Result<(), Failure> {
        let key = json!({"key": format!("{:016}", FIRST + documents / 2)});
        let reply = self.post(self.leader, "/v3/kv/range", key.to_string())?;
        let value = reply["kvs"][0]["value"].as_str().unwrap_or_default();
        match value.len() == base64(&"x".repeat(200)).len() {
            true => Ok(()),
            false => Err(format!("etcd: {reply}").into()),
        }
    }

    fn restart_node(&mut self) -> Result<Option<f64>, Failure> {
        let member = (self.leader + 1) % self.members.len();
        self.members[member].end("TERM")?;
        let started = Instant::now();
        self.members[member].restart()?;
        let key = format!(r#"{{"key":"{FIRST:016}"}}"#);
        wait_for("a member that was restarted", || self.post(member, "/v3/kv/range", key.clone()))?;
        Ok(Some(started.elapsed().as_secs_f64()))
    }

    fn kill_leader(&mut self) -> Result<Option<f64>, Failure> {
        let (leader, count) = (self.leader, self.members.len());
        let killed = Instant::now();
        self.members[leader].end("KILL")?;
        let mut others = (1..count).map(|step| (leader + step) % count).cycle();
        wait_for("a write without the leader", || {
            let url =
                format!("http://{}/v3/kv/put", self.address(others.next().unwrap_or_default()));
            let put = format!(r#"{{"key":"{BULK_FIRST}","value":"{}"}}"#, value(200));
            self.http.post_within(&url, put, ANSWER_MAX)
        })?;
        let seconds = killed.elapsed().as_secs_f64();
        self.members[leader].restart()?;
        self.settle()?;
        Ok(Some(seconds))
    }
}
