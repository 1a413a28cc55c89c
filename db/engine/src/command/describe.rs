//! What is known of a command without applying it: the one list that says for every command what it
//! touches, who may propose it, and how it travels. It has no default case, so that a new command
//! does not compile without its row.

use super::{AuditEvent, Batch, BatchStep, Command, Operation, UserUpdate, WriteLimits};
use crate::budget::Cost;
use crate::error::{Error, Kind};
use crate::limits::NAME_BYTES_MAX;
use crate::namespace::Namespace;
use crate::system::{self, NodeStatus, TokenKind};

/// What a client must be allowed to do in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Read documents.
    Read,
    /// Change documents, and create collections.
    Write,
    /// Change the database, its collections, and what others may write.
    Own,
}

/// A database or collection that a command touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'c> {
    /// What must be allowed there.
    pub need: Need,
    /// The database.
    pub database: &'c str,
    /// The collection; none: the database as a whole.
    pub collection: Option<&'c str>,
}

/// How commands of a kind are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandClass {
    /// Whether clients propose it, with what [`Scope`] says of their rights.
    pub by_client: bool,
    /// Whether applying it may need more space on the disk.
    pub grows: bool,
    /// Whether it is possible in a transaction of several calls.
    pub in_transaction: bool,
    /// Whether it has a log entry of its own: because the entry's index is its own, or because
    /// its work does not depend on its size.
    pub alone: bool,
}

/// Documents that a client writes.
const DOCUMENTS: CommandClass =
    CommandClass { by_client: true, grows: true, in_transaction: true, alone: false };
/// Documents that a client deletes.
const DELETION: CommandClass = CommandClass { grows: false, ..DOCUMENTS };
/// A transaction's end, or a former document.
const FINAL: CommandClass = CommandClass { in_transaction: false, ..DOCUMENTS };
/// What a client says of databases and collections.
const DEFINITION: CommandClass =
    CommandClass { by_client: true, grows: false, in_transaction: false, alone: false };
/// The same where it means work on what is there.
const REWORK: CommandClass = CommandClass { alone: true, ..DEFINITION };
/// An index that is created.
const INDEX: CommandClass = CommandClass { grows: true, ..REWORK };
/// Members, users, tokens, audit log: by calls of their own.
const SYSTEM: CommandClass =
    CommandClass { by_client: false, grows: false, in_transaction: false, alone: false };
/// The first entry of a cluster, and the admission of a node, which is named by its index.
const ADMISSION: CommandClass = CommandClass { alone: true, ..SYSTEM };
/// A step of upkeep.
const CHORE: CommandClass = CommandClass { alone: true, ..SYSTEM };
/// A step that builds an index.
const BUILD: CommandClass = CommandClass { grows: true, ..CHORE };

/// What is known of a command without applying it.
#[derive(Debug, Clone, PartialEq)]
pub struct Description<'c> {
    /// How it is treated.
    pub class: CommandClass,
    /// What it touches.
    pub touches: Vec<Scope<'c>>,
    /// Names that it may make keys of: of databases, collections, nodes, users, tokens.
    pub names: Vec<&'c str>,
    /// Its entry in the audit log, if it has one.
    pub audited: Option<AuditEvent>,
    /// Bounds of its work.
    pub cost: Cost,
}

