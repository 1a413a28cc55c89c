//! What the audit log says of each command.

use super::{AuditEvent, Command, Placement, UserUpdate};
use crate::namespace::NamespaceRef;
use crate::system::{NodeStatus, TokenDocument, TokenKind};

impl Command {
    /// Its entry in the audit log when it succeeds, if it has one.
    pub(crate) fn audit_event(&self) -> Option<AuditEvent> {
        let (action, target) = match self {
            Command::DropDatabase { name } => ("drop_database", name.clone()),
            Command::RenameDatabase { from, to } => ("rename_database", format!("{from} to {to}")),
            Command::DropCollection { namespace } => ("drop_collection", namespace.to_string()),
            Command::RenameCollection { database, from, to } => {
                let from = NamespaceRef { database, collection: from };
                ("rename_collection", format!("{from} to {to}"))
            }
            Command::ReplaceCollection { database, to, .. } => {
                ("replace_collection", NamespaceRef { database, collection: to }.to_string())
            }
            Command::DropIndex { namespace, name } => ("drop_index", format!("{namespace} {name}")),
            Command::SetSchema { namespace, .. } => ("set_schema", namespace.to_string()),
            Command::SetVersions { namespace, keep: None } => {
                ("drop_versions", namespace.to_string())
            }
            Command::ClusterRegister { node, url, .. } => {
                ("cluster_register", format!("{node} {url}"))
            }
            Command::ClusterUpdate { node, status: Some(NodeStatus::Leaving), .. } => {
                ("cluster_deregister", node.clone())
            }
            Command::ClusterStop { node, restart: true, .. } => ("cluster_restart", node.clone()),
            Command::ClusterStop { node, .. } => ("cluster_stop", node.clone()),
            Command::ClusterMark { node, to: NodeStatus::Paused, .. } => {
                ("cluster_pause", node.clone())
            }
            Command::ClusterMark { node, to: NodeStatus::Active, .. } => {
                ("cluster_resume", node.clone())
            }
            Command::SetMaxFeatureLevel { max } => {
                let max = max.map_or_else(|| "none".to_owned(), |max| max.to_string());
                ("set_max_feature_level", max)
            }
            Command::Placement(placement) => placement_event(placement)?,
            Command::CreateUser(user) => ("user_create", format!("{} ({})", user.name, user.role)),
            Command::UpdateUser(update) if update.proved_hash.is_some() => {
                ("password_change", update.name.clone())
            }
            Command::UpdateUser(update) => ("user_update", changes(update)),
            Command::DeleteUser { name } => ("user_delete", name.clone()),
            Command::CreateToken(token) => creation(token),
            Command::RevokeToken { id, .. } => ("token_revoke", id.clone()),
            Command::UseJoinToken { id, node } => ("join_token_use", format!("{id} {node}")),
            Command::Audit(event) => return Some((**event).clone()),
            Command::InitCluster { .. }
            | Command::CreateDatabase { .. }
            | Command::CreateCollection { .. }
            | Command::Put(_)
            | Command::Delete { .. }
            | Command::Restore { .. }
            | Command::Write(_)
            | Command::Batch(_)
            | Command::Commit(_)
            | Command::CreateIndex { .. }
            | Command::BuildIndex { .. }
            | Command::SetVersions { .. }
            | Command::SetVersionsDefault { .. }
            | Command::SetFeatureLevel { .. }
            | Command::Expire { .. }
            | Command::ClearGarbage { .. }
            | Command::TrimVersions { .. }
            | Command::TrimChanges { .. }
            | Command::ForgetRetries { .. }
            | Command::RemoveEndedTokens { .. }
            | Command::TrimAudit { .. }
            | Command::ClusterUpdate { .. }
            | Command::ClusterMark { .. }
            | Command::ClusterAnnounce { .. }
            | Command::InGroup(_)
            | Command::ClusterDeregister { .. } => return None,
        };
        Some(AuditEvent { action: action.into(), target, outcome: "ok".into() })
    }
}

fn placement_event(placement: &Placement) -> Option<(&'static str, String)> {
    let of = |group: &u32| format!("group {group}");
    Some(match placement {
        Placement::CreateGroup { group, .. } => ("group_create", of(group)),
        Placement::RemoveGroup { group, .. } => ("group_remove", of(group)),
        Placement::SetNodes { group, .. } => ("group_move", of(group)),
        Placement::PinLeader { group, .. } => ("group_pin_leader", of(group)),
        Placement::DropDatabase { name } => ("drop_database", name.clone()),
        Placement::RenameDatabase { from, to } => ("rename_database", format!("{from} to {to}")),
        Placement::PlaceReplica { .. }
        | Placement::ActivateReplica { .. }
        | Placement::RemoveReplica { .. }
        | Placement::ActivateGroup { .. }
        | Placement::CreateDatabase { .. }
        | Placement::EndDatabaseChange { .. } => return None,
    })
}

/// A token that is created, without its secret.
fn creation(token: &TokenDocument) -> (&'static str, String) {
    match token.kind {
        TokenKind::Session => ("login", token.user.clone()),
        TokenKind::ApiKey => {
            let name = token.name.as_deref().unwrap_or("");
            ("token_create", format!("{} {name}", token.id))
        }
        TokenKind::Join => ("token_create", format!("{} for a new node", token.id)),
    }
}

/// What is changed of a user, without secrets.
fn changes(update: &UserUpdate) -> String {
    let mut parts = vec![update.name.clone()];
    parts.extend(update.password_hash.as_ref().map(|_| "password".to_owned()));
    parts.extend(update.role.as_ref().map(|role| format!("role={role}")));
    parts.extend(update.allowed_dbs.as_ref().map(|all| format!("databases={}", all.join(","))));
    parts.extend(update.grants.as_ref().map(|grants| {
        let grants = grants.iter().map(|(database, role)| format!("{database}:{role}"));
        format!("grants={}", grants.collect::<Vec<_>>().join(","))
    }));
    parts.extend(update.disabled.map(|disabled| format!("disabled={disabled}")));
    parts.join(" ")
}
