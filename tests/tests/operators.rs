//! The operators' command line on real clusters: what it says of healthy, damaged and absent nodes, and the
//! exit codes that scripts rely on.

use jettra_driver::wire::NewGroup;
use jettra_tests::{Cluster, PASSWORD, Settings, free_port, program, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

/// What a program has printed, and its exit code.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Its output, if this is its exit code.
    fn with_code(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        &self.out
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

fn command(url: &str, words: &str) -> Command {
    let mut command = Command::new(program("jettra"));
    command
        .args(["--url", url])
        .args(words.split_whitespace())
        .env("JETTRA_PASSWORD", PASSWORD)
        .env_remove("JETTRA_API_KEY")
        .env_remove("JETTRA_DB")
        .stdin(Stdio::null());
    command
}

async fn run(mut command: Command) -> Ended {
    let running = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let output = running.await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn jettra(url: &str, words: &str) -> Ended {
    run(command(url, words)).await
}

/// Waits until the command ends with this code, and returns what it has printed.
async fn wait_code(url: &str, words: &str, code: i32) -> Ended {
    wait_until(&format!("{words} ends with {code}"), async || {
        let ended = jettra(url, words).await;
        match ended.code == Some(code) {
            true => Ok(ended),
            false => Err(format!("{:?} {} {}", ended.code, ended.out, ended.err)),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_found_by_doctor_check_wait_and_status() {
    let adjust = |settings: Settings| settings.key("AutoRebalance", false);
    let mut cluster = Cluster::start_with("operators-killed", 3, adjust).await;
    let leader = cluster.leader().await;
    let url = cluster.nodes[leader].url();
    jettra(&url, "wait --healthy --for 60s").await.with_code(0);
    cluster
        .client()
        .create_group(&NewGroup { id: 3, ..NewGroup::default() }, true)
        .await
        .expect("a group");
    check_healthy(&url).await;

    let dead = cluster.follower().await;
    let name = cluster.nodes[dead].name.clone();
    let address = cluster.nodes[dead].url();
    cluster.nodes[dead].kill();
    wait_code(&url, "status --fail-on degraded", 1).await;
    jettra(&url, "status --fail-on unhealthy").await.with_code(0);
    let waited = jettra(&url, "wait --for 1s").await;
    waited.with_code(1);
    assert!(waited.err.contains("after 1 s the cluster is DEGRADED"), "{}", waited.err);

    let ended = jettra(&url, "doctor").await;
    let text = ended.with_code(1);
    let line =
        format!("ERROR   nodes     {name} does not answer at {}", address.trim_end_matches('/'));
    let line = text.lines().find(|found| found.starts_with(&line)).expect("the dead node");
    for advice in ["lsof -i :", "firewall", "read its log", &format!("--node-id {name}")] {
        assert!(line.contains(advice), "{line}");
    }
    assert!(text.contains("the system group is under-replicated: 2 of 3 voters answer"), "{text}");
    let found = jettra(&url, "doctor --format json").await;
    found.with_code(1);
    let found = found.json();
    assert_eq!(found["status"], "ERROR", "{found}");
    for finding in found["findings"].as_array().expect("findings") {
        let fine = finding["severity"] == "OK";
        assert_eq!(finding["next_step"].is_null(), fine, "{finding}");
    }
    let found = jettra(&url, "doctor --format compact").await;
    assert!(
        found.with_code(1).starts_with(&format!("ERROR | {name} does not answer")),
        "{}",
        found.out
    );

    let checked = jettra(&url, "check --format json").await;
    checked.with_code(1);
    let checked = checked.json();
    for node in checked["nodes"].as_array().expect("nodes") {
        let is_dead = node["node_id"] == name.as_str();
        assert_eq!(
            (&node["ok"] == false, &node["answers"] == false),
            (is_dead, is_dead),
            "{checked}"
        );
        let shown = node["shows"].as_array().map(Vec::len);
        assert_eq!(shown, Some(if is_dead { 0 } else { 2 }), "{checked}");
    }
    let table = jettra(&url, "check").await;
    assert!(table.with_code(1).contains(&format!("\n{name}: write: ")), "{}", table.out);

    cluster.nodes[dead].start();
    jettra(&url, "wait --for 60s").await.with_code(0);
    let own = cluster.nodes[dead].url();
    jettra(&own, "wait --ready --for 60s").await.with_code(0);
    wait_code(&url, "doctor", 0).await;
    wait_code(&url, "check", 0).await;
}

async fn check_healthy(url: &str) {
    let ended = wait_code(url, "doctor", 0).await;
    assert!(ended.out.starts_with("OK      nodes     3 of 3 nodes answer\n"), "{}", ended.out);
    assert!(
        ended.out.contains("OK      quorum    3 nodes vote: 1 of them may fail\n"),
        "{}",
        ended.out
    );
    for check in ["states", "groups", "replicas", "placement", "clocks", "features"] {
        assert!(ended.out.contains(&format!("OK      {check}")), "{check}: {}", ended.out);
    }
    // The machine of the tests may be full, which is no error of the cluster.
    let words: Vec<&str> = ended.out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(words.iter().all(|word| matches!(*word, "OK" | "WARNING")), "{}", ended.out);

    let checked = jettra(url, "check --format json").await;
    checked.with_code(0);
    let checked = checked.json();
    assert_eq!(
        (&checked["ok"], checked["nodes"].as_array().map(Vec::len)),
        (&true.into(), Some(3))
    );
    for node in checked["nodes"].as_array().expect("nodes") {
        assert!(node["write_ms"].as_f64() > Some(0.0), "{checked}");
        assert_eq!(node["shows"], serde_json::json!(["node1", "node2", "node3"]), "{checked}");
    }
    let databases = jettra(url, "show dbs").await;
    assert!(!databases.with_code(0).contains("jettra_check"), "{}", databases.out);
    let table = jettra(url, "check").await;
    assert_eq!(table.with_code(0).matches("│ ok ").count(), 3, "{}", table.out);
    jettra(url, "status --fail-on degraded").await.with_code(0);
    let ready = jettra(url, "wait --ready --format json").await;
    ready.with_code(0);
    assert_eq!(ready.json()["ready"], true);
}

/// A program that prints until it is ended.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(mut command: Command) -> Watching {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Watching { child, lines }
    }

    async fn line(self) -> (Watching, Value) {
        let mut watching = self;
        let reading = move || {
            let line = watching.lines.next().expect("one more line").expect("a line");
            (watching, serde_json::from_str(&line).expect("an answer a line"))
        };
        tokio::task::spawn_blocking(reading).await.expect("no panic")
    }

    /// Its exit code, when it has ended by itself.
    async fn ended(self) -> Option<i32> {
        let mut watching = self;
        let waiting = move || {
            watching.lines.by_ref().for_each(drop);
            watching.child.wait().expect("it ends").code()
        };
        tokio::task::spawn_blocking(waiting).await.expect("no panic")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_is_repeated_until_it_is_interrupted_or_the_state_is_bad() {
    let mut cluster = Cluster::start("operators-watch", 3).await;
    let leader = cluster.leader().await;
    let url = cluster.nodes[leader].url();
    jettra(&url, "wait --for 60s").await.with_code(0);
    let watching = Watching::start(command(&url, "status --watch 100ms --format json"));
    let (watching, first) = watching.line().await;
    let (watching, second) = watching.line().await;
    assert_eq!((&first["status"], &second["status"]), (&"HEALTHY".into(), &"HEALTHY".into()));
    let pid = watching.child.id().to_string();
    Command::new("kill").args(["-s", "INT", &pid]).status().expect("kill runs");
    assert_eq!(watching.ended().await, Some(0), "Ctrl-C is its ordinary end");

    let words = "status --watch=100ms --fail-on degraded --format json";
    let (watching, first) = Watching::start(command(&url, words)).line().await;
    assert_eq!(first["status"], "HEALTHY");
    let dead = cluster.follower().await;
    cluster.nodes[dead].kill();
    assert_eq!(watching.ended().await, Some(1));
    // Without a quorum the state is UNHEALTHY, and doctor still examines the node that is left.
    for index in (0..3).filter(|index| ![leader, dead].contains(index)) {
        cluster.nodes[index].kill();
    }
    wait_code(&url, "status --fail-on unhealthy", 1).await;
    let found = wait_until("the system group is without a leader", async || {
        let found = jettra(&url, "doctor").await;
        let lost = ["has no leader", "has no quorum"].iter().any(|text| found.out.contains(text));
        if lost { Ok(found) } else { Err(format!("{} {}", found.out, found.err)) }
    })
    .await;
    assert_eq!(found.with_code(1).matches("does not answer at").count(), 2, "{}", found.out);
    jettra(&url, "wait --ready --for 1s").await.with_code(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_a_stranger_and_two_nodes_are_explained() {
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let found = jettra(&nobody, "doctor").await;
    let text = found.with_code(3);
    assert!(text.starts_with("ERROR   nodes     no connection to "), "{text}");
    assert!(text.contains("Next: is the address right"), "{text}");
    let found = jettra(&nobody, "doctor --format json").await;
    assert_eq!(found.with_code(3).parse::<Value>().expect("JSON")["status"], "ERROR");
    let checked = jettra(&nobody, "check --format json").await;
    assert_eq!(checked.with_code(3).parse::<Value>().expect("JSON")["code"], "unreachable");
    jettra(&nobody, "wait --for 1s").await.with_code(1);
    jettra(&nobody, "status --fail-on degraded").await.with_code(3);

    let mut cluster = Cluster::start("operators-two", 2).await;
    let url = cluster.nodes[0].url();
    let found = wait_code(&url, "doctor", 0).await;
    assert!(found.out.contains("WARNING quorum    there are two nodes: "), "{}", found.out);
    let waiting = cluster.add_waiting("node3").await;
    let found = jettra(&cluster.nodes[waiting].url(), "doctor").await;
    let text = found.with_code(1);
    assert!(text.contains("Next: let it in on a member: jettra add-node"), "{text}");
    check_names_of_etcdctl(&mut cluster, waiting).await;
}

async fn check_names_of_etcdctl(cluster: &mut Cluster, waiting: usize) {
    let url = cluster.nodes[0].url();
    let peer = cluster.nodes[waiting].advertised_url();
    let added = jettra(&url, &format!("member add node3 --peer-urls={peer}")).await;
    assert!(added.with_code(0).contains("Added node3"), "{}", added.out);
    wait_code(&url, "member promote node3", 0).await;
    let members = jettra(&url, "member list").await;
    members.with_code(0);
    assert_eq!(members.json().as_array().map(Vec::len), Some(3), "{}", members.out);
    let states = jettra(&url, "endpoint status").await;
    states.with_code(0);
    let states = states.json();
    let leading = |of: &Value| {
        of.as_array().expect("nodes").iter().filter(|it| it["is leader"] == true).count()
    };
    assert_eq!((states.as_array().map(Vec::len), leading(&states)), (Some(3), 1), "{states}");
    let leader = cluster.leader().await;
    let next = (leader + 1) % 3;
    let name = cluster.nodes[next].name.clone();
    jettra(&url, &format!("move-leader {name}")).await.with_code(0);
    assert_eq!(cluster.leader().await, next);
    let gone = (leader + 2) % 3;
    let words = format!("--yes member remove {}", cluster.nodes[gone].name);
    jettra(&cluster.nodes[next].url(), &words).await.with_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_examined_without_a_start() {
    let folder = std::env::temp_dir().join(format!("jettra-settings-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("config.json");
    let check = async |config: &str, flags: &[&str]| {
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new(program("jettradb"));
        command
            .arg("--check-config")
            .args(flags)
            .arg(&file)
            .current_dir(&folder)
            .env("JETTRA_HEARTBEAT_MS", "70")
            .env("JETTRA_CLUSTER_SECRET", "0123456789abcdef");
        run(command).await
    };
    let good = check(r#"{"MaxVoters": 3, "Mode": "standalone"}"#, &["--port", "9001"]).await;
    let text = good.with_code(0);
    for expected in [
        "Port                flag        9001\n",
        "HeartbeatMs         environment 70\n",
        "MaxVoters           file        3\n",
        "BatchMax            default     512\n",
        "ClusterSecret       environment (hidden)\n",
        "Note: Mode is a key of JettraDBVM",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.ends_with("The settings can be used.\n"), "{text}");
    assert!(!text.contains("0123456789abcdef"), "{text}");
    let bad = check(r#"{"Peers": ["http://a:1"]}"#, &[]).await;
    assert!(
        bad.with_code(1).contains("Peers               file        [\"http://a:1\"]\n"),
        "{}",
        bad.out
    );
    assert!(bad.err.contains("Peers is set, but distributed is false"), "{}", bad.err);
    let wrong = check(r#"{"Prot": 1}"#, &[]).await;
    wrong.with_code(1);
    assert!(wrong.err.contains("unknown key \"Prot\""), "{}", wrong.err);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let noted = check("{}", &["--port", &port]).await;
    let text = noted.with_code(0);
    assert!(
        text.contains(&format!("Note: Port: 127.0.0.1:{port} cannot be listened on: ")),
        "{text}"
    );
    let tls = check(r#"{"TlsCert": "none.pem", "TlsKey": "none.pem"}"#, &[]).await;
    tls.with_code(1);
    assert!(tls.err.contains("TlsCert: none.pem cannot be read"), "{}", tls.err);
    let level = check(r#"{"LogLevel": "jettra_db=loud"}"#, &[]).await;
    level.with_code(1);
    assert!(level.err.contains("LogLevel"), "{}", level.err);
    assert!(!folder.join("data").exists(), "nothing was started");
    std::fs::remove_dir_all(&folder).expect("the folder");
}
