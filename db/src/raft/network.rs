//! The network between the members of a group: HTTP requests under `/raft/rpc/`, and for the append
//! stream WebSockets that groups share (`raft::link`).
//!
//! Every request names cluster, group, sender and receiver, and is refused on a mismatch, so a
//! message can never reach another node at the same address. Addresses are looked up in the node's
//! own applied copy of `_system._clusternodes`; those in openraft's membership are a fallback, for
//! entries that vote before they are applied.

#[cfg(test)]
use super::append_stream::MESSAGE_BYTES_MAX;
use super::append_stream::{self, AppendAnswer, AppendMessage};
use super::clock::SharedClock;
use super::joining::Joining;
use super::link::{Links, Purpose, Route};
use super::peers::{Peers, internal};
use super::retention::SentCopies;
use super::snapshot::{CopySpace, SnapshotData, StateSnapshot};
use super::transfer::{self, Offer};
use super::types::{RaftId, TypeConfig, Vote};
use super::wire::Wire;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use openraft::BasicNode;
use openraft::errors::{
    Fatal, NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Why members do not receive the entries that they lack, or the copy of the state that they need before
/// them, by the last attempt.
#[derive(Clone, Default)]
pub struct Undelivered(Arc<parking_lot::Mutex<BTreeMap<RaftId, String>>>);

impl Undelivered {
    /// The reasons, by member.
    pub fn all(&self) -> BTreeMap<RaftId, String> {
        self.0.lock().clone()
    }

    /// Records that something was delivered.
    fn clear(&self, to: RaftId) {
        self.0.lock().remove(&to);
    }

    /// Records a failure; returns whether it is another one than before.
    fn note(&self, to: RaftId, reason: &str) -> bool {
        self.0.lock().insert(to, reason.to_owned()).is_none_or(|before| before != reason)
    }

    /// Records how an attempt to send entries ended, and logs a failure once until it changes.
    fn record<T>(&self, to: RaftId, url: &str, sent: &std::result::Result<T, RpcError>) {
        let Err(error) = sent else { return self.clear(to) };
        let reason = error.to_string();
        if !self.note(to, &reason) {
            return;
        }
        // The response of a member that is stopping.
        if reason.ends_with(&Fatal::<TypeConfig>::Stopped.to_string()) {
            tracing::info!(to, url, "a member is stopping and takes no log entries");
        } else {
            tracing::error!(to, url, reason, "log entries cannot be delivered to a member");
        }
    }
}

/// Creates the connections of one group.
#[derive(Clone)]
pub struct NetworkFactory {
    /// Sends requests to members.
    pub peers: Peers,
    /// Where copies of the state are written.
    pub space: CopySpace,
    /// The copies that are being sent.
    pub copies: SentCopies,
    /// Held while a copy is written and sent: there is one at a time.
    pub copying: Arc<Mutex<()>>,
    /// The entries that could not be delivered.
    pub undelivered: Undelivered,
    /// Receives the clocks in the members' responses.
    pub clock: Arc<SharedClock>,
    /// The connections for the append stream, which other groups use too.
    pub links: Links,
    /// What joining members are sent.
    pub joining: Joining,
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Connection;

    async fn new_client(&mut self, target: RaftId, node: &BasicNode) -> Connection {
        Connection {
            peers: self.peers.clone(),
            space: self.space.clone(),
            copies: self.copies.clone(),
            copying: self.copying.clone(),
            undelivered: self.undelivered.clone(),
            clock: self.clock.clone(),
            to: target,
            fallback: node.addr.clone(),
            links: self.links.clone(),
            joining: self.joining.clone(),
        }
    }
}

/// How a WebSocket between nodes is set up. tungstenite clears its whole buffer before each read,
/// so it is not much larger than a usual message.
pub fn web_socket_config(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
}

/// The requests to one member, for one purpose.
pub struct Connection {
    peers: Peers,
    space: CopySpace,
    copies: SentCopies,
    copying: Arc<Mutex<()>>,
    undelivered: Undelivered,
    clock: Arc<SharedClock>,
    to: RaftId,
    fallback: String,
    links: Links,
    joining: Joining,
}

type RpcError = RPCError<TypeConfig>;

fn unreachable(error: impl std::fmt::Display) -> RpcError {
    RPCError::Unreachable(Unreachable::from_string(error))
}

fn broken(error: impl std::fmt::Display) -> RpcError {
    RPCError::Network(NetworkError::from_string(error))
}

fn rpc_error(error: Error) -> RpcError {
    match error.kind {
        Kind::NodeUnreachable => unreachable(error),
        _ => broken(error),
    }
}

impl Connection {
    fn url(&self) -> String {
        self.peers.urls.url(self.to).unwrap_or_else(|| self.fallback.clone())
    }

    async fn call<T: Wire>(
        &self,
        call: &str,
        body: &impl Wire,
        option: &RPCOption,
    ) -> std::result::Result<T, RpcError> {
        let url = self.url();
        self.peers.call(&url, call, self.to, body, option.hard_ttl()).await.map_err(rpc_error)
    }

    /// Sends a message of the append stream, and returns the member's response.
    async fn exchange(
        &self,
        limit: Duration,
        purpose: Purpose,
        request: Vec<u8>,
    ) -> std::result::Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let url = self.url();
        let sent_ms = self.clock.mono_ms();
        let asking = self.links.call((&url, &self.peers.cluster_id), purpose, request);
        let answer: AppendAnswer = match tokio::time::timeout(limit, asking).await {
            Ok(answer) => answer.map_err(rpc_error)?,
            Err(_) => return Err(broken("the member did not answer in time")),
        };
        self.clock.record(self.to, answer.wall_ms, sent_ms);
        answer.result.map_err(broken)
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        store: Arc<Store>,
    ) -> Result<SnapshotResponse<TypeConfig>> {
        let count = self.joining.begin_copy(self.to);
        let busy = |_| Error::new(Kind::NotPossibleNow, "another snapshot is being sent");
        let turn = self.copying.clone().try_lock_owned().map_err(busy)?;
        let (url, target) = (self.url(), self.peers.target("snapshot", self.to));
        let config = web_socket_config(transfer::CHUNK_BYTES);
        let opening = self.peers.calls.open_sealed(&url, &target, config);
        let (stream, seal) = transfer::within_silence(opening).await??;
        let mut sender = transfer::SnapshotSender::new(stream, seal);
        sender.offer(Offer { vote, bytes: store.used_bytes() as u64 }).await?;
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let path = self.space.dir.join(format!("outgoing-{number}.mdb"));
        let (copy, space) = (CopyFile { path, _turn: turn }, self.space.clone());
        let copying = tokio::task::spawn_blocking(move || {
            space.check(store.used_bytes() as u64)?;
            store.copy_to(&copy.path)?;
            let file = std::fs::File::open(&copy.path).map_err(internal)?;
            let bytes = file.metadata().map_err(internal)?.len();
            Ok::<_, Error>((file, bytes, copy))
        });
        let (file, bytes, _copy) = sender.while_working(copying).await?.map_err(internal)??;
        sender.offer(Offer { vote, bytes }).await?;
        count.of(bytes);
        let response = sender.content(file, &count).await?;
        count.arrived();
        Ok(response)
    }

    /// Sends a copy of this node's state, whose last applied entry has this index or a later one.
    ///
    /// # Errors
    /// When another copy is being sent, the connection breaks, or the receiver cannot take it.
    pub async fn send_state(
        &self,
        vote: Vote,
        store: Arc<Store>,
        index: Option<u64>,
    ) -> Result<SnapshotResponse<TypeConfig>> {
        // The log after the copy must still exist when the copy has arrived.
        let held = self.copies.begin(self.to, index);
        let sent = self.send_snapshot(vote, store).await;
        match &sent {
            Ok(_) => {
                held.arrived();
                self.undelivered.clear(self.to);
            }
            Err(error) if self.undelivered.note(self.to, &error.to_string()) => {
                tracing::warn!(to = self.to, %error, "a snapshot was not sent; it is tried again");
            }
            Err(_) => {}
        }
        sent
    }
}

