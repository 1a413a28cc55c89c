//! Which function carries out a command.

use crate::apply::result::ApplyResult;
use crate::apply::{Applier, SideEffect};
use crate::command::{Command, Outcome};
use crate::namespace::NamespaceRef;
use crate::storage::WriteTxn;
use crate::system::NodeStatus;

impl Applier {
    pub(super) fn carry_out(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        command: Command,
    ) -> ApplyResult {
        match command {
            Command::InitCluster { cluster_id, node, url, admin_hash, time_ms } => {
                self.init_cluster(txn, cluster_id, node, url, admin_hash, time_ms)
            }
            Command::CreateDatabase { name, engine } => self.create_database(txn, &name, &engine),
            Command::DropDatabase { name } => self.drop_database(txn, &name),
            Command::RenameDatabase { from, to } => self.rename_database(txn, &from, &to),
            Command::CreateCollection { database, collection } => {
                self.ensure_database(txn, &database)?;
                self.ensure_collection(txn, &database, &collection)?;
                Ok(Outcome::Done)
            }
            Command::DropCollection { database, collection } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.check_replaced(txn, namespace, None)?;
                self.drop_collection(txn, &database, &collection)?;
                Ok(Outcome::Done)
            }
            Command::RenameCollection { database, from, to } => {
                if !self.rules(txn, &database)?.name(&from) {
                    return self.rename_collection(txn, &database, &from, &to);
                }
                self.all_or_nothing(txn, true, |this, txn| {
                    let renamed = this.rename_collection(txn, &database, &from, &to)?;
                    this.rename_in_rules(txn, &database, &from, &to)?;
                    Ok(renamed)
                })
            }
            Command::Put {
                database,
                collection,
                target,
                body,
                mode,
                if_match,
                create_database,
            } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.put(txn, namespace, target, &body, mode, if_match, create_database)
            }
            Command::Delete { database, collection, target, if_match } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.delete(txn, namespace, target, if_match)
            }
            Command::ClusterRegister { node, url, description } => {
                self.register(txn, index, node, url, description)
            }
            Command::ClusterUpdate { node, raft_id, role, status, url } => {
                self.change_node(txn, &node, raft_id, None, |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = status.unwrap_or(document.status);
                    document.url = url.unwrap_or_else(|| std::mem::take(&mut document.url));
                })
            }
            Command::ClusterStop { node, raft_id, boot, restart } => {
                if let Some(boot) = boot {
                    self.effects.push(SideEffect::Stop { boot, restart });
                }
                self.change_node(txn, &node, raft_id, None, |document| {
                    if document.status != NodeStatus::Leaving {
                        document.status = NodeStatus::Inactive;
                    }
                })
            }
            Command::ClusterDeregister { node, raft_id } => self.deregister(txn, &node, raft_id),
            Command::Write(write) => self.write_many(txn, *write),
            Command::CreateIndex { database, collection, spec } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.create_index(txn, namespace, spec)
            }
            Command::DropIndex { database, collection, name } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.drop_index(txn, namespace, &name)
            }
            Command::BuildIndex { database, collection, index, documents } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.build_index(txn, namespace, index, documents as usize)
            }
            Command::Expire { database, collection, index, time_ms, documents } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.expire(txn, namespace, index, time_ms as i64, documents as usize)
            }
            Command::ClearGarbage { rows } => self.clear_garbage(txn, rows as usize),
            Command::SetSchema { database, collection, schema, warns } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.set_schema(txn, namespace, schema, warns)
            }
            Command::ReplaceCollection { database, from, to } => {
                self.replace_collection(txn, &database, &from, &to)
            }
            Command::ClusterMark { node, raft_id, role, from, to } => {
                self.change_node(txn, &node, raft_id, Some(from), |document| {
                    document.role = role.unwrap_or(document.role);
                    document.status = to;
                })
            }
            Command::Commit(commit) => self.commit(txn, *commit),
            Command::Batch(batch) => self.batch(txn, *batch),
            Command::SetVersions { database, collection, keep } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.set_versions(txn, namespace, keep)
            }
            Command::SetVersionsDefault { on } => self.set_versions_default(txn, on),
            Command::Restore { database, collection, target, version } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.restore(txn, namespace, target, version)
            }
            Command::TrimVersions { database, collection, keys } => {
                let namespace = NamespaceRef { database: &database, collection: &collection };
                self.trim_versions(txn, namespace, keys)
            }
            Command::TrimChanges { bytes_max, rows } => {
                self.trim_changes(txn, bytes_max, rows as usize)
            }
            Command::ForgetRetries { before_ms, rows } => {
                self.forget_retries(txn, before_ms, rows as usize)
            }
            Command::CreateUser(user) => self.create_user(txn, &user),
            Command::UpdateUser(update) => self.update_user(txn, *update),
            Command::DeleteUser { name } => self.delete_user(txn, &name),
            Command::CreateToken(token) => self.create_token(txn, &token),
            Command::RevokeToken { id, user } => self.revoke_token(txn, &id, user.as_deref()),
            Command::UseJoinToken { id, .. } => self.use_join_token(txn, &id),
            Command::RemoveEndedTokens { before_ms, rows } => {
                self.remove_ended_tokens(txn, before_ms, rows as usize)
            }
            Command::Audit(_) => Ok(Outcome::Done),
            Command::TrimAudit { entries_max, rows } => {
                self.trim_audit(txn, entries_max, rows as usize)
            }
        }
    }
}
