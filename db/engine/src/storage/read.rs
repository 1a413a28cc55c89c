//! What every kind of transaction can read.

use super::error::Result;
use super::table::Table;

/// Keys and values in key order.
pub type Entries<'t> = Box<dyn Iterator<Item = Result<(&'t [u8], &'t [u8])>> + 't>;

/// What can be read in a transaction of either kind.
pub trait Read {
    /// The value of `key`, checked.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>>;

    /// The entries from `start` (inclusive) to `end` (exclusive), in key order, checked.
    fn range<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;

    /// As [`Read::range`], from the last to the first.
    fn range_back<'t>(&'t self, table: Table, start: &[u8], end: &[u8]) -> Result<Entries<'t>>;
}