/// The file of a copy, removed when it is sent or not needed any more.
struct CopyFile {
    path: PathBuf,
    _turn: OwnedMutexGuard<()>,
}

impl Drop for CopyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Bytes that are read from a WebSocket at once.
const READ_BUFFER_BYTES: usize = 16 << 10;

static COPIES: AtomicU64 = AtomicU64::new(0);

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> std::result::Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let message = AppendMessage { times: self.clock.times(), append: rpc };
        let route = Route {
            group: self.peers.group,
            from: self.peers.from,
            to: self.to,
            refused: self.peers.refused.digest(),
        };
        let request = Links::request(&route, &message).map_err(broken)?;
        if message.append.entries.is_empty() {
            return self.exchange(option.hard_ttl(), Purpose::Heartbeats, request).await;
        }
        let (bytes, purpose) = (request.len(), Purpose::Entries);
        self.joining.entries(self.to, message.append.entries.len(), bytes).await;
        let answer = match append_stream::check_bytes(bytes) {
            Ok(()) => self.exchange(append_stream::time_limit(bytes), purpose, request).await,
            Err(error) => Err(broken(error)),
        };
        self.undelivered.record(self.to, &self.url(), &answer);
        answer
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<TypeConfig>, RpcError> {
        self.call("vote", &rpc, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<TypeConfig>, RpcError> {
        self.call("pre-vote", &rpc, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: StateSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> std::result::Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let SnapshotData::Live(store) = snapshot.snapshot else {
            let error = NetworkError::from_string("only this node's own state can be sent");
            return Err(StreamingError::Network(error));
        };
        let index = snapshot.meta.last_log_id.map(|id| id.index);
        let sent = tokio::select! {
            sent = self.send_state(vote, store, index) => sent,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        // It is tried again after a pause.
        sent.map_err(|error| StreamingError::Unreachable(Unreachable::from_string(error)))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> std::result::Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        self.call("transfer-leader", &request, &option).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symptom: an entry of 100 MB was never replicated, all writes stopped, and the status of the
    /// cluster said nothing.
    #[test]
    fn what_cannot_be_delivered_is_reported_until_it_is() {
        let undelivered = Undelivered::default();
        assert!(append_stream::check_bytes(MESSAGE_BYTES_MAX).is_ok());
        let refused = append_stream::check_bytes(MESSAGE_BYTES_MAX + 1).map_err(broken);
        undelivered.record(2, "http://a", &refused);
        assert!(undelivered.all()[&2].contains("fit into a message"), "{:?}", undelivered.all());
        undelivered.record(3, "http://b", &Ok(()));
        undelivered.record(2, "http://a", &Ok(()));
        assert!(undelivered.all().is_empty());
    }
}
