//! The commands that one request proposes, and how each is recognised when the request is
//! repeated.

use super::{Response, Session};
use crate::auth::policy;
use crate::engine::command::{Part, RetryKey};
use crate::engine::{Command, Proposal, ProposalResult, retry};
use crate::error::{Error, Kind, Result};
use crate::raft::groups::AppliedCommand;
use crate::raft::types::SYSTEM_GROUP;
use serde_json::json;

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 200;

/// How a command is recognised when its request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// By the request's key, if it has one, and the number of the command in the request.
    Keyed,
    /// By the request's key, as a part of a run.
    Part(Part),
    /// By a key of its own.
    Own(RetryKey),
    /// Not at all: a repetition does it again.
    Unkeyed,
    /// Not at all. Nobody sees what it does until a later command publishes it, so nothing has
    /// taken effect with it.
    Aside,
}

/// The commands that one attempt at a request proposes. A request that found no leader is
/// attempted again with another of these, so its commands have the same keys again.
pub struct Steps<'s> {
    session: &'s Session,
    /// Number of the next command under the request's key.
    next: u32,
    /// How many commands have taken effect, and the log index of the last of them.
    done: (u32, u64),
    repeated: bool,
    forgotten: bool,
}

impl<'s> Steps<'s> {
    /// No commands yet.
    pub fn new(session: &'s Session) -> Self {
        Steps { session, next: 0, done: (0, 0), repeated: false, forgotten: false }
    }

