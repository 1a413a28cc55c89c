//! Applying commands about groups, their replicas and the databases in them.

use crate::apply::result::{ApplyResult, refuse};
use crate::apply::{Applier, SideEffect};
use crate::catalog;
use crate::command::describe::Description;
use crate::command::{Command, GroupCommand, Outcome, Placement};
use crate::error::{Error, Kind, database_not_found};
use crate::members::nodes;
use crate::placement::{
    self, CHANGED_KEY, DatabaseChange, DatabaseDocument, DatabaseState, GROUP_KEY, GROUPS_MAX,
    GroupDocument, GroupState, MoveStrategy, REPLICAS_MAX, RIGHTS_KEY, ReplicaDocument,
    ReplicaState, placement_changed,
};
use crate::storage::{Result, Table, WriteTxn};
use crate::system::{self, DATABASES, GROUPS, NodeStatus};

impl Applier {
    /// Refuses a client's command for a database that is in another group.
    pub(super) fn check_placed(
        &self,
        txn: &WriteTxn<'_>,
        command: &Command,
        known: &Description<'_>,
    ) -> ApplyResult<()> {
        if self.counters.level < placement::GROUPS_LEVEL || self.provisional {
            return Ok(());
        }
        let in_group = self.counters.group.is_some();
        let own = match command {
            Command::Placement(_) | Command::InGroup(_) => return Ok(()),
            Command::CreateDatabase { name, .. } | Command::DropDatabase { name } if in_group => {
                return Err(placement_changed(name).into());
            }
            Command::RenameDatabase { from, .. } if in_group => {
                return Err(placement_changed(from).into());
            }
            // Whether the other name is free is for the command to say.
            Command::RenameDatabase { .. } => &known.touches[..1],
            _ => &known.touches[..],
        };
        for touched in own.iter().filter(|_| known.class.by_client) {
            let here = touched.database == system::DATABASE
                || self.collections.contains_key(touched.database);
            if !here {
                placement::check_placed(txn, touched.database)?;
            }
        }
        Ok(())
    }

    /// [`Command::Placement`]
    pub(super) fn place(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        placement: Placement,
    ) -> ApplyResult {
        if self.counters.group.is_some() {
            let message = "this group does not hold the placement";
            return refuse(Kind::NotPossibleNow, message, "propose it in the system group");
        }
        match placement {
            Placement::CreateGroup { group, replication_factor, voters, observers } => {
                let id = group.to_string();
                let (state, epoch, replicas) = (GroupState::Creating, index, Vec::new());
                let (databases, leader, strategy, keep_state) = (0, None, None, false);
                self.create_group(
                    txn,
                    GroupDocument {
                        id,
                        group,
                        state,
                        epoch,
                        replication_factor,
                        voters,
                        observers,
                        replicas,
                        databases,
                        leader,
                        strategy,
                        keep_state,
                    },
                )
            }
            Placement::RemoveGroup { group, keep_state } => {
                self.remove_group(txn, index, group, keep_state.unwrap_or(false))
            }
            Placement::SetNodes { group, epoch, voters, observers, strategy } => {
                self.set_nodes(txn, index, group, epoch, (voters, observers, strategy))
            }
            Placement::PlaceReplica { group, node } => self.place_replica(txn, index, group, node),
            Placement::ActivateReplica { group, replica } => {
                self.activate_replica(txn, group, replica)
            }
            Placement::RemoveReplica { group, replica, joining } => {
                self.remove_replica(txn, group, replica, joining)
            }
            Placement::ActivateGroup { group } => self.activate_group(txn, group),
            Placement::PinLeader { group, node } => self.pin_leader(txn, group, node),
            Placement::CreateDatabase { name, engine, group } => {
                self.place_database(txn, index, name, engine, group)
            }
            Placement::DropDatabase { name } => self.drop_placed(txn, index, &name),
            Placement::RenameDatabase { from, to } => self.rename_placed(txn, index, &from, &to),
            Placement::EndDatabaseChange { name, epoch, problem } => {
                self.end_database_change(txn, &name, epoch, problem)
            }
        }
    }