impl Command {
    /// What is known of it without applying it.
    pub fn describe(&self) -> Description<'_> {
        match self {
            Command::InitCluster { node, .. } => row(ADMISSION, vec![], vec![node], None),
            Command::CreateDatabase { name, .. } => {
                row(DEFINITION, vec![own(name)], vec![name], None)
            }
            Command::DropDatabase { name } => {
                row(REWORK, vec![own(name)], vec![], event("drop_database", name.clone()))
            }
            Command::RenameDatabase { from, to } => {
                let entry = event("rename_database", format!("{from} to {to}"));
                row(REWORK, vec![own(from), own(to)], vec![to], entry)
            }
            Command::CreateCollection { database, collection } => {
                let touched = at(Need::Write, database, collection);
                row(DEFINITION, vec![touched], vec![database, collection], None)
            }
            Command::DropCollection { database, collection } => {
                let entry = event("drop_collection", place(database, collection));
                row(DEFINITION, vec![at(Need::Own, database, collection)], vec![], entry)
            }
            Command::RenameCollection { database, from, to } => {
                let entry =
                    event("rename_collection", format!("{} to {to}", place(database, from)));
                let touched = vec![at(Need::Own, database, from), at(Need::Own, database, to)];
                row(DEFINITION, touched, vec![database, to], entry)
            }
            Command::ReplaceCollection { database, to, .. } => {
                let entry = event("replace_collection", place(database, to));
                row(DEFINITION, vec![documents(database, to)], vec![database, to], entry)
            }
            Command::Put { database, collection, .. } => {
                let touched = documents(database, collection);
                row(DOCUMENTS, vec![touched], vec![database, collection], None)
            }
            Command::Delete { database, collection, .. } => {
                row(DELETION, vec![documents(database, collection)], vec![], None)
            }
            Command::Restore { database, collection, .. } => {
                row(FINAL, vec![documents(database, collection)], vec![], None)
            }
            Command::Write(write) => {
                let deletes = |operation: &Operation| matches!(operation, Operation::Delete { .. });
                let class = if write.operations.iter().all(deletes) { DELETION } else { DOCUMENTS };
                let alone = write.operations.iter().any(Operation::is_many);
                let touched = documents(&write.database, &write.collection);
                let names = vec![&*write.database, &*write.collection];
                let known = row(CommandClass { alone, ..class }, vec![touched], names, None);
                Description { cost: cost(&write.limits), ..known }
            }
            Command::Batch(batch) => {
                let alone = batch.operations().any(|(_, operation)| operation.is_many());
                let names = batch.names().map(|name| &**name).collect();
                let known =
                    row(CommandClass { alone, ..DOCUMENTS }, batch_touches(batch), names, None);
                Description { cost: cost(&batch.limits), ..known }
            }
            Command::Commit(commit) => {
                let places = commit.places.iter();
                let touched = places.map(|(database, collection)| documents(database, collection));
                let names = commit.places.iter().flat_map(|(one, other)| [&**one, &**other]);
                row(FINAL, touched.collect(), names.collect(), None)
            }
            Command::CreateIndex { database, collection, .. } => {
                let touched = at(Need::Own, database, collection);
                row(INDEX, vec![touched], vec![database, collection], None)
            }
            Command::DropIndex { database, collection, name } => {
                let entry = event("drop_index", format!("{} {name}", place(database, collection)));
                row(DEFINITION, vec![at(Need::Own, database, collection)], vec![], entry)
            }
            Command::SetSchema { database, collection, .. } => {
                let entry = event("set_schema", place(database, collection));
                let touched = at(Need::Own, database, collection);
                row(DEFINITION, vec![touched], vec![database, collection], entry)
            }
            Command::SetVersions { database, collection, keep } => {
                let entry = match keep {
                    Some(_) => None,
                    None => event("drop_versions", place(database, collection)),
                };
                let touched = at(Need::Own, database, collection);
                row(DEFINITION, vec![touched], vec![database, collection], entry)
            }
            Command::BuildIndex { database, collection, .. } => {
                row(BUILD, vec![at(Need::Own, database, collection)], vec![], None)
            }
            Command::Expire { database, collection, .. }
            | Command::TrimVersions { database, collection, .. } => {
                row(CHORE, vec![at(Need::Own, database, collection)], vec![], None)
            }
            Command::ClearGarbage { .. }
            | Command::TrimChanges { .. }
            | Command::ForgetRetries { .. }
            | Command::RemoveEndedTokens { .. }
            | Command::SetVersionsDefault { .. }
            | Command::TrimAudit { .. } => row(CHORE, vec![], vec![], None),
            Command::ClusterRegister { node, url, .. } => {
                let entry = event("cluster_register", format!("{node} {url}"));
                row(ADMISSION, vec![], vec![node], entry)
            }
            Command::ClusterUpdate { node, status, .. } => {
                let leaves = *status == Some(NodeStatus::Leaving);
                let entry = if leaves { event("cluster_deregister", node.clone()) } else { None };
                row(SYSTEM, vec![], vec![], entry)
            }
            Command::ClusterStop { node, restart, .. } => {
                let action = if *restart { "cluster_restart" } else { "cluster_stop" };
                row(SYSTEM, vec![], vec![], event(action, node.clone()))
            }
            Command::ClusterMark { node, to, .. } => {
                let entry = match to {
                    NodeStatus::Paused => event("cluster_pause", node.clone()),
                    NodeStatus::Active => event("cluster_resume", node.clone()),
                    _ => None,
                };
                row(SYSTEM, vec![], vec![], entry)
            }
            Command::ClusterDeregister { .. } => row(SYSTEM, vec![], vec![], None),
            Command::CreateUser(user) => {
                let entry = event("user_create", format!("{} ({})", user.name, user.role));
                row(SYSTEM, vec![], vec![&user.name], entry)
            }
            Command::UpdateUser(update) => {
                let entry = match update.proved_hash {
                    Some(_) => event("password_change", update.name.clone()),
                    None => event("user_update", changes(update)),
                };
                row(SYSTEM, vec![], vec![], entry)
            }
            Command::DeleteUser { name } => {
                row(SYSTEM, vec![], vec![], event("user_delete", name.clone()))
            }
            Command::CreateToken(token) => {
                let called = token.name.as_deref().unwrap_or("");
                let entry = match token.kind {
                    TokenKind::Session => event("login", token.user.clone()),
                    TokenKind::ApiKey => event("token_create", format!("{} {called}", token.id)),
                    TokenKind::Join => {
                        event("token_create", format!("{} for a new node", token.id))
                    }
                };
                row(SYSTEM, vec![], vec![&token.id], entry)
            }
            Command::RevokeToken { id, .. } => {
                row(SYSTEM, vec![], vec![], event("token_revoke", id.clone()))
            }
            Command::UseJoinToken { id, node } => {
                row(SYSTEM, vec![], vec![], event("join_token_use", format!("{id} {node}")))
            }
            Command::Audit(entry) => row(SYSTEM, vec![], vec![], Some((**entry).clone())),
        }
    }
}

