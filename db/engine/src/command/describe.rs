//! What is known of a command without applying it: the one list that says for every command what it
//! touches, who may propose it, and how it is proposed. It has no default case, so that a new command
//! does not compile without its row.

use super::{Batch, BatchStep, Command, GroupCommand, Operation, Placement, Write, WriteLimits};
use crate::budget::Cost;
use crate::error::{Error, Kind, Result};
use crate::limits::NAME_BYTES_MAX;
use crate::namespace::Namespace;
use crate::placement::{DatabaseChange, GROUPS_LEVEL, MOVES_LEVEL};
use crate::system;

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
    /// Bounds of its work.
    pub cost: Cost,
    /// The feature level from which on it may be proposed.
    pub min_level: u32,
}

impl Command {
    /// What is known of it without applying it.
    pub fn describe(&self) -> Description<'_> {
        match self {
            Command::InitCluster { node, .. } | Command::ClusterRegister { node, .. } => {
                row(ADMISSION, vec![], vec![node])
            }
            Command::CreateDatabase { name, .. } => row(DEFINITION, vec![own(name)], vec![name]),
            Command::DropDatabase { name } => row(REWORK, vec![own(name)], vec![]),
            Command::RenameDatabase { from, to } => row(REWORK, vec![own(from), own(to)], vec![to]),
            Command::CreateCollection { namespace } => {
                creating(DEFINITION, at(Need::Write, namespace))
            }
            Command::DropCollection { namespace } | Command::DropIndex { namespace, .. } => {
                row(DEFINITION, vec![at(Need::Own, namespace)], vec![])
            }
            Command::RenameCollection { database, from, to } => {
                let touched = [from, to].map(|name| collection(Need::Own, database, name));
                row(DEFINITION, touched.into(), vec![database, to])
            }
            Command::ReplaceCollection { database, to, .. } => {
                creating(DEFINITION, documents(database, to))
            }
            Command::Put(put) => creating(DOCUMENTS, documents_of(&put.namespace)),
            Command::Delete { namespace, .. } => {
                row(DELETION, vec![documents_of(namespace)], vec![])
            }
            Command::Restore { namespace, .. } => row(FINAL, vec![documents_of(namespace)], vec![]),
            Command::Write(write) => describe_write(write),
            Command::Batch(batch) => describe_batch(batch),
            Command::Commit(commit) => {
                let touched = commit.namespaces.iter().map(documents_of);
                let names = commit.namespaces.iter().flat_map(names);
                row(FINAL, touched.collect(), names.collect())
            }
            Command::CreateIndex { namespace, .. } => creating(INDEX, at(Need::Own, namespace)),
            Command::SetSchema { namespace, .. } | Command::SetVersions { namespace, .. } => {
                creating(DEFINITION, at(Need::Own, namespace))
            }
            Command::BuildIndex { namespace, .. } => {
                row(BUILD, vec![at(Need::Own, namespace)], vec![])
            }
            Command::Expire { namespace, .. } | Command::TrimVersions { namespace, .. } => {
                row(CHORE, vec![at(Need::Own, namespace)], vec![])
            }
            Command::ClearGarbage { .. }
            | Command::TrimChanges { .. }
            | Command::ForgetRetries { .. }
            | Command::RemoveEndedTokens { .. }
            | Command::SetVersionsDefault { .. }
            | Command::SetFeatureLevel { .. }
            | Command::TrimAudit { .. } => row(CHORE, vec![], vec![]),
            Command::Placement(placement) => describe_placement(placement),
            Command::InGroup(command) => describe_in_group(command),
            Command::CreateUser(user) => row(SYSTEM, vec![], vec![&user.name]),
            Command::CreateToken(token) => row(SYSTEM, vec![], vec![&token.id]),
            Command::ClusterUpdate { .. }
            | Command::ClusterStop { .. }
            | Command::ClusterMark { .. }
            | Command::ClusterAnnounce { .. }
            | Command::SetMaxFeatureLevel { .. }
            | Command::ClusterDeregister { .. }
            | Command::UpdateUser(_)
            | Command::DeleteUser { .. }
            | Command::RevokeToken { .. }
            | Command::UseJoinToken { .. }
            | Command::Audit(_) => row(SYSTEM, vec![], vec![]),
        }
    }
}

impl Description<'_> {
    /// Whether the command may be proposed and applied at a feature level.
    ///
    /// # Errors
    /// `not_possible_now`.
    pub fn check_level(&self, level: u32) -> Result<()> {
        if self.min_level <= level {
            return Ok(());
        }
        let needed = self.min_level;
        let message = format!("this needs feature level {needed}, the cluster has {level}");
        Err(Error::new(Kind::NotPossibleNow, message)
            .hint("bring every member to a version that supports it, and let the level be raised"))
    }

    /// The refusal of a name that makes too long a key for the storage. Calls are checked against the (smaller)
    /// limits of their node; a command that got past them must not end every node.
    pub(crate) fn too_long(&self) -> Option<Error> {
        let long = |name: &&&str| system::final_name(name).len() > NAME_BYTES_MAX;
        self.names.iter().find(long).map(|name| {
            let message = format!("a name has {} bytes, {NAME_BYTES_MAX} are allowed", name.len());
            Error::new(Kind::InvalidName, message).hint("use a shorter name")
        })
    }
}

