//! The grid of groups and nodes.

use jettra_driver::wire::{NewGroup, Removal};
use jettra_tests::Cluster;
use jettra_tests::browser::Browser;

/// The grid is there while there is a group beside the system group, and says where its replicas are.
pub(crate) async fn sees_groups_and_their_replicas(browser: &Browser, cluster: &Cluster) {
    let client = cluster.client();
    browser.click("@nav-cluster").await;
    browser.see_no("@groups-table").await;
    let members = Some(vec!["node1".to_owned(), "node2".to_owned()]);
    let observers = vec!["node3".to_owned()];
    let group = NewGroup { id: 7, members, observers, ..NewGroup::default() };
    client.create_group(&group, true).await.expect("a group");
    client.create_database_in("placed", 7).await.expect("a database");
    browser.see_count("@group-row", 2).await;
    let row = "@group-row[data-id=\"7\"]";
    browser.see_text(&format!("{row} @group-state"), "active").await;
    browser.see_text(&format!("{row} @group-replica[data-node=node3]"), "observer").await;
    browser.see_text(row, "leader").await;
    browser.see_text(row, "placed").await;
    client.drop_database("placed").await.expect("dropped");
    client.remove_group(7, Removal { wait: true, ..Removal::default() }).await.expect("removed");
    browser.see_no("@groups-table").await;
}
