//! The rows of ranges of keys, in order.

use crate::index::Entry;
use crate::storage::{Entries, Read, Table, keys};
use std::iter::Peekable;

/// Keys from the first one up to, but without, the last one.
pub(super) type KeyRange = (Vec<u8>, Vec<u8>);

/// What of the ranges lies behind a key, in the direction of the scan.
pub(super) fn clip(ranges: Vec<KeyRange>, key: Vec<u8>, reverse: bool) -> Vec<KeyRange> {
    match reverse {
        false => clip_from(ranges, keys::successor(key)),
        true => clip_to(ranges, key),
    }
}

/// What of the ranges is not before a key.
pub(super) fn clip_from(ranges: Vec<KeyRange>, from: Vec<u8>) -> Vec<KeyRange> {
    let clipped = ranges.into_iter().map(|(start, end)| (start.max(from.clone()), end));
    clipped.filter(|(start, end)| start < end).collect()
}

/// What of the ranges is before a key.
pub(super) fn clip_to(ranges: Vec<KeyRange>, to: Vec<u8>) -> Vec<KeyRange> {
    let clipped = ranges.into_iter().map(|(start, end)| (start, end.min(to.clone())));
    clipped.filter(|(start, end)| start < end).collect()
}

/// The rows of several ranges, one range after the other.
pub(super) fn ordered_ranges<'t, R: Read>(
    read: &'t R,
    table: Table,
    mut ranges: Vec<KeyRange>,
    reverse: bool,
) -> Entries<'t> {
    if reverse {
        ranges.reverse();
    }
    let range = move |(start, end): KeyRange| rows(read, table, &start, &end, reverse);
    if ranges.len() == 1 {
        return ranges.pop().map_or_else(|| Box::new(std::iter::empty()) as Entries<'t>, range);
    }
    Box::new(ranges.into_iter().flat_map(range))
}

/// The rows of one range.
fn rows<'t, R: Read>(
    read: &'t R,
    table: Table,
    start: &[u8],
    end: &[u8],
    reverse: bool,
) -> Entries<'t> {
    let rows = match reverse {
        false => read.range(table, start, end),
        true => read.range_back(table, start, end),
    };
    rows.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}

/// The rows of ranges of an index, equal entries against the direction of the scan: so `_id`s
/// ascend in each group along a descending scan, and no group must fit into memory.
pub(super) struct ReversedGroups<'t, R> {
    read: &'t R,
    /// The ranges that are not read yet; the next one is the last.
    ranges: Vec<KeyRange>,
    reverse: bool,
    /// The next range, while it is being read.
    rows: Option<Peekable<Entries<'t>>>,
    /// A group of equal entries.
    group: Entries<'t>,
}

impl<'t, R: Read> ReversedGroups<'t, R> {
    /// Begins before the first of the ranges, or after the last one.
    pub(super) fn new(
        read: &'t R,
        mut ranges: Vec<KeyRange>,
        reverse: bool,
    ) -> ReversedGroups<'t, R> {
        if !reverse {
            ranges.reverse();
        }
        ReversedGroups { read, ranges, reverse, rows: None, group: Box::new(std::iter::empty()) }
    }

    /// Begins to read the group with these values, and leaves the rest of the range for later.
    fn begin_group(&mut self, values: &[u8]) {
        let (start, end) = (values.to_vec(), [values, &[0xff]].concat());
        self.group = rows(self.read, Table::Indexes, &start, &end, !self.reverse);
        self.rows = None;
        if let Some((first, last)) = self.ranges.last_mut() {
            if self.reverse {
                *last = start
            } else {
                *first = end
            }
            if first >= last {
                self.ranges.pop();
            }
        }
    }
}

impl<'t, R: Read> Iterator for ReversedGroups<'t, R> {
    type Item = <Entries<'t> as Iterator>::Item;

    fn next(&mut self) -> Option<Self::Item> {
        fn values<'r>((key, value): (&'r [u8], &[u8])) -> &'r [u8] {
            let entry = Entry::new(key, value);
            key.get(..entry.prefix_end(entry.fields())).unwrap_or(key)
        }
        loop {
            if let Some(row) = self.group.next() {
                return Some(row);
            }
            let (start, end) = self.ranges.last()?;
            let begin = || rows(self.read, Table::Indexes, start, end, self.reverse).peekable();
            let unread = self.rows.get_or_insert_with(begin);
            match unread.next() {
                Some(Ok(first)) => match unread.peek() {
                    Some(Ok(next)) if values(*next) == values(first) => {
                        self.begin_group(values(first));
                    }
                    _ => return Some(Ok(first)),
                },
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    self.rows = None;
                    self.ranges.pop();
                }
            }
        }
    }
}
