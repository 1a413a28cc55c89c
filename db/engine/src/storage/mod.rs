//! Bytes on disk: LMDB tables, order-preserving keys, checksums. Knows nothing of documents.

mod env;
mod error;
mod free;
pub mod generations;
pub mod keys;
pub mod overlay;
mod read;
mod readers;
mod table;
mod write;

pub use env::{ReadTxn, Store, free_disk_bytes};
pub use error::{Result, StorageError};
pub use free::FreePages;
pub use generations::{Generations, IncomingGeneration, SwitchStep};
pub use overlay::{MergedRows, Overlay, Reads};
pub use read::{Entries, Read, SealedEntries, SealedEntry};
pub use table::Table;
pub use write::{Mark, WriteTxn};
