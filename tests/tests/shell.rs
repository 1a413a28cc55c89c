//! The shell as scripts use it: statements, output, exit codes, and clusters for development.

use jettra_tests::{ADMIN, Bed, Cluster, PASSWORD, free_port, program};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of the shell gave.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the shell with these arguments and this input.
async fn jettra(dir: &Path, password: Option<&str>, arguments: &[&str], input: &str) -> Ended {
    let mut command = Command::new(program("jettra"));
    command.args(arguments).current_dir(dir).env("HOME", dir).env_remove("JETTRA_URL");
    match password {
        Some(password) => command.env("JETTRA_PASSWORD", password),
        None => command.env_remove("JETTRA_PASSWORD"),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("the shell starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A shell that does not read its input closes it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the shell ends")
    });
    let output = running.await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// One statement on the first node of a cluster; its output as JSON.
async fn statement(cluster: &Cluster, text: &str) -> Value {
    let url = cluster.nodes[0].url();
    let arguments = ["--url", &url, "-m", "json", "-q", "-y", "-e", text];
    let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, "").await;
    assert_eq!(ended.code, Some(0), "{text}: {} {}", ended.out, ended.err);
    serde_json::from_str(&ended.out).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_give_json_and_a_script_runs_from_the_input() {
    let cluster = Cluster::start("shell-statements", 2).await;
    let url = cluster.nodes[1].url();
    let script = "create db shop\nuse shop\ncreate col users\n\
                  insert users {\"_id\": \"ada\", \"born\": 1815}\ninsert users {\"_id\": 7}\n\
                  .level session\ncount users\n";
    let arguments = ["--url", url.as_str(), "-m", "ndjson"];
    let ended = jettra(cluster.bed.dir(), Some(PASSWORD), &arguments, script).await;
    assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
    assert!(ended.out.contains("\"ada\"") && ended.out.contains('2'), "{}", ended.out);
    let client = cluster.client();
    let users = client.collection::<Value>("shop", "users");
    assert_eq!(users.count().await.expect("a count"), 2);
    let one = jettra(
        cluster.bed.dir(),
        Some(PASSWORD),
        &["--url", &url, "-m", "json", "-q", "-e", "use shop", "-e", "get users ada"],
        "",
    )
    .await;
    let found: Value = serde_json::from_str(&one.out).unwrap_or_else(|_| panic!("{}", one.out));
    let found = found.as_array().map_or(&found, |list| &list[0]);
    assert_eq!(*found, json!({"_id": "ada", "born": 1815}));
}

