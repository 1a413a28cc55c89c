//! The table of tasks.

use jettra_tests::browser::Browser;
use jettra_tests::{Cluster, Documents};
use serde_json::json;

/// Documents of which the index takes long to build: each has 400 entries.
const MANY: usize = 4_000;

/// The building of an index is shown beside what keeps the data within its bounds, and cancelled.
pub(crate) async fn follows_a_task_and_cancels_it(browser: &Browser, cluster: &Cluster) {
    let documents = Documents::new(cluster.nodes[1].http(), "shop", "numbers");
    let numbers: Vec<_> = (0..400).collect();
    documents.insert_all((0..MANY).map(|id| json!({"_id": id, "k": numbers}))).await;
    browser.click("@nav-cluster").await;
    browser.see_text("@task-row[data-kind=trim-audit] @task-state", "waiting").await;
    browser.see_no("@task-row[data-kind=trim-audit] @task-cancel").await;
    documents.ask("indexes", json!({"keys": {"k": 1}, "wait": false})).await;
    let task = "@task-row[data-kind=index-build]";
    browser.see_text(&format!("{task} @task-progress"), "of 4,000").await;
    browser.click(&format!("{task} @task-cancel")).await;
    browser.see_text("@task-cancel-dialog", "k_1 of shop.numbers is dropped").await;
    browser.click("@task-cancel-dialog @confirm-ok").await;
    browser.see(&format!("{task}[data-state=cancelled]")).await;
    assert_eq!(documents.get("indexes").await.json()["indexes"], json!([]));
}
