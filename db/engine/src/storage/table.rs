//! The tables of a group's environment.

use minicbor::{CborLen, Decode, Encode};

/// The tables of a group's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum Table {
    /// Single values: applied log id, counters.
    #[n(0)]
    Meta,
    /// Databases and collections.
    #[n(1)]
    Catalog,
    /// Documents of all collections.
    #[n(2)]
    Documents,
    /// Entries of all secondary indexes.
    #[n(3)]
    Indexes,
    /// Former documents.
    #[n(4)]
    Versions,
    /// Changes of documents, in the order of the log.
    #[n(5)]
    Changes,
    /// Answers to calls that may be repeated.
    #[n(6)]
    Retries,
}

/// How many tables there are.
pub(super) const TABLES_LEN: usize = 7;
/// All tables, with their names in the environment.
pub(super) const TABLES: [(Table, &str); TABLES_LEN] = [
    (Table::Meta, "meta"),
    (Table::Catalog, "catalog"),
    (Table::Documents, "documents"),
    (Table::Indexes, "indexes"),
    (Table::Versions, "versions"),
    (Table::Changes, "changes"),
    (Table::Retries, "retries"),
];
