//! The network between the members of a group: HTTP requests under `/raft/rpc/`, and one WebSocket
//! per peer for the append stream.
//!
//! Every request names cluster, group, sender and receiver, and is refused on a mismatch, so a
//! message can never reach another node at the same address. Addresses are looked up in the node's
//! own applied copy of `_system._clusternodes`; those in openraft's membership are a fallback, for
//! entries that vote before they are applied.

use super::clock::{SharedClock, Times};
use super::log_store::REPLICATION_BYTES_MAX;
use super::node_key::SignedHead;
use super::peer_client::{PeerClient, PeerRequest};
use super::read_index::Proof;
use super::refused::RefusedEntries;
use super::retention::SentCopies;
use super::snapshot::{CopySpace, SnapshotData, StateSnapshot};
use super::transfer::{self, Offer};
use super::types::{GroupId, RaftId, TypeConfig, Vote};
use crate::config::ENTRY_BYTES_MAX;
use crate::dial;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use futures_util::{SinkExt, StreamExt};
use openraft::BasicNode;
use openraft::errors::{
    Fatal, NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Upper bound for the bytes of a message of the append stream beside its entries.
const MESSAGE_FRAME_BYTES: usize = 1 << 20;
/// Largest message of the append stream: the largest entry, or as many as are sent together.
pub const MESSAGE_BYTES_MAX: usize = MESSAGE_FRAME_BYTES
    + if ENTRY_BYTES_MAX > REPLICATION_BYTES_MAX { ENTRY_BYTES_MAX } else { REPLICATION_BYTES_MAX };
/// Longest time for a small message with entries; a larger one has more.
const ENTRIES_TIMEOUT: Duration = Duration::from_secs(5);
/// Slowest connection over which entries of every size are replicated: about 1 MiB/s.
const SLOWEST_BYTES_PER_MS: u64 = 1024;

/// The query parameter with the digest of the log entries that the sender refuses.
pub const REFUSED_PARAMETER: &str = "refused";

/// Looks up the address of a member. Implemented by `cluster::nodes`.
pub trait PeerUrls: Send + Sync {
    /// The address in the node's own applied copy of the members, if it is there.
    fn url(&self, raft_id: RaftId) -> Option<String>;
}

/// The response to a Raft request, in postcard: a refusal is not a transport error.
pub type RpcResult<T> = std::result::Result<T, String>;

/// A message of the append stream: openraft's request after the leader's times.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendMessage<A> {
    /// The time of the log, and the clocks that the leader knows.
    pub times: Times,
    /// openraft's request.
    pub append: A,
}

/// The response to an [`AppendMessage`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AppendAnswer {
    /// The follower's wall clock at the response.
    pub wall_ms: u64,
    /// openraft's response.
    pub result: RpcResult<AppendEntriesResponse<TypeConfig>>,
}

/// The sender's side of the requests between members of one group.
#[derive(Clone)]
pub struct Peers {
    /// Sends the requests; shared by all groups.
    pub calls: PeerClient,
    /// The cluster that both sides must belong to.
    pub cluster_id: Arc<str>,
    /// The group.
    pub group: GroupId,
    /// This node.
    pub from: RaftId,
    /// The addresses of the members.
    pub urls: Arc<dyn PeerUrls>,
    /// The log entries that this node refuses; the other members must refuse the same.
    pub refused: RefusedEntries,
}

/// Why members do not receive the entries that they lack, by the last attempt.
#[derive(Clone, Default)]
pub struct Undelivered(Arc<parking_lot::Mutex<BTreeMap<RaftId, String>>>);

impl Undelivered {
    /// The reasons, by member.
    pub fn all(&self) -> BTreeMap<RaftId, String> {
        self.0.lock().clone()
    }

