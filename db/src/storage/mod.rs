//! Bytes on disk: LMDB tables, order-preserving keys, checksums. Knows nothing of documents.

pub mod env;
pub mod keys;

pub use env::{Read, ReadTxn, StorageError, Store, Table, WriteTxn, free_disk_bytes};
