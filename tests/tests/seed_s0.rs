//! The document of the Python cluster manager: every call and every program in it, as written there but
//! for the ports.

use jettra_tests::{Bed, Cluster, Guard, Role, Settings, free_ports, long, wait_until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The first port of the document.
const PORT: u16 = 8080;
/// Ports in a row, so that those of the document can be moved.
const PORTS: u16 = 12;

/// The cluster of the document: three nodes at ports in a row, of which the first may start others.
struct Example {
    cluster: Cluster,
    first: u16,
    /// What the first node has started.
    started: Vec<(u32, Guard)>,
}

impl Drop for Example {
    fn drop(&mut self) {
        for (pid, _) in self.started.iter().filter(|(pid, _)| runs(*pid)) {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

impl Example {
    async fn start(name: &str) -> Example {
        let bed = Bed::new(name).await;
        let first = free_ports(PORTS);
        let folder = bed.dir().join("run").display().to_string();
        let nodes = (0..3).map(|index: u16| {
            let role = if index == 0 { Role::First } else { Role::Waiting };
            let settings = Settings::new(role).key("OpenOnLoopback", true);
            let settings = settings.key("StartNodesIn", folder.clone());
            let mut node = bed.node(&format!("db-node-{}", index + 1), settings);
            node.port = first + index;
            node
        });
        let nodes = nodes.collect();
        let mut cluster = Cluster { nodes, bed };
        cluster.form().await;
        Example { cluster, first, started: Vec::new() }
    }

    /// A text of the document with the ports of this cluster.
    fn moved(&self, text: &str) -> String {
        (0..PORTS).rev().fold(text.to_owned(), |text, offset| {
            text.replace(&(PORT + offset).to_string(), &(self.first + offset).to_string())
        })
    }

    /// Runs a command of the document in a shell and returns what it prints.
    fn shell(&self, command: &str) -> String {
        run(Command::new("bash").args(["-c", &self.moved(command)]), self.folder())
    }

    /// Runs a call of the document; its status and its body.
    fn curl(&self, command: &str) -> (u16, Value) {
        let printed = self.shell(&format!("{} -s -w '\n%{{http_code}}'", command.trim()));
        let (body, status) = printed.trim_end().rsplit_once('\n').expect("a status");
        let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {printed}"));
        (status.parse().expect("a status"), body)
    }

    fn folder(&self) -> &Path {
        self.cluster.bed.dir()
    }

    fn address(&self, port: u16) -> String {
        self.moved(&format!("127.0.0.1:{port}"))
    }

    /// Adds a node; its answer.
    fn add(&mut self, body: Value) -> Value {
        let command = format!(
            "curl -X POST http://127.0.0.1:8080/cluster/add-node -H 'Content-Type: application/json' \
             -d '{body}'"
        );
        let (status, answer) = self.curl(&command);
        assert_eq!(status, 200, "{answer}");
        self.started.push((pid(&answer), Guard::of(pid(&answer))));
        answer
    }
}

/// Runs a command in a folder and returns what it prints.
fn run(command: &mut Command, folder: &Path) -> String {
    let output = command.current_dir(folder).output().expect("it can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {printed} {errors}");
    printed
}

fn pid(answer: &Value) -> u32 {
    answer["process_info"]["pid"].as_u64().expect("a pid") as u32
}

fn runs(pid: u32) -> bool {
    // A process that has ended and that nobody has waited for has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn names(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

async fn wait_ended(pid: u32) {
    wait_until("the process ends", async || if runs(pid) { Err(pid.to_string()) } else { Ok(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_is_shown_as_the_document_shows_it() {
    let example = Example::start("s0-show").await;
    let (status, listed) = example.curl("curl http://127.0.0.1:8080/cluster/list-nodes");
    assert_eq!(status, 200);
    let node = |index: u16| {
        json!({
            "node_address": example.address(PORT + index), "node_id": format!("db-node-{}", index + 1),
            "is_current": index == 0, "status": "running",
        })
    };
    let expected = json!({
        "cluster_size": 3, "nodes": [node(0), node(1), node(2)],
        "current_node": example.address(PORT),
    });
    assert_eq!(listed, expected);

    let (status, found) = example.curl("curl http://127.0.0.1:8080/cluster/status");
    assert_eq!(status, 200);
    assert_eq!(found["cluster_size"], 3);
    assert_eq!(found["current_node"], example.address(PORT));
    assert_eq!(found["peers"], json!([example.address(8081), example.address(8082)]));
    assert_eq!(found["hash_ring_initialized"], true);
    assert_eq!(found["replication_factor"], 3);
    assert!(found["hash_ring"]["nodes"].is_array(), "{found}");
    for port in [8081, 8082] {
        let health = &found["peer_health"][example.address(port)];
        assert_eq!(health["status"], "healthy", "{found}");
        let seconds = health["response_time"].as_f64().expect("seconds");
        assert!(seconds > 0.0 && seconds < 2.0, "{found}");
    }
    assert!(example.shell("curl -s http://127.0.0.1:8082/health").contains("\"status\":\"ok\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_is_unhealthy_and_one_that_is_paused_is_not() {
    let mut example = Example::start("s0-gone").await;
    let body = json!({"node": "db-node-2"});
    example.cluster.act(0, "pause", body).await.ok();
    example.cluster.nodes[2].kill();
    wait_until("the states are shown", async || {
        let (_, found) = example.curl("curl http://127.0.0.1:8080/cluster/status");
        let (_, listed) = example.curl("curl http://127.0.0.1:8080/cluster/list-nodes");
        let states = json!([
            found["peer_health"][example.address(8081)]["status"],
            found["peer_health"][example.address(8082)]["status"],
            listed["nodes"][1]["status"],
            listed["nodes"][2]["status"],
        ]);
        match states == json!(["paused", "unhealthy", "paused", "not_responding"]) {
            true => Ok(()),
            false => Err(format!("{found} {listed}")),
        }
    })
    .await;
    let (_, found) = example.curl("curl http://127.0.0.1:8080/cluster/status");
    assert!(found["peer_health"][example.address(8082)]["error"].is_string(), "{found}");
}

/// The Python class and its usage at the end, as they are in the document.
#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_adds_and_removes_a_node() {
    let example = Example::start("s0-python").await;
    let text = include_str!("../seeds/cluster_manager.py");
    let program = example.folder().join("manager.py");
    std::fs::write(&program, example.moved(text)).expect("the program");
    let bin = run(
        Command::new("bash").arg(jettra_tests::source::root().join("tests/python/environment.sh")),
        example.folder(),
    );
    let python = Path::new(bin.trim()).join("python");
    let printed = run(Command::new(python).arg(&program), example.folder());
    let lines: Vec<_> = printed.lines().collect();
    let [added, size, removed] = lines[..] else { panic!("{printed}") };
    let message = "'message': 'Node db-node-4 started and joined cluster successfully'";
    assert!(added.starts_with("Added node: {") && added.contains(message), "{added}");
    assert_eq!(size, "Cluster size: 4");
    let message = format!("Node {} removed from cluster", example.address(8083));
    assert!(removed.contains(&message) && removed.contains("'process_stopped': True"), "{removed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_added_and_removed_by_curl() {
    let mut example = Example::start("s0-curl").await;
    let added = example.add(json!({"node_id": "db-node-4"}));
    let info = &added["process_info"];
    let address = example.address(8083);
    let command = info["command"].as_str().expect("a command");
    for part in ["jettradb", "--node-id db-node-4", "--host 127.0.0.1", "--port"] {
        assert!(command.contains(part), "{command}");
    }
    let port = example.first + 3;
    assert_eq!(
        added,
        json!({
            "success": true, "message": "Node db-node-4 started and joined cluster successfully",
            "node_id": "db-node-4", "node_address": address, "port": port, "cluster_size": 4,
            "process_info": {
                "pid": info["pid"], "command": command, "node_id": "db-node-4", "port": port,
            },
        })
    );
    let log = example.shell("tail run/logs/node-8083.log");
    assert!(log.contains("node db-node-4"), "{log}");
    example.shell("lsof -i :8083 || true");
    // The next name and port by themselves.
    let next = example.add(json!({}));
    assert_eq!((&next["node_id"], &next["port"]), (&json!("db-node-5"), &json!(port + 1)));

    let remove = |address: &str, stop: bool| {
        let body = json!({"node_address": address, "stop_process": stop});
        format!(
            "curl -X POST http://127.0.0.1:8080/cluster/remove-node -H 'Content-Type: application/json' -d '{body}'"
        )
    };
    let (status, removed) = example.curl(&remove("127.0.0.1:8083", true));
    let expected = json!({
        "success": true, "message": format!("Node {address} removed from cluster"),
        "node_address": address, "process_stopped": true, "cluster_size": 4,
    });
    assert_eq!((status, removed), (200, expected));
    assert!(!runs(pid(&added)));
    // Without stopping its process, which then says that it was removed.
    let (_, removed) = example.curl(&remove("127.0.0.1:8084", false));
    assert_eq!(removed["process_stopped"], false, "{removed}");
    assert!(runs(pid(&next)));
    wait_until("it knows that it was removed", async || {
        let health = example.shell("curl -s http://127.0.0.1:8084/health");
        if health.contains("\"removed\"") { Ok(()) } else { Err(health) }
    })
    .await;
    // A name may be used again, with a new directory.
    let again = example.add(json!({"node_id": "db-node-4"}));
    // The one that starts nodes is started again, and still knows this one.
    example.cluster.nodes[0].signal("TERM");
    example.cluster.nodes[0].wait_exit().await;
    example.cluster.nodes[0].start();
    example.cluster.wait_health(0, "ok").await;
    let (_, removed) = example.curl(&remove(again["node_address"].as_str().expect("text"), true));
    assert_eq!(removed["process_stopped"], true, "{removed}");
    wait_ended(pid(&again)).await;
    // One that it has not started, and one that is gone already.
    let (_, removed) = example.curl(&remove("127.0.0.1:8082", true));
    assert_eq!(removed["process_stopped"], true, "{removed}");
    example.cluster.nodes[2].wait_exit().await;
    let gone = example.add(json!({}));
    run(Command::new("kill").args(["-9", &pid(&gone).to_string()]), example.folder());
    let (_, removed) = example.curl(&remove(gone["node_address"].as_str().expect("text"), true));
    assert_eq!((&removed["success"], &removed["process_stopped"]), (&json!(true), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_the_texts_of_the_document() {
    let example = Example::start("s0-errors").await;
    let config = example.folder().join("run/config");
    std::fs::create_dir_all(&config).expect("the folder");
    std::fs::write(config.join("broken.json"), "{\"Prot\": 1}").expect("a file");
    let call = |path: &str, body: Value| {
        example.curl(&format!(
            "curl -X POST http://127.0.0.1:8080/cluster/{path} -H 'Content-Type: application/json' -d '{body}'"
        ))
    };
    let (status, refused) = call("add-node", json!({"node_id": "n", "port": 8081}));
    assert_eq!((status, &refused["code"]), (400, &json!("port_in_use")));
    assert_eq!(refused["error"], example.moved("Port 8081 is not available"));
    let free = refused["available_ports"].as_array().expect("ports");
    assert!(free.len() == 3 && *free[0].as_u64().as_ref().expect("a port") > 8081, "{refused}");

    let (status, refused) = call("add-node", json!({"config_file": "config/broken.yaml"}));
    assert_eq!((status, &refused["error"]), (500, &json!("Failed to start node process")));
    let details = &refused["details"];
    assert_eq!(names(details), ["error", "return_code", "stderr", "stdout"].into(), "{refused}");
    assert_eq!(
        (&details["error"], &details["return_code"]),
        (&json!("Process failed to start"), &json!(1))
    );
    assert!(details["stderr"].as_str().is_some_and(|text| text.contains("Prot")), "{refused}");

    let (status, refused) = call("remove-node", json!({"node_address": "127.0.0.1:8089"}));
    let message = example.moved("Failed to remove node 127.0.0.1:8089 from cluster");
    assert_eq!((status, &refused["error"]), (400, &json!(message)));
    for (body, field) in [
        (json!({"node_id": "a b"}), "NodeID"),
        (json!({"node_id": ".."}), "node_id"),
        (json!({"host": "10.0.0.1"}), "host"),
        (json!({"host": "here"}), "host"),
        (json!({"config_file": "../../secret"}), "config_file"),
        (json!({"prot": 1}), "prot"),
    ] {
        let (status, refused) = call("add-node", body);
        assert_eq!(status, 400, "{refused}");
        assert!(refused["error"].as_str().is_some_and(|text| text.contains(field)), "{refused}");
    }
    let (status, refused) = call("add-node", json!({"node_id": "db-node-2"}));
    assert_eq!((status, &refused["code"]), (409, &json!("node_conflict")));
    assert_eq!(example.cluster.members(0).await.expect("members").len(), 3, "nothing was added");
}

/// Symptom: a page of another site could have called a node through a browser of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn only_programs_of_this_machine_need_no_credentials() {
    let example = Example::start("s0-open").await;
    let status = |headers: &str| {
        let call = format!("curl {headers} http://127.0.0.1:8080/cluster/list-nodes");
        example.curl(&call).0
    };
    assert_eq!(status(""), 200);
    let own = example.moved("-H 'Origin: http://127.0.0.1:8080' -H 'Sec-Fetch-Site: same-origin'");
    assert_eq!(status(&own), 200);
    for foreign in [
        "-H 'Host: example.com'",
        "-H 'Host: 127.0.0.1.example.com:8080'",
        "-H 'Origin: http://example.com'",
        "-H 'Origin: null'",
        "-H 'Sec-Fetch-Site: cross-site'",
        "-H 'Sec-Fetch-Site: same-site'",
        "-H 'X-Forwarded-For: 203.0.113.7'",
        "-H 'Forwarded: for=203.0.113.7'",
    ] {
        assert_eq!(status(foreign), 403, "{foreign}");
        let known = format!("{foreign} -u admin:{}", jettra_tests::PASSWORD);
        assert_eq!(status(&known), 200, "{foreign}");
    }
    assert_eq!(status("-u admin:wrong"), 401, "wrong credentials are not none");
    assert!(example.cluster.nodes[0].log().contains("OpenOnLoopback"));

    let mut closed = example.cluster.bed.node("closed", Settings::new(Role::First));
    closed.start();
    let url = closed.url();
    wait_until("it serves", async || {
        let health = example.shell(&format!("curl -s {url}/health || true"));
        if health.contains("\"ok\"") { Ok(()) } else { Err(health) }
    })
    .await;
    assert_eq!(example.curl(&format!("curl {url}/cluster/list-nodes")).0, 401);
    let outside = Settings::new(Role::First).key("OpenOnLoopback", true).key("Host", "0.0.0.0");
    let outside = outside.key("AdvertiseUrl", "http://127.0.0.1:1");
    let node = example.cluster.bed.node("outside", outside);
    let refused = node.command().output().expect("it ends");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("OpenOnLoopback"));
}

/// It takes the 30 seconds that a node has to join.
#[tokio::test(flavor = "multi_thread")]
async fn long_a_node_that_cannot_join_goes_on_and_its_process_is_named() {
    if !long() {
        return;
    }
    let mut example = Example::start("s0-join").await;
    let config = example.folder().join("run/config");
    std::fs::create_dir_all(&config).expect("the folder");
    let other = json!({"ClusterSecret": "the-secret-of-another-cluster"}).to_string();
    std::fs::write(config.join("strange.json"), other).expect("a file");
    let (status, refused) = example.curl(
        "curl -X POST http://127.0.0.1:8080/cluster/add-node -H 'Content-Type: application/json' \
         -d '{\"config_file\": \"strange\"}'",
    );
    example.started.push((pid(&refused), Guard::of(pid(&refused))));
    let text = "Node started but failed to join cluster";
    assert_eq!((status, &refused["error"]), (500, &json!(text)));
    assert_eq!(refused["node_address"], example.address(8083));
    assert_eq!(refused["process_info"]["node_id"], "db-node-4");
    assert!(runs(pid(&refused)), "{refused}");
}
