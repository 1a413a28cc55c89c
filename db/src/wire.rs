//! The engine's own types as those that travel, and back. The driver is the home of the wire
//! types and knows no engine, so the conversion stands here.

use crate::engine::DocumentId;
use crate::engine::audit::AuditEntry;
use crate::engine::changes::{ChangeKind, Delta};
use crate::engine::schema;
use crate::engine::system::{NodeRole, NodeStatus, TokenKind};
use jettra_driver::wire;

/// A type of the engine that has a form for the wire.
pub trait IntoWire {
    /// That form.
    type Wire;
    /// Converts to it.
    fn into_wire(self) -> Self::Wire;
}

/// A type of the wire that has a form in the engine.
pub trait IntoEngine {
    /// That form.
    type Engine;
    /// Converts to it.
    fn into_engine(self) -> Self::Engine;
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
        match self {
            DocumentId::Int(number) => wire::DocumentId::Int(number),
            DocumentId::String(text) => wire::DocumentId::String(text),
        }
    }
}

impl IntoEngine for wire::DocumentId {
    type Engine = DocumentId;
    fn into_engine(self) -> DocumentId {
        match self {
            wire::DocumentId::Int(number) => DocumentId::Int(number),
            wire::DocumentId::String(text) => DocumentId::String(text),
        }
    }
}

impl IntoWire for Delta {
    type Wire = wire::Delta;
    fn into_wire(self) -> wire::Delta {
        wire::Delta { updated: self.updated, removed: self.removed }
    }
}

impl IntoWire for AuditEntry {
    type Wire = wire::AuditEntry;
    fn into_wire(self) -> wire::AuditEntry {
        let AuditEntry { id, time_ms, user, from, action, target, outcome } = self;
        wire::AuditEntry { id, time_ms, user, from, action, target, outcome }
    }
}
