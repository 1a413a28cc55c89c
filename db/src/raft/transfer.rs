//! The transfer of a copy of the state to a member that needs it, over a WebSocket.
//!
//! ```text
//! sender                              receiver
//! offer: vote, bytes in use      ->
//!                                <-   go, or refused and why
//! (makes the copy)
//! offer: vote, bytes of the copy ->
//!                                <-   go, or refused
//! content, in messages           ->
//!                                <-   go, for each
//! MAC over all of it             ->
//!                                <-   working …, done
//! ```
//!
//! So no part of a copy is sent that does not fit the receiver's disk and address space. The only
//! time limit of a transfer is [`SILENCE_MAX`]: it ends when nothing has arrived for that long.

use super::joining::CopyCount;
use super::node_key::{MAC_BYTES, Seal};
use super::snapshot::{CopySpace, Owner, ReceivedState};
use super::types::{TypeConfig, Vote};
use super::wire;
use crate::dial;
use crate::error::{Error, Kind, Result};
use crate::storage::IncomingGeneration;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use openraft::raft::SnapshotResponse;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{MutexGuard, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A transfer ends when one side has received nothing from the other for this long.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest silence of a side that is working.
pub const SIGN_PAUSE: Duration = Duration::from_secs(5);
/// Bytes of the copy in one message.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Bytes that may be under way unconfirmed.
const UNCONFIRMED_MAX: u64 = 4 << 20;
/// Bytes that a receiver writes before it makes them durable.
const SYNC_BYTES: u64 = 64 << 20;

/// The sender's offer of a copy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    /// The leader's vote.
    pub vote: Vote,
    /// Bytes of the copy.
    pub bytes: u64,
}

/// The receiver's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverReply {
    /// Send the next message; this many bytes have arrived.
    Go(u64),
    /// Everything has arrived and is being checked.
    Working,
    /// Refused, and why.
    Refused(String),
    /// Installed; openraft's response.
    Done(SnapshotResponse<TypeConfig>),
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::NodeUnreachable, format!("the transfer of a snapshot broke off: {error}"))
}

pub(super) fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, format!("snapshot: {error}"))
}

/// Ends `work` when nothing is heard for too long.
pub async fn within_silence<T>(heard: impl Future<Output = T>) -> Result<T> {
    within(SILENCE_MAX, heard).await
}

async fn within<T>(limit: Duration, heard: impl Future<Output = T>) -> Result<T> {
    let heard = tokio::time::timeout(limit, heard).await;
    heard.map_err(|_| broken(format!("nothing was heard for {} s", limit.as_secs_f32())))
}

/// The sender's side.
pub struct SnapshotSender {
    stream: WebSocketStream<dial::Connection>,
    seal: Seal,
    confirmed: u64,
}

impl SnapshotSender {
    /// Sends over this connection, whose handshake the seal is bound to.
    pub fn new(stream: WebSocketStream<dial::Connection>, seal: Seal) -> Self {
        SnapshotSender { stream, seal, confirmed: 0 }
    }

    async fn send(&mut self, message: Vec<u8>) -> Result<()> {
        self.seal.update(&message);
        within_silence(self.stream.send(Message::binary(message))).await?.map_err(broken)
    }

    async fn receive(&mut self) -> Result<ReceiverReply> {
        loop {
            let message = within_silence(self.stream.next()).await?;
            let message = message.ok_or_else(|| broken("the receiver closed it"))?;
            let Message::Binary(reply) = message.map_err(broken)? else { continue };
            return match wire::decode(&reply).map_err(broken)? {
                ReceiverReply::Refused(reason) => Err(Error::new(Kind::NotPossibleNow, reason)),
                reply => Ok(reply),
            };
        }
    }

    /// Offers a copy; succeeds if it may be sent.
    ///
    /// # Errors
    /// When the receiver refuses it, with its reason.
    pub async fn offer(&mut self, offer: Offer) -> Result<()> {
        self.send(wire::encode(&offer).map_err(failed)?).await?;
        match self.receive().await? {
            ReceiverReply::Go(_) => Ok(()),
            reply => Err(broken(format!("{reply:?} is no answer to an offer"))),
        }
    }

    /// Waits for `work`, and keeps the connection alive meanwhile.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn while_working<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(SIGN_PAUSE, &mut work).await {
                return Ok(done);
            }
            let sign = Message::Ping(Bytes::new());
            within_silence(self.stream.send(sign)).await?.map_err(broken)?;
        }
    }

    /// Sends the content of the copy, as fast as `count` allows, and waits until it is installed.
    ///
    /// # Errors
    /// When the connection breaks, or the receiver cannot take it.
    pub async fn content(
        mut self,
        mut file: File,
        count: &CopyCount,
    ) -> Result<SnapshotResponse<TypeConfig>> {
        let mut sent = 0;
        loop {
            let reading = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; CHUNK_BYTES];
                let length = file.read(&mut chunk)?;
                chunk.truncate(length);
                Ok::<_, std::io::Error>((chunk, file))
            });
            let (chunk, rest) = reading.await.map_err(failed)?.map_err(failed)?;
            file = rest;
            if chunk.is_empty() {
                break;
            }
            sent += chunk.len() as u64;
            count.bytes(chunk.len() as u64).await;
            self.send(chunk).await?;
            while sent - self.confirmed > UNCONFIRMED_MAX {
                self.confirm().await?;
            }
        }
        let mac = self.seal.clone().finish().to_vec();
        within_silence(self.stream.send(Message::binary(mac))).await?.map_err(broken)?;
        loop {
            match self.receive().await? {
                ReceiverReply::Done(response) => return Ok(response),
                _ => continue,
            }
        }
    }

    async fn confirm(&mut self) -> Result<()> {
        match self.receive().await? {
            ReceiverReply::Go(bytes) => self.confirmed = bytes,
            reply => return Err(broken(format!("{reply:?} came too early"))),
        }
        Ok(())
    }
}

