//! The verbs of the example's `start.sh`, as `jettra dev` has them.

use super::{conf, example};
use jettra_tests::{Http, free_ports, program, wait_until};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `jettra dev` with these words, separated by spaces.
async fn dev(dir: &Path, words: &str) -> Ended {
    let mut command = Command::new(program("jettra"));
    command.arg("dev").args(words.split(' ')).current_dir(dir).env("HOME", dir);
    command.stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output().expect("the shell runs"));
    let output = running.await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

async fn ok(dir: &Path, words: &str) -> String {
    let ended = dev(dir, words).await;
    assert_eq!(ended.code, Some(0), "{words}: {} {}", ended.out, ended.err);
    ended.out
}

/// Stops the cluster even if the test fails.
struct Stop<'d>(&'d Path);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let stopping =
            Command::new(program("jettra")).args(["dev", "stop"]).current_dir(self.0).output();
        drop(stopping);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verbs_of_the_script_work() {
    let bed = jettra_tests::Bed::new("s3-dev").await;
    let dir = bed.dir();
    let port = free_ports(3);
    let logs = dir.join("dev-cluster/logs");
    let _stop = Stop(dir);
    ok(dir, &format!("start 3 --port {port}")).await;
    assert_eq!(ok(dir, "status").await.matches("running").count(), 3);
    let expected = ["node1", "node2", "node3"].map(|it| [format!("{it}.log"), format!("{it}.pid")]);
    assert_eq!(names(&logs), expected.concat());
    let test = ok(dir, "test").await;
    assert!(test.contains("All checks passed."), "{test}");

    // `logs` follows until it is ended; `-n` and `--no-follow` show the end only.
    assert!(ok(dir, "logs node1 --no-follow").await.contains("node1"));
    assert_eq!(ok(dir, "logs node2 -n 1").await.lines().count(), 1);
    let mut following = Command::new(program("jettra"));
    following.args(["dev", "logs", "node3"]).current_dir(dir).stdout(Stdio::piped());
    let mut following = following.spawn().expect("the shell runs");
    let mut shown = following.stdout.take().expect("its output");
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let mut part = [0; 4096];
        while !text.contains("a line that comes later") {
            let length = std::io::Read::read(&mut shown, &mut part).expect("more of the log");
            assert!(length > 0, "it has ended: {text}");
            text += &String::from_utf8_lossy(&part[..length]);
        }
    });
    let append = || {
        let file = fs::OpenOptions::new().append(true).open(logs.join("node3.log"));
        std::io::Write::write_all(&mut file.expect("the log"), b"a line that comes later\n")
    };
    append().expect("a line");
    tokio::time::timeout(jettra_tests::DEADLINE, reading).await.expect("it follows").expect("read");
    following.kill().expect("it is ended");
    following.wait().expect("it ends");

    // `clean` empties the logs of running nodes, and removes those of stopped ones.
    let cleaned = ok(dir, "clean").await;
    assert_eq!(cleaned.matches("Emptied").count(), 3, "{cleaned}");
    assert_eq!(fs::metadata(logs.join("node1.log")).expect("the log").len(), 0);
    assert_eq!(dev(dir, "destroy").await.code, Some(1), "a running cluster is not removed");
    ok(dir, "restart").await;
    ok(dir, "stop").await;
    assert_eq!(ok(dir, "status").await.matches("stopped").count(), 3);
    let cleaned = ok(dir, "clean").await;
    assert_eq!(cleaned.matches("Removed").count(), 3, "{cleaned}");
    assert_eq!(names(&logs), Vec::<String>::new());
    assert_eq!(ok(dir, "clean").await, "");
    ok(dir, "start").await;
    ok(dir, "stop").await;
    ok(dir, "destroy").await;
    assert!(!dir.join("dev-cluster").exists());
    assert_eq!(dev(dir, "status").await.code, Some(2), "there is no cluster any more");
}

/// A folder that an earlier version has created has its logs beside the nodes.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_an_earlier_version_goes_on() {
    let bed = jettra_tests::Bed::new("s3-dev-old").await;
    let (dir, port) = (bed.dir(), free_ports(1));
    let _stop = Stop(dir);
    ok(dir, &format!("up 1 --port {port}")).await;
    let root = dir.join("dev-cluster");
    for name in ["node1.log", "node1.pid"] {
        fs::rename(root.join("logs").join(name), root.join(name)).expect("it is moved");
    }
    fs::remove_dir(root.join("logs")).expect("it is empty");
    assert_eq!(ok(dir, "ps").await.matches("running").count(), 1);
    assert!(ok(dir, "logs node1 -n 100").await.contains("node1"));
    assert!(!root.join("node1.log").exists());
    ok(dir, "down").await;
    ok(dir, "destroy").await;
    assert!(!root.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_example_are_started_by_one_command() {
    let (cluster, _) = example("s3-dev-conf").await;
    let dir = cluster.bed.dir();
    fs::create_dir(dir.join("conf")).expect("a folder");
    for index in 0..3 {
        let name = format!("conf/node{}.toml", index + 1);
        fs::copy(conf(&cluster, index), dir.join(name)).expect("a copy");
    }
    let _stop = Stop(dir);
    let started = ok(dir, "start --conf conf").await;
    assert_eq!(started.matches("running").count(), 3, "{started}");
    let password = fs::read_to_string(dir.join("dev-cluster/admin-password")).expect("a password");
    let http = Http::new(&cluster.nodes[2].url()).login("admin", password.trim());
    wait_until("the first node leads", async || {
        let health = http.try_get("/health").await?.json();
        if health["current_leader"] == 1 { Ok(()) } else { Err(health.to_string()) }
    })
    .await;
    assert!(ok(dir, "test").await.contains("All checks passed."));
    ok(dir, "restart").await;
    assert_eq!(ok(dir, "status").await.matches("running").count(), 3);
    ok(dir, "stop").await;
    ok(dir, "destroy").await;
    let again = dev(dir, "start --conf conf").await;
    assert_eq!(again.code, Some(2), "{} {}", again.out, again.err);
    assert!(again.err.contains("the data of an earlier cluster"), "{}", again.err);
}