#[tokio::test(flavor = "multi_thread")]
async fn federated_nodes_lists_the_members_as_the_document_says() {
    let cluster = Cluster::start("shell-nodes", 2).await;
    for command in ["federated nodes", "cluster nodes"] {
        let nodes = statement(&cluster, command).await;
        let names: Vec<_> =
            nodes.as_array().expect("a list").iter().map(|node| &node["node"]).collect();
        assert_eq!(names, ["node1", "node2"], "{nodes}");
    }
    let extra = cluster.bed.node("node3", jettra_tests::Settings::new(jettra_tests::Role::Waiting));
    let mut cluster = cluster;
    cluster.nodes.push(extra);
    cluster.nodes[2].start();
    cluster.wait_health(2, "waiting").await;
    let url = cluster.nodes[2].url();
    statement(&cluster, &format!("cluster add {url}")).await;
    cluster.wait_active(3).await;
    statement(&cluster, "cluster stop node3").await;
    assert_eq!(cluster.nodes[2].wait_exit().await.code(), Some(0));
    statement(&cluster, "cluster remove node3").await;
    cluster.wait_active(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_went_wrong() {
    let cluster = Cluster::start("shell-codes", 1).await;
    let (dir, url) = (cluster.bed.dir(), cluster.nodes[0].url());
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let cases: [(Option<i32>, Option<&str>, Vec<&str>); 7] = [
        (Some(0), Some(PASSWORD), vec!["--url", &url, "-e", "show dbs"]),
        (Some(1), Some(PASSWORD), vec!["--url", &url, "-e", "use nowhere"]),
        (Some(1), Some(PASSWORD), vec!["--url", &url, "-e", "frobnicate"]),
        (Some(2), Some(PASSWORD), vec!["--nonsense"]),
        (Some(3), Some(PASSWORD), vec!["--url", &nobody, "--timeout", "500ms", "-e", "show dbs"]),
        (Some(4), Some("wrong-password"), vec!["--url", &url, "-e", "show dbs"]),
        (Some(4), None, vec!["--url", &url, "-e", "show dbs"]),
    ];
    for (code, password, arguments) in cases {
        let ended = jettra(dir, password, &arguments, "").await;
        assert_eq!(ended.code, code, "{arguments:?}: {} {}", ended.out, ended.err);
        assert_eq!(ended.err.is_empty(), code == Some(0), "{arguments:?}: {}", ended.err);
    }
}

/// Users and keys without anybody at the terminal: passwords and keys come from files.
#[tokio::test(flavor = "multi_thread")]
async fn users_and_keys_are_managed_from_scripts() {
    let cluster = Cluster::start("shell-users", 2).await;
    let (dir, url) = (cluster.bed.dir(), cluster.nodes[1].url());
    let file = |name: &str, text: &str| {
        std::fs::write(dir.join(name), format!("{text}\n")).expect("a file is written");
    };
    file("ada.txt", "adas-own-password");
    file("ada2.txt", "adas-other-password");
    let run = async |arguments: &[&str], code: i32| {
        let arguments = [&["--url", &url, "-m", "json", "-y"], arguments].concat();
        let ended = jettra(dir, Some(PASSWORD), &arguments, "").await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {} {}", ended.out, ended.err);
        ended
    };
    let admin = async |text: &str| -> Value {
        let ended = run(&["-e", text], 0).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{text}: {}", ended.out))
    };
    let refused = async |text: &str| run(&["-e", text], 1).await.err;

    admin("create db shop").await;
    let error = refused("create user ada").await;
    assert!(error.contains("--password-file"), "{error}");
    admin("create user ada --databases shop --password-file ada.txt").await;
    let error = refused("create user ada --password-file ada.txt").await;
    assert!(error.contains("alter user"), "{error}");
    let users = admin("show users").await;
    assert_eq!(users[0]["username"], "ada", "{users}");
    assert_eq!((&users[0]["role"], &users[0]["allowed_dbs"]), (&json!("reader"), &json!(["shop"])));

    let ada = ["--user", "ada", "--password-file", "ada.txt"];
    let who = run(&[&ada[..], &["-e", "whoami"]].concat(), 0).await;
    let who: Value = serde_json::from_str(&who.out).expect("JSON");
    assert_eq!(who["allowed_dbs"], json!(["shop"]), "{who}");
    let made = run(&[&ada[..], &["-e", "create key ci --days 1"]].concat(), 0).await;
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let secret = made["token"].as_str().expect("a secret");
    file("key.txt", secret);
    let key = |text: &'static str| ["--api-key-file", "key.txt", "-e", "use shop", "-e", text];
    run(&key("show collections"), 0).await;
    run(&key("create col c"), 1).await;
    run(&key("show users"), 1).await;
    admin("alter user ada --grant shop=writereader --password-file ada2.txt").await;
    run(&[&ada[..], &["-e", "whoami"]].concat(), 4).await;
    run(&key("create col c"), 0).await;
    let tokens = admin("show tokens").await;
    let tokens = tokens.as_array().expect("a list");
    let token = tokens.iter().find(|token| token["name"] == "ci").expect("the key");
    assert!(!json!(tokens).to_string().contains(secret), "{tokens:?}");
    assert!(admin("alter user ada --disable").await["status"].is_string());
    run(&key("show dbs"), 4).await;
    admin("alter user ada --enable --grant shop=none").await;
    assert_eq!(admin("show user ada").await["grants"], json!({}));
    run(&key("show collections"), 0).await;
    admin(&format!("revoke token {}", token["id"].as_str().expect("an id"))).await;
    run(&key("show dbs"), 4).await;
    assert!(refused(&format!("revoke token {secret}")).await.contains("show tokens"));
    admin("drop user ada").await;
    assert!(refused("show user ada").await.contains("show users"));
    assert!(refused(&format!("alter user {ADMIN} --disable")).await.contains("admin"));

    let actions = |entries: Value| -> Vec<String> {
        let entries = entries.as_array().expect("a list").clone();
        entries.iter().map(|entry| entry["action"].as_str().expect("a text").to_owned()).collect()
    };
    let all = actions(admin("show audit").await);
    for action in ["user_create", "user_update", "user_delete", "token_create", "token_revoke"] {
        assert!(all.iter().any(|done| done == action), "{action}: {all:?}");
    }
    let creations = admin("show audit --action user_create").await;
    let outcomes = creations.as_array().expect("a list").iter().map(|entry| &entry["outcome"]);
    assert_eq!(outcomes.collect::<Vec<_>>(), ["user_exists", "ok"], "{creations}");
    assert_eq!(actions(admin("show audit --limit 2").await).len(), 2);

    let made = admin("cluster token --hours 2").await;
    let command = made["command"].as_str().expect("a command");
    let token = made["token"].as_str().expect("a token");
    let leader = cluster.nodes[0].url();
    assert!(command.starts_with("jettradb --distributed "), "{command}");
    assert!(command.contains(&format!("--peers {leader} --join-token {token}")), "{command}");
    for node in &cluster.nodes {
        assert!(!node.log().contains(secret) && !node.log().contains("adas-own"), "{}", node.name);
    }
}

/// Stops the development cluster also when the test fails.
struct Down<'d>(&'d Path);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let stopped =
            Command::new(program("jettra")).args(["dev", "down"]).current_dir(self.0).output();
        drop(stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_development_cluster_goes_up_is_tested_and_goes_down() {
    let bed = Bed::new("shell-dev").await;
    let port = free_port().to_string();
    let _down = Down(bed.dir());
    let run = async |arguments: &[&str]| {
        let ended = jettra(bed.dir(), None, arguments, "").await;
        (ended.code, ended.out, ended.err)
    };
    let ok = async |arguments: &[&str]| {
        let (code, out, err) = run(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {out} {err}");
        out
    };
    let up = ok(&["dev", "up", "3", "--port", &port]).await;
    assert!(up.contains("node3") && up.contains("ACTIVE"), "{up}");
    let ps = ok(&["dev", "ps"]).await;
    assert_eq!(ps.matches("running").count(), 3, "{ps}");
    let test = ok(&["dev", "test"]).await;
    assert!(test.contains("All checks passed.") && !test.contains("FAILED"), "{test}");
    assert!(ok(&["dev", "logs", "node1"]).await.contains("node1"));
    ok(&["dev", "restart"]).await;
    assert!(ok(&["dev", "test"]).await.contains("All checks passed."));
    assert_eq!(run(&["dev", "clean"]).await.0, Some(1), "a running cluster is not removed");
    ok(&["dev", "down"]).await;
    let ps = ok(&["dev", "ps"]).await;
    assert_eq!(ps.matches("stopped").count(), 3, "{ps}");
    ok(&["dev", "clean"]).await;
    assert!(!bed.dir().join("dev-cluster").exists());
    assert_eq!(run(&["dev", "ps"]).await.0, Some(2), "there is no cluster any more");
}