    fn put_group(&mut self, txn: &mut WriteTxn<'_>, group: &GroupDocument) -> ApplyResult {
        self.note_effect(SideEffect::PlacementChanged);
        self.put_system(txn, GROUPS, &group.id, group)?;
        Ok(Outcome::Done)
    }

    fn create_group(&mut self, txn: &mut WriteTxn<'_>, group: GroupDocument) -> ApplyResult {
        let number = group.group;
        if number == 0 || placement::group(txn, number)?.is_some() {
            let message = format!("group already exist: there is a group {number}");
            return refuse(Kind::GroupExists, message, "choose another number");
        }
        if placement::groups(txn)?.len() >= GROUPS_MAX {
            let message = format!("there are {GROUPS_MAX} groups, and no more are possible");
            return refuse(Kind::NotPossibleNow, message, "remove one that is not needed");
        }
        check_nodes(txn, &group)?;
        self.put_group(txn, &group)
    }

    fn remove_group(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        number: u32,
        keep_state: bool,
    ) -> ApplyResult {
        if number == 0 {
            let message = "group 0 holds the members and users of the cluster";
            return refuse(Kind::GroupInUse, message, "it cannot be removed");
        }
        let Some(group) = placement::group(txn, number)? else { return Ok(Outcome::Done) };
        if group.databases > 0 {
            let message = format!("group {number} holds {} databases", group.databases);
            return refuse(Kind::GroupInUse, message, "drop them first");
        }
        if group.state == GroupState::Removing {
            return Ok(Outcome::Done);
        }
        if group.replicas.is_empty() {
            self.note_effect(SideEffect::PlacementChanged);
            return self.remove_system(txn, GROUPS, &group.id);
        }
        let state = GroupState::Removing;
        self.put_group(txn, &GroupDocument { state, epoch: index, keep_state, ..group })
    }

    fn set_nodes(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        number: u32,
        epoch: u64,
        (voters, observers, strategy): (Vec<u64>, Vec<u64>, Option<MoveStrategy>),
    ) -> ApplyResult {
        let group = known_group(txn, number)?;
        if group.state == GroupState::Removing || group.epoch != epoch {
            let message = format!("what is intended for group {number} has changed meanwhile");
            return refuse(Kind::NotPossibleNow, message, "look at it again");
        }
        let leader = group.leader.filter(|node| voters.contains(node));
        let changed = GroupDocument { epoch: index, voters, observers, leader, strategy, ..group };
        check_nodes(txn, &changed)?;
        self.put_group(txn, &changed)
    }

    fn place_replica(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        number: u32,
        node: u64,
    ) -> ApplyResult {
        let mut group = known_group(txn, number)?;
        if let Some(replica) = group.on(node) {
            return Ok(Outcome::Registered { raft_id: replica.id });
        }
        if !group.wants(node) || group.state == GroupState::Removing {
            let message = format!("node {node} is not to hold a replica of group {number}");
            return refuse(Kind::NotPossibleNow, message, "look at the group again");
        }
        group.replicas.push(ReplicaDocument { id: index, node, state: ReplicaState::Joining });
        self.put_group(txn, &group)?;
        Ok(Outcome::Registered { raft_id: index })
    }

    fn activate_replica(&mut self, txn: &mut WriteTxn<'_>, number: u32, id: u64) -> ApplyResult {
        let mut group = known_group(txn, number)?;
        let Some(replica) = group.replicas.iter_mut().find(|replica| replica.id == id) else {
            let message = format!("group {number} has no replica {id}");
            return refuse(Kind::NotPossibleNow, message, "look at the group again");
        };
        replica.state = ReplicaState::Active;
        self.put_group(txn, &group)
    }