    /// Records how an attempt to send entries ended, and logs a failure once until it changes.
    fn note<T>(&self, to: RaftId, url: &str, sent: &std::result::Result<T, RpcError>) {
        let Err(error) = sent else {
            self.0.lock().remove(&to);
            return;
        };
        let reason = error.to_string();
        let before = self.0.lock().insert(to, reason.clone());
        if before.as_ref() == Some(&reason) {
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

impl Peers {
    /// Path and query of a request to a member.
    fn target(&self, call: &str, to: RaftId) -> String {
        let Peers { cluster_id, group, from, .. } = self;
        let digest = self.refused.digest();
        let refused = digest.map(|digest| format!("&{REFUSED_PARAMETER}={digest}"));
        let refused = refused.unwrap_or_default();
        format!("/raft/rpc/{call}?cluster={cluster_id}&group={group}&from={from}&to={to}{refused}")
    }

    fn base_url(&self, to: RaftId) -> Result<String> {
        self.urls.url(to).ok_or_else(|| {
            Error::new(Kind::NodeUnreachable, format!("the address of member {to} is not known"))
        })
    }

    /// Sends a request to a member, with a body in postcard, and reads its response.
    ///
    /// # Errors
    /// `node_unreachable` if there is no connection, `timeout`, or the member's refusal.
    pub async fn call<T: DeserializeOwned>(
        &self,
        base: &str,
        call: &str,
        to: RaftId,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T> {
        let body = postcard::to_stdvec(body).map_err(internal)?.into();
        let target = self.target(call, to);
        let head = SignedHead { method: "POST", target: &target, ..SignedHead::default() };
        let call = PeerRequest { head, body, timeout, ..PeerRequest::default() };
        let answer = self.calls.send(base, call).await.map_err(|error| error.into_error(base))?;
        Peers::read(base, answer).await
    }

    async fn read<T: DeserializeOwned>(base: &str, answer: reqwest::Response) -> Result<T> {
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| transport(base, &error))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Err(Error::new(Kind::Misdirected, format!("{base} answered {status}: {text}")));
        }
        let result: RpcResult<T> = postcard::from_bytes(&bytes).map_err(internal)?;
        result.map_err(|reason| Error::new(Kind::NotPossibleNow, reason))
    }

    /// Asks the leader for the log index that a read must wait for.
    pub async fn read_index(&self, leader: RaftId, proof: Proof, timeout: Duration) -> Result<u64> {
        let base = self.base_url(leader)?;
        self.call(&base, "read-index", leader, &proof, timeout).await
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, error.to_string())
}

fn transport(base: &str, error: &reqwest::Error) -> Error {
    let kind = if error.is_connect() { Kind::NodeUnreachable } else { Kind::Timeout };
    Error::new(kind, format!("{base} cannot be reached: {error}"))
}

/// Creates the connections of one group.
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
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Connection;

    async fn new_client(&mut self, target: RaftId, node: &BasicNode) -> Connection {
        Connection {
            peers: self.peers.clone(),
            space: self.space.clone(),
            copies: self.copies.clone(),
            complaint: None,
            copying: self.copying.clone(),
            undelivered: self.undelivered.clone(),
            clock: self.clock.clone(),
            to: target,
            fallback: node.addr.clone(),
            stream: None,
        }
    }
}

/// The connection to one member, for one purpose.
pub struct Connection {
    peers: Peers,
    space: CopySpace,
    copies: SentCopies,
    /// Why the last copy was not sent.
    complaint: Option<String>,
    copying: Arc<Mutex<()>>,
    undelivered: Undelivered,
    clock: Arc<SharedClock>,
    to: RaftId,
    fallback: String,
    /// The append stream; taken out during an exchange, so that an aborted one closes it.
    stream: Option<WebSocketStream<dial::Connection>>,
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

    async fn call<T: DeserializeOwned>(
        &self,
        call: &str,
        body: &impl Serialize,
        option: &RPCOption,
    ) -> std::result::Result<T, RpcError> {
        let url = self.url();
        self.peers.call(&url, call, self.to, body, option.hard_ttl()).await.map_err(rpc_error)
    }

    async fn connect(&self) -> std::result::Result<WebSocketStream<dial::Connection>, RpcError> {
        let target = self.peers.target("stream", self.to);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        self.peers.calls.open(&self.url(), &target, config).await.map_err(unreachable)
    }

    async fn exchange(
        &mut self,
        request: Vec<u8>,
    ) -> std::result::Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().await?,
        };
        let sent_ms = self.clock.mono_ms();
        stream.send(Message::binary(request)).await.map_err(broken)?;
        loop {
            match stream.next().await {
                Some(Ok(Message::Binary(answer))) => {
                    let answer: AppendAnswer = postcard::from_bytes(&answer).map_err(broken)?;
                    self.clock.note(self.to, answer.wall_ms, sent_ms);
                    self.stream = Some(stream);
                    return answer.result.map_err(broken);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(error)),
                None => return Err(broken("the member closed the append stream")),
            }
        }
    }

    async fn exchange_within(
        &mut self,
        limit: Duration,
        request: Vec<u8>,
    ) -> std::result::Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(broken("the member did not answer in time")),
        }
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        store: Arc<Store>,
    ) -> Result<SnapshotResponse<TypeConfig>> {
        let busy = |_| Error::new(Kind::NotPossibleNow, "another snapshot is being sent");
        let turn = self.copying.clone().try_lock_owned().map_err(busy)?;
        let (url, target) = (self.url(), self.peers.target("snapshot", self.to));
        let config = WebSocketConfig::default();
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
        sender.content(file).await
    }
}

