//! A user on the page of a real cluster, from the first wrong password to logging out.

mod groups;
mod handling;
mod statements;
mod status;
mod tasks;

use jettra_tests::browser::Browser;
use jettra_tests::{ADMIN, Cluster, PASSWORD, wait_until};
use serde_json::{Value, json};

/// Does not fit the 53 bits of a JavaScript number.
const BIG: &str = "9223372036854775807";
const NAME: &str = "Zoë 李小龙 🦀";
/// Markup that sets a flag if it is ever treated as more than text.
const IMAGE: &str = "<img src=x onerror=window.broken=1>";
const SCRIPT: &str = "<script>window.broken=1</script>";
const DOCUMENTS: &str = "/api/v1/databases/shop/collections/people/documents";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_works_with_the_page() {
    let mut cluster = Cluster::start("browser", 3).await;
    let browser = Browser::start().await;
    let page = cluster.nodes[0].url();
    browser.open(&page).await;
    browser.see("@login-submit").await;
    handling::loads_little(&browser, "the log-in").await;
    logs_in(&browser).await;
    browser.forget_files().await;
    browser.open(&format!("{page}/?again")).await;
    sees_a_healthy_cluster(&browser).await;
    handling::loads_little(&browser, "the cluster").await;
    browser.run("window.never_reloaded = true", vec![]).await;
    creates_a_collection(&browser).await;
    inserts_a_document(&browser).await;
    edits_it(&browser).await;
    overwrites_what_another_saved(&browser, &cluster).await;
    deletes_it(&browser, "p1").await;
    works_with_an_object_id(&browser, &cluster).await;
    turns_pages(&browser, &cluster).await;
    handling::sorts_by_a_header(&browser).await;
    handling::opens_a_document_by_a_click_and_by_keys(&browser).await;
    handling::leaves_errors_where_they_were(&browser).await;
    handling::reads_a_filter_as_the_shell_writes_it(&browser).await;
    handling::reads_values_as_the_server_does(&browser, &cluster).await;
    chooses_how_fresh_reads_are(&browser).await;
    restores_a_version(&browser, &cluster).await;
    undeletes_a_document(&browser).await;
    reads_the_collection_as_it_was(&browser).await;
    watches_what_others_change(&browser, &cluster).await;
    writes_once_though_an_answer_is_lost(&browser).await;
    commits_a_transaction(&browser, &cluster).await;
    begins_again_after_a_conflict(&browser, &cluster).await;
    ends_an_open_transaction(&browser).await;
    tasks::follows_a_task_and_cancels_it(&browser, &cluster).await;
    groups::sees_groups_and_their_replicas(&browser, &cluster).await;
    statements::shows_the_first_page_and_more(&browser).await;
    statements::asks_before_many_documents_are_changed(&browser, &cluster).await;
    statements::explains_what_a_statement_would_do(&browser).await;
    statements::hints_at_the_page_instead_of_http(&browser).await;
    handling::fits_at_every_width(&browser).await;
    sees_a_node_die_and_come_back(&browser, &mut cluster).await;
    promotes_another_node(&browser, &cluster).await;
    assert_eq!(browser.run("return window.never_reloaded", vec![]).await, true);
    status::continues_at_another_node(&browser, &mut cluster).await;
    logs_out(&browser).await;

    assert_eq!(browser.run("return window.broken ?? null", vec![]).await, Value::Null);
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    browser.close().await;
}

async fn logs_in(browser: &Browser) {
    browser.fill("@login-username", ADMIN).await;
    browser.fill("@login-password", "not the password").await;
    browser.click("@login-submit").await;
    browser.see("@login-error [data-code=bad_credentials]").await;
    browser.fill("@login-password", PASSWORD).await;
    browser.click("@login-submit").await;
    browser.see_text("@session-user", ADMIN).await;
}

async fn sees_a_healthy_cluster(browser: &Browser) {
    browser.see_count("@node-card[data-status=ACTIVE]", 3).await;
    browser.see_count("@node-card[data-role=LEADER]", 1).await;
    browser.see_count("@leader-crown", 1).await;
    browser.see("@node-card[data-node=node1][data-role=LEADER] @leader-crown").await;
    browser.see_text("@health-sentence", "All 3 nodes are active").await;
}