    fn remove_replica(
        &mut self,
        txn: &mut WriteTxn<'_>,
        number: u32,
        id: u64,
        joining: bool,
    ) -> ApplyResult {
        let Some(mut group) = placement::group(txn, number)? else { return Ok(Outcome::Done) };
        let Some(replica) = group.replica(id) else { return Ok(Outcome::Done) };
        if joining && replica.state != ReplicaState::Joining {
            let message = format!("replica {id} of group {number} may have voted");
            return refuse(Kind::NotPossibleNow, message, "let its group remove it");
        }
        group.replicas.retain(|replica| replica.id != id);
        if group.state == GroupState::Removing && group.replicas.is_empty() {
            self.note_effect(SideEffect::PlacementChanged);
            return self.remove_system(txn, GROUPS, &group.id);
        }
        self.put_group(txn, &group)
    }

    fn activate_group(&mut self, txn: &mut WriteTxn<'_>, number: u32) -> ApplyResult {
        let group = known_group(txn, number)?;
        if group.state != GroupState::Creating {
            return Ok(Outcome::Done);
        }
        let active = |node: &u64| {
            group.on(*node).is_some_and(|replica| replica.state == ReplicaState::Active)
        };
        if !group.voters.iter().all(active) {
            let message = format!("not all voters of group {number} are in");
            return refuse(Kind::NotPossibleNow, message, "wait until they are");
        }
        self.put_group(txn, &GroupDocument { state: GroupState::Active, ..group })
    }

    fn pin_leader(
        &mut self,
        txn: &mut WriteTxn<'_>,
        number: u32,
        node: Option<u64>,
    ) -> ApplyResult {
        let group = known_group(txn, number)?;
        if let Some(node) = node.filter(|node| !group.voters.contains(node)) {
            let message = format!("node {node} holds no voter of group {number}");
            return refuse(Kind::NotPossibleNow, message, "name a node that does, or none");
        }
        self.put_group(txn, &GroupDocument { leader: node, ..group })
    }

    fn put_database(&mut self, txn: &mut WriteTxn<'_>, database: &DatabaseDocument) -> ApplyResult {
        self.note_effect(SideEffect::PlacementChanged);
        self.put_system(txn, DATABASES, &database.name, database)?;
        Ok(Outcome::Done)
    }

    fn remove_database(&mut self, txn: &mut WriteTxn<'_>, name: &str) -> ApplyResult {
        self.note_effect(SideEffect::PlacementChanged);
        self.remove_system(txn, DATABASES, name)
    }

    /// Counts a database more, or less, in its group.
    fn count_database(&mut self, txn: &mut WriteTxn<'_>, number: u32, more: bool) -> ApplyResult {
        let mut group = known_group(txn, number)?;
        group.databases = match more {
            true => group.databases + 1,
            false => group.databases.saturating_sub(1),
        };
        self.put_group(txn, &group)
    }

    fn place_database(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        name: String,
        engine: String,
        group: u32,
    ) -> ApplyResult {
        let state = known_group(txn, group)?.state;
        if let Some(known) = placement::database(txn, &name)? {
            let same = known.group == group
                && matches!(known.state, DatabaseState::Creating | DatabaseState::Active);
            return if same { Ok(Outcome::Done) } else { name_taken(&name, known.group) };
        }
        if catalog::database(txn, &name)?.is_some() {
            return name_taken(&name, 0);
        }
        if state != GroupState::Active {
            let message = format!("group {group} cannot hold a database yet, or no longer");
            return refuse(Kind::NotPossibleNow, message, "wait until it is ACTIVE");
        }
        self.count_database(txn, group, true)?;
        let state = DatabaseState::Creating;
        let created = DatabaseDocument { name, group, engine, state, epoch: index, problem: None };
        self.put_database(txn, &created)
    }

