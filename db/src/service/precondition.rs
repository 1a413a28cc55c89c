//! What must hold of a document before a request changes it, by its revision (RFC 9110, 13.1).

use super::read::State;
use super::{Session, Step, Steps, documents};
use crate::engine::Namespace;
use crate::engine::catalog;
use crate::engine::command::{Command, Outcome, PutMode, Target};
use crate::engine::document::Revision;
use crate::error::{Error, Kind, Result};
use crate::raft::groups::AppliedCommand;
use crate::storage::Read;
use serde_json::json;

/// How often a change is attempted again that another one has come before.
const ROUNDS_MAX: usize = 16;

/// Revisions that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revisions {
    /// Any: the document exists.
    Any,
    /// One of these.
    Some(Vec<Revision>),
}

/// What must hold of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// It has one of these.
    pub matches: Option<Revisions>,
    /// It has none of these.
    pub none_of: Option<Revisions>,
}

/// What the engine checks when the change is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Whether the document may exist.
    pub mode: PutMode,
    /// The revision that it must have.
    pub if_match: Option<Revision>,
}

/// Writes whatever there is.
const NONE: Guard = Guard { mode: PutMode::Upsert, if_match: None };

impl Revisions {
    fn has(&self, current: Option<Revision>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Revisions::Any, Some(_)) => true,
            (Revisions::Some(revisions), Some(current)) => revisions.contains(&current),
        }
    }
}

impl Precondition {
    /// Whether a reader has the document as it is already.
    pub fn is_known(&self, current: Revision) -> bool {
        self.none_of.as_ref().is_some_and(|revisions| revisions.has(Some(current)))
    }

    /// What the engine alone can check of it for a put, or for another change; none when the
    /// document must be looked at first.
    fn guard(&self, puts: bool) -> Option<Guard> {
        match (&self.matches, &self.none_of) {
            (None, None) => Some(NONE),
            (Some(Revisions::Some(revisions)), None) => match revisions.as_slice() {
                [one] => Some(Guard { if_match: Some(*one), ..NONE }),
                _ => None,
            },
            (None, Some(Revisions::Any)) if puts => Some(Guard { mode: PutMode::Insert, ..NONE }),
            _ => None,
        }
    }

    /// Refuses a change of a document that has this revision now.
    fn check(&self, target: &Target, current: Option<Revision>) -> Result<()> {
        let unmatched = self.matches.as_ref().is_some_and(|revisions| !revisions.has(current));
        let known = self.none_of.as_ref().is_some_and(|revisions| revisions.has(current));
        if !unmatched && !known {
            return Ok(());
        }
        let message = match current {
            Some(revision) => format!("document {} has revision {revision}", target.id),
            None => format!("there is no document {}", target.id),
        };
        Err(Error::new(Kind::RevisionMismatch, message)
            .hint("read the document again and repeat the change on what it holds now")
            .details(json!({"current": current})))
    }
}

/// A change of one document, if a condition holds of it.
pub struct Guarded<'g> {
    /// Its collection.
    pub namespace: &'g Namespace,
    /// Which one it is.
    pub target: &'g Target,
    /// What must hold of it.
    pub condition: &'g Precondition,
    /// Whether it is put, so that it need not exist.
    pub puts: bool,
}

impl Guarded<'_> {
    /// Proposes the change as the command that `change` makes of what the engine is to check.
    ///
    /// # Errors
    /// `revision_mismatch`, and those of the command.
    pub async fn propose(
        &self,
        steps: &mut Steps<'_>,
        change: impl Fn(Guard) -> Command,
    ) -> Result<AppliedCommand> {
        let session = steps.session();
        session.check_writable(self.namespace)?;
        if let Some(guard) = self.condition.guard(self.puts) {
            let done = steps.propose(Step::Keyed, change(guard)).await.and_then(refusal);
            return done.map_err(|error| exists(error, guard));
        }
        let keyed = session.key.is_some();
        if keyed && steps.earlier()?.is_some() {
            // It is answered as the first request was, whatever the document is now.
            return steps.propose(Step::Keyed, change(NONE)).await.and_then(refusal);
        }
        // The second command of a request with a key has a key of its own, so it makes only one.
        let rounds = if keyed { 1 } else { ROUNDS_MAX };
        for round in 1.. {
            let current = current_revision(session, self.namespace, self.target).await?;
            self.condition.check(self.target, current)?;
            let if_match = current.filter(|_| self.condition.matches.is_some());
            let guard = Guard { if_match, ..NONE };
            match steps.propose(Step::Keyed, change(guard)).await.and_then(refusal) {
                Err(error) if error.kind == Kind::RevisionMismatch && round < rounds => {}
                done => return done,
            }
        }
        unreachable!("the last round ends it")
    }
}

