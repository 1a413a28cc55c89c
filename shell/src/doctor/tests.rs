//! Tests of the findings.

use super::*;
use serde_json::{Value, json};

fn ready() -> Value {
    json!({"ready": true, "checks": [{"name": "disk", "ok": true, "needed": false}]})
}

fn member(name: &str) -> Value {
    json!({
        "_id": name, "id": name, "raft_id": 1, "url": format!("http://{name}:8080"),
        "role": "FOLLOWER", "status": "ACTIVE",
        "program": {"version": "1.2.3", "oldest_level": 1, "newest_level": 2},
    })
}

fn cluster() -> Value {
    json!({
        "enabled": true, "nodeId": "n1", "state": "LEADER", "leaderId": "n1", "term": 4, "clusterId": "c",
        "appliedIndex": 9, "quorum": 2, "health": "ok", "groups": [{"id": 0, "feature_level": 2}],
        "nodes": [member("n1"), member("n2"), member("n3")],
    })
}

fn health(name: &str) -> Value {
    json!({
        "node_id": name, "role": "WORKER", "address": format!("{name}:8080"), "status": "HEALTHY",
        "reachable": true, "shards": 1, "raft_id": 1,
        "usage": {
            "cpu_usage": 1.0, "process_cpu_usage": 1.0, "processors": 2, "memory_usage": 40.0,
            "memory_bytes": 1000, "memory_available_bytes": 600, "resident_bytes": 10, "disk_usage": 50.0,
            "disk_bytes": 1000, "disk_free_bytes": 500, "data_bytes": 1, "uptime_ms": 1, "open_files": 90,
            "open_files_max": 65536,
        },
    })
}

fn group(id: u64) -> Value {
    let replica = |node: &str| json!({"node": node, "replica": 5, "state": "ACTIVE", "wanted": true, "voter": true, "lag": 0});
    json!({
        "id": id, "state": "ACTIVE", "ready": true, "initialized": true, "leader": "n1",
        "replication_factor": if id == 0 { 5 } else { 3 }, "members": ["n1", "n2", "n3"],
        "observers": [], "replicas": [replica("n1"), replica("n2"), replica("n3")], "databases": [],
    })
}

fn diagnostics() -> Value {
    json!({
        "collected_by": "n1", "time_ms": 10_000_000,
        "topology": {
            "master_node": "n1", "total_nodes": 3, "active_nodes": 3, "total_shards": 1,
            "status": "HEALTHY", "replication_factor": 3, "unavailable_nodes": [],
            "under_replicated_shards": [], "reasons": [],
        },
        "nodes": [health("n1"), health("n2"), health("n3")], "shards": [],
        "replication": [group(0), group(3)],
        "performance": {
            "cpu_usage": null, "memory_usage": null, "disk_usage": null, "memory_bytes": 0,
            "resident_bytes": 0, "disk_bytes": 0, "disk_free_bytes": 0, "data_bytes": 0, "documents": 0,
            "bytes": 0, "reporting_nodes": 3, "total_nodes": 3, "missing": [], "nodes": [],
        },
        "errors": [],
    })
}

/// A healthy cluster, after a change of what is known of it.
fn seen(change: impl Fn(&mut Value, &mut Value)) -> Examined {
    let (mut cluster, mut diagnostics) = (cluster(), diagnostics());
    change(&mut cluster, &mut diagnostics);
    let probe = |name: &str| Probed {
        node: name.into(),
        url: format!("http://{name}:8080"),
        answer: Ok(Answer { name: name.into(), ready: serde_json::from_value(ready()).unwrap() }),
    };
    Examined {
        cluster: serde_json::from_value(cluster).unwrap(),
        diagnostics: Ok(serde_json::from_value(diagnostics).unwrap()),
        probes: ["n1", "n2", "n3"].map(probe).to_vec(),
        later: None,
    }
}

/// What is not `OK`, as `severity check message`, with a next step each.
fn wrong(seen: &Examined) -> Vec<String> {
    let found = findings(seen);
    let wrong = found.iter().filter(|finding| finding.severity > Severity::Ok);
    let text = |finding: &Finding| {
        assert!(finding.next_step.as_ref().is_some_and(|next| !next.is_empty()), "{finding:?}");
        format!("{} {} {}", finding.severity, finding.check, finding.message)
    };
    wrong.map(text).collect()
}

