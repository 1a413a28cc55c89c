//! Reading what concerns the cluster itself: its document, its members, and what they support.

use crate::catalog;
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::row::Row;
use crate::storage::{Read, Result, StorageError, Table, keys};
use crate::system::{self, ClusterDocument, NodeDocument, Program};

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

/// The document of the cluster, read from `_system._cluster`; none in a group that does not hold it.
pub fn cluster(read: &impl Read) -> Result<Option<ClusterDocument>> {
    let Some(id) = catalog::collection(read, system::DATABASE, system::CLUSTER)? else {
        return Ok(None);
    };
    let key = keys::document_key(id, &DocumentId::from("cluster"));
    let Some(stored) = read.get(Table::Documents, &key)? else { return Ok(None) };
    let document = Row::decode(stored).and_then(|row| system::parse(row.json));
    let unreadable = || StorageError::Failed("the cluster's document is unreadable".into());
    document.map(Some).ok_or_else(unreadable)
}

/// Whether a feature level is held back, or a member does not support it. Pure.
///
/// # Errors
/// `not_possible_now`, with the reason.
pub fn check_level(level: u32, max: Option<u32>, nodes: &[NodeDocument]) -> error::Result<()> {
    if let Some(max) = max.filter(|max| *max < level) {
        let message = format!("the feature level is held at {max}");
        return Err(Error::new(Kind::NotPossibleNow, message)
            .hint("set another maximum, or none, to let it rise"));
    }
    match nodes.iter().find(|node| !Program::levels(node.program.as_ref()).contains(&level)) {
        Some(node) => Err(unsupported(&node.id, node.program.as_ref(), level)),
        None => Ok(()),
    }
}

/// The error for a node that does not support a feature level.
pub fn unsupported(node: &str, program: Option<&Program>, level: u32) -> Error {
    let (oldest, newest) = Program::levels(program).into_inner();
    let message = format!(
        "node {node:?} supports the feature levels {oldest} to {newest}, and this is level {level}"
    );
    Error::new(Kind::UnsupportedLevel, message).hint(match newest < level {
        true => format!("start it with a newer version, which supports level {level}"),
        false => format!("start it with an older version, which supports level {level}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{NodeRole, NodeStatus};

    fn node(id: &str, levels: Option<(u32, u32)>) -> NodeDocument {
        let program = levels.map(|(oldest_level, newest_level)| Program {
            version: "1.0.0".into(),
            oldest_level,
            newest_level,
            addresses: None,
            zone: None,
        });
        NodeDocument {
            id: id.into(),
            raft_id: 1,
            url: String::new(),
            role: NodeRole::Learner,
            status: NodeStatus::Inactive,
            description: None,
            program,
        }
    }

    #[test]
    fn a_level_needs_every_member_and_a_maximum_that_is_not_less() {
        let check = |level, max, nodes: &[NodeDocument]| {
            check_level(level, max, nodes).map_err(|error| error.kind)
        };
        let both = [node("a", Some((1, 3))), node("b", Some((2, 2)))];
        assert_eq!(check(2, None, &both), Ok(()));
        assert_eq!(check(2, Some(2), &both), Ok(()));
        assert_eq!(check(2, Some(1), &both), Err(Kind::NotPossibleNow));
        assert_eq!(check(3, None, &both), Err(Kind::UnsupportedLevel));
        assert_eq!(check(1, None, &both), Err(Kind::UnsupportedLevel));
        let silent = [node("a", Some((1, 2))), node("b", None)];
        assert_eq!(check(1, None, &silent), Ok(()), "who says nothing supports the first level");
        let error = check_level(2, None, &silent).unwrap_err();
        assert_eq!(
            error.message,
            "node \"b\" supports the feature levels 1 to 1, and this is level 2"
        );
    }
}
