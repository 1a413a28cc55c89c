//! Bytes on disk: LMDB tables, order-preserving keys, checksums. Knows nothing of documents.

pub mod env;
mod free;
pub mod generations;
pub mod keys;
pub mod overlay;
mod readers;

pub use env::{Entries, Read, ReadTxn, StorageError, Store, Table, WriteTxn, free_disk_bytes};
pub use free::FreePages;
pub use generations::{Generations, Incoming, SwitchStep};
pub use overlay::{Merged, Overlay, Reads};