async fn creates_a_collection(browser: &Browser) {
    browser.click("@nav-browse").await;
    browser.click("@empty-db-create").await;
    browser.fill("@name-input", "shop").await;
    browser.click("@confirm-ok").await;
    browser.click("@empty-col-create").await;
    browser.fill("@name-input", "people").await;
    browser.click("@confirm-ok").await;
    browser.see("@col-item[data-name=people]").await;
}

/// The document as typed; in the table, markup is text and numbers are exact.
async fn inserts_a_document(browser: &Browser) {
    let text = format!(
        r#"{{"_id": "p1", "n": {BIG}, "name": "{NAME}", "a": "{IMAGE}", "b": "{SCRIPT}"}}"#
    );
    browser.click("@empty-doc-insert").await;
    browser.fill("@doc-editor", &text).await;
    browser.click("@doc-save").await;
    for part in [BIG, NAME, IMAGE, SCRIPT] {
        browser.see_text("@doc-row[data-id=p1]", part).await;
    }
    browser.see_no("#app main img, #app script").await;
    browser.click("@view-json").await;
    browser.see_text("li@doc-row[data-id=p1]", IMAGE).await;
    browser.see_no("#app main img, #app script").await;
    browser.click("@view-table").await;
}

async fn edits_it(browser: &Browser) {
    browser.click("[data-id=p1] @doc-edit").await;
    let text = browser.value("@doc-editor").await;
    assert!(text.contains(BIG), "{text}");
    browser.fill("@doc-editor", &text.replace(NAME, "edited")).await;
    browser.click("@doc-save").await;
    browser.see_text("@doc-row[data-id=p1]", "edited").await;
    browser.see_text("@doc-row[data-id=p1]", BIG).await;
}

async fn overwrites_what_another_saved(browser: &Browser, cluster: &Cluster) {
    browser.click("[data-id=p1] @doc-edit").await;
    let text = browser.value("@doc-editor").await;
    let theirs = json!({"_id": "p1", "name": "theirs"});
    let path = format!("{DOCUMENTS}/p1");
    cluster.nodes[1].http().json("PUT", &path, &theirs).await.ok();
    browser.fill("@doc-editor", &text.replace("edited", "mine")).await;
    browser.click("@doc-save").await;
    browser.see_text("@doc-conflict", "was changed while you were editing").await;
    browser.see_text("@conflict-theirs @difference[data-path=name] del", "edited").await;
    browser.see_text("@conflict-theirs @difference[data-path=name] ins", "theirs").await;
    browser.see_text("@conflict-mine @difference[data-path=name] del", "theirs").await;
    browser.see_text("@conflict-mine @difference[data-path=name] ins", "mine").await;
    browser.see_text("@conflict-mine @difference[data-path=n][data-kind=added]", BIG).await;
    browser.click("@conflict-overwrite").await;
    browser.see_no("@doc-dialog").await;
    browser.see_text("@doc-row[data-id=p1]", "mine").await;
    let saved = cluster.nodes[2].http().get(&path).await.ok();
    assert!(saved.text.contains("mine") && saved.text.contains(BIG), "{}", saved.text);
}

async fn deletes_it(browser: &Browser, id: &str) {
    browser.click(&format!("[data-id*='{id}'] @doc-delete")).await;
    browser.click("@confirm-ok").await;
    browser.see("@empty-doc-insert").await;
    browser.see_no("@doc-row").await;
}

/// An `_id` is a value of any type; the page names the document by it in every call. Types that plain
/// numbers do not show are kept when the document is edited.
async fn works_with_an_object_id(browser: &Browser, cluster: &Cluster) {
    let id = "507f1f77bcf86cd799439011";
    let row = format!("@doc-row[data-id*='{id}']");
    browser.click("@empty-doc-insert").await;
    let text = format!(
        r#"{{_id: ObjectId("{id}"), long: NumberLong(5), d: ISODate("2026-01-31T12:00:00Z"), f: 5.0,
            o: {{constructor: 1}}, n: "first"}}"#
    );
    browser.fill("@doc-editor", &text).await;
    browser.click("@doc-save").await;
    browser.see_text(&row, "first").await;
    browser.click(&format!("{row} @doc-edit")).await;
    let text = browser.value("@doc-editor").await;
    browser.fill("@doc-editor", &text.replace("first", "second")).await;
    browser.click("@doc-save").await;
    browser.see_text(&row, "second").await;
    let path = format!("{DOCUMENTS}/{id}?id_type=oid&extended_json=canonical");
    let saved = cluster.nodes[1].http().get(&path).await.ok().json();
    assert_eq!(saved["long"], json!({"$numberLong": "5"}));
    assert_eq!(saved["o"], json!({"constructor": {"$numberInt": "1"}}));
    assert_eq!(saved["f"], json!({"$numberDouble": "5.0"}));
    assert_eq!(saved["d"], json!({"$date": {"$numberLong": "1769860800000"}}));
    deletes_it(browser, id).await;
}