    fn drop_placed(&mut self, txn: &mut WriteTxn<'_>, index: u64, name: &str) -> ApplyResult {
        let Some(known) = placement::database(txn, name)? else { return Ok(Outcome::Done) };
        match known.state {
            DatabaseState::Dropping => return Ok(Outcome::Done),
            DatabaseState::Active => {}
            _ => return being_changed(name),
        }
        let (state, epoch) = (DatabaseState::Dropping, index);
        self.put_database(txn, &DatabaseDocument { state, epoch, problem: None, ..known })
    }

    fn rename_placed(
        &mut self,
        txn: &mut WriteTxn<'_>,
        index: u64,
        from: &str,
        to: &str,
    ) -> ApplyResult {
        let Some(known) = placement::database(txn, from)? else {
            return Err(database_not_found(from).into());
        };
        match &known.state {
            DatabaseState::Renaming(name) if name == to => return Ok(Outcome::Done),
            DatabaseState::Active => {}
            _ => return being_changed(from),
        }
        if let Some(taken) = placement::database(txn, to)? {
            return name_taken(to, taken.group);
        }
        if catalog::database(txn, to)?.is_some() {
            return name_taken(to, 0);
        }
        let known = DatabaseDocument { epoch: index, problem: None, ..known };
        let (name, state) = (to.to_owned(), DatabaseState::Reserved);
        self.put_database(txn, &DatabaseDocument { name, state, ..known.clone() })?;
        let state = DatabaseState::Renaming(to.to_owned());
        self.put_database(txn, &DatabaseDocument { state, ..known })
    }

    fn end_database_change(
        &mut self,
        txn: &mut WriteTxn<'_>,
        name: &str,
        epoch: u64,
        problem: Option<String>,
    ) -> ApplyResult {
        let known = placement::database(txn, name)?.filter(|known| known.epoch == epoch);
        let Some(known) = known else { return Ok(Outcome::Done) };
        let active = |known| DatabaseDocument { state: DatabaseState::Active, ..known };
        match (known.state.clone(), problem) {
            (DatabaseState::Creating, None) => self.put_database(txn, &active(known)),
            (DatabaseState::Creating, Some(_)) | (DatabaseState::Dropping, None) => {
                self.count_database(txn, known.group, false)?;
                self.remove_database(txn, name)
            }
            (DatabaseState::Renaming(to), None) => {
                self.remove_database(txn, name)?;
                self.put_database(txn, &active(DatabaseDocument { name: to, ..known }))
            }
            (DatabaseState::Renaming(to), problem) => {
                self.remove_database(txn, &to)?;
                self.put_database(txn, &active(DatabaseDocument { problem, ..known }))
            }
            (DatabaseState::Dropping, problem) => {
                self.put_database(txn, &active(DatabaseDocument { problem, ..known }))
            }
            (DatabaseState::Active | DatabaseState::Reserved, _) => Ok(Outcome::Done),
        }
    }

    /// [`Command::InGroup`]
    pub(super) fn in_group(
        &mut self,
        txn: &mut WriteTxn<'_>,
        command: GroupCommand,
    ) -> ApplyResult {
        match (command, self.counters.group) {
            (GroupCommand::Init { group }, None) if group > 0 && is_new(txn)? => {
                txn.put(Table::Meta, GROUP_KEY, &u64::from(group).to_be_bytes())?;
                self.counters.group = Some(group);
                Ok(Outcome::Done)
            }
            (GroupCommand::Init { group }, Some(own)) if group == own => Ok(Outcome::Done),
            (GroupCommand::Init { .. }, _) | (_, None) => {
                let message = "this is the state of another group";
                refuse(Kind::NotPossibleNow, message, "propose it in the group that it is for")
            }
            (GroupCommand::ChangeDatabase { epoch, change }, Some(_)) => {
                self.change_database(txn, epoch, change)
            }
            (GroupCommand::Rights { epoch }, Some(_)) => {
                self.raise_rights(txn, epoch)?;
                Ok(Outcome::Done)
            }
        }
    }

