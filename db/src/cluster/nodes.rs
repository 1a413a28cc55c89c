//! The members, derived from this node's own applied copy of `_system._clusternodes`.

use crate::engine::members;
use crate::engine::system::NodeDocument;
use crate::error::Result;
use crate::raft::peers::PeerUrls;
use crate::raft::{Group, RaftId};
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::Notify;

/// The applied members. Refreshed when an entry has changed the collection.
#[derive(Default)]
pub struct Nodes {
    documents: RwLock<Arc<Vec<NodeDocument>>>,
    changed: Notify,
}

impl Nodes {
    /// Reads the collection again.
    pub fn refresh(&self, group: &Group) -> Result<()> {
        let documents = members::nodes(&group.read()?)?;
        *self.documents.write() = Arc::new(documents);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits until the collection is read again. For one task: the reconciler.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All members.
    pub fn all(&self) -> Arc<Vec<NodeDocument>> {
        self.documents.read().clone()
    }

    /// The member with this Raft id.
    pub fn by_raft_id(&self, raft_id: RaftId) -> Option<NodeDocument> {
        self.all().iter().find(|node| node.raft_id == raft_id).cloned()
    }

    /// The member that other nodes reach at this address.
    pub fn at_peer_url(&self, url: &str) -> Option<NodeDocument> {
        self.all().iter().find(|node| same_address(node.peer_url(), url)).cloned()
    }

    /// The member with this name or address.
    pub fn named(&self, name: &str) -> Option<NodeDocument> {
        let address = crate::config::check_url(name).ok();
        let is_at = |url: &String, node: &NodeDocument| {
            same_address(url, &node.url) || same_address(url, node.peer_url())
        };
        let means = |node: &&NodeDocument| {
            node.id == name || address.as_ref().is_some_and(|url| is_at(url, node))
        };
        self.all().iter().find(means).cloned()
    }
}

impl PeerUrls for Nodes {
    fn url(&self, raft_id: RaftId) -> Option<String> {
        self.by_raft_id(raft_id).map(|node| node.peer_url().to_owned())
    }
}

/// Whether two checked addresses are the same place; `localhost` is `127.0.0.1`.
pub fn same_address(a: &str, b: &str) -> bool {
    let plain =
        |url: &str| url.replace("//localhost:", "//127.0.0.1:").replace("//[::1]:", "//127.0.0.1:");
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_several_names() {
        assert!(same_address("http://localhost:1", "http://127.0.0.1:1"));
        assert!(!same_address("http://localhost:1", "http://127.0.0.1:2"));
        assert!(!same_address("http://a:1", "http://b:1"));
    }
}