/// Each level is sent with its parameters, and answered.
async fn chooses_how_fresh_reads_are(browser: &Browser) {
    let asked = "return performance.getEntriesByType('resource').map((entry) => entry.name)
        .some((name) => new RegExp(arguments[0]).test(name))";
    for (level, parameters) in [
        ("session", "find[?]level=session&index=[1-9]"),
        ("bounded", "find[?]level=bounded&freshness=2s"),
        ("leader", "find[?]level=leader"),
        ("auto", "find[?]level=auto"),
        ("local", "find[?]level=local"),
        ("linearizable", "find[?]level=linearizable"),
    ] {
        browser.click(&format!("@read-level option[value={level}]")).await;
        wait_until(&format!("documents are read at {level}"), async || {
            let found = browser.run(asked, vec![json!(parameters)]).await;
            if found == true { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
        browser.see_count("@local-notice", usize::from(level == "local")).await;
        browser.see_no("@docs-error").await;
        browser.see_count("@doc-row", 10).await;
    }
}

async fn turns_pages(browser: &Browser, cluster: &Cluster) {
    for number in 1..=25 {
        let document = json!({"_id": number});
        cluster.nodes[0].http().post(DOCUMENTS, &document).await.ok();
    }
    browser.click("@docs-reload").await;
    browser.see_text("@page-info", "1–10 of 25").await;
    browser.see_count("@doc-row", 10).await;
    browser.click("@page-next").await;
    browser.see_text("@page-info", "11–20 of 25").await;
    browser.click("@page-last").await;
    browser.see_text("@page-info", "21–25 of 25").await;
    browser.see_count("@doc-row", 5).await;
    browser.see("@doc-row[data-id='25']").await;
    browser.click("@page-first").await;
    browser.see("@doc-row[data-id='1']").await;
}

/// Two versions written elsewhere are compared, and the first of them is restored.
async fn restores_a_version(browser: &Browser, cluster: &Cluster) {
    browser.click("@tab-versions").await;
    browser.see_text("@versions-state", "No versions are kept").await;
    browser.click("@versions-keep").await;
    browser.fill("@limit-keep", "10").await;
    browser.click("@versions-save").await;
    browser.see_text("@versions-state", "10 changes of each document").await;
    let path = format!("{DOCUMENTS}/1");
    for document in [
        json!({"_id": 1, "name": "first", "a": {"b": 1}, "n": 9_223_372_036_854_775_807_u64}),
        json!({"_id": 1, "name": "second", "a": {}, "n": IMAGE}),
    ] {
        cluster.nodes[1].http().json("PUT", &path, &document).await.ok();
    }
    browser.click("@tab-documents").await;
    browser.see_text("@doc-row[data-id='1']", "second").await;
    browser.click("[data-id='1'] @doc-history").await;
    browser.see_count("@version-row", 3).await;
    browser.see_count("@version-row[data-operation=update]", 2).await;
    browser.see_text("@version-row:first-child", ADMIN).await;
    browser.see_text("@difference[data-path=name][data-kind=changed]", "\"second\"").await;
    browser.see_text("@difference[data-path='a.b'][data-kind=removed]", "1").await;
    browser.see_text("@difference[data-path=n]", BIG).await;
    browser.see_text("@difference[data-path=n]", IMAGE).await;
    browser.see_no("dialog img").await;
    browser.click("@version-row:nth-child(2) @version-open").await;
    browser.see_text("@difference[data-path=name][data-kind=added]", "\"first\"").await;
    browser.click("@history-current").await;
    browser.see_text("@difference[data-path=name][data-kind=changed]", "\"second\"").await;
    browser.click("@history-document").await;
    browser.see_text("@version-document", BIG).await;
    browser.click("@version-restore").await;
    browser.click("@restore-dialog @confirm-ok").await;
    browser.see_count("@version-row", 4).await;
    browser.click("@history-dialog @dialog-cancel").await;
    browser.see_text("@doc-row[data-id='1']", "first").await;
    browser.see_text("@doc-row[data-id='1']", BIG).await;
}

async fn undeletes_a_document(browser: &Browser) {
    browser.click("[data-id='2'] @doc-delete").await;
    browser.click("@confirm-ok").await;
    browser.see_no("@doc-row[data-id='2']").await;
    browser.click("@tab-versions").await;
    browser.fill("@deleted-id", "2").await;
    browser.click("@deleted-open").await;
    browser.see("@history-deleted").await;
    browser.click("@history-undelete").await;
    browser.click("@restore-dialog @confirm-ok").await;
    browser.see_no("@history-deleted").await;
    browser.click("@history-dialog @dialog-cancel").await;
    browser.click("@tab-documents").await;
    browser.see("@doc-row[data-id='2']").await;
}

async fn reads_the_collection_as_it_was(browser: &Browser) {
    browser.click("[data-id='1'] @doc-history").await;
    let second = browser.see("@version-row:nth-child(2) @version-open").await;
    let second = second.text().await.expect("the browser answers");
    browser.click("@history-dialog @dialog-cancel").await;
    browser.fill("@query-asof", &second).await;
    browser.click("@query-apply").await;
    browser.see_text("@asof-notice", &second).await;
    browser.see_text("@doc-row[data-id='1']", "second").await;
    browser.see_no("@doc-edit").await;
    browser.see_no("@doc-insert").await;
    browser.click("[data-id='1'] @doc-view").await;
    let text = browser.value("@doc-editor").await;
    assert!(text.contains("second"), "{text}");
    browser.click("@dialog-cancel").await;
    browser.fill("@query-asof", "1").await;
    browser.click("@query-apply").await;
    browser.see("@query-asof-error [data-code=too_old]").await;
    browser.click("@asof-earliest").await;
    browser.see("@asof-notice").await;
    browser.see_no("@query-asof-error").await;
    browser.click("@asof-leave").await;
    browser.see_no("@asof-notice").await;
    browser.see_text("@doc-row[data-id='1']", "first").await;
}

/// The changes during a pause are shown after it.
async fn watches_what_others_change(browser: &Browser, cluster: &Cluster) {
    browser.click("@tab-changes").await;
    browser.see("@feed-state[data-state=live]").await;
    let path = format!("{DOCUMENTS}/live");
    let document = json!({"_id": "live", "name": "one"});
    cluster.nodes[1].http().post(DOCUMENTS, &document).await.ok();
    browser.see_text("@feed-event[data-operation=insert][data-id=live]", ADMIN).await;
    browser.click("@feed-pause").await;
    browser.see("@feed-state[data-state=off]").await;
    let document = json!({"_id": "live", "name": "two"});
    cluster.nodes[2].http().json("PUT", &path, &document).await.ok();
    cluster.nodes[0].http().json("DELETE", &path, &json!({})).await.ok();
    browser.click("@feed-resume").await;
    browser.see_text("@feed-event[data-operation=update] @difference[data-path=name]", "two").await;
    browser.see("@feed-event[data-operation=delete]").await;
    browser.see_count("@feed-event", 3).await;
    browser.click("@tab-documents").await;
    browser.see("@doc-row").await;
}

/// The page sends the write again, and the server recognises its idempotency key.
async fn writes_once_though_an_answer_is_lost(browser: &Browser) {
    let lose_one = "const real = window.fetch; window.lost = [];
        window.fetch = async (path, options) => {
            const answer = await real(path, options);
            if (options.method !== 'POST' || !path.includes('/documents')) return answer;
            window.lost.push(options.headers['Idempotency-Key']);
            if (window.lost.length === 1) throw new TypeError('the connection is lost');
            window.fetch = real;
            return answer;
        }";
    browser.fill("@query-filter", r#"{"name": "once"}"#).await;
    browser.click("@query-apply").await;
    browser.see("@empty-state").await;
    browser.run(lose_one, vec![]).await;
    browser.click("@doc-insert").await;
    browser.fill("@doc-editor", r#"{"name": "once"}"#).await;
    browser.click("@doc-save").await;
    browser.see_no("@doc-dialog").await;
    browser.see_text("@page-info", "1–1 of 1").await;
    let keys = browser.run("return window.lost", vec![]).await;
    assert!(keys[0].is_string() && keys[0] == keys[1], "{keys}");
}

/// Others see its writes only after the commit.
async fn commits_a_transaction(browser: &Browser, cluster: &Cluster) {
    browser.fill("@query-filter", r#"{"_id": "tx1"}"#).await;
    browser.click("@query-apply").await;
    browser.see("@empty-state").await;
    browser.click("@transaction-begin").await;
    browser.see("@transaction-name").await;
    browser.click("@doc-insert").await;
    browser.fill("@doc-editor", r#"{"_id": "tx1", "name": "mine"}"#).await;
    browser.click("@doc-save").await;
    browser.see_text("@doc-row[data-id=tx1]", "mine").await;
    let path = format!("{DOCUMENTS}/tx1");
    cluster.nodes[1].http().get(&path).await.refused(404, "document_not_found");
    browser.click("@transaction-commit").await;
    browser.see_no("@transaction-bar").await;
    browser.see_text("@doc-row[data-id=tx1]", "mine").await;
    cluster.nodes[1].http().get(&path).await.ok();
}

async fn begins_again_after_a_conflict(browser: &Browser, cluster: &Cluster) {
    browser.click("@transaction-begin").await;
    browser.see("@transaction-bar").await;
    browser.click("[data-id=tx1] @doc-edit").await;
    browser.fill("@doc-editor", r#"{"_id": "tx1", "name": "mine again"}"#).await;
    browser.click("@doc-save").await;
    browser.see_text("@doc-row[data-id=tx1]", "mine again").await;
    let theirs = json!({"_id": "tx1", "name": "theirs"});
    cluster.nodes[2].http().json("PUT", &format!("{DOCUMENTS}/tx1"), &theirs).await.ok();
    browser.click("@transaction-commit").await;
    browser.see_text("@transaction-error", "tx1").await;
    browser.see_text("@doc-row[data-id=tx1]", "theirs").await;
    browser.click("@transaction-again").await;
    browser.see_no("@transaction-ended").await;
    browser.see("@transaction-bar").await;
}

async fn ends_an_open_transaction(browser: &Browser) {
    browser.click("@nav-cluster").await;
    browser.see_text("@transaction-row @transaction-user", ADMIN).await;
    browser.click("@transaction-row @transaction-end").await;
    browser.click("@transaction-end-dialog @confirm-ok").await;
    browser.see("@transactions-none").await;
    browser.see_no("@transaction-bar").await;
}

async fn sees_a_node_die_and_come_back(browser: &Browser, cluster: &mut Cluster) {
    browser.click("@nav-cluster").await;
    browser.see("@node-card[data-node=node3][data-status=ACTIVE]").await;
    cluster.nodes[2].kill();
    browser.see("@node-card[data-node=node3][data-status=INACTIVE]").await;
    browser.see_text("@health-sentence", "node3 is INACTIVE").await;
    cluster.nodes[2].start();
    browser.see("@node-card[data-node=node3][data-status=ACTIVE]").await;
    browser.see_text("@health-sentence", "All 3 nodes are active").await;
}

/// After it, a follower serves the page.
async fn promotes_another_node(browser: &Browser, cluster: &Cluster) {
    browser.click("[data-node=node2] @node-promote").await;
    browser.click("@confirm-ok").await;
    browser.see("@node-card[data-node=node2][data-role=LEADER] @leader-crown").await;
    browser.see_count("@leader-crown", 1).await;
    browser.see_text("@fact-self", "node1 (follower)").await;
    browser.see_text("@data-age", "Seen by the leader node2").await;
    browser.see_text("@data-age", "reported by node1").await;
    browser.see_text("@node-card[data-node=node3] @node-lag", "in sync").await;
    browser.see_text("@node-card[data-node=node3] @node-last-seen", "ago").await;
    assert_eq!(cluster.leader().await, 1);
}

async fn logs_out(browser: &Browser) {
    browser.click("@logout").await;
    browser.see("@login-username").await;
    browser.see_no("@node-card").await;
    browser.see_no("@toast-error").await;
}
