//! Applying commands about the cluster itself: its first entry and its members.

use crate::apply::result::{ApplyResult, refuse};
use crate::apply::{Applier, SideEffect};
use crate::catalog;
use crate::command::Outcome;
use crate::error::{Error, Kind};
use crate::id::DocumentId;
use crate::members::{FIRST_RAFT_ID, nodes, unsupported};
use crate::namespace::NamespaceRef;
use crate::storage::WriteTxn;
use crate::system::{
    self, ALL_DATABASES, ClusterDocument, NodeDocument, NodeRole, NodeStatus, Program, UserDocument,
};
use serde_json::json;

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
        let cluster = ClusterDocument {
            id: "cluster".into(),
            cluster_id,
            created_ms: time_ms,
            max_feature_level: None,
        };
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
            scram_sha_256: None,
        };
        self.put_system(txn, system::USERS, "admin", &admin)?;
        let first = NodeDocument {
            id: node.clone(),
            raft_id: FIRST_RAFT_ID,
            url,
            role: NodeRole::Leader,
            status: NodeStatus::Active,
            description: None,
            program: None,
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
        program: Option<Program>,
    ) -> ApplyResult {
        let level = self.counters.level;
        if !Program::levels(program.as_ref()).contains(&level) {
            return Err(unsupported(&node, program.as_ref(), level).into());
        }
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
            program: program.map(|program| program.at_level(level)),
        };
        self.put_system(txn, system::NODES, &node, &document)?;
        self.effects.push(SideEffect::NodesChanged);
        Ok(Outcome::Registered { raft_id: index })
    }

    pub(super) fn update_node(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
        role: Option<NodeRole>,
        status: Option<NodeStatus>,
        url: Option<String>,
    ) -> ApplyResult {
        self.change_node(txn, node, raft_id, None, |document| {
            document.role = role.unwrap_or(document.role);
            document.status = status.unwrap_or(document.status);
            document.url = url.unwrap_or_else(|| std::mem::take(&mut document.url));
        })
    }

    pub(super) fn stop_node(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
        boot: Option<String>,
        restart: bool,
    ) -> ApplyResult {
        if let Some(boot) = boot {
            self.effects.push(SideEffect::Stop { boot, restart });
        }
        self.change_node(txn, node, raft_id, None, |document| {
            if document.status != NodeStatus::Leaving {
                document.status = NodeStatus::Inactive;
            }
        })
    }

    pub(super) fn mark_node(
        &mut self,
        txn: &mut WriteTxn<'_>,
        node: &str,
        raft_id: u64,
        role: Option<NodeRole>,
        from: NodeStatus,
        to: NodeStatus,
    ) -> ApplyResult {
        self.change_node(txn, node, raft_id, Some(from), |document| {
            document.role = role.unwrap_or(document.role);
            document.status = to;
        })
    }

    pub(super) fn announce(
        &mut self,
        txn: &mut WriteTxn<'_>,
        raft_id: u64,
        program: Program,
    ) -> ApplyResult {
        let Some(known) = nodes(txn)?.into_iter().find(|known| known.raft_id == raft_id) else {
            let message = format!("there is no node with Raft id {raft_id}");
            return Err(Error::new(Kind::NodeNotFound, message).into());
        };
        let program = Some(program.at_level(self.counters.level));
        let document = NodeDocument { program, ..known };
        self.put_system(txn, system::NODES, &document.id, &document)?;
        self.effects.push(SideEffect::NodesChanged);
        Ok(Outcome::Done)
    }

    fn change_node(
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
}
