//! openraft's side of the state: committed entries go to the writer, snapshots come from the state.

use super::log_store::{LogStore, payload_bytes};
use super::snapshot::{ReceivedState, SnapshotData, StateSnapshot, StateSnapshotMeta};
use super::types::{LogId, Membership, TypeConfig};
use super::writer::{Batch, Writer};
use crate::storage::Generations;
use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use std::io;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Bytes of entries that are passed to the writer at once, and an entry more.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of entries that may wait for the writer.
const QUEUE_BYTES: usize = 64 << 20;

/// The running consensus of a group.
pub type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// The state of a group, as openraft sees it.
pub struct StateMachine {
    writer: Writer,
    state: Arc<Generations>,
    log: LogStore,
    /// Bounds the bytes of entries that wait for the writer.
    memory: Arc<Semaphore>,
}

impl StateMachine {
    /// Creates the state machine that applies the entries of `log` through `writer`.
    pub fn new(writer: Writer, state: Arc<Generations>, log: LogStore) -> Self {
        StateMachine { writer, state, log, memory: Arc::new(Semaphore::new(QUEUE_BYTES)) }
    }

    /// Hands entries to the writer once the queue has memory for them.
    async fn hand_over(&self, batch: Batch, bytes: usize) -> io::Result<()> {
        let permits = bytes.min(QUEUE_BYTES) as u32;
        let permit = self.memory.clone().acquire_many_owned(permits).await;
        self.writer.apply(batch, permit.map_err(io::Error::other)?).await
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, Membership)> {
        let applied = self.writer.make_durable().await?;
        Ok((applied.log_id, applied.membership))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            bytes += payload_bytes(&entry.0.payload);
            batch.push(entry);
            if bytes >= BATCH_BYTES {
                self.hand_over(std::mem::take(&mut batch), std::mem::take(&mut bytes)).await?;
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.hand_over(batch, bytes).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { writer: self.writer.clone(), state: self.state.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &StateSnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let received = match snapshot {
            SnapshotData::Received(received) => received,
            SnapshotData::Live(store) if Arc::ptr_eq(&store, &self.state.current()) => {
                return Ok(());
            }
            SnapshotData::Live(store) => Arc::new(ReceivedState::copy(&store, &self.state)?),
        };
        // Entries that contradict the snapshot are cut off first: a start that found them beside
        // the new state could not go on.
        self.log.sync().await?;
        let applied = self.writer.install(received).await?;
        tracing::info!(index = applied.index(), "installed a snapshot");
        debug_assert!(applied.log_id >= meta.last_log_id);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<StateSnapshot>> {
        let meta = self.writer.make_durable().await?.into_meta();
        let some = meta.last_log_id.is_some();
        Ok(some.then_some(Snapshot { meta, snapshot: SnapshotData::Live(self.state.current()) }))
    }
}

/// Builds a snapshot by making the applied state durable.
pub struct SnapshotBuilder {
    writer: Writer,
    state: Arc<Generations>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<StateSnapshot> {
        let meta = self.writer.make_durable().await?.into_meta();
        Ok(Snapshot { meta, snapshot: SnapshotData::Live(self.state.current()) })
    }
}