impl Description<'_> {
    /// What makes a key that the storage does not take. Calls are checked against the (smaller)
    /// limits of their node; a command that got past them must not end every node.
    pub(crate) fn too_long(&self) -> Option<Error> {
        let long = |name: &&&str| system::final_name(name).len() > NAME_BYTES_MAX;
        self.names.iter().find(long).map(|name| {
            let message = format!("a name has {} bytes, {NAME_BYTES_MAX} are allowed", name.len());
            Error::new(Kind::InvalidName, message).hint("use a shorter name")
        })
    }
}

fn row<'c>(
    class: CommandClass,
    touches: Vec<Scope<'c>>,
    names: Vec<&'c str>,
    audited: Option<AuditEvent>,
) -> Description<'c> {
    Description { class, touches, names, audited, cost: Cost::DEFAULT }
}

fn cost(limits: &WriteLimits) -> Cost {
    let WriteLimits { steps_max, memory_max, written_max, .. } = *limits;
    Cost { steps_max, memory_max, written_max }
}

fn own(database: &str) -> Scope<'_> {
    Scope { need: Need::Own, database, collection: None }
}

fn at<'c>(need: Need, database: &'c str, collection: &'c str) -> Scope<'c> {
    Scope { need, database, collection: Some(collection) }
}

/// Documents of a collection that are changed. Rules and their like say what others may write.
fn documents<'c>(database: &'c str, collection: &'c str) -> Scope<'c> {
    let system = system::final_name(collection).starts_with('_');
    at(if system { Need::Own } else { Need::Write }, database, collection)
}

fn batch_touches(batch: &Batch) -> Vec<Scope<'_>> {
    fn read(place: &Namespace) -> Scope<'_> {
        at(Need::Read, &place.database, &place.collection)
    }
    let conditions = batch.conditions.iter().map(|(place, _)| read(place));
    let steps = batch.then.iter().chain(&batch.otherwise).map(|(place, step)| match step {
        BatchStep::Get(_) => read(place),
        BatchStep::Operation(_) | BatchStep::Save { .. } => {
            documents(&place.database, &place.collection)
        }
    });
    conditions.chain(steps).collect()
}

fn place(database: &str, collection: &str) -> String {
    format!("{database}.{collection}")
}

fn event(action: &str, target: String) -> Option<AuditEvent> {
    Some(AuditEvent { action: action.into(), target, outcome: "ok".into() })
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
