//! What a leader checks of a proposal before it goes into the log: every text inside is read as
//! apply will read it, and every key must be one that the storage takes. Pure: what depends on the
//! state is for apply to refuse.

use super::texts::{ParsedMutation, check_key, parse_filter, parse_sort_and_hint};
use super::{
    Batch, BatchCondition, BatchStep, Command, Commit, Operation, Proposal, Select, Target, Write,
};
use crate::document;
use crate::error::{Error, Kind, Result};
use crate::index::{Index, IndexEntry, IndexSpec, IndexState};
use crate::storage::keys::KEY_BYTES_MAX;
use crate::value::{self, LEVELS_MAX};

impl Proposal {
    /// Whether apply can read all of it.
    ///
    /// # Errors
    /// What is wrong with it: `invalid_query`, `invalid_json`, `id_too_long`, `too_deep`.
    pub fn check(&self) -> Result<()> {
        self.command.check()
    }
}

impl Command {
    fn check(&self) -> Result<()> {
        match self {
            Command::Put(put) => {
                check_target(&put.target)?;
                document::check_body(&put.body)
            }
            Command::Delete { target, .. } | Command::Restore { target, .. } => {
                check_target(target)
            }
            Command::Write(write) => check_write(write),
            Command::Batch(batch) => check_batch(batch),
            Command::Commit(commit) => check_commit(commit),
            Command::CreateIndex { spec, .. } => check_spec(spec),
            Command::SetSchema { schema, .. } => schema.as_deref().map_or(Ok(()), check_levels),
            Command::TrimVersions { keys, .. } => {
                keys.iter().try_for_each(|key| check_stored_key(key))
            }
            Command::InitCluster { .. }
            | Command::CreateDatabase { .. }
            | Command::DropDatabase { .. }
            | Command::RenameDatabase { .. }
            | Command::CreateCollection { .. }
            | Command::DropCollection { .. }
            | Command::RenameCollection { .. }
            | Command::ReplaceCollection { .. }
            | Command::ClusterRegister { .. }
            | Command::ClusterUpdate { .. }
            | Command::ClusterStop { .. }
            | Command::ClusterDeregister { .. }
            | Command::ClusterMark { .. }
            | Command::ClusterAnnounce { .. }
            | Command::DropIndex { .. }
            | Command::BuildIndex { .. }
            | Command::Expire { .. }
            | Command::ClearGarbage { .. }
            | Command::SetVersions { .. }
            | Command::SetVersionsDefault { .. }
            | Command::SetFeatureLevel { .. }
            | Command::SetMaxFeatureLevel { .. }
            | Command::Placement(_)
            | Command::InGroup(_)
            | Command::TrimChanges { .. }
            | Command::ForgetRetries { .. }
            | Command::CreateUser(_)
            | Command::UpdateUser(_)
            | Command::DeleteUser { .. }
            | Command::CreateToken(_)
            | Command::RevokeToken { .. }
            | Command::UseJoinToken { .. }
            | Command::RemoveEndedTokens { .. }
            | Command::Audit(_)
            | Command::TrimAudit { .. } => Ok(()),
        }
    }
}

fn check_write(write: &Write) -> Result<()> {
    write.operations.iter().try_for_each(check_operation)
}

fn check_operation(operation: &Operation) -> Result<()> {
    match operation {
        Operation::Insert { id, body } => {
            check_key(id)?;
            document::check_body(body)
        }
        Operation::Modify { select, mutation, upsert, .. } => {
            check_select(select)?;
            upsert.as_ref().map_or(Ok(()), check_key)?;
            ParsedMutation::parse(mutation).map(drop)
        }
        Operation::Delete { select, .. } => check_select(select),
    }
}

fn check_select(select: &Select) -> Result<()> {
    match select {
        Select::Id { target, .. } => check_target(target),
        Select::Filter { filter, sort, hint } => {
            parse_filter(filter)?;
            parse_sort_and_hint(sort.as_ref(), hint.as_ref()).map(drop)
        }
    }
}

fn check_batch(batch: &Batch) -> Result<()> {
    let condition = |condition: &BatchCondition| -> Result<()> {
        condition.id.as_ref().map_or(Ok(()), check_key)?;
        condition.filter.as_ref().map_or(Ok(()), |filter| parse_filter(filter).map(drop))
    };
    let step = |step: &BatchStep| match step {
        BatchStep::Operation(operation) => check_operation(operation),
        BatchStep::Save { id, body } => {
            check_key(id)?;
            document::check_body(body)
        }
        BatchStep::Get(id) => check_key(id),
    };
    batch.conditions.iter().try_for_each(|(_, one)| condition(one))?;
    batch.then.iter().chain(&batch.otherwise).try_for_each(|(_, one)| step(one))
}

fn check_commit(commit: &Commit) -> Result<()> {
    let points = commit.reads.points.keys().map(|(_, key)| &**key);
    let ranges = commit.reads.ranges.values().flatten();
    let bounds = ranges.flat_map(|range| [&range.start, &range.end]);
    points.chain(bounds).try_for_each(|key| check_stored_key(key))?;
    commit.writes.iter().try_for_each(|(place, write)| {
        if *place as usize >= commit.namespaces.len() {
            return Err(unreadable("a place of the transaction"));
        }
        check_key(&write.id)?;
        write.body.as_deref().map_or(Ok(()), document::check_body)
    })
}

/// An index with this definition can be loaded again.
pub(crate) fn check_spec(spec: &IndexSpec) -> Result<()> {
    if let Some(filter) = &spec.partial {
        parse_filter(filter)?;
    }
    let state = IndexState::Ready;
    Index::new(IndexEntry { id: 0, spec: spec.clone(), state, multikey: false }).map(drop)
}

fn check_target(target: &Target) -> Result<()> {
    let Target { id, or } = target;
    check_key(id)?;
    or.as_ref().map_or(Ok(()), check_key)
}

/// Refuses a JSON text that its reader would not take.
fn check_levels(text: &str) -> Result<()> {
    if value::text_levels(text) <= LEVELS_MAX {
        return Ok(());
    }
    let message = format!("this is nested deeper than {LEVELS_MAX} levels");
    Err(Error::new(Kind::TooDeep, message).hint("flatten it"))
}

fn check_stored_key(key: &[u8]) -> Result<()> {
    match (1..=KEY_BYTES_MAX).contains(&key.len()) {
        true => Ok(()),
        false => Err(unreadable("a key")),
    }
}

pub(crate) fn unreadable(what: &str) -> Error {
    Error::new(Kind::InvalidQuery, format!("{what} cannot be read"))
        .hint("it is nested too deep, or not what it should be; send less nested parts")
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
