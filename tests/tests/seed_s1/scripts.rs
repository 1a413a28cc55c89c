//! The scripts of the document.

use super::{Folder, PYTHON, SCRIPTS, address, cluster_with_groups, script};
use jettra_tests::{Cluster, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_run_as_written() {
    let mut cluster =
        cluster_with_groups("seed-s1-scripts", &["node1", "node2"], &["node2", "node3"]).await;
    let mut folder = Folder::new(&cluster.bed, "work", &cluster.nodes[2].url());
    folder.password = None;
    check_health_loop(&folder).await;
    check_auto_scaling(&mut cluster, &folder).await;
    check_rebalancing(&folder).await;
    check_backup_and_troubleshooting(&cluster, &folder).await;
    check_cron_job(&cluster, &folder).await;
    check_exporter(&cluster, &folder).await;
}

/// One round of the loop.
async fn check_health_loop(folder: &Folder) {
    let text = script("health-check.sh").replace("while true", "for round in once");
    folder.run("bash", &["-c", &text]).await.ok();
    assert_eq!(folder.read("mail.txt"), "", "nothing is wrong");
    let down = text.replace("jettra ", "jettra --host 127.0.0.1 --port 1 ");
    let ended = folder.run("bash", &["-c", &down]).await;
    let mail = folder.read("mail.txt");
    assert_eq!(
        mail, "-s Cluster Alert admin@example.com\nALERT: Cluster is null\n",
        "{}",
        ended.err
    );
    let kept: Value = serde_json::from_str(&folder.read("cluster-diagnostics.json")).expect("JSON");
    assert_eq!(kept["code"], "unreachable", "{kept}");
}

/// As written, which adds nothing unless this machine is busy, and with a load that is always high.
async fn check_auto_scaling(cluster: &mut Cluster, folder: &Folder) {
    let text = script("auto-scale.sh");
    let ended = folder.run("bash", &["-c", &text]).await;
    let said = ended.out.as_str();
    assert!(said.is_empty() || said.starts_with("High load detected: "), "{said} {}", ended.err);
    let index = cluster.add_waiting("node-worker-1700000000").await;
    folder.substitute("date", "echo 1700000000");
    let busy =
        text.replace("> 80", "> -1").replace("auto-scaled-node:8080", &address(cluster, index));
    let said = folder.run("bash", &["-c", &busy]).await.ok();
    std::fs::remove_file(folder.path.join("bin/date")).expect("removed");
    assert!(said.starts_with("High load detected: "), "{said}");
    assert!(said.ends_with("Added new node: node-worker-1700000000\n"), "{said}");
    cluster.wait_active(4).await;
    let removed = "remove-node --node-id node-worker-1700000000";
    folder.jettra(removed).await.ok();
}

/// The nodes of the document do not exist; then with those of this cluster.
async fn check_rebalancing(folder: &Folder) {
    let text = script("rebalance-shards.sh");
    let ended = folder.run("bash", &["-c", &text]).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("overloaded-node"), "{}", ended.err);
    let text = text.replace("overloaded-node", "node2").replace("underutilized-node", "node1");
    folder.run("bash", &["-c", &text]).await.ok();
    let before: Value = serde_json::from_str(&folder.read("current-shards.json")).expect("JSON");
    assert_eq!(before[1]["nodes"], json!(["node2", "node3"]), "{before}");
    wait_until("shard-05 is on node1", async || {
        let shard = folder.jettra("shard-status --shard-id shard-05 --format json").await.json();
        let moved = shard["health"] == "HEALTHY" && shard["nodes"].to_string().contains("node1");
        if moved { Ok(()) } else { Err(shard.to_string()) }
    })
    .await;
}

async fn check_backup_and_troubleshooting(cluster: &Cluster, folder: &Folder) {
    let found = folder.run("bash", &["-c", &script("backup-status.sh")]).await;
    assert_eq!(found.json(), json!([]), "all shards have two replicas");
    let kept = std::fs::read_dir(&folder.path).expect("the folder").filter_map(Result::ok);
    let kept: Vec<_> = kept.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let backup = kept.iter().find(|name| name.starts_with("cluster-backup-20"));
    let backup = folder.read(backup.expect("a file with the date"));
    let backup: Value = serde_json::from_str(&backup).expect("JSON");
    assert_eq!(backup["topology"]["status"], "HEALTHY");
    let text = script("troubleshooting.sh")
        .replace("localhost:8080", &address(cluster, 0))
        .replace("<node-id>", "node2")
        .replace("<shard-id>", "shard-01");
    let text = format!("set -e -o pipefail\n{text}");
    let said = folder.run("bash", &["-c", &text]).await.ok();
    for expected in ["\"status\":\"ok\"", "Node node2\n==", "│ node2 ", "Shard shard-01\n=="] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(said.trim_end().ends_with(']'), "the errors are an array: {said}");
}

/// The command of the CronJob, with this machine in place of its host and file.
async fn check_cron_job(cluster: &Cluster, folder: &Folder) {
    let text = script("cronjob.yaml");
    let command = text.lines().skip_while(|line| line.trim() != "command:").skip(1);
    let words = command.map_while(|line| line.trim().strip_prefix("- "));
    let words: Vec<_> = words.map(|word| word.trim_matches('"').to_owned()).collect();
    assert_eq!(words.len(), 9, "{words:?}");
    let address = address(cluster, 0);
    let (host, port) = address.rsplit_once(':').expect("a port");
    let file = format!("{PYTHON}/cluster_cli.py");
    let words: Vec<&str> = words
        .iter()
        .map(|word| match word.as_str() {
            "python" => "python3",
            "/scripts/cluster_cli.py" => &file,
            "jadevectordb-master" => host,
            "8080" => port,
            word => word,
        })
        .collect();
    let seen = folder.run(words[0], &words[1..]).await.json();
    assert_eq!(seen["topology"]["total_nodes"], 3, "{seen}");
    // As the CronJob would end without a node: it fails, and the answer is JSON still.
    let down: Vec<&str> =
        words.iter().map(|word| if *word == port { "1" } else { *word }).collect();
    let ended = folder.run(down[0], &down[1..]).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    let answer: Value = serde_json::from_str(&ended.out).expect("JSON");
    assert!(answer["error"].is_string(), "{answer}");
}

/// The exporter, until it has set its gauges.
async fn check_exporter(cluster: &Cluster, folder: &Folder) {
    let address = address(cluster, 0);
    let port = address.rsplit_once(':').expect("a port").1;
    let text = script("prometheus_exporter.py").replace("port=8080", &format!("port={port}"));
    std::fs::write(folder.path.join("prometheus_exporter.py"), text).expect("written");
    let mut command = folder.command("python3");
    command.env("PYTHONPATH", format!("{PYTHON}:{SCRIPTS}")).arg("prometheus_exporter.py");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("python3");
    let out = child.stdout.take().expect("its output");
    let reading = tokio::task::spawn_blocking(move || {
        BufReader::new(out).lines().take(2).map_while(Result::ok).collect::<Vec<_>>()
    });
    let lines = reading.await.expect("no panic");
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(lines, ["jadevectordb_cluster_nodes 3.0", "jadevectordb_cluster_shards 2.0"]);
}
