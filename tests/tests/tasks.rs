//! Tasks: following, cancelling and waiting for the building of an index, also under another leader.

use jettra_driver::TaskQuery;
use jettra_driver::wire::{TaskInfo, TaskState};
use jettra_tests::{Cluster, Documents, PASSWORD, program, wait_until};
use serde_json::{Value, json};
use std::process::{Command, Output, Stdio};

/// Documents whose index takes many steps to build: each has as many entries as [`ENTRIES`].
const MANY: usize = 2_000;
const ENTRIES: usize = 400;

/// Three nodes with a collection that takes long to index.
async fn three(name: &str) -> (Cluster, Documents) {
    let cluster = Cluster::start(name, 3).await;
    cluster.client().create_database("shop").await.expect("a database");
    let http = cluster.nodes[cluster.follower().await].http();
    let documents = Documents::new(http, "shop", "c");
    let numbered = |number: usize| json!({"_id": number, "k": (0..ENTRIES).collect::<Vec<_>>()});
    documents.insert_all((0..MANY).map(numbered)).await;
    (cluster, documents)
}

/// Begins to build the index and returns its task.
async fn begin(cluster: &Cluster, documents: &Documents) -> TaskInfo {
    documents.ask("indexes", json!({"keys": {"k": 1}, "wait": false})).await;
    let client = cluster.client();
    let query = TaskQuery { kind: Some("index-build".into()), ..TaskQuery::default() };
    wait_until("the task is listed", async || {
        let mut found = client.list_tasks(&query).await.map_err(|error| error.to_string())?.tasks;
        found.pop().ok_or_else(|| "no task".to_owned())
    })
    .await
}

async fn run_shell(cluster: &Cluster, words: &[&str]) -> Output {
    let mut command = Command::new(program("jettra"));
    let dir = cluster.bed.dir();
    let url = cluster.nodes[cluster.running()[0]].url();
    command.args(["--url", &url]).args(words).current_dir(dir).env("HOME", dir);
    command.env("JETTRA_PASSWORD", PASSWORD).env_remove("JETTRA_URL").stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || command.output().expect("the shell runs"));
    run.await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_building_of_an_index_is_followed_to_its_end() {
    let (cluster, documents) = three("tasks-build").await;
    let task = begin(&cluster, &documents).await;
    assert_eq!((task.collection.as_deref(), task.index.as_deref()), (Some("c"), Some("k_1")));
    assert_eq!((task.total, task.cancellable), (Some(MANY as u64), true));
    // From a node that does not lead.
    let client = cluster.client_of(cluster.follower().await);
    let mut events = client.task_events(&task.id).await.expect("events");
    let mut seen = Vec::new();
    while let Some(task) = events.next().await {
        seen.push(task.expect("a state"));
    }
    let last = seen.last().expect("a last state");
    assert_eq!((last.state, last.done), (TaskState::Done, MANY as u64));
    let under_way = |task: &TaskInfo| {
        task.state == TaskState::Running && 0 < task.done && task.done < MANY as u64
    };
    assert!(seen.iter().any(under_way), "{seen:?}");
    assert!(seen.is_sorted_by_key(|task| task.done), "{seen:?}");
    assert_eq!(documents.index_info("k_1").await["state"], "ready");
    let ended = run_shell(&cluster, &["wait", &task.id]).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    client.cancel_task(&task.id).await.expect_err("it has ended");
    assert_eq!(client.task("index-build-99").await.unwrap_err().code(), Some("task_not_found"));
    let error = client.cancel_task("trim-audit").await.unwrap_err();
    assert_eq!(error.code(), Some("not_possible_now"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_leaves_no_index() {
    let (cluster, documents) = three("tasks-cancel").await;
    let task = begin(&cluster, &documents).await;
    let words = ["wait", task.id.as_str()];
    let waiting = run_shell(&cluster, &words);
    let cancelling = async {
        let client = cluster.client();
        let cancelled = client.cancel_task(&task.id).await.expect("it is cancelled");
        assert_eq!(cancelled.state, TaskState::Cancelled);
        client.cancel_task(&task.id).await.expect("it was cancelled before");
        let ended = client.wait_for_task(&task.id).await.expect("its end");
        assert_eq!(ended.state, TaskState::Cancelled);
    };
    let (waited, ()) = tokio::join!(waiting, cancelling);
    assert_eq!(waited.status.code(), Some(1), "{waited:?}");
    assert!(String::from_utf8_lossy(&waited.stderr).contains("cancelled"), "{waited:?}");
    let indexes = documents.get("indexes").await.json();
    assert_eq!(indexes["indexes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_on_with_the_same_id_under_another_leader() {
    let (mut cluster, documents) = three("tasks-leader").await;
    let task = begin(&cluster, &documents).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let client = cluster.client_of(follower);
    let id = task.id.clone();
    let waiting = tokio::spawn(async move { client.wait_for_task(&id).await });
    cluster.nodes[leader].kill();
    let ended = waiting.await.expect("no panic").expect("its end");
    assert_eq!((ended.id, ended.state), (task.id, TaskState::Done));
    let there = documents.through(cluster.nodes[follower].http());
    let filter = json!({"filter": {"k": 7}, "hint": {"k": 1}});
    assert_eq!(there.ask("count", filter).await["count"], MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_the_tasks_of_the_databases_that_it_may_read() {
    let cluster = Cluster::start("tasks-rights", 1).await;
    let http = cluster.nodes[0].http();
    for database in ["mine", "theirs"] {
        let documents = Documents::new(cluster.nodes[0].http(), database, "c");
        http.post("/api/dbs", &json!({"name": database})).await.ok();
        documents.index(json!({"at": 1}), json!({"expireAfterSeconds": 60})).await;
    }
    let user = json!({
        "username": "ada", "password": "a long password", "role": "reader", "allowed_dbs": ["mine"],
    });
    http.post("/api/v1/users", &user).await.ok();
    let listed = |tasks: &Value| -> Vec<String> {
        let ids = tasks["tasks"].as_array().expect("tasks").iter();
        ids.map(|task| task["id"].as_str().expect("an id").to_owned()).collect()
    };
    wait_until("both tasks are listed", async || {
        let all = listed(&http.get("/api/v1/tasks?kind=expiry").await.json());
        if all == ["expiry-1", "expiry-2"] { Ok(()) } else { Err(format!("{all:?}")) }
    })
    .await;
    let ada = http.login("ada", "a long password");
    assert_eq!(listed(&ada.get("/api/v1/tasks").await.json()), ["expiry-1"]);
    ada.get("/api/v1/tasks/expiry-1").await.ok();
    for hidden in ["expiry-2", "trim-audit"] {
        ada.get(&format!("/api/v1/tasks/{hidden}")).await.refused(404, "task_not_found");
    }
    ada.get("/api/v1/tasks?database=theirs").await.refused(403, "forbidden");
    ada.post("/api/v1/tasks/expiry-1/cancel", &json!({})).await.refused(403, "forbidden");
    http.get("/api/v1/tasks?state=late").await.refused(400, "invalid_parameter");
    let waiting = http.get("/api/v1/tasks?state=waiting&database=mine&limit=1").await.json();
    assert_eq!((listed(&waiting), &waiting["total"]), (vec!["expiry-1".to_owned()], &json!(1)));
}