#[test]
fn a_healthy_cluster_has_one_line_for_each_check() {
    let found = findings(&seen(|_, _| {}));
    let checks: Vec<&str> = found.iter().map(|finding| finding.check).collect();
    let expected = [
        "nodes",
        "quorum",
        "states",
        "groups",
        "replicas",
        "placement",
        "clocks",
        "disk",
        "memory",
        "files",
        "logs",
        "features",
    ];
    assert_eq!(checks, expected);
    assert!(found.iter().all(|finding| finding.severity == Severity::Ok), "{found:#?}");
    assert_eq!(found[0].message, "3 of 3 nodes answer");
    assert_eq!(found[1].message, "3 nodes vote: 1 of them may fail");
}

#[test]
fn a_dead_node_and_a_network_that_is_cut_are_two_findings() {
    let silent = |here: bool, there: bool| {
        let mut seen = seen(|_, diagnostics| diagnostics["nodes"][2]["reachable"] = json!(there));
        if !here {
            seen.probes[2].answer = Err("connection refused".into());
        }
        wrong(&seen)
    };
    let table = [
        (false, false, "ERROR nodes n3 does not answer at http://n3:8080: connection refused"),
        (true, false, "ERROR nodes n3 answers here, but not n1: it does not answer"),
        (
            false,
            true,
            "WARNING nodes n3 answers n1, but not here at http://n3:8080: connection refused",
        ),
    ];
    for (here, there, expected) in table {
        assert_eq!(silent(here, there), [expected]);
    }
    assert!(silent(true, true).is_empty());
    let mut other = seen(|_, _| {});
    other.probes[1].answer = Ok(Answer { name: "n9".into(), ready: None });
    assert_eq!(wrong(&other), ["ERROR nodes at http://n2:8080 answers n9 instead of n2"]);
}

