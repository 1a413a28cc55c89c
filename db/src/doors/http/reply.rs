//! What handlers give back, and how errors look.

use super::hints;
use crate::auth::limiter::RETRY_AFTER;
use crate::engine::value::{canonical, canonical_in, relaxed};
use crate::error::Error;
use crate::service::Response;
use crate::status::HttpStatus;
use bytes::Bytes;
use jettra_driver::wire::{
    ErrorBody, ErrorDetail, FORGOTTEN_HEADER, PENDING_HEADER, PlainErrorBody, REPLAYED_HEADER,
};
use serde::Serialize;
use std::borrow::Cow;
use tokio::sync::mpsc;

/// Media type of nearly every answer.
pub const JSON: &str = "application/json";
/// Media type of JettraDBVM's short answers.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The fields that hold identifiers beside documents.
pub const IDS: Values =
    Values::In(&["id", "ids", "inserted_id", "insertedIds", "upsertedId", "upsertedIds"]);

/// In which form of Extended JSON a client gets values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Numbers are plain where JSON has them.
    #[default]
    Relaxed,
    /// Every number says its type.
    Canonical,
}

/// Which parts of a body are values of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Values {
    /// None.
    #[default]
    None,
    /// The body is one.
    Whole,
    /// Those in the fields of these names.
    In(&'static [&'static str]),
}

impl Form {
    /// The form with this name, as the parameter `extended_json` gives it.
    pub fn named(name: &str) -> Option<Form> {
        match name {
            "relaxed" => Some(Form::Relaxed),
            "canonical" => Some(Form::Canonical),
            _ => None,
        }
    }

    /// A body of JSON in this form.
    pub fn of<'b>(self, body: &'b [u8], values: Values) -> Cow<'b, [u8]> {
        match (self, values) {
            (Form::Relaxed, _) | (_, Values::None) => relaxed(body),
            (Form::Canonical, Values::Whole) => canonical(body),
            (Form::Canonical, Values::In(names)) => canonical_in(body, names),
        }
    }
}

/// The body of an answer that goes on and on: its pieces as they are made.
pub struct Events(pub mpsc::Receiver<Bytes>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// An answer before it becomes an HTTP response.
#[derive(Debug, Default)]
pub struct Reply {
    /// HTTP status; 0 means 200.
    pub status: u16,
    /// Media type; empty without a body.
    pub media: &'static str,
    /// The body.
    pub body: Bytes,
    /// The body, when it is a stream.
    pub events: Option<Events>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Which parts of the body are values.
    pub values: Values,
    /// Whether they have the form that the client gets.
    pub is_in_form: bool,
    /// Log index that the answer reflects; the visible index before the call when none.
    pub index: Option<u64>,
    /// Revision of the document, for the header `ETag`.
    pub revision: Option<u64>,
}

impl Reply {
    /// The answer made of what a request came to: it says which log index it reflects, and whether
    /// it was given before.
    pub fn of(response: Response<Reply>) -> Self {
        let Response { value: mut reply, index, repeated, forgotten, pending } = response;
        reply.index = index;
        if !pending.is_empty() {
            let groups: Vec<_> = pending.iter().map(ToString::to_string).collect();
            reply = reply.with_status(202).header(PENDING_HEADER, groups.join(","));
        }
        if repeated {
            reply = reply.header(REPLAYED_HEADER, "true");
        }
        if forgotten {
            reply = reply.header(FORGOTTEN_HEADER, "true");
        }
        reply
    }

    /// 200 with a value as JSON.
    pub fn json(value: &impl Serialize) -> Self {
        // Serialising plain data to memory cannot fail.
        Reply::bytes(serde_json::to_vec(value).unwrap_or_default())
    }

    /// 200 with JSON that is written already.
    pub fn bytes(body: impl Into<Bytes>) -> Self {
        Reply { status: 200, media: JSON, body: body.into(), ..Reply::default() }
    }

    /// 200 with a document, or another value that is written already.
    pub fn value(text: impl Into<Bytes>) -> Self {
        Reply::bytes(text).values(Values::Whole)
    }

    /// With values in the body.
    pub fn values(self, values: Values) -> Self {
        Reply { values, ..self }
    }

    /// With the values in the body in the form that the client gets. A second time it does nothing.
    pub fn in_form(mut self, form: Form) -> Self {
        if self.media == JSON
            && !self.is_in_form
            && let Cow::Owned(body) = form.of(&self.body, self.values)
        {
            self.body = body.into();
        }
        self.is_in_form = true;
        self
    }

    /// 200 with a short text.
    pub fn text(text: &str) -> Self {
        let body = Bytes::from(text.to_owned());
        Reply { status: 200, media: TEXT, body, ..Reply::default() }
    }

    /// 204.
    pub fn empty() -> Self {
        Reply { status: 204, ..Reply::default() }
    }

    /// `{"status": text}`, JettraDBVM's answer to most changes.
    pub fn status(text: &str) -> Self {
        Reply::json(&jettra_driver::wire::StatusReply { status: text.into() })
    }

    /// With another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With a header more.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With the revision as `ETag`.
    pub fn etag(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// With the log index it reflects.
    pub fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    /// The answer for an error.
    pub fn error(error: &Error, request_id: &str, form: Form) -> Self {
        Reply::json(&ErrorBody { error: with_hint(error, request_id) }).failed(error, form)
    }

    /// The answer for an error of a call whose shape comes from another program: its text.
    pub fn plain_error(error: &Error, request_id: &str, form: Form) -> Self {
        Reply::json(&PlainErrorBody::from(with_hint(error, request_id))).failed(error, form)
    }

    fn failed(self, error: &Error, form: Form) -> Self {
        let values = Values::In(&["id", "document", "value", "insertedIds", "upsertedIds"]);
        let reply = self.values(values).with_status(error.kind.status()).in_form(form);
        let wait = error.details.as_deref().and_then(|details| details[RETRY_AFTER].as_u64());
        match error.kind.status() {
            429 | 503 => reply.header("retry-after", wait.unwrap_or(1).to_string()),
            _ => reply,
        }
    }
}

fn with_hint(error: &Error, request_id: &str) -> ErrorDetail {
    let hint = error.hint.clone().or_else(|| hints::hint(error.kind).map(str::to_owned));
    ErrorDetail { hint, ..error_detail(error, request_id) }
}

/// An error as the interface represents it.
pub fn error_detail(error: &Error, request_id: &str) -> ErrorDetail {
    ErrorDetail {
        code: error.kind.code().into(),
        message: error.message.clone(),
        hint: error.hint.clone(),
        details: error.details.as_deref().cloned(),
        request_id: request_id.to_owned(),
    }
}

/// Warnings of a schema, as an answer has them.
pub fn warnings(texts: Vec<String>) -> Vec<serde_json::Value> {
    texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
}
