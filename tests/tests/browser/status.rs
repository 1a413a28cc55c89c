//! The page when the node that serves it no longer answers.

use jettra_tests::browser::Browser;
use jettra_tests::{ADMIN, Cluster};

/// Typed text is not lost; after it, another node shows the same. The session is valid there too, as
/// the nodes share a host.
pub(crate) async fn continues_at_another_node(browser: &Browser, cluster: &mut Cluster) {
    let page = cluster.nodes[0].url();
    browser.open(&format!("{page}/?anew#/browse/shop/people")).await;
    browser.click("@doc-open").await;
    let text = browser.value("@doc-editor").await;
    browser.fill("@doc-editor", &text.replace('{', "{\"typed\": 1,")).await;
    cluster.nodes[0].kill();
    browser.click("@doc-save").await;
    browser.see("@dialog-error").await;
    browser.see("@failover-notice").await;
    let typed = browser.value("@doc-editor").await;
    assert!(typed.contains("typed"), "{typed}");
    browser.click("@dialog-cancel").await;
    browser.click("@dialog-cancel").await;
    browser.see_text("@toast-error", "because node1 does not answer").await;
    browser.see_text("@session-user", ADMIN).await;
    browser.see("@doc-row").await;
    let here = browser.run("return location.href", vec![]).await;
    let here = here.as_str().expect("an address");
    let others = [cluster.nodes[1].url(), cluster.nodes[2].url()];
    let there = others.iter().any(|url| here == format!("{url}/#/browse/shop/people"));
    assert!(there, "{here}");
    browser.click("@nav-cluster").await;
    browser.see("@node-card[data-node=node1][data-status=INACTIVE]").await;
    cluster.nodes[0].start();
    browser.see("@node-card[data-node=node1][data-status=ACTIVE]").await;
}
