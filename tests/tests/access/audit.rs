//! The audit log, and what callers and other users of the machine cannot learn.

use super::{WORD, make_place, make_users};
use jettra_tests::{Cluster, Http, Settings, send, wait_until};
use serde_json::{Value, json};

/// The entries of the audit log as lines of user, action, target and outcome.
fn audit_lines(entries: &[Value]) -> Vec<String> {
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let line =
        |entry| ["user", "action", "target", "outcome"].map(|name| text(entry, name)).join(" ");
    entries.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_in_the_audit_log_and_secrets_in_no_log() {
    let debug = |settings: Settings| settings.key("LogLevel", "debug");
    let cluster = Cluster::start_with("access-audit", 2, debug).await;
    let (first, second) = (&cluster.nodes[0], &cluster.nodes[1]);
    let admin = second.http();
    make_place(&admin).await;
    let user =
        json!({"username": "ada", "password": WORD, "role": "owner", "allowed_dbs": ["shop"]});
    admin.post("/api/v1/users", &user).await.ok();
    let as_ada = || Http::new(&second.url()).login("ada", WORD);
    let ada = as_ada();
    let key = ada.post("/api/v1/tokens", &json!({"name": "job"})).await.ok().json();
    let cookie = ada.post("/api/login", &json!({"username": "ada", "password": WORD})).await.ok();
    send(ada.request("DELETE", "/api/dbs?name=shop")).await.ok();
    let change = json!({"oldPassword": WORD, "newPassword": "something else"});
    ada.post("/api/change-password", &change).await.ok();
    as_ada().get("/api/dbs").await.refused(401, "bad_credentials");
    let pause = json!({"node": "node2"});
    first.http().post("/api/cluster/pause", &pause).await.ok();
    first.http().post("/api/cluster/resume", &pause).await.ok();
    let answer = wait_until("the failed login was noted", async || {
        let answer = admin.get("/api/v1/audit?limit=50").await;
        if answer.text.contains("login_failed") { Ok(answer) } else { Err(answer.text) }
    })
    .await
    .json();
    let entries = answer["entries"].as_array().expect("a list");
    let lines = audit_lines(entries);
    let id = key["id"].as_str().expect("an id");
    for line in [
        "admin user_create ada (owner) ok",
        &format!("ada token_create {id} job ok"),
        "ada login ada ok",
        "ada drop_database shop ok",
        "ada password_change ada ok",
        "admin cluster_pause node2 ok",
        "admin cluster_resume node2 ok",
        "- login_failed ada bad_credentials",
        "admin cluster_register node2",
    ] {
        assert!(lines.iter().any(|known| known.starts_with(line)), "{line} is missing: {lines:#?}");
    }
    assert!(entries.iter().all(|entry| entry["from"] == "127.0.0.1"), "{entries:?}");
    ada.get("/api/v1/audit").await;
    // No secret is in the logs, not even at level debug, nor in the log lines of the audit log.
    let cookie = cookie.header("set-cookie").to_owned();
    let session = cookie.split_once('=').and_then(|(_, rest)| rest.split(';').next());
    let secrets = [
        WORD,
        "something else",
        jettra_tests::PASSWORD,
        jettra_tests::SECRET,
        session.expect("a value"),
        key["token"].as_str().expect("a key"),
    ];
    for node in &cluster.nodes {
        let log = node.log();
        assert!(log.contains("audit") || node.name == "node2", "{log}");
        for secret in secrets {
            assert!(!log.contains(secret), "{secret} is in the log of {}", node.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_entries_of_the_audit_log_are_removed() {
    let small = |settings: Settings| settings.key("AuditMax", 100);
    let cluster = Cluster::start_with("access-audit-bound", 2, small).await;
    let http = cluster.nodes[0].http();
    for number in 0..120 {
        send(http.request("DELETE", &format!("/api/dbs?name=none{number}"))).await.ok();
    }
    wait_until("the audit log has its bound again", async || {
        let kept = http.get("/api/v1/audit?limit=1000").await.ok().json();
        let entries = kept["entries"].as_array().map_or(0, Vec::len);
        let newest = kept["entries"][0]["target"].clone();
        if entries <= 100 && newest == "none119" {
            Ok(())
        } else {
            Err(format!("{entries} {newest}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_do_not_reveal_which_users_and_databases_exist() {
    let cluster = Cluster::start("access-oracle", 1).await;
    let node = &cluster.nodes[0];
    let admin = node.http();
    make_users(&admin).await;
    make_place(&admin).await;
    let stranger = Http::new(&node.url()).login("stranger", WORD);
    for database in ["shop", "no-such-database"] {
        let collection = json!({"database": database, "collection": "a"});
        stranger.post("/api/cols", &collection).await.refused(403, "forbidden");
        let target = format!("/api/doc?db={database}&col=a");
        stranger.post(&target, &json!({})).await.refused(403, "forbidden");
        stranger.get(&format!("/api/dbs/{database}/cols")).await.refused(403, "forbidden");
    }
    // The hash used for unknown users matches no password, and guesses for unknown users are
    // counted like others.
    let mut refused = 0;
    for _ in 0..8 {
        let ghost = Http::new(&node.url()).login("ghost", "no user has this password");
        let answer = ghost.get("/api/dbs").await;
        assert!(matches!(answer.status, 401 | 429), "{}", answer.text);
        refused += usize::from(answer.status == 429);
    }
    assert!(refused >= 2, "{refused} guesses were refused");
    // A password that exceeds the maximum length counts as a guess as well.
    let mut refused = 0;
    for _ in 0..50 {
        let long = Http::new(&node.url()).login("ghost", &"x".repeat(2000));
        refused += usize::from(long.get("/api/dbs").await.status == 429);
    }
    assert!(refused >= 10, "{refused} guesses were refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_node_are_not_readable_by_other_users_of_the_machine() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = Cluster::start("access-files", 1).await;
    let node = &cluster.nodes[0];
    node.http().post("/api/dbs", &json!({"name": "shop"})).await.ok();
    let mut seen = 0;
    let mut dirs = vec![node.data_dir()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = path.metadata().expect("its data").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
            seen += 1;
            if path.is_dir() {
                dirs.push(path);
            }
        }
    }
    assert!(seen > 5, "{seen} files");
}
