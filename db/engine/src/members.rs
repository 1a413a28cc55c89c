//! Applying what concerns the cluster itself: its beginning and its members.

use super::apply::{Applier, ApplyResult, SideEffect, refuse, settle};
use super::catalog;
use super::command::{Outcome, PutMode};
use super::document;
use super::system::{self, ClusterDocument, NodeDocument, UserDocument};
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::namespace::NamespaceRef;
use crate::storage::env::Result;
use crate::storage::keys;
use crate::storage::{Read, StorageError, Table, WriteTxn};
use crate::system::{ALL_DATABASES, NodeRole, NodeStatus};
use serde::Serialize;
use serde_json::json;

/// Raft id of the node that makes the cluster.
pub const FIRST_RAFT_ID: u64 = 1;

impl Applier {
    pub(super) fn init_cluster(
        &mut self,
        txn: &mut WriteTxn<'_>,
        cluster_id: String,
        node: String,
        url: String,
        admin_hash: String,
        time_ms: u64,
    ) -> ApplyResult {
        if catalog::database(txn, system::DATABASE)?.is_some() {
            return Ok(Outcome::Done);
        }
        self.ensure_database(txn, system::DATABASE)?;
        self.ensure_collection(txn, system::DATABASE, system::TOKENS)?;
        self.ensure_collection(txn, system::DATABASE, system::AUDIT)?;
        let cluster = ClusterDocument { id: "cluster".into(), cluster_id, created_ms: time_ms };
        self.put_system(txn, system::CLUSTER, "cluster", &cluster)?;
        let admin = UserDocument {
            name: "admin".into(),
            password_hash: admin_hash,
            role: "admin".into(),
            allowed_dbs: vec![ALL_DATABASES.into()],
            grants: Default::default(),
            disabled: false,
            created_ms: time_ms,
            changed_ms: time_ms,
        };
        self.put_system(txn, system::USERS, "admin", &admin)?;
        let first = NodeDocument {
            id: node.clone(),
            raft_id: FIRST_RAFT_ID,
            url,
            role: NodeRole::Leader,
            status: NodeStatus::Active,
            description: None,
        };
        self.put_system(txn, system::NODES, &node, &first)?;
        self.effects.push(SideEffect::NodesChanged);
        Ok(Outcome::Done)
    }

    pub(super) fn register(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        node: String,
        url: String,
        description: Option<String>,
    ) -> ApplyResult {
        for known in nodes(txn)? {
            if known.id == node && known.url == url {
                return Ok(Outcome::Registered { raft_id: known.raft_id });
            }
            if known.id == node || known.url == url {
                let message = format!(
                    "node {node:?} at {url} clashes with the member {:?} at {}",
                    known.id, known.url
                );
                return Err(Error::new(Kind::NodeConflict, message)
                    .hint("deregister the member first, or give the new node another NodeID or address")
                    .details(json!({
                        "registered": {"node": known.id, "url": known.url},
                        "requested": {"node": node, "url": url},
                    })).into());
            }
        }
        let document = NodeDocument {
            id: node.clone(),
            raft_id: index,
            url,
            role: NodeRole::Learner,
            status: NodeStatus::Joining,
            description,
        };
        self.put_system(txn, system::NODES, &node, &document)?;
        self.effects.push(SideEffect::NodesChanged);
        Ok(Outcome::Registered { raft_id: index })
    }

    pub(super) fn change_node(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
        from: Option<NodeStatus>,
        change: impl FnOnce(&mut NodeDocument),
    ) -> ApplyResult {
        let found =
            nodes(txn)?.into_iter().find(|known| known.id == node && known.raft_id == raft_id);
        let Some(mut document) = found else {
            let message = format!("there is no node {node:?} with Raft id {raft_id}");
            return Err(Error::new(Kind::NodeNotFound, message).into());
        };
        if from.is_some_and(|from| from != document.status) {
            return refuse(
                Kind::NotPossibleNow,
                format!("node {node:?} has become {} meanwhile", document.status),
                "list the members and repeat what is still needed",
            );
        }
        change(&mut document);
        self.put_system(txn, system::NODES, node, &document)?;
        self.effects.push(SideEffect::NodesChanged);
        Ok(Outcome::Done)
    }

    pub(super) fn deregister(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
    ) -> ApplyResult {
        let known = nodes(txn)?.iter().any(|known| known.id == node && known.raft_id == raft_id);
        if known {
            let namespace = NamespaceRef { database: system::DATABASE, collection: system::NODES };
            self.effects.push(SideEffect::NodesChanged);
            self.delete(txn, namespace, DocumentId::from(node).into(), None)?;
        }
        Ok(Outcome::Done)
    }

    pub(super) fn put_system(
        &mut self,
        txn: &mut WriteTxn<'_>,
        collection: &str,
        id: &str,
        document: &impl Serialize,
    ) -> Result<()> {
        let failed = |error: serde_json::Error| StorageError::Failed(error.to_string());
        let mut value = serde_json::to_value(document).map_err(failed)?;
        if let Some(object) = value.as_object_mut() {
            object.shift_remove("_id");
        }
        let body = value.to_string();
        let namespace = NamespaceRef { database: system::DATABASE, collection };
        let target = DocumentId::from(id).into();
        match settle(self.put(txn, namespace, target, &body, PutMode::Upsert, None, true))? {
            Ok(_) => Ok(()),
            Err(error) => Err(StorageError::Failed(error.to_string())),
        }
    }
}

/// All members, read from `_system._clusternodes`.
pub fn nodes(read: &impl Read) -> Result<Vec<NodeDocument>> {
    let Some(id) = catalog::collection(read, system::DATABASE, system::NODES)? else {
        return Ok(Vec::new());
    };
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    let mut nodes = Vec::new();
    for entry in read.range(Table::Documents, &start, &end)? {
        let (_, stored) = entry?;
        let node = document::decode(stored).and_then(|(_, json)| system::parse(json));
        nodes.push(
            node.ok_or_else(|| StorageError::Failed("a member's document is unreadable".into()))?,
        );
    }
    Ok(nodes)
}
