//! Snapshots: the state that is already durable, and a copy of it only when it is sent.
//!
//! The applied state is a durable LMDB environment, so building a snapshot makes it durable and
//! records its log index; there are no periodic copies. A follower that needs one gets a hot copy
//! of the environment, which holds its own log index.

use super::types::{GroupId, LogId, Membership, RaftId, TypeConfig};
use super::wire;
use crate::error::{Error, Kind, Result};
use crate::storage::{
    Generations, IncomingGeneration, Read, StorageError, Store, Table, WriteTxn, free_disk_bytes,
};
use minicbor::{CborLen, Decode, Encode};
use openraft::storage::SnapshotMeta;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the content of a snapshot is.
#[derive(Clone)]
pub enum SnapshotData {
    /// In an open environment: that of the node that made it.
    Live(Arc<Store>),
    /// In a received generation that is not current yet.
    Received(Arc<ReceivedState>),
}

/// A state received from another member, checked and flushed.
pub struct ReceivedState {
    pub(super) incoming: IncomingGeneration,
    pub(super) store: Arc<Store>,
    /// How far it goes.
    pub applied: AppliedState,
}

impl ReceivedState {
    /// Copies another environment of this process.
    pub(super) fn copy(
        from: &Store,
        state: &Generations,
    ) -> std::result::Result<Self, StorageError> {
        let incoming = state.begin()?;
        from.copy_to(&incoming.file())?;
        let owner = Owner::load(&state.read()?)?;
        ReceivedState::check(incoming, state.map_bytes(), owner.as_ref(), || ())
    }

    /// Opens the environment in `incoming`, checks each row, and makes the state that of `owner`.
    /// Calls `progress` now and then. Works on the disk for as long as that takes.
    ///
    /// # Errors
    /// When a row is damaged, or the disk fails.
    pub fn check(
        incoming: IncomingGeneration,
        map_bytes: usize,
        owner: Option<&Owner>,
        progress: impl FnMut(),
    ) -> std::result::Result<Self, StorageError> {
        let store = Store::open(incoming.dir(), map_bytes)?;
        store.verify(progress)?;
        if let Some(owner) = owner {
            let mut txn = store.write()?;
            owner.save(&mut txn)?;
            txn.commit()?;
        }
        store.sync()?;
        let applied = AppliedState::load(&store.read()?)?;
        Ok(ReceivedState { incoming, store: Arc::new(store), applied })
    }
}

/// A snapshot, as openraft passes it.
pub type StateSnapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotData>;
/// The extent of a snapshot.
pub type StateSnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;

const APPLIED_KEY: &[u8] = b"applied";

/// How far the log is applied; stored in the same transaction as the effects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppliedState {
    /// The last applied entry.
    pub log_id: Option<LogId>,
    /// The last applied membership.
    pub membership: Membership,
}

impl AppliedState {
    /// Reads the state stored with the tables; the default when they are new.
    pub fn load(read: &impl Read) -> std::result::Result<Self, StorageError> {
        match read.get(Table::Meta, APPLIED_KEY)? {
            None => Ok(AppliedState::default()),
            Some(bytes) => wire::decode(bytes)
                .map_err(|error| StorageError::Failed(format!("the applied state: {error}"))),
        }
    }

    /// Index of the last applied entry as it is stored, without reading the rest.
    pub fn stored_index(read: &impl Read) -> std::result::Result<u64, StorageError> {
        let Some(bytes) = read.get(Table::Meta, APPLIED_KEY)? else { return Ok(0) };
        wire::applied_index(bytes)
            .map_err(|error| StorageError::Failed(format!("the applied state: {error}")))
    }

    /// Stores the state in the transaction that carries its effects.
    pub fn save(&self, txn: &mut WriteTxn<'_>) -> std::result::Result<(), StorageError> {
        let bytes = wire::encode(self).map_err(|error| StorageError::Failed(error.to_string()))?;
        txn.put(Table::Meta, APPLIED_KEY, &bytes)
    }

    /// Index of the last applied entry, 0 before the first.
    pub fn index(&self) -> u64 {
        self.log_id.map_or(0, |id| id.index)
    }

    /// The same as the metadata of a snapshot.
    pub fn into_meta(self) -> StateSnapshotMeta {
        SnapshotMeta { last_log_id: self.log_id, last_membership: self.membership }
    }
}

