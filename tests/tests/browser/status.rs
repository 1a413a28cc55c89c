//! What the page shows of nodes that fall silent, its own among them.

use jettra_tests::browser::Browser;
use jettra_tests::{ADMIN, Cluster};

/// The session holds there too, as the nodes share a host.
pub(crate) async fn goes_on_at_another_node(browser: &Browser, cluster: &mut Cluster) {
    browser.click("@nav-cluster").await;
    browser.see_count("@node-card[data-status=ACTIVE]", 3).await;
    cluster.nodes[0].kill();
    browser.see_text("@toast-error", "from node1, which does not answer").await;
    browser.see_text("@session-user", ADMIN).await;
    let here = browser.run("return location.href", vec![]).await;
    let here = here.as_str().expect("an address");
    let others = [cluster.nodes[1].url(), cluster.nodes[2].url()];
    assert!(others.iter().any(|url| here == format!("{url}/#/cluster")), "{here}");
    browser.see("@node-card[data-node=node1][data-status=INACTIVE]").await;
    cluster.nodes[0].start();
    browser.see("@node-card[data-node=node1][data-status=ACTIVE]").await;
    browser.click("@toast-dismiss").await;
}