    fn change_database(
        &mut self,
        txn: &mut WriteTxn<'_>,
        epoch: u64,
        change: DatabaseChange,
    ) -> ApplyResult {
        if epoch < catalog::counter(txn, CHANGED_KEY)? {
            let message = "the databases of this group were changed by a later decision";
            return refuse(Kind::NotPossibleNow, message, "look at what is decided now");
        }
        let done = match change {
            DatabaseChange::Create { name, engine } => self.create_database(txn, &name, &engine),
            DatabaseChange::Drop { name } => self.drop_database(txn, &name),
            DatabaseChange::Rename { from, to } => {
                let gone = catalog::database(txn, &from)?.is_none();
                match gone && catalog::database(txn, &to)?.is_some() {
                    true => Ok(Outcome::Done),
                    false => self.rename_database(txn, &from, &to),
                }
            }
        }?;
        txn.put(Table::Meta, CHANGED_KEY, &epoch.to_be_bytes())?;
        Ok(done)
    }

    /// Raises the rights epoch, see [`placement::rights_epoch`].
    pub(super) fn raise_rights(&mut self, txn: &mut WriteTxn<'_>, epoch: u64) -> Result<()> {
        if epoch > self.counters.rights {
            txn.put(Table::Meta, RIGHTS_KEY, &epoch.to_be_bytes())?;
            self.counters.rights = epoch;
        }
        Ok(())
    }

    /// Notes that a right was taken away by the present command, in the system group.
    pub(super) fn note_rights_taken(&mut self, txn: &mut WriteTxn<'_>) -> Result<()> {
        if self.counters.level < placement::GROUPS_LEVEL {
            return Ok(());
        }
        self.note_effect(SideEffect::RightsTaken);
        self.raise_rights(txn, self.current.index)
    }
}

/// Whether nothing was created in a state: no database, no cluster.
fn is_new(txn: &WriteTxn<'_>) -> Result<bool> {
    Ok(catalog::databases(txn)?.is_empty())
}

fn known_group(txn: &WriteTxn<'_>, number: u32) -> ApplyResult<GroupDocument> {
    let Some(group) = placement::group(txn, number)? else {
        return Err(Error::new(Kind::GroupNotFound, format!("there is no group {number}")).into());
    };
    Ok(group)
}

/// Refuses nodes that cannot hold what is intended.
fn check_nodes(txn: &WriteTxn<'_>, group: &GroupDocument) -> ApplyResult<()> {
    let GroupDocument { voters, observers, replication_factor, .. } = group;
    let counts = [voters.len(), *replication_factor as usize];
    if counts.iter().any(|count| !(1..=REPLICAS_MAX).contains(count))
        || observers.len() > REPLICAS_MAX
    {
        let message = "a group has at least one voter and a replication factor of at least 1";
        let hint = format!("and at most {REPLICAS_MAX} voters and {REPLICAS_MAX} observers");
        return Err(Error::new(Kind::InvalidParameter, message).hint(hint).into());
    }
    let members = nodes(txn)?;
    let mut wanted: Vec<u64> = voters.iter().chain(observers).copied().collect();
    for node in &wanted {
        let known = members.iter().find(|member| member.raft_id == *node);
        if known.is_none_or(|member| member.status == NodeStatus::Leaving) {
            let message = format!("there is no node {node}, or it is leaving");
            return Err(Error::new(Kind::NodeNotFound, message).into());
        }
    }
    wanted.sort_unstable();
    if wanted.windows(2).any(|two| two[0] == two[1]) {
        let message = "a node is named twice among voters and observers";
        return refuse(Kind::InvalidParameter, message, "name each node once");
    }
    Ok(())
}

fn name_taken<T>(name: &str, group: u32) -> ApplyResult<T> {
    let message = format!("there is a database {name:?}, in group {group}");
    refuse(Kind::NameTaken, message, "choose another name or drop it first")
}

fn being_changed<T>(name: &str) -> ApplyResult<T> {
    let message = format!("database {name:?} is being created, renamed or dropped");
    refuse(Kind::NotPossibleNow, message, "wait until that is done")
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
