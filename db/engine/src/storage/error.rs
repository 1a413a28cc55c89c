//! What can go wrong with bytes on disk.

use super::table::Table;

/// What can go wrong with bytes on disk.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A stored value does not match its checksum.
    #[error("a value of table {table:?} is damaged (key {key})")]
    Corrupt {
        /// The table.
        table: Table,
        /// The key, in hexadecimal.
        key: String,
    },
    /// The environment's address space or the disk is full.
    #[error("the storage is full: {0}")]
    Full(String),
    /// Anything else that LMDB or the file system reports.
    #[error("storage failed: {0}")]
    Failed(String),
}

impl From<heed::Error> for StorageError {
    fn from(error: heed::Error) -> Self {
        match &error {
            heed::Error::Mdb(heed::MdbError::MapFull) => StorageError::Full(error.to_string()),
            heed::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => {
                StorageError::Full(error.to_string())
            }
            _ => StorageError::Failed(error.to_string()),
        }
    }
}

impl From<StorageError> for std::io::Error {
    fn from(error: StorageError) -> Self {
        std::io::Error::other(error)
    }
}

/// Result of a storage call.
pub type Result<T> = std::result::Result<T, StorageError>;