/// What is proposed fits into a message by construction; a receiver would only close the
/// connection.
fn check_message(bytes: usize) -> std::result::Result<(), RpcError> {
    if bytes <= MESSAGE_BYTES_MAX {
        return Ok(());
    }
    Err(broken(format!("entries of {bytes} bytes, {MESSAGE_BYTES_MAX} fit into a message")))
}

/// How long a member may take for a message with entries, which its disk may delay; a large one
/// that never arrived in time would block the log for ever.
fn entries_limit(bytes: usize) -> Duration {
    ENTRIES_TIMEOUT + Duration::from_millis(bytes as u64 / SLOWEST_BYTES_PER_MS)
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

static COPIES: AtomicU64 = AtomicU64::new(0);

impl RaftNetworkV2<TypeConfig> for Connection {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> std::result::Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let message = AppendMessage { times: self.clock.tell(), append: &rpc };
        let bytes = postcard::to_stdvec(&message).map_err(broken)?;
        if rpc.entries.is_empty() {
            return self.exchange_within(option.hard_ttl(), bytes).await;
        }
        let answer = match check_message(bytes.len()) {
            Ok(()) => self.exchange_within(entries_limit(bytes.len()), bytes).await,
            Err(error) => Err(error),
        };
        self.undelivered.note(self.to, &self.url(), &answer);
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
        // The log after the copy must still exist when the copy has arrived.
        let held = self.copies.begin(self.to, snapshot.meta.last_log_id.map(|id| id.index));
        let sent = tokio::select! {
            sent = self.send_snapshot(vote, store) => sent,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match sent {
            Ok(response) => {
                held.arrived();
                Ok(response)
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!(to = self.to, %error, "a snapshot was not sent; it is tried again");
                    self.complaint = Some(complaint);
                }
                // It is tried again after a pause.
                Err(StreamingError::Unreachable(Unreachable::from_string(error)))
            }
        }
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
    use crate::raft::types::{Entry, LogId, Payload};
    use openraft::entry::RaftEntry;
    use openraft::vote::RaftLeaderId;

    /// Symptom: an entry of 100 MB was never replicated, all writes stopped, and the status of the
    /// cluster said nothing.
    #[test]
    fn what_cannot_be_delivered_is_told_until_it_is() {
        let undelivered = Undelivered::default();
        assert!(check_message(MESSAGE_BYTES_MAX).is_ok());
        undelivered.note(2, "http://a", &check_message(MESSAGE_BYTES_MAX + 1));
        assert!(undelivered.all()[&2].contains("fit into a message"), "{:?}", undelivered.all());
        undelivered.note(3, "http://b", &Ok(()));
        undelivered.note(2, "http://a", &Ok(()));
        assert!(undelivered.all().is_empty());
    }

    #[test]
    fn the_largest_entry_fits_into_a_message() {
        let content = Payload(vec![7; ENTRY_BYTES_MAX].into());
        let leader = openraft::alias::LeaderIdOf::<TypeConfig>::new(u64::MAX, u64::MAX);
        let log_id = LogId::new(leader.to_committed(), u64::MAX);
        let entry = Entry::new(log_id, openraft::EntryPayload::Normal(content));
        let request = AppendEntriesRequest::<TypeConfig> {
            vote: Vote::new(u64::MAX, u64::MAX),
            prev_log_id: Some(log_id),
            entries: vec![entry],
            leader_commit: Some(log_id),
        };
        assert!(check_message(postcard::to_stdvec(&request).unwrap().len()).is_ok());
    }

    #[test]
    fn a_large_message_gets_the_time_that_a_slow_connection_takes() {
        assert_eq!(entries_limit(100), ENTRIES_TIMEOUT);
        assert_eq!(entries_limit(16 << 20), ENTRIES_TIMEOUT + Duration::from_millis(16 << 10));
    }
}
