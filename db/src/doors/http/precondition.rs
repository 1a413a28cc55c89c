//! What must hold of a document before a call is carried out: `If-Match` and `If-None-Match`
//! (RFC 9110, 13.1).

use super::call::Call;
use super::document::{current_revision, writable_place};
use crate::engine::command::{PutMode, Target};
use crate::engine::document::Revision;
use crate::error::{Error, Kind, Result};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use serde_json::json;

/// How often a change is tried again that another one has come before.
const ROUNDS_MAX: usize = 16;

/// Entity tags of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`: any revision.
    Any,
    /// One of these.
    Some(Vec<Revision>),
}

/// The preconditions of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What the engine checks when the change is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Whether the document may exist.
    pub mode: PutMode,
    /// The revision that it must have.
    pub if_match: Option<Revision>,
}

/// What is written whatever there is.
const NONE: Guard = Guard { mode: PutMode::Upsert, if_match: None };

impl Tags {
    /// Reads `*` or a list of entity tags. A proxy may have made a tag weak, and a person may have
    /// left the quotes out.
    fn parse(name: &str, text: &str) -> Result<Tags> {
        if text.trim() == "*" {
            return Ok(Tags::Any);
        }
        let tag = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').parse().ok();
        let tags: Option<Vec<Revision>> = text.split(',').map(tag).collect();
        tags.map(Tags::Some).ok_or_else(|| {
            Error::new(Kind::InvalidParameter, format!("{name}: {text} is not a revision")).hint(
                format!("send the ETag of an earlier answer, for example {name}: \"17\", or *"),
            )
        })
    }

    fn of(headers: &HeaderMap, name: HeaderName, shown: &str) -> Result<Option<Tags>> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        Tags::parse(shown, value.to_str().unwrap_or_default()).map(Some)
    }

    fn has(&self, current: Option<Revision>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Some(tags), Some(current)) => tags.contains(&current),
        }
    }
}

impl Preconditions {
    /// Those in the head of a call.
    ///
    /// # Errors
    /// `invalid_parameter` for what is no entity tag of this interface.
    pub fn of(call: &Call) -> Result<Preconditions> {
        Ok(Preconditions {
            if_match: Tags::of(call.headers(), header::IF_MATCH, "If-Match")?,
            if_none_match: Tags::of(call.headers(), header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Whether a reader has the document as it is already.
    pub fn is_known(&self, current: Revision) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.has(Some(current)))
    }

    /// What the engine alone can check of them for a `PUT`, or for another change; none when the
    /// document must be looked at first.
    fn guard(&self, puts: bool) -> Option<Guard> {
        match (&self.if_match, &self.if_none_match) {
            (None, None) => Some(NONE),
            (Some(Tags::Some(tags)), None) => match tags.as_slice() {
                [one] => Some(Guard { if_match: Some(*one), ..NONE }),
                _ => None,
            },
            (None, Some(Tags::Any)) if puts => Some(Guard { mode: PutMode::Insert, ..NONE }),
            _ => None,
        }
    }

    /// Refuses a change of a document that has this revision now.
    fn check(&self, target: &Target, current: Option<Revision>) -> Result<()> {
        let unmatched = self.if_match.as_ref().is_some_and(|tags| !tags.has(current));
        let known = self.if_none_match.as_ref().is_some_and(|tags| tags.has(current));
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

/// Carries a change of one document out if the preconditions of its call hold.
///
/// # Errors
/// `revision_mismatch`, and those of `write`.
pub async fn guarded<T>(
    call: &Call,
    target: &Target,
    puts: bool,
    write: impl AsyncFn(Guard) -> Result<T>,
) -> Result<T> {
    let conditions = Preconditions::of(call)?;
    if let Some(guard) = conditions.guard(puts) {
        return write(guard).await.map_err(|error| exists(error, guard));
    }
    if call.is_keyed() {
        let answered = call.earlier_answer()?.is_some();
        call.proposed.begin();
        if answered {
            return write(NONE).await;
        }
    }
    writable_place(call)?;
    // The second step of a call with a key has a key of its own, so it takes one step only.
    let rounds = if call.is_keyed() { 1 } else { ROUNDS_MAX };
    for round in 1.. {
        let current = current_revision(call, target).await?;
        conditions.check(target, current)?;
        let guard = Guard { if_match: current.filter(|_| conditions.if_match.is_some()), ..NONE };
        match write(guard).await {
            Err(error) if error.kind == Kind::RevisionMismatch && round < rounds => {}
            done => return done,
        }
    }
    unreachable!("the last round ends it")
}

/// `If-None-Match: *` is a precondition: what exists is no duplicate then, but fails it.
fn exists(error: Error, guard: Guard) -> Error {
    if guard.mode != PutMode::Insert || error.kind != Kind::DuplicateId {
        return error;
    }
    let hint = "leave If-None-Match out to write over it";
    Error { kind: Kind::RevisionMismatch, hint: Some(hint.into()), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_read_or_refused() {
        for (text, expected) in [
            ("*", Some(Tags::Any)),
            ("\"17\"", Some(Tags::Some(vec![17]))),
            ("17", Some(Tags::Some(vec![17]))),
            (" W/\"17\", \"3\"", Some(Tags::Some(vec![17, 3]))),
            ("", None),
            ("\"x\"", None),
            ("\"1\",", None),
            ("*, \"1\"", None),
        ] {
            assert_eq!(Tags::parse("If-Match", text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_engine_checks_what_it_can_and_the_rest_is_looked_at_first() {
        let tags = |text: &str| Tags::parse("If-Match", text).ok();
        let guard = |if_match: &str, if_none_match: &str, puts| {
            let (if_match, if_none_match) = (tags(if_match), tags(if_none_match));
            Preconditions { if_match, if_none_match }.guard(puts)
        };
        assert_eq!(guard("", "", true), Some(NONE));
        assert_eq!(guard("\"7\"", "", false), Some(Guard { if_match: Some(7), ..NONE }));
        assert_eq!(guard("", "*", true), Some(Guard { mode: PutMode::Insert, ..NONE }));
        for (if_match, if_none_match, puts) in [
            ("*", "", true),
            ("1,2", "", true),
            ("", "*", false),
            ("", "1", true),
            ("1", "*", true),
        ] {
            assert_eq!(guard(if_match, if_none_match, puts), None, "{if_match} {if_none_match}");
        }
    }

    #[test]
    fn a_precondition_that_fails_refuses_the_change() {
        let target = Target { id: 1.into(), or: None };
        for (if_match, if_none_match, current, holds) in [
            (Some("*"), None, Some(4), true),
            (Some("*"), None, None, false),
            (Some("3, 4"), None, Some(4), true),
            (Some("3, 5"), None, Some(4), false),
            (None, Some("*"), Some(4), false),
            (None, Some("*"), None, true),
            (None, Some("4"), Some(4), false),
            (None, Some("3"), Some(4), true),
            (Some("4"), Some("3"), Some(4), true),
        ] {
            let tags =
                |text: Option<&str>| text.and_then(|text| Tags::parse("If-Match", text).ok());
            let conditions =
                Preconditions { if_match: tags(if_match), if_none_match: tags(if_none_match) };
            let checked = conditions.check(&target, current);
            assert_eq!(checked.is_ok(), holds, "{conditions:?} {current:?}");
        }
    }
}
