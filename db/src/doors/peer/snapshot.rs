//! The receiving end of a transfer of the state; `raft::transfer` describes what is said.

use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::raft::node_key::{MAC_BYTES, Seal};
use crate::raft::snapshot::ReceivedState;
use crate::raft::transfer::{Inbound, Offer, ReceiverReply, SIGN_PAUSE, is_sealed, within_silence};
use crate::raft::types::Vote;
use crate::raft::wire;
use crate::raft::writer::crash_point;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Receives a copy of the state and installs it; the connection ends with it.
pub async fn receive<S>(group: Arc<Group>, seal: Seal, messages: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut line = Line { messages };
    if let Err(error) = take(&group, seal, &mut line).await {
        tracing::warn!(%error, "a snapshot was not received");
        let _ = line.say(&ReceiverReply::Refused(error.to_string())).await;
    }
    let _ = line.messages.close(None).await;
}

async fn take<S>(group: &Group, seal: Seal, line: &mut Line<S>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut turn = group.receiving.begin().await?;
    turn.unless_newer(async {
        let (vote, received) = take_content(group, seal, line).await?;
        tracing::info!(index = received.applied.index(), "received a snapshot");
        crash_point("SnapshotReceived");
        let installed = line.while_working(|| true, group.install(vote, received)).await??;
        line.say(&ReceiverReply::Done(installed)).await
    })
    .await
}

async fn take_content<S>(
    group: &Group,
    mut seal: Seal,
    line: &mut Line<S>,
) -> Result<(Vote, ReceivedState)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let offer = line.offer(&mut seal).await?;
    group.check_offer(&offer)?;
    line.say(&ReceiverReply::Go(0)).await?;
    // The copy is made now; it may be larger than the first offer said.
    let offer = line.offer(&mut seal).await?;
    let mut inbound = group.receive(&offer)?;
    line.say(&ReceiverReply::Go(0)).await?;
    while !inbound.is_complete() {
        let chunk = line.next().await?;
        seal.update(&chunk);
        let taken = inbound.take(chunk).await?;
        line.say(&ReceiverReply::Go(taken)).await?;
    }
    if !is_sealed(seal, &line.next().await?) {
        return Err(Error::new(Kind::BadClusterSecret, "the snapshot is not as it was sent")
            .hint("it was cut off or changed on its way; it is sent again"));
    }
    Ok((offer.vote, check(group, inbound, line).await?))
}

async fn check<S>(group: &Group, inbound: Inbound, line: &mut Line<S>) -> Result<ReceivedState>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let rows = Arc::new(AtomicU64::new(0));
    let checking =
        inbound.check(group.owner().clone(), group.generations().map_bytes(), rows.clone());
    let mut seen = 0;
    let advances = move || {
        let before = std::mem::replace(&mut seen, rows.load(Ordering::Relaxed));
        before != seen
    };
    line.while_working(advances, checking).await?
}

/// The connection, as the receiver sees it.
struct Line<S> {
    messages: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// The next message; signs of life count.
    async fn next(&mut self) -> Result<Bytes> {
        let ended = |reason: String| Error::new(Kind::NodeUnreachable, reason);
        loop {
            match within_silence(self.messages.next()).await? {
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                Some(Ok(Message::Close(_))) | None => {
                    return Err(ended("the sender of a snapshot went away".into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ended(error.to_string())),
            }
        }
    }

    async fn offer(&mut self, seal: &mut Seal) -> Result<Offer> {
        let message = self.next().await?;
        seal.update(&message);
        wire::decode(&message).map_err(|error| {
            Error::new(
                Kind::InvalidBody,
                format!("the offer of a snapshot cannot be read: {error}"),
            )
            .hint("all nodes must run the same version")
        })
    }

    async fn say(&mut self, reply: &ReceiverReply) -> Result<()> {
        let bytes =
            wire::encode(reply).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
        let closed = |_| Error::new(Kind::NodeUnreachable, "the sender of a snapshot went away");
        within_silence(self.messages.send(Message::binary(bytes))).await?.map_err(closed)
    }

    /// Waits for `work`, and says so as long as it advances.
    async fn while_working<T>(
        &mut self,
        mut advances: impl FnMut() -> bool,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(SIGN_PAUSE, &mut work).await {
                return Ok(done);
            }
            if advances() {
                self.say(&ReceiverReply::Working).await?;
            }
        }
    }
}

/// Bytes of the largest message of a transfer.
pub const MESSAGE_BYTES_MAX: usize = crate::raft::transfer::CHUNK_BYTES + MAC_BYTES;
