//! The console: statements with many rows, statements that change many documents, and errors.

use jettra_tests::browser::Browser;
use jettra_tests::{Cluster, Http};
use serde_json::json;

async fn runs(browser: &Browser, statement: &str) {
    browser.fill("@console-input", statement).await;
    browser.click("@console-run").await;
}

/// A statement without LIMIT shows a page of 100 rows, and more on request.
pub(crate) async fn shows_the_first_page_and_more(browser: &Browser) {
    browser.click("@nav-console").await;
    let documents: Vec<_> = (1..=150).map(|number| json!({"_id": number, "n": number})).collect();
    runs(browser, &format!("db.many.insertMany({})", json!(documents))).await;
    browser.see_text("@console-message", "150 inserted").await;
    runs(browser, "SELECT * FROM many").await;
    browser.see_text("@console-count", "The first 100 rows").await;
    browser.see_count("@doc-row", 100).await;
    browser.click("@console-more").await;
    browser.see_text("@console-count", "150 rows").await;
    browser.see_count("@doc-row", 150).await;
    browser.see_no("@console-more").await;
    browser.click("@sort[data-column=n]").await;
    browser.click("@sort[data-column=n]").await;
    browser.see("@doc-row:first-child[data-id='150']").await;
    runs(browser, "FIND IN many {n: {$gt: 148}}").await;
    browser.see_text("@console-count", "2 rows").await;
    runs(browser, "SELECT * FROM many LIMIT 120").await;
    browser.see_text("@console-count", "The first 100 rows").await;
    browser.click("@console-more").await;
    browser.see_text("@console-count", "120 rows").await;
}

async fn count(http: &Http) -> u64 {
    let answer = http.get("/api/count?db=shop&col=many").await.ok();
    answer.json()["count"].as_u64().expect("a number")
}

/// The page shows their number, and changes nothing until the user confirms.
pub(crate) async fn asks_before_many_documents_are_changed(browser: &Browser, cluster: &Cluster) {
    let http = cluster.nodes[1].http();
    for (statement, text) in [
        ("DELETE FROM many", "deletes all 150 documents of many"),
        ("UPDATE many SET n = 0 WHERE n > 10", "changes 140 documents of many"),
        ("db.many.drop()", "drops many with all 150 documents"),
    ] {
        runs(browser, statement).await;
        browser.see_text("@confirmation-text", text).await;
        browser.click("@confirmation-dialog @dialog-cancel").await;
        browser.see_text("@console-message", "Nothing was changed").await;
        assert_eq!(count(&http).await, 150);
    }
    runs(browser, "DELETE FROM many WHERE n > 145").await;
    browser.see_text("@console-message", "5 deleted").await;
    runs(browser, "DELETE FROM many").await;
    browser.see_text("@confirmation-dialog h2", "Delete 145 documents?").await;
    browser.click("@confirmation-dialog @confirm-ok").await;
    browser.see_text("@console-message", "145 deleted").await;
    assert_eq!(count(&http).await, 0);
}

/// Also for deletions, updates and counts, which are not executed.
pub(crate) async fn explains_what_a_statement_would_do(browser: &Browser) {
    for (statement, stage) in [
        ("DELETE FROM people WHERE _id > 20", "DELETE"),
        ("UPDATE people SET n = 1", "UPDATE"),
        ("db.people.countDocuments({_id: {$gt: 20}})", "COUNT"),
    ] {
        browser.fill("@console-input", statement).await;
        browser.click("@console-explain").await;
        browser.see(&format!("@explain-plan > @plan-stage[data-stage={stage}]")).await;
        browser.see("@plan-stage @plan-stage").await;
    }
    browser.see_text("@explain-returned", "5").await;
    browser.fill("@console-input", "db.people.distinct('_id', {_id: {$gt: 20}})").await;
    browser.click("@console-explain").await;
    browser.see_no("@plan-stage[data-stage=COUNT]").await;
    browser.see_text("@explain-returned", "5").await;
}

/// The server's hint for these errors names an HTTP call; the page says what to do on the page.
pub(crate) async fn hints_at_the_page_instead_of_http(browser: &Browser) {
    runs(browser, "SELECT * FROM nowhere").await;
    browser.see_text("@console-error .error-hint", "create it under Browse").await;
    browser.run("location.hash = '#/browse/shop/many?asof=1'", vec![]).await;
    browser.see_text("@query-asof-error .error-hint", "in the tab “Versions”").await;
}
