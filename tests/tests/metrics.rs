//! What a node measures, as Prometheus and as rockraft's users read it, and its probes.

use jettra_tests::source::root;
use jettra_tests::{Cluster, Http, Settings, send, wait_until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The samples of a text by name and labels, after a check that each has a help and a type.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut helped, mut typed, mut found) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            typed.insert(name.to_owned(), kind.to_owned());
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a sample");
            let name = sample.split('{').next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                name.strip_suffix(end)
                    .filter(|family| typed.get(*family).is_some_and(|kind| kind == "histogram"))
            });
            let family = family.unwrap_or(name);
            assert!(helped.contains(family) && typed.contains_key(family), "{line}");
            assert_eq!(typed[family] == "counter", name.ends_with("_total"), "{line}");
            let value = value.parse().expect("a number");
            assert!(found.insert(sample.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    found
}

async fn scrape(http: &Http) -> BTreeMap<String, f64> {
    let answer = http.get("/metrics").await.ok();
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    samples(&answer.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_calls_groups_and_members() {
    let cluster = Cluster::start("metrics", 3).await;
    let leader = cluster.leader().await;
    let http = cluster.nodes[leader].http();
    let name = &cluster.nodes[leader].name;
    for _ in 0..5 {
        http.get("/api/v1/databases/none/collections/none/documents/1").await;
    }
    let found = scrape(&http).await;
    let route = "route=\"/api/v1/databases/{db}/collections/{col}/documents/{id}\"";
    let calls = format!("jettra_http_requests_total{{method=\"GET\",{route},status=\"404\"}}");
    assert_eq!(found.get(&calls), Some(&5.0), "{found:#?}");
    let count = format!("jettra_http_request_duration_seconds_count{{method=\"GET\",{route}}}");
    assert_eq!(found[&count], 5.0);
    assert_eq!(found["jettra_raft_is_leader{group=\"0\"}"], 1.0);
    assert_eq!(found["jettra_raft_voters{group=\"0\"}"], 3.0);
    assert_eq!(found[&format!("jettra_member_state{{node=\"{name}\",state=\"ACTIVE\"}}")], 1.0);
    assert!(found["jettra_storage_used_bytes{group=\"0\"}"] > 0.0);
    let lags = found.keys().filter(|key| key.starts_with("jettra_raft_lag_entries{group=\"0\""));
    assert_eq!(lags.count(), 3, "{found:#?}");
    let follower = cluster.nodes[cluster.follower().await].http();
    let other = scrape(&follower).await;
    assert_eq!(other["jettra_raft_is_leader{group=\"0\"}"], 0.0);
    assert_eq!(other["jettra_raft_has_leader{group=\"0\"}"], 1.0);

    // Calls of clients make no new series: they are counted by route.
    for number in 0..300 {
        http.get(&format!("/api/v1/databases/d{number}/collections/c/documents/1")).await;
        http.get(&format!("/unknown/{number}")).await;
    }
    let of_route = |found: &BTreeMap<String, f64>| {
        found.keys().filter(|key| key.contains(route)).cloned().collect::<Vec<_>>()
    };
    let after = scrape(&http).await;
    assert_eq!(after[&calls], 305.0);
    assert_eq!(of_route(&after), of_route(&found));
    assert!(!after.keys().any(|key| key.contains("unknown")), "{after:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consensus_is_shown_as_rockraft_shows_it() {
    let adjust = |settings: Settings| settings.key("MetricsDefault", "json");
    let cluster = Cluster::start_with("metrics-json", 1, adjust).await;
    let http = cluster.nodes[0].http();
    let found = http.get("/metrics").await.ok().json();
    assert_eq!((&found["node_id"], &found["current_leader"]), (&json!("node1"), &json!("node1")));
    assert_eq!(found["state"], "Leader");
    for field in ["last_applied", "membership"] {
        assert!(found[field].is_object(), "{found}");
    }
    assert!(found["current_term"].is_u64() && found["last_log_index"].is_u64(), "{found}");
    let text = http.request("GET", "/metrics").header("accept", "text/plain").send().await;
    let text = text.expect("an answer").text().await.expect("a text");
    assert!(samples(&text).contains_key("jettra_ready"), "{text}");
    let nobody = Http::new(&cluster.nodes[0].url());
    assert_eq!(nobody.get("/metrics").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_majority_lives_and_is_not_ready() {
    let mut cluster = Cluster::start("metrics-ready", 3).await;
    let open = Http::new(&cluster.nodes[0].url());
    let ready = open.get("/readyz").await.ok();
    assert!(ready.text.starts_with("[+]serving ok\n[+]quorum ok\n"), "{}", ready.text);
    assert!(ready.text.ends_with("readyz check passed\n"), "{}", ready.text);
    cluster.nodes[1].kill();
    cluster.nodes[2].kill();
    wait_until("it is not ready", async || {
        let ready = open.get("/readyz").await;
        let text = &ready.text;
        match ready.status == 503
            && text.contains("[-]quorum failed: ")
            && text.contains("[!]group 0: ")
        {
            true => Ok(()),
            false => Err(format!("{} {text}", ready.status)),
        }
    })
    .await;
    assert_eq!(open.get("/livez").await.ok().text, "ok");
    cluster.nodes[1].start();
    wait_until("it is ready again", async || match open.get("/readyz").await {
        ready if ready.status == 200 => Ok(()),
        ready => Err(ready.text),
    })
    .await;
}

/// What the alerts and the dashboard name is measured.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboard_name_what_a_node_measures() {
    let cluster = Cluster::start("metrics-names", 1).await;
    let found = scrape(&cluster.nodes[0].http()).await;
    let base = |name: &str| name.split('{').next().unwrap_or_default().to_owned();
    let measured: BTreeSet<_> = found.keys().map(|name| base(name)).collect();
    for path in ["packaging/prometheus/jettra.rules.yml", "packaging/grafana/jettra.json"] {
        let text = std::fs::read_to_string(root().join(path)).expect("a file");
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let named: BTreeSet<_> = words
            .filter(|word| word.starts_with("jettra_") || word.starts_with("process_"))
            .collect();
        assert!(named.len() > 10, "{path}: {named:?}");
        // What only a leader of others knows is not there on a node of its own.
        let missing: Vec<_> = named.into_iter().filter(|name| !measured.contains(*name)).collect();
        assert!(missing.is_empty(), "{path} names {missing:?}");
    }
}

/// A call has one name at every node that works on it, and in its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_the_name_that_its_caller_gives_it() {
    let adjust = |settings: Settings| settings.key("LogFormat", "json").key("SlowMs", 1);
    let cluster = Cluster::start_with("metrics-name", 3, adjust).await;
    let leader = cluster.leader().await;
    let http = cluster.nodes[cluster.follower().await].http();
    let named = async |name: &'static str, value: &'static str, target: &str, body: Value| {
        send(http.request("POST", target).header(name, value).json(&body)).await
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (name, value, id) in [
        ("x-request-id", "order:17", Some("order:17")),
        ("traceparent", trace, Some("4bf92f3577b34da6a3ce929d0e0e4736")),
        ("x-request-id", "two words", None),
        ("traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
    ] {
        let answer = named(name, value, "/api/cols", json!({"database": "none"})).await;
        let given = answer.header("x-request-id");
        assert_eq!(answer.json()["error"]["request_id"], given, "{}", answer.text);
        assert!(id.map_or(!given.is_empty() && given != value, |id| id == given), "{given}");
    }
    // A password takes longer to verify than a millisecond, and the leader verifies it.
    let login = json!({"username": "admin", "password": jettra_tests::PASSWORD});
    let answer = named("x-request-id", "morning", "/api/login", login).await.ok();
    assert_eq!(answer.header("x-request-id"), "morning");
    let log = cluster.nodes[leader].log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let slow: Vec<_> = lines.filter(|line| line["message"] == "a slow call").collect();
    let login = slow.iter().find(|line| line["request_id"] == "morning");
    let login = login.unwrap_or_else(|| panic!("{slow:#?}"));
    assert_eq!((&login["path"], &login["status"]), (&json!("/api/login"), &json!(200)));
    assert!(login["ms"].as_u64().is_some_and(|ms| ms >= 1), "{login}");
}
