//! Bytes on disk: LMDB tables, order-preserving keys, checksums. Knows nothing of documents.

pub mod env;
pub mod keys;
pub mod overlay;

pub use env::{Entries, Read, ReadTxn, StorageError, Store, Table, WriteTxn, free_disk_bytes};
pub use overlay::{Merged, Overlay, Reads};