/// Lets one copy at a time be received: the newest.
#[derive(Debug, Default)]
pub struct ReceiveSlot {
    turn: tokio::sync::Mutex<()>,
    newest: watch::Sender<u64>,
}

/// The right to receive.
pub struct ReceiveTurn<'r> {
    _turn: MutexGuard<'r, ()>,
    number: u64,
    newest: watch::Receiver<u64>,
}

impl ReceiveSlot {
    /// Ends the copy that is being received, and takes its place.
    ///
    /// # Errors
    /// When the other copy does not end in time.
    pub async fn begin(&self) -> Result<ReceiveTurn<'_>> {
        let mut number = 0;
        self.newest.send_modify(|newest| {
            *newest += 1;
            number = *newest;
        });
        let turn = within_silence(self.turn.lock()).await?;
        Ok(ReceiveTurn { _turn: turn, number, newest: self.newest.subscribe() })
    }
}

impl ReceiveTurn<'_> {
    /// Receives, unless a newer copy is offered.
    ///
    /// # Errors
    /// Those of `receive`; `not_possible_now` if there is a newer one.
    pub async fn unless_newer<T>(&mut self, receive: impl Future<Output = Result<T>>) -> Result<T> {
        let number = self.number;
        tokio::select! {
            received = receive => received,
            _ = self.newest.wait_for(|newest| *newest != number) => {
                Err(Error::new(Kind::NotPossibleNow, "a newer snapshot is on its way"))
            }
        }
    }
}

/// A copy that is being received.
pub struct Inbound {
    incoming: IncomingGeneration,
    file: Option<File>,
    space: CopySpace,
    bytes: u64,
    taken: u64,
    unsynced: u64,
}

impl Inbound {
    /// Begins a copy of this many bytes.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn begin(incoming: IncomingGeneration, space: CopySpace, bytes: u64) -> Result<Inbound> {
        let file = File::create(incoming.file()).map_err(failed)?;
        Ok(Inbound { incoming, file: Some(file), space, bytes, taken: 0, unsynced: 0 })
    }

    /// Whether all announced bytes have arrived.
    pub fn is_complete(&self) -> bool {
        self.taken == self.bytes
    }

    /// Adds the next bytes; returns how many have arrived.
    ///
    /// # Errors
    /// When there are more than announced, or the disk is full.
    pub async fn take(&mut self, chunk: Bytes) -> Result<u64> {
        self.taken += chunk.len() as u64;
        if self.taken > self.bytes {
            let message = format!("the snapshot is longer than its {} bytes", self.bytes);
            return Err(Error::new(Kind::InvalidBody, message));
        }
        self.unsynced += chunk.len() as u64;
        let sync = self.unsynced >= SYNC_BYTES;
        if sync {
            self.unsynced = 0;
        }
        let (mut file, space) =
            (self.file.take().ok_or_else(|| failed("closed"))?, self.space.clone());
        let writing = tokio::task::spawn_blocking(move || {
            space.check(chunk.len() as u64)?;
            file.write_all(&chunk).map_err(failed)?;
            if sync {
                file.sync_data().map_err(failed)?;
            }
            Ok::<_, Error>(file)
        });
        self.file = Some(writing.await.map_err(failed)??);
        Ok(self.taken)
    }

    /// Checks a complete copy, row by row, and makes it durable; counts the rows in `progress`
    /// meanwhile.
    ///
    /// # Errors
    /// When the copy is damaged, or the disk fails.
    pub async fn check(
        self,
        owner: Owner,
        map_bytes: usize,
        progress: Arc<AtomicU64>,
    ) -> Result<ReceivedState> {
        let checking = tokio::task::spawn_blocking(move || {
            if let Some(file) = self.file {
                file.sync_all().map_err(failed)?;
            }
            let count = || {
                progress.fetch_add(1, Ordering::Relaxed);
            };
            Ok::<_, Error>(ReceivedState::check(self.incoming, map_bytes, Some(&owner), count)?)
        });
        checking.await.map_err(failed)?
    }
}

/// Whether `message` is the MAC over everything before it.
pub fn is_sealed(seal: Seal, message: &[u8]) -> bool {
    message.len() == MAC_BYTES && seal.is(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_newer_copy_ends_the_one_that_is_being_received() {
        let receiving = Arc::new(ReceiveSlot::default());
        let mut first = receiving.begin().await.unwrap();
        let second = tokio::spawn({
            let receiving = receiving.clone();
            async move { receiving.begin().await.map(drop) }
        });
        let error = first.unless_newer(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(error.kind, Kind::NotPossibleNow);
        drop(first);
        second.await.unwrap().unwrap();
        let mut third = receiving.begin().await.unwrap();
        third.unless_newer(async { Ok(()) }).await.unwrap();
    }

    /// Symptom: a copy that took longer than ten minutes never arrived. Cause: the whole transfer
    /// had one time limit.
    #[tokio::test]
    async fn a_transfer_ends_when_nothing_is_heard_not_after_a_total_time() {
        let limit = Duration::from_millis(200);
        let error = within(limit, std::future::pending::<()>()).await.unwrap_err();
        assert!(error.to_string().contains("nothing was heard for"), "{error}");
        let begun = std::time::Instant::now();
        while begun.elapsed() < limit * 2 {
            within(limit, tokio::task::yield_now()).await.unwrap();
        }
    }
}