fn row<'c>(class: CommandClass, touches: Vec<Scope<'c>>, names: Vec<&'c str>) -> Description<'c> {
    Description { class, touches, names, cost: Cost::DEFAULT, min_level: 1 }
}

fn describe_placement(placement: &Placement) -> Description<'_> {
    let known = match placement {
        Placement::CreateDatabase { name, .. } => row(DEFINITION, vec![own(name)], vec![name]),
        Placement::DropDatabase { name } => row(DEFINITION, vec![own(name)], vec![]),
        Placement::RenameDatabase { from, to } => {
            row(DEFINITION, vec![own(from), own(to)], vec![to])
        }
        Placement::PlaceReplica { .. } => row(ADMISSION, vec![], vec![]),
        Placement::CreateGroup { .. }
        | Placement::RemoveGroup { .. }
        | Placement::SetNodes { .. }
        | Placement::ActivateReplica { .. }
        | Placement::RemoveReplica { .. }
        | Placement::ActivateGroup { .. }
        | Placement::PinLeader { .. }
        | Placement::EndDatabaseChange { .. } => row(SYSTEM, vec![], vec![]),
    };
    let min_level = match placement {
        Placement::SetNodes { strategy: Some(_), .. }
        | Placement::RemoveGroup { keep_state: Some(_), .. } => MOVES_LEVEL,
        _ => GROUPS_LEVEL,
    };
    Description { min_level, ..known }
}

fn describe_in_group(command: &GroupCommand) -> Description<'_> {
    let known = match command {
        GroupCommand::ChangeDatabase { change, .. } => match change {
            DatabaseChange::Create { name, .. } => row(CHORE, vec![own(name)], vec![name]),
            DatabaseChange::Drop { name } => row(CHORE, vec![own(name)], vec![]),
            DatabaseChange::Rename { from, to } => row(CHORE, vec![own(from), own(to)], vec![to]),
        },
        GroupCommand::Init { .. } | GroupCommand::Rights { .. } => row(SYSTEM, vec![], vec![]),
    };
    Description { min_level: GROUPS_LEVEL, ..known }
}

/// A command for one collection, which it creates if need be.
fn creating(class: CommandClass, touched: Scope<'_>) -> Description<'_> {
    let names = [Some(touched.database), touched.collection];
    row(class, vec![touched], names.into_iter().flatten().collect())
}

fn describe_write(write: &Write) -> Description<'_> {
    let deletes = |operation: &Operation| matches!(operation, Operation::Delete { .. });
    let class = if write.operations.iter().all(deletes) { DELETION } else { DOCUMENTS };
    let alone = write.operations.iter().any(Operation::is_many);
    let known = creating(CommandClass { alone, ..class }, documents_of(&write.namespace));
    Description { cost: cost(&write.limits), ..known }
}

fn describe_batch(batch: &Batch) -> Description<'_> {
    fn read(namespace: &Namespace) -> Scope<'_> {
        at(Need::Read, namespace)
    }
    let conditions = batch.conditions.iter().map(|(namespace, _)| read(namespace));
    let steps = batch.then.iter().chain(&batch.otherwise).map(|(namespace, step)| match step {
        BatchStep::Get(_) => read(namespace),
        BatchStep::Operation(_) | BatchStep::Save { .. } => documents_of(namespace),
    });
    let alone = batch.operations().any(|(_, operation)| operation.is_many());
    let names = batch.names().map(|name| &**name).collect();
    let known = row(CommandClass { alone, ..DOCUMENTS }, conditions.chain(steps).collect(), names);
    Description { cost: cost(&batch.limits), ..known }
}

fn cost(limits: &WriteLimits) -> Cost {
    let WriteLimits { steps_max, memory_max, written_max, .. } = *limits;
    Cost { steps_max, memory_max, written_max }
}

fn own(database: &str) -> Scope<'_> {
    Scope { need: Need::Own, database, collection: None }
}

fn collection<'c>(need: Need, database: &'c str, collection: &'c str) -> Scope<'c> {
    Scope { need, database, collection: Some(collection) }
}

fn at(need: Need, namespace: &Namespace) -> Scope<'_> {
    collection(need, &namespace.database, &namespace.collection)
}

/// Documents of a collection that are changed. Rules and their like say what others may write.
fn documents<'c>(database: &'c str, name: &'c str) -> Scope<'c> {
    let system = system::final_name(name).starts_with('_');
    collection(if system { Need::Own } else { Need::Write }, database, name)
}

fn documents_of(namespace: &Namespace) -> Scope<'_> {
    documents(&namespace.database, &namespace.collection)
}

fn names(namespace: &Namespace) -> [&str; 2] {
    [&namespace.database, &namespace.collection]
}