/// A write of one operation that was refused is an error.
fn refusal(applied: AppliedCommand) -> Result<AppliedCommand> {
    match &applied.outcome {
        Outcome::OperationResults(results) => match results.as_slice() {
            [Err(error)] => Err(error.clone()),
            _ => Ok(applied),
        },
        _ => Ok(applied),
    }
}

/// That the document must not exist is a precondition: one that exists is no duplicate then, but
/// fails it.
fn exists(error: Error, guard: Guard) -> Error {
    if guard.mode != PutMode::Insert || error.kind != Kind::DuplicateId {
        return error;
    }
    let hint = "leave the condition out to write over it";
    Error { kind: Kind::RevisionMismatch, hint: Some(hint.into()), ..error }
}

/// The revision of the document that is meant, as a write finds it; none when there is no such
/// document.
async fn current_revision(
    session: &Session,
    namespace: &Namespace,
    target: &Target,
) -> Result<Option<Revision>> {
    match State::of(session)? {
        State::Transaction(open) => {
            let _turn = open.turn().await;
            open.with(|transaction| revision(transaction.view(), namespace, target))
        }
        _ => {
            let group = session.group()?;
            group.wait_linearizable().await?;
            revision(&group.read()?, namespace, target)
        }
    }
}

fn revision(read: &impl Read, namespace: &Namespace, target: &Target) -> Result<Option<Revision>> {
    let Namespace { database, collection } = namespace;
    let Some(id) = catalog::collection(read, database, collection)? else { return Ok(None) };
    match documents::find(read, id, target) {
        Ok(document) => Ok(Some(document.revision)),
        Err(error) if error.kind == Kind::DocumentNotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `*` for any revision.
    fn revisions(text: &str) -> Option<Revisions> {
        let parsed = || text.split(',').map(|one| one.trim().parse().unwrap()).collect();
        match text {
            "" => None,
            "*" => Some(Revisions::Any),
            _ => Some(Revisions::Some(parsed())),
        }
    }

    #[test]
    fn the_engine_checks_what_it_can_and_the_rest_is_looked_at_first() {
        let guard = |matches: &str, none_of: &str, puts| {
            Precondition { matches: revisions(matches), none_of: revisions(none_of) }.guard(puts)
        };
        assert_eq!(guard("", "", true), Some(NONE));
        assert_eq!(guard("7", "", false), Some(Guard { if_match: Some(7), ..NONE }));
        assert_eq!(guard("", "*", true), Some(Guard { mode: PutMode::Insert, ..NONE }));
        for (matches, none_of, puts) in [
            ("*", "", true),
            ("1,2", "", true),
            ("", "*", false),
            ("", "1", true),
            ("1", "*", true),
        ] {
            assert_eq!(guard(matches, none_of, puts), None, "{matches} {none_of}");
        }
    }

    #[test]
    fn a_precondition_that_fails_refuses_the_change() {
        let target = Target { id: 1.into(), or: None };
        for (matches, none_of, current, holds) in [
            ("*", "", Some(4), true),
            ("*", "", None, false),
            ("3, 4", "", Some(4), true),
            ("3, 5", "", Some(4), false),
            ("", "*", Some(4), false),
            ("", "*", None, true),
            ("", "4", Some(4), false),
            ("", "3", Some(4), true),
            ("4", "3", Some(4), true),
        ] {
            let condition =
                Precondition { matches: revisions(matches), none_of: revisions(none_of) };
            let checked = condition.check(&target, current);
            assert_eq!(checked.is_ok(), holds, "{condition:?} {current:?}");
        }
    }
}
