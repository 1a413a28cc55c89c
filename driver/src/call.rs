//! One call to the HTTP interface, before it is sent: its parts, and what a second arrival of it
//! would do.

use crate::error::{Error, Result};
use crate::wire::ReadLevel;
use reqwest::Method;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What all calls of one handle have in common.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    /// The transaction they belong to.
    pub(crate) transaction: Option<Arc<OpenTransaction>>,
    /// The parameter that names the moment that is read, and its value.
    pub(crate) moment: Option<(&'static str, String)>,
    /// The idempotency key of those that write, instead of a new one for each.
    pub(crate) key: Option<String>,
    /// Whether those that would write to many documents are to be refused first.
    pub(crate) confirm: bool,
    /// Whether values come in canonical Extended JSON, in which every number says its type.
    pub(crate) canonical: bool,
}

/// A transaction that calls belong to.
pub(crate) struct OpenTransaction {
    /// Its id.
    pub(crate) id: String,
    /// Whether a call has shown that it cannot be committed any more.
    broken: AtomicBool,
}

impl OpenTransaction {
    pub(crate) fn new(id: &str) -> OpenTransaction {
        OpenTransaction { id: id.to_owned(), broken: AtomicBool::new(false) }
    }

    pub(crate) fn set_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Whether only a new transaction helps.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// What a second arrival of a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing, since the call changes nothing.
    Reads,
    /// Nothing more, since the idempotency key shows that it is the second.
    Keyed,
    /// Nothing more, by the nature of the call.
    Harmless,
    /// The same once more.
    Counts,
}

/// One call to the HTTP interface, before it is sent.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) level: Option<ReadLevel>,
    pub(crate) body: Option<Result<Vec<u8>>>,
    pub(crate) if_match: Option<u64>,
    pub(crate) repeat: Repeat,
    pub(crate) scoped: bool,
    pub(crate) long: bool,
    pub(crate) tells_health: bool,
    pub(crate) confirms: bool,
}

impl Call {
    /// A call about documents or the catalog, to the path made of `segments`, each escaped as one
    /// path part. It belongs to the transaction of its client, and carries an idempotency key
    /// unless it [reads](Call::reads), as `GET` does.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let repeat = if method == Method::GET { Repeat::Reads } else { Repeat::Keyed };
        Call {
            repeat,
            scoped: true,
            long: false,
            tells_health: false,
            confirms: false,
            method,
            segments: segments.iter().map(|segment| (*segment).to_owned()).collect(),
            query: Vec::new(),
            level: None,
            body: None,
            if_match: None,
        }
    }

    /// A call about anything else: sessions, members, transactions themselves, change feeds. It
    /// belongs to no transaction, and carries no key unless it is [keyed](Call::keyed).
    pub(crate) fn plain(method: Method, segments: &[&str]) -> Self {
        let mut call = Call::new(method, segments);
        call.scoped = false;
        if call.repeat == Repeat::Keyed {
            call.repeat = Repeat::Counts;
        }
        call
    }

    /// As [`Call::plain`], to the user or token with this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that would change the address.
    pub(crate) fn named(method: Method, kind: &str, name: &str) -> Result<Self> {
        if matches!(name, "" | "." | "..") {
            return Err(Error::Invalid(format!("{name:?} cannot be part of an address")));
        }
        Ok(Call::plain(method, &["api", "v1", kind, name]))
    }

    pub(crate) fn query(mut self, key: &'static str, value: &str) -> Self {
        self.query.push((key, value.to_owned()));
        self
    }

    /// Sets how fresh the answer must be.
    pub(crate) fn level(mut self, level: ReadLevel) -> Self {
        self.level = Some(level);
        self
    }

    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body =
            Some(serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string())));
        self
    }

    pub(crate) fn if_match(mut self, revision: u64) -> Self {
        self.if_match = Some(revision);
        self
    }

    /// Marks a call whose second arrival changes nothing more, without a key.
    pub(crate) fn safe_to_repeat(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    /// Gives the call an idempotency key, so that a second arrival is known as such.
    pub(crate) fn keyed(mut self) -> Self {
        self.repeat = Repeat::Keyed;
        self
    }

    /// Marks a call that changes nothing, whatever its method is.
    pub(crate) fn reads(mut self) -> Self {
        self.repeat = Repeat::Reads;
        self
    }

    /// Marks a call that may take long, since it looks at many documents.
    pub(crate) fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// Marks a call that an answer with 503 does not refuse, because it reports health.
    pub(crate) fn tells_health(mut self) -> Self {
        self.tells_health = true;
        self
    }

    /// Marks a call that may write to many documents.
    pub(crate) fn confirms(mut self) -> Self {
        self.confirms = true;
        self
    }

    /// Adds what `scope` says to the call, and returns its body.
    pub(crate) fn prepare(&mut self, scope: &Scope) -> Result<Option<Vec<u8>>> {
        let body = self.body.take().transpose()?;
        if scope.canonical {
            self.query.push(("extended_json", "canonical".to_owned()));
        }
        if !self.scoped {
            return Ok(body);
        }
        if let Some((name, moment)) = &scope.moment {
            if self.repeat != Repeat::Reads {
                let text = "the past cannot be changed; write to the collection as it is now";
                return Err(Error::Invalid(text.into()));
            }
            self.query.push((name, moment.clone()));
        }
        if let Some(open) = &scope.transaction {
            self.query.push(("tx", open.id.clone()));
        }
        if scope.confirm && self.confirms {
            self.query.push(("confirm", "ask".to_owned()));
        }
        Ok(body)
    }
}
