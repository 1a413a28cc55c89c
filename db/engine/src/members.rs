//! Applying what concerns the cluster itself: its beginning and its members.

use crate::catalog;
use crate::row::Row;
use crate::storage::{Read, Result, StorageError, Table, keys};
use crate::system::{self, NodeDocument};

/// Raft id of the node that makes the cluster.
pub const FIRST_RAFT_ID: u64 = 1;

/// All members, read from `_system._clusternodes`.
pub fn nodes(read: &impl Read) -> Result<Vec<NodeDocument>> {
    let Some(id) = catalog::collection(read, system::DATABASE, system::NODES)? else {
        return Ok(Vec::new());
    };
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    let mut nodes = Vec::new();
    for entry in read.range(Table::Documents, &start, &end)? {
        let (_, stored) = entry?;
        let node = Row::decode(stored).and_then(|row| system::parse(row.json));
        nodes.push(
            node.ok_or_else(|| StorageError::Failed("a member's document is unreadable".into()))?,
        );
    }
    Ok(nodes)
}
