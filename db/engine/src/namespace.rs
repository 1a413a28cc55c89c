//! The names of a collection: those of its database and its own.

use minicbor::{CborLen, Decode, Encode};
use std::fmt;

/// A collection by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
pub struct Namespace {
    /// The database.
    #[n(0)]
    pub database: String,
    /// The collection.
    #[n(1)]
    pub collection: String,
}

impl Namespace {
    /// Puts the names together.
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Namespace { database: database.into(), collection: collection.into() }
    }

    /// Borrows the names.
    pub fn borrowed(&self) -> NamespaceRef<'_> {
        NamespaceRef { database: &self.database, collection: &self.collection }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

/// A [`Namespace`] that borrows its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamespaceRef<'n> {
    /// The database.
    pub database: &'n str,
    /// The collection.
    pub collection: &'n str,
}

impl fmt::Display for NamespaceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}