/// Each of these changes has one finding.
#[test]
fn each_problem_has_a_finding() {
    type Change = fn(&mut Value, &mut Value);
    let table: [(Change, &str); 21] = [
        (
            |c, _| c["nodes"][1]["problem"] = json!("disk full"),
            "ERROR nodes n2 does not get the log: disk full",
        ),
        (|_, d| d["nodes"][1]["status"] = json!("PAUSED"), "WARNING states n2 is PAUSED"),
        (|_, d| d["nodes"][1]["status"] = json!("UNHEALTHY"), "ERROR states n2 is UNHEALTHY"),
        (
            |c, _| drop(c["nodes"].as_array_mut().unwrap().pop()),
            "WARNING quorum there are two nodes",
        ),
        (
            |c, _| c["nodes"].as_array_mut().unwrap().push(member("n4")),
            "WARNING quorum 4 nodes vote",
        ),
        (|_, d| unready(&mut d["replication"][1], None), "ERROR groups group 3 has no leader"),
        (
            |_, d| unready(&mut d["replication"][0], Some("n1")),
            "ERROR groups the system group has no quorum",
        ),
        (
            |_, d| d["replication"][1]["state"] = json!("REMOVING"),
            "WARNING groups group 3 is being removed",
        ),
        (
            |_, d| replica(d)["lag"] = json!(5000),
            "ERROR replicas the replica of group 3 on n3 does not catch up",
        ),
        (|_, d| replica(d)["state"] = json!("JOINING"), "WARNING replicas group 3 is copied to n3"),
        (
            |_, d| replica(d)["silent_ms"] = json!(9),
            "WARNING placement group 3 is under-replicated: 2 of 3",
        ),
        (
            |_, d| d["replication"][1]["replication_factor"] = json!(5),
            "WARNING placement group 3 is under-replicated: it is to have 5 voters",
        ),
        (
            |_, d| d["replication"][1]["waits_for"] = json!("n4 to be admitted"),
            "WARNING placement a replica of group 3 moves, and waits for n4 to be admitted",
        ),
        (|_, d| warnings(d), "WARNING clocks n2 is 5 s ahead"),
        (|_, d| usage(d)["disk_usage"] = json!(96.0), "ERROR disk the disk of n2 is 96 % full"),
        (|_, d| usage(d)["disk_usage"] = json!(86.0), "WARNING disk the disk of n2 is 86 % full"),
        (|_, d| usage(d)["memory_usage"] = json!(97.0), "WARNING memory 97 % of the memory"),
        (|_, d| usage(d)["open_files"] = json!(60000), "WARNING files n2 has 60000 of 65536"),
        (|_, d| usage(d)["open_files_max"] = json!(1024), "WARNING files n2 may open 1024 files"),
        (
            |c, _| old_node(c),
            "WARNING features the feature level is 1, though there are nodes that support 2: n3 (1.2.3) cannot",
        ),
        (
            |c, _| c["nodes"][2]["program"]["version"] = json!("1.2.4"),
            "WARNING features the nodes run different versions: 1.2.3, 1.2.4",
        ),
    ];
    for (change, expected) in table {
        let found = wrong(&seen(change));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{expected}: {found:#?}");
    }
}

fn unready(group: &mut Value, leader: Option<&str>) {
    group["ready"] = json!(false);
    group["leader"] = json!(leader);
}

fn old_node(cluster: &mut Value) {
    cluster["groups"][0]["feature_level"] = json!(1);
    cluster["nodes"][2]["program"]["newest_level"] = json!(1);
}

fn replica(diagnostics: &mut Value) -> &mut Value {
    &mut diagnostics["replication"][1]["replicas"][2]
}

fn usage(diagnostics: &mut Value) -> &mut Value {
    &mut diagnostics["nodes"][1]["usage"]
}

/// Two nodes say the same of a third.
fn warnings(diagnostics: &mut Value) {
    for node in [0, 2] {
        diagnostics["nodes"][node]["warnings"] = json!(["n2 is 5 s ahead"]);
    }
}

#[test]
fn a_replica_that_catches_up_is_no_error() {
    let mut lagging = seen(|_, diagnostics| replica(diagnostics)["lag"] = json!(5000));
    let groups = &lagging.diagnostics.as_ref().unwrap().replication;
    assert_eq!(lags(groups), [(3, "n3".to_owned())]);
    let mut later = groups.clone();
    later[1].replicas[2].lag = Some(4000);
    lagging.later = Some(later);
    let expected =
        "WARNING replicas the replica of group 3 on n3 catches up: it lacks 4000 entries";
    assert_eq!(wrong(&lagging), [expected]);
}

#[test]
fn a_disk_without_space_is_an_error_of_its_node() {
    let mut full = seen(|_, _| {});
    let checks =
        json!([{"name": "disk", "ok": false, "needed": false, "reason": "10 MB are free"}]);
    full.probes[0].answer = Ok(Answer {
        name: "n1".into(),
        ready: serde_json::from_value(json!({"ready": true, "checks": checks})).unwrap(),
    });
    assert_eq!(wrong(&full), ["ERROR disk n1 refuses writes: 10 MB are free"]);
}

#[test]
fn only_errors_of_the_last_hour_count() {
    let logged = |at: u64, severity: &str| json!({"message": format!("at {at}"), "severity": severity, "node_id": "n2", "time_ms": at});
    let found = wrong(&seen(|_, diagnostics| {
        let all = [logged(9_900_000, "error"), logged(9_800_000, "error"), logged(1, "error")];
        diagnostics["errors"] = json!(all);
    }));
    assert_eq!(
        found,
        ["WARNING logs n2 has logged 2 errors in the last hour, the last: at 9900000"]
    );
    let found = wrong(&seen(|_, diagnostics| {
        diagnostics["errors"] = json!([logged(9_900_000, "warning"), logged(1, "error")]);
    }));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn without_diagnostics_the_nodes_are_still_examined() {
    let mut blind = seen(|_, _| {});
    blind.diagnostics = Err("no answer in time".into());
    blind.probes[2].answer = Err("connection refused".into());
    let expected = [
        "ERROR nodes n3 does not answer at http://n3:8080: connection refused",
        "ERROR diagnostics the nodes were not asked: no answer in time",
    ];
    assert_eq!(wrong(&blind), expected);
    assert_eq!(nobody("refused\nmore").message, "refused");
    assert!(outside("it is not registered").next_step.unwrap().contains("--bootstrap"));
}
