//! What every kind of transaction can read.

use super::env::checked;
use super::error::Result;
use super::table::Table;

/// Keys and values in key order.
pub type Entries<'t> = Box<dyn Iterator<Item = Result<(&'t [u8], &'t [u8])>> + 't>;

/// An entry as it is stored, whose bytes were not looked at yet.
#[derive(Clone, Copy)]
pub struct SealedEntry<'t> {
    pub(super) table: Table,
    pub(super) key: &'t [u8],
    pub(super) stored: &'t [u8],
}

/// Entries in key order.
pub type SealedEntries<'t> = Box<dyn Iterator<Item = Result<SealedEntry<'t>>> + 't>;

impl<'t> SealedEntry<'t> {
    /// Its length.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.stored.len()
    }

    /// Key and value, checked.
    pub fn open(&self) -> Result<(&'t [u8], &'t [u8])> {
        Ok((self.key, checked(self.table, self.key, self.stored)?))
    }
}

/// What can be read in a transaction of either kind.
pub trait Read {
    /// The value of `key`, checked.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>>;

    /// The entries from `start` (inclusive) to `end` (exclusive), in key order, checked.
    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;

    /// As [`Read::range`], from the last to the first.
    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;

    /// As [`Read::range`], but unchecked, so that several threads can share the checking; none
    /// where entries are not read as they are stored.
    fn sealed_range<'t>(
        &'t self,
        _table: Table,
        _start: &[u8],
        _end: &[u8],
    ) -> Result<Option<SealedEntries<'t>>> {
        Ok(None)
    }
}
