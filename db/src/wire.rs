//! The engine's own types as those that travel, and back. The driver is the home of the wire
//! types and knows no engine, so the conversion stands here.

use crate::engine::DocumentId;
use crate::engine::audit::AuditEntry;
use crate::engine::changes::{ChangeKind, Delta};
use crate::engine::document::check_id;
use crate::engine::limits::Limits;
use crate::engine::query::context::At;
use crate::engine::schema;
use crate::engine::system::{NodeRole, NodeStatus, TokenKind};
use crate::engine::value::{Value, from_json};
use crate::error::Result;
use jettra_driver::wire;

/// A type of the engine that has a form for the wire.
pub trait IntoWire {
    /// That form.
    type Wire;
    /// Converts to it.
    fn into_wire(self) -> Self::Wire;
}

macro_rules! same_variants {
    ($($engine:ty, $wire:ty: $($variant:ident)*;)*) => {$(
        impl IntoWire for $engine {
            type Wire = $wire;
            fn into_wire(self) -> $wire {
                match self { $(<$engine>::$variant => <$wire>::$variant,)* }
            }
        }
    )*};
}
same_variants! {
    NodeRole, wire::NodeRole: Leader Follower Candidate Learner;
    NodeStatus, wire::NodeStatus: Joining Active Inactive Paused Leaving;
    TokenKind, wire::TokenKind: Session ApiKey Join;
    ChangeKind, wire::ChangeKind: Insert Update Delete Drop Rename;
    schema::Mode, wire::SchemaMode: Error Warn;
}

impl IntoWire for DocumentId {
    type Wire = wire::DocumentId;
    fn into_wire(self) -> wire::DocumentId {
        match self.value() {
            Value::String(text) => wire::DocumentId::String(text.clone()),
            Value::Int(number) => wire::DocumentId::Int(i64::from(*number)),
            // A smaller one would be taken for an integer of 32 bits.
            Value::Long(number) if i32::try_from(*number).is_err() => {
                wire::DocumentId::Int(*number)
            }
            _ => wire::DocumentId::Json(self.to_json()),
        }
    }
}

/// The `_id` that a client has named in a body.
///
/// # Errors
/// `invalid_query` for what only looks like Extended JSON, `invalid_id`, `id_too_long`.
pub fn document_id(id: wire::DocumentId, limits: &Limits) -> Result<DocumentId> {
    check_id(from_json(id.to_value(), At::root("id"))?, limits)
}

impl IntoWire for Delta {
    type Wire = wire::Delta;
    fn into_wire(self) -> wire::Delta {
        wire::Delta { updated: self.updated, removed: self.removed }
    }
}

impl IntoWire for (u32, AuditEntry) {
    type Wire = wire::AuditEntry;
    fn into_wire(self) -> wire::AuditEntry {
        let (group, AuditEntry { id, time_ms, user, from, action, target, outcome }) = self;
        wire::AuditEntry { id, group, time_ms, user, from, action, target, outcome }
    }
}
