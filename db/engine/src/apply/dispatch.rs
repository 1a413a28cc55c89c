//! Which function carries out a command.

use crate::apply::Applier;
use crate::apply::result::ApplyResult;
use crate::command::{Command, Outcome};
use crate::storage::WriteTxn;

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
            Command::CreateCollection { namespace } => self.create_collection(txn, &namespace),
            Command::DropCollection { namespace } => self.drop_unreferenced(txn, &namespace),
            Command::RenameCollection { database, from, to } => {
                self.rename_with_rules(txn, &database, &from, &to)
            }
            Command::ReplaceCollection { database, from, to } => {
                self.replace_collection(txn, &database, &from, &to)
            }
            Command::Put(put) => self.put(txn, put),
            Command::Delete { namespace, target, if_match } => {
                self.delete(txn, namespace.borrowed(), target, if_match)
            }
            Command::Write(write) => self.write_many(txn, *write),
            Command::Batch(batch) => self.batch(txn, *batch),
            Command::Commit(commit) => self.commit(txn, *commit),
            Command::CreateIndex { namespace, spec } => {
                self.create_index(txn, namespace.borrowed(), spec)
            }
            Command::DropIndex { namespace, name } => self.drop_index(txn, &namespace, &name),
            Command::BuildIndex { namespace, index, documents } => {
                self.build_index(txn, namespace.borrowed(), index, documents as usize)
            }
            Command::SetSchema { namespace, schema, warns } => {
                self.set_schema(txn, &namespace, schema, warns)
            }
            Command::SetVersions { namespace, keep } => {
                self.set_versions(txn, namespace.borrowed(), keep)
            }
            Command::SetFeatureLevel { level } => self.set_feature_level(txn, level),
            Command::SetMaxFeatureLevel { max } => self.set_max_feature_level(txn, max),
            Command::SetVersionsDefault { on } => self.set_versions_default(txn, on),
            Command::Restore { namespace, target, version } => {
                self.restore(txn, namespace.borrowed(), target, version)
            }
            Command::ClusterRegister { node, url, description, program } => {
                self.register(txn, index, node, url, description, program)
            }
            Command::ClusterUpdate { node, raft_id, role, status, url } => {
                self.update_node(txn, &node, raft_id, role, status, url)
            }
            Command::ClusterStop { node, raft_id, boot, restart } => {
                self.stop_node(txn, &node, raft_id, boot, restart)
            }
            Command::ClusterMark { node, raft_id, role, from, to } => {
                self.mark_node(txn, &node, raft_id, role, from, to)
            }
            Command::ClusterAnnounce { raft_id, program } => self.announce(txn, raft_id, program),
            Command::ClusterDeregister { node, raft_id } => self.deregister(txn, &node, raft_id),
            Command::Placement(placement) => self.place(txn, index, *placement),
            Command::InGroup(command) => self.in_group(txn, *command),
            Command::CreateUser(user) => self.create_user(txn, &user),
            Command::UpdateUser(update) => self.update_user(txn, *update),
            Command::DeleteUser { name } => self.delete_user(txn, &name),
            Command::CreateToken(token) => self.create_token(txn, &token),
            Command::RevokeToken { id, user } => self.revoke_token(txn, &id, user.as_deref()),
            Command::UseJoinToken { id, .. } => self.use_join_token(txn, &id),
            Command::Audit(_) => Ok(Outcome::Done),
            Command::Expire { namespace, index, time_ms, documents } => {
                self.expire(txn, &namespace, index, time_ms as i64, documents as usize)
            }
            Command::ClearGarbage { rows } => self.clear_garbage(txn, rows as usize),
            Command::TrimVersions { namespace, keys } => self.trim_versions(txn, &namespace, keys),
            Command::TrimChanges { bytes_max, rows } => self.trim_changes(txn, bytes_max, rows),
            Command::ForgetRetries { before_ms, rows } => {
                self.forget_retries(txn, before_ms, rows as usize)
            }
            Command::RemoveEndedTokens { before_ms, rows } => {
                self.remove_ended_tokens(txn, before_ms, rows as usize)
            }
            Command::TrimAudit { entries_max, rows } => self.trim_audit(txn, entries_max, rows),
        }
    }
}
