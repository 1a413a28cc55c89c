//! Copies of the state: sent to a member that is to join, received from another one and installed.

use super::super::joining::Joining;
use super::super::snapshot::{ReceivedState, SnapshotData};
use super::super::transfer::{Inbound, Offer, failed};
use super::super::types::{RaftId, TypeConfig, Vote};
use super::Group;
use crate::error::{Error, Kind, Result};
use openraft::BasicNode;
use openraft::network::RaftNetworkFactory;
use openraft::raft::SnapshotResponse;
use openraft::storage::Snapshot;
use std::sync::Arc;

impl Group {
    /// Refuses a copy of a former leader, and one that does not fit.
    ///
    /// # Errors
    /// `not_possible_now`; `storage_full`, which names what is too small.
    pub fn check_offer(&self, offer: &Offer) -> Result<()> {
        let known = self.vote();
        if offer.vote.partial_cmp(&known).is_none_or(std::cmp::Ordering::is_lt) {
            let message = format!("the snapshot is offered by {}, here is {known}", offer.vote);
            return Err(Error::new(Kind::NotPossibleNow, message));
        }
        let map = self.state.current().address_bytes();
        if offer.bytes > map {
            let message = format!(
                "a state of {} bytes does not fit into the address space of this node, {map} bytes",
                offer.bytes
            );
            return Err(Error::new(Kind::StorageFull, message)
                .hint("give this node as large a MapSizeGb as the others have"));
        }
        self.copies.check(offer.bytes)
    }

    /// Begins to receive the copy that is offered.
    ///
    /// # Errors
    /// Those of [`Group::check_offer`]; when the file cannot be created.
    pub fn receive(&self, offer: &Offer) -> Result<Inbound> {
        self.check_offer(offer)?;
        Inbound::begin(self.state.begin()?, self.copies.clone(), offer.bytes)
    }

    /// Makes a received state the current one, if it is newer than this node's.
    ///
    /// # Errors
    /// When the consensus has ended.
    pub async fn install(
        &self,
        vote: Vote,
        received: ReceivedState,
    ) -> Result<SnapshotResponse<TypeConfig>> {
        let meta = received.applied.clone().into_meta();
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(Arc::new(received)) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await.map_err(failed);
        self.record_leader();
        installed
    }

    /// Sends a copy of the state to a replica that is about to become a member, in the background. What
    /// has come of it is in [`Group::joining`].
    pub fn send_state(self: &Arc<Self>, to: RaftId, url: &str) {
        if self.joining().is_copying(to) {
            return;
        }
        let (group, node) = (self.clone(), BasicNode::new(url));
        tokio::spawn(async move {
            let connection = group.network.clone().new_client(to, &node).await;
            let (store, index) = (group.state.current(), group.visible_index());
            if let Err(error) = connection.send_state(group.vote(), store, Some(index)).await {
                tracing::debug!(group = group.number, to, %error, "a copy of the state was not sent yet");
            }
        });
    }

    /// The members that are joining, as far as this node has sent them something.
    pub fn joining(&self) -> &Joining {
        &self.network.joining
    }
}
