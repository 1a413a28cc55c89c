//! How a node starts, refuses to start, and stops.

use jettra_tests::source::root;
use jettra_tests::{Bed, Cluster, Node, Role, Settings, free_port, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

async fn run_to_end(mut command: Command) -> Output {
    let ending = tokio::task::spawn_blocking(move || command.output().expect("jettradb runs"));
    tokio::time::timeout(jettra_tests::DEADLINE, ending).await.expect("it ends").expect("no panic")
}

async fn wait_ok(node: &Node) {
    wait_until(&format!("{} is ok", node.name), async || {
        let health = node.http().try_get("/health").await?;
        if health.json()["status"] == "ok" { Ok(()) } else { Err(health.text) }
    })
    .await;
}

/// Checks that the process exits with 1 and names the wrong key on standard error.
async fn check_refused(command: Command, key: &str) {
    let output = run_to_end(command).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{key}: {text}");
    assert!(text.starts_with("jettradb: ") && text.contains(key), "{key}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_named_and_the_exit_code_is_1() {
    let bed = Bed::new("start-config").await;
    for (key, value) in [
        ("Port", json!(70000)),
        ("Port", json!("x")),
        ("Host", json!("node1")),
        ("Peers", json!("http://127.0.0.1:1")),
        ("Peers", json!(["node2:8081"])),
        ("NodeID", json!("a b")),
        ("HeartbeatMs", json!(0)),
        ("ElectionMinMs", json!(1)),
        ("AdvertiseUrl", json!("http://0.0.0.0:1")),
        ("port", json!(1)),
        ("LogLevel", json!("a=b=c")),
    ] {
        let settings = Settings::new(Role::Waiting).key(key, value);
        check_refused(bed.node("wrong", settings).command(), key).await;
    }
    let open = Settings::new(Role::First).key("Host", "0.0.0.0");
    check_refused(bed.node("wrong", open).command(), "AdvertiseUrl").await;
    let contradiction = Settings::new(Role::First).key("Peers", json!(["http://127.0.0.1:1"]));
    check_refused(bed.node("wrong", contradiction).command(), "Bootstrap").await;
    let mut short = Settings::new(Role::First);
    short.secret = "short".into();
    check_refused(bed.node("wrong", short).command(), "ClusterSecret").await;
    let variable = Settings::new(Role::First).env("JETTRA_PORT", "many");
    check_refused(bed.node("wrong", variable).command(), "Port").await;
    let password = Settings::new(Role::First).env("JETTRA_ADMIN_PASSWORD", "short");
    check_refused(bed.node("wrong", password).command(), "password").await;
    let mut missing = Command::new(jettra_tests::program("jettradb"));
    missing.args(["--config", "/nowhere/config.json"]);
    check_refused(missing, "/nowhere/config.json").await;
}

/// Symptom: a configuration file of JettraDBVM was refused. Its collections always keep versions.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_of_jettradbvm_is_accepted_and_its_keys_are_explained() {
    let bed = Bed::new("start-old").await;
    let settings = Settings::new(Role::First)
        .key("Host", "localhost")
        .key("Mode", "cluster")
        .key("FederatedServers", json!(["http://127.0.0.1:9000"]))
        .key("system_password", "in the clear")
        .key("Versions", true);
    let mut node = bed.node("old", settings);
    node.start();
    wait_ok(&node).await;
    let http = node.http();
    let members = http.get("/raft/rpc/status").await.ok().json();
    assert_eq!(members[0]["url"], format!("http://localhost:{}", node.port));
    let log = node.log();
    for (key, became) in
        [("Mode", "distributed"), ("FederatedServers", "Peers"), ("system_password", "admin")]
    {
        let notes = log.lines().filter(|line| line.contains(&format!("{key} is a key of")));
        let notes: Vec<_> = notes.collect();
        assert!(notes.len() == 1 && notes[0].contains(became), "{key}: {log}");
    }
    assert!(!log.contains("in the clear"), "{log}");
    let made = AtomicUsize::new(0);
    wait_until("new collections keep versions", async || {
        let place = format!("db=shop&col=c{}", made.fetch_add(1, Ordering::Relaxed));
        for n in [1, 2] {
            http.post(&format!("/api/doc?{place}"), &json!({"_id": 1, "n": n})).await.ok();
        }
        let kept = http.try_get(&format!("/api/versions?{place}&id=1")).await?;
        if kept.json().as_array().is_some_and(|kept| kept.len() == 1) {
            Ok(())
        } else {
            Err(kept.text)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_and_a_port_belong_to_one_process() {
    let bed = Bed::new("start-lock").await;
    let mut first = bed.node("first", Settings::new(Role::First));
    first.start();
    wait_ok(&first).await;
    let same_data = Settings::new(Role::First)
        .key("DataDir", first.data_dir().display().to_string())
        .key("NodeID", "first");
    check_refused(bed.node("second", same_data).command(), "DataDir").await;
    let same_port = Settings::new(Role::First).key("Port", first.port);
    check_refused(bed.node("third", same_port).command(), "Port").await;
    wait_ok(&first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_its_name_with_its_data() {
    let bed = Bed::new("start-name").await;
    let mut node = bed.node("one", Settings::new(Role::First));
    node.start();
    wait_ok(&node).await;
    node.signal("TERM");
    node.wait_exit().await;
    node.settings = Settings::new(Role::First).key("NodeID", "two");
    check_refused(node.command(), "NodeID").await;
}

/// Waits until the node has recorded that it holds state.
async fn wait_formed(node: &Node) {
    let path = node.data_dir().join("identity.json");
    wait_until(&format!("{} is formed", node.name), async || {
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let identity: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if identity["formed"] == true { Ok(()) } else { Err(text) }
    })
    .await;
}

/// Symptom: an acknowledged write was lost, or a second cluster with the same identity appeared.
/// Cause: a member that had lost its log, state or identity silently started from scratch.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_has_lost_a_part_of_its_data_does_not_start() {
    let mut cluster = Cluster::start("start-lost", 2).await;
    for node in &mut cluster.nodes {
        wait_formed(node).await;
        node.kill();
    }
    for node in &cluster.nodes {
        let dir = node.data_dir();
        for (lost, named) in [
            ("groups", "state"),
            ("groups/0/state-current", "state"),
            ("groups/0/state-1", "state"),
            ("groups/0/log", "log"),
            ("identity.json", "identity.json"),
        ] {
            let (path, aside) = (dir.join(lost), dir.join("aside"));
            std::fs::rename(&path, &aside).expect("it was there");
            check_refused(node.command(), named).await;
            // A second start is refused as well, although the first has left empty files.
            check_refused(node.command(), named).await;
            if path.is_dir() {
                std::fs::remove_dir_all(&path).expect("what the start has made");
            }
            std::fs::rename(&aside, &path).expect("put back");
        }
        let path = dir.join("identity.json");
        let text = std::fs::read(&path).expect("the identity");
        for damaged in [&b"\xff\xff"[..], b"{", b""] {
            std::fs::write(&path, damaged).expect("damaged");
            check_refused(node.command(), "identity.json").await;
            assert_eq!(std::fs::read(&path).expect("it stays"), damaged);
        }
        std::fs::write(&path, text).expect("put back");
    }
    let state = |index: usize| cluster.nodes[index].data_dir().join("groups");
    let aside = state(0).with_file_name("aside");
    std::fs::rename(state(0), &aside).expect("the state of the first");
    std::fs::rename(state(1), state(0)).expect("the state of the second");
    check_refused(cluster.nodes[0].command(), "belongs to member").await;
    std::fs::rename(state(0), state(1)).expect("put back");
    std::fs::rename(&aside, state(0)).expect("put back");
    cluster.nodes.iter_mut().for_each(Node::start);
    cluster.wait_active(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_and_sigint_shut_a_node_down_cleanly() {
    let mut cluster = Cluster::start("start-term", 3).await;
    for signal in ["TERM", "INT"] {
        for index in [cluster.leader().await, cluster.follower().await] {
            cluster.nodes[index].signal(signal);
            assert_eq!(cluster.nodes[index].wait_exit().await.code(), Some(0), "SIG{signal}");
            cluster.nodes[index].start();
            cluster.wait_active(3).await;
        }
    }
    let mut waiting = cluster.bed.node("waiting", Settings::new(Role::Waiting));
    waiting.start();
    wait_until("it listens", async || waiting.http().try_get("/health").await.map(drop)).await;
    waiting.signal("TERM");
    assert_eq!(waiting.wait_exit().await.code(), Some(0));
}

async fn write(node: &Node, id: &str) {
    let body = json!({"_id": id});
    node.http().post("/api/doc?db=shop&col=kept", &body).await.ok();
}

async fn count(node: &Node) -> Value {
    node.http().get("/api/count?db=shop&col=kept").await.ok().json()["count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_node_keeps_its_data_and_may_move_to_another_port() {
    let bed = Bed::new("start-alone").await;
    let mut node = bed.node("alone", Settings::new(Role::Alone));
    for (starts, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        node.start();
        wait_ok(&node).await;
        write(&node, id).await;
        assert_eq!(count(&node).await, starts + 1);
        let members = node.http().get("/api/cluster").await.ok().json()["nodes"].clone();
        assert_eq!(members[0]["url"], node.url());
        assert_eq!(members[0]["status"], "ACTIVE");
        match starts {
            0 => node.kill(),
            _ => {
                node.signal("TERM");
                assert_eq!(node.wait_exit().await.code(), Some(0));
            }
        }
        if starts > 0 {
            node.port = free_port();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_configuration_generates_a_password_and_serves() {
    let bed = Bed::new("start-plain").await;
    let mut node = bed.node("plain", Settings::new(Role::Alone));
    let mut command = Command::new(jettra_tests::program("jettradb"));
    let port = node.port.to_string();
    command.args(["--port", &port]).current_dir(bed.dir()).env("HOME", bed.dir());
    for name in ["JETTRA_CLUSTER_SECRET", "JETTRA_ADMIN_PASSWORD"] {
        command.env_remove(name);
    }
    node.spawn(command);
    wait_ok(&node).await;
    let path = bed.dir().join("data/admin-password");
    let password = std::fs::read_to_string(&path).expect("the password");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("its mode").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // The node answers a moment before it says so.
    wait_until("the log names the password's file", async || {
        let log = node.log();
        if log.contains("data/admin-password") { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(!node.log().contains(password.trim()), "the password is in the log");
    node.http().login("admin", password.trim()).get("/api/dbs").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_ran_alone_becomes_a_cluster() {
    let bed = Bed::new("start-grow").await;
    let mut first = bed.node("node1", Settings::new(Role::Alone));
    first.start();
    wait_ok(&first).await;
    write(&first, "before").await;
    first.signal("TERM");
    assert_eq!(first.wait_exit().await.code(), Some(0));
    first.settings = Settings::new(Role::Waiting);
    first.start();
    wait_ok(&first).await;
    let mut cluster = Cluster { nodes: vec![first], bed };
    for name in ["node2", "node3"] {
        let index = cluster.add_waiting(name).await;
        cluster.register(index).await;
    }
    cluster.wait_active(3).await;
    for node in &cluster.nodes {
        assert_eq!(count(node).await, 1);
        assert_eq!(node.http().get("/api/cluster").await.ok().json()["enabled"], true);
    }
}

/// What is asked of the node that opens the data directory of the fixture.
const OF_FIXTURE: [&str; 6] = [
    "/api/v1/databases/shop/hash",
    "/api/v1/databases/shop/collections/people/documents?extended_json=canonical",
    "/api/v1/databases/shop/collections/people/indexes",
    "/api/v1/databases/shop/collections/people/documents/ada/versions",
    "/api/v1/databases/shop/collections/people/schema",
    "/api/v1/users",
];

/// The responses to `OF_FIXTURE`.
async fn fixture_responses(node: &Node) -> Value {
    let mut responses = serde_json::Map::new();
    for target in OF_FIXTURE {
        responses.insert(target.to_owned(), node.http().get(target).await.ok().json());
    }
    // What the node itself writes when it starts is in the log, too.
    responses[OF_FIXTURE[0]].as_object_mut().expect("an object").remove("index");
    responses.into()
}

/// Makes the data directory of the fixture: values of every type, versions, an index, a schema, a
/// user, and a deleted document.
async fn fill_fixture(node: &Node) {
    let people = "/api/v1/databases/shop/collections/people";
    let calls = [
        ("POST", "/api/dbs".to_owned(), json!({"name": "shop"})),
        ("POST", "/api/cols".to_owned(), json!({"database": "shop", "collection": "people"})),
        ("PUT", format!("{people}/versions"), json!({})),
        ("POST", format!("{people}/indexes"), json!({"keys": {"email": 1}, "unique": true})),
        ("PUT", format!("{people}/schema"), json!({"schema": {"properties": {"n": {}}}})),
        ("POST", format!("{people}/documents"), json!({"_id": "ada", "email": "a@example.org"})),
        ("PATCH", format!("{people}/documents/ada"), json!({"email": "ada@example.org", "n": 1})),
        (
            "POST",
            format!("{people}/documents"),
            json!({"_id": {"$oid": "0123456789abcdef01234567"},
            "long": {"$numberLong": "7"}, "double": 0.5, "decimal": {"$numberDecimal": "-0.00"},
            "date": {"$date": "2026-11-29T21:00:00Z"}, "binary": {"$binary": {"base64": "AQI=", "subType": "00"}},
            "time": {"$timestamp": {"t": 5, "i": 1}}, "pattern": {"$regularExpression": {"pattern": "^a", "options": "i"}},
            "least": {"$minKey": 1}, "most": {"$maxKey": 1}, "none": null, "list": [true, {"a": []}]}),
        ),
        ("POST", format!("{people}/documents"), json!({"_id": 3, "email": "gone@example.org"})),
        ("DELETE", format!("{people}/documents/3?id_type=int"), Value::Null),
        (
            "POST",
            "/api/v1/users".to_owned(),
            json!({"username": "bob", "password": "bob's long password",
            "role": "reader", "allowed_dbs": ["shop"]}),
        ),
    ];
    for (method, target, body) in calls {
        node.http().json(method, &target, &body).await.ok();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_dir(&path, &copy);
        } else if !path.ends_with("lock.mdb") {
            // The table of LMDB's readers belongs to a running process.
            std::fs::copy(path, copy).expect("a copy");
        }
    }
}

/// The directory has the numbers of formats in its files. When one of them rises, `UPDATE_GOLDEN=1`
/// writes it anew; from the first release on, it stays, and another one is written beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_this_format_is_opened() {
    let fixture = root().join("tests/fixtures/data-2");
    let recorded = fixture.join("responses.json");
    let bed = Bed::new("start-fixture").await;
    let mut node = bed.node("fixture", Settings::new(Role::Alone));
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if !update {
        copy_dir(&fixture.join("data"), &node.data_dir());
    }
    node.start();
    wait_ok(&node).await;
    if !update {
        let expected = std::fs::read(&recorded).expect("the recorded responses");
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        assert_eq!(fixture_responses(&node).await, expected);
        return;
    }
    fill_fixture(&node).await;
    let responses = fixture_responses(&node).await;
    node.signal("TERM");
    assert!(node.wait_exit().await.success());
    let _ = std::fs::remove_dir_all(&fixture);
    copy_dir(&node.data_dir(), &fixture.join("data"));
    std::fs::write(&recorded, format!("{responses:#}\n")).expect("the responses");
}