/// Where copies of the state are put, and what they must leave free. A full disk ends the node at
/// its next flush; a copy can wait.
#[derive(Debug, Clone)]
pub struct CopySpace {
    /// The directory.
    pub dir: PathBuf,
    /// Bytes of disk that stay free.
    pub reserve_bytes: u64,
}

impl CopySpace {
    /// Checks that the disk has space for this many more bytes.
    ///
    /// # Errors
    /// `storage_full`.
    pub fn check(&self, bytes: u64) -> Result<()> {
        let free = free_disk_bytes(&self.dir);
        if free >= bytes.saturating_add(self.reserve_bytes) {
            return Ok(());
        }
        let dir = self.dir.display();
        let message = format!("{dir} has {free} bytes free, too few for a snapshot of {bytes}");
        Err(Error::new(Kind::StorageFull, message)
            .hint("free space; the snapshot is tried again by itself"))
    }
}

const OWNER_KEY: &[u8] = b"owner";

/// The replica that an environment belongs to. Stored when it is created, and never taken from
/// another node's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen, Serialize, Deserialize)]
pub struct Owner {
    /// The cluster.
    #[n(0)]
    pub cluster_id: String,
    /// The group.
    #[n(1)]
    pub group: GroupId,
    /// The replica.
    #[n(2)]
    #[serde(rename = "replica")]
    pub raft_id: RaftId,
}

impl Owner {
    /// Reads the owner; none if the state is new.
    pub fn load(read: &impl Read) -> std::result::Result<Option<Self>, StorageError> {
        let Some(bytes) = read.get(Table::Meta, OWNER_KEY)? else {
            return Ok(None);
        };
        wire::decode(bytes)
            .map(Some)
            .map_err(|error| StorageError::Failed(format!("the owner of the state: {error}")))
    }

    /// Stores the owner.
    pub fn save(&self, txn: &mut WriteTxn<'_>) -> std::result::Result<(), StorageError> {
        let bytes = wire::encode(self).map_err(|error| StorageError::Failed(error.to_string()))?;
        txn.put(Table::Meta, OWNER_KEY, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symptom: a state of more than half of `MapSizeGb` could not be installed, and the node
    /// ended at each start. Cause: it was copied row by row into the environment that was there.
    #[test]
    fn a_state_larger_than_half_the_map_is_taken_over() {
        const MAP: usize = 16 << 20;
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let owner = |raft_id| Owner { cluster_id: "c".into(), group: 0, raft_id };
        let fill = |dir: &tempfile::TempDir, raft_id, value: u8| {
            let state = Generations::open(dir.path(), MAP).unwrap();
            let store = state.current();
            let mut txn = store.write().unwrap();
            owner(raft_id).save(&mut txn).unwrap();
            for number in 0..12u8 {
                txn.put(Table::Documents, &[number], &vec![value; 1 << 20]).unwrap();
            }
            txn.commit().unwrap();
            state
        };
        let (state, other) = (fill(&ours, 1, 1), fill(&theirs, 2, 2));
        for _ in 0..3 {
            let incoming = state.begin().unwrap();
            other.current().copy_to(&incoming.file()).unwrap();
            let received = ReceivedState::check(incoming, MAP, Some(&owner(1)), || ()).unwrap();
            state.switch(&received.incoming, received.store.clone(), &|_| ()).unwrap();
        }
        drop(state);
        let read = Generations::open(ours.path(), MAP).unwrap().read().unwrap();
        assert_eq!(Owner::load(&read).unwrap(), Some(owner(1)));
        assert_eq!(read.get(Table::Documents, &[11]).unwrap().unwrap()[0], 2);
    }

    #[test]
    fn a_copy_leaves_the_reserve_free() {
        let dir = tempfile::tempdir().unwrap();
        let space = |reserve_bytes| CopySpace { dir: dir.path().to_owned(), reserve_bytes };
        let free = free_disk_bytes(dir.path());
        assert_eq!(space(0).check(1), Ok(()));
        assert_eq!(space(0).check(u64::MAX).unwrap_err().kind, Kind::StorageFull);
        assert_eq!(space(free).check(1 << 40).unwrap_err().kind, Kind::StorageFull);
        assert_eq!(space(u64::MAX).check(1).unwrap_err().kind, Kind::StorageFull);
    }
}
