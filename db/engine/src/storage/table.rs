//! The tables of a group's environment.

use serde::{Deserialize, Serialize};

/// The tables of a group's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Table {
    /// Single values: applied log id, counters.
    Meta,
    /// Databases and collections.
    Catalog,
    /// Documents of all collections.
    Documents,
    /// Entries of all secondary indexes.
    Indexes,
    /// Former documents.
    Versions,
    /// Changes of documents, in the order of the log.
    Changes,
    /// Answers to calls that may be repeated.
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