    /// On whose behalf.
    pub fn session(&self) -> &'s Session {
        self.session
    }

    /// Carries a command out through the log, or in the transaction that the request belongs to,
    /// if the caller may.
    ///
    /// # Errors
    /// `forbidden`; those of [`Group::propose`](crate::raft::Group::propose) and of the command.
    pub async fn propose(&mut self, step: Step, command: Command) -> Result<AppliedCommand> {
        let session = self.session;
        for (permission, database) in policy::needs(&command).ok_or_else(not_for_clients)? {
            session.authorize(permission, database)?;
        }
        let aside = step == Step::Aside;
        let proposal = self.proposal(step, command)?;
        let applied = match session.open_transaction()? {
            Some(open) => {
                session.confirm_user()?;
                open.execute(proposal, session.service().transactions.memory.clone()).await
            }
            None => self.to_group(proposal).await,
        };
        self.note(aside, applied)
    }

    /// Proposes in the group of the request. A group that does not hold the users compares the rights
    /// epoch instead of their revisions.
    async fn to_group(&self, proposal: Proposal) -> Result<AppliedCommand> {
        let group = self.session.group()?;
        let rights = match group.number() != SYSTEM_GROUP && proposal.user.is_some() {
            true => Some(self.session.rights_epoch()?),
            false => None,
        };
        group.propose(Proposal { rights, ..proposal }).await
    }

    /// Carries a command out that no client proposes by itself: the operation has checked that
    /// the caller may.
    ///
    /// # Errors
    /// Those of [`Group::propose`](crate::raft::Group::propose) and of the command.
    pub async fn propose_system(&mut self, step: Step, command: Command) -> Result<AppliedCommand> {
        let aside = step == Step::Aside;
        let proposal = self.proposal(step, command)?;
        let applied = self.to_group(proposal).await;
        self.note(aside, applied)
    }

    /// What an earlier request with the same key came to; none when there was none.
    ///
    /// # Errors
    /// The error that it came to; `idempotency_key_reused`.
    pub fn earlier(&mut self) -> Result<Option<AppliedCommand>> {
        if self.session.transaction.is_some() {
            return Ok(None);
        }
        let Some(key) = self.key(0, None)? else { return Ok(None) };
        let user = self.session.user()?.name.as_str();
        let group = self.session.group()?;
        let found = retry::repeated(&group.read()?, Some(user), &key)?;
        let Some(ProposalResult { result, repeats }) = found else { return Ok(None) };
        let (index, repeated) = (repeats.unwrap_or_default(), repeats.is_some());
        self.repeated |= repeated;
        result.map(|outcome| Some(AppliedCommand { index, outcome, repeated }))
    }

    /// The key of the first command, if the request has one.
    ///
    /// # Errors
    /// `invalid_parameter` for a key that cannot be used.
    pub fn first_key(&self) -> Result<Option<RetryKey>> {
        self.key(0, None)
    }

    /// Notes that the response repeats an earlier one.
    pub fn note_repeated(&mut self, repeated: bool) {
        self.repeated |= repeated;
    }

    /// Notes that a document of the response is not kept any more.
    pub fn note_forgotten(&mut self, forgotten: bool) {
        self.forgotten |= forgotten;
    }

    /// Ends the attempt with what it came to.
    ///
    /// # Errors
    /// That of the attempt; `outcome_unknown` instead of an error that allows a repetition when
    /// a part of the request has taken effect.
    pub fn finish<T>(self, came_to: Result<Response<T>>) -> Result<Response<T>> {
        match came_to {
            Ok(response) => Ok(Response {
                repeated: response.repeated || self.repeated,
                forgotten: response.forgotten || self.forgotten,
                ..response
            }),
            Err(error) => {
                let repeated = error.repeated || self.repeated;
                Err(Error { repeated, ..honest(error, self.done) })
            }
        }
    }

    fn note(&mut self, aside: bool, applied: Result<AppliedCommand>) -> Result<AppliedCommand> {
        self.repeated |= match &applied {
            Ok(applied) => applied.repeated,
            Err(error) => error.repeated,
        };
        if let Ok(applied) = &applied
            && !aside
        {
            self.done = (self.done.0 + 1, applied.index);
        }
        applied
    }

    fn proposal(&mut self, step: Step, command: Command) -> Result<Proposal> {
        let retry = match step {
            Step::Keyed => {
                self.next += 1;
                self.key(self.next - 1, None)?
            }
            Step::Part(part) => self.key(0, Some(part))?,
            Step::Own(key) => Some(key),
            Step::Unkeyed | Step::Aside => None,
        };
        Ok(Proposal { retry, ..self.session.caller().proposes(command) })
    }

    fn key(&self, number: u32, part: Option<Part>) -> Result<Option<RetryKey>> {
        let Some(given) = &self.session.key else { return Ok(None) };
        let text = &given.text;
        if !(1..=KEY_BYTES_MAX).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err(Error::new(Kind::InvalidParameter, "the idempotency key cannot be used")
                .hint(format!(
                    "use 1 to {KEY_BYTES_MAX} visible ASCII characters, such as a UUID"
                )));
        }
        // No client's key has a space.
        let key = if number == 0 { text.clone() } else { format!("{text} {number}") };
        let bytes_max = self.session.config().idempotency_mb << 20;
        Ok(Some(RetryKey { key, fingerprint: given.fingerprint, part, bytes_max }))
    }
}

fn not_for_clients() -> Error {
    Error::new(Kind::Internal, "no client proposes this command")
}

/// An error that says that nothing was done and that the request may be made again, when some of
/// its commands have taken effect: nobody must make it again.
fn honest(error: Error, (done, index): (u32, u64)) -> Error {
    if done == 0 || !error.kind.class().may_be_repeated() {
        return error;
    }
    let message = format!("a part of the call has taken effect, then: {}", error.message);
    let details = json!({"committed": done, "cause": error.kind.code()});
    let unknown = Error::new(Kind::OutcomeUnknown, message)
        .hint("look at what was done before you make the call again")
        .details(details);
    Error { index: Some(index), ..unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_allows_a_repetition_is_not_told_once_a_part_took_effect() {
        for kind in [Kind::NoLeader, Kind::Overloaded, Kind::StorageFull, Kind::UserChanged] {
            let error = || Error::new(kind, "m");
            assert_eq!(honest(error(), (0, 0)).kind, kind);
            let told = honest(error(), (2, 17));
            assert_eq!((told.kind, told.index), (Kind::OutcomeUnknown, Some(17)));
            assert_eq!(told.details.unwrap()["committed"], 2);
        }
        assert_eq!(honest(Error::new(Kind::InvalidQuery, "m"), (2, 17)).kind, Kind::InvalidQuery);
    }
}
