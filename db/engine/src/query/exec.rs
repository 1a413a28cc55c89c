//! Execution of a plan: from the tables to the matching documents, in order.

use super::bounds;
use super::context::{Context, Fields};
use super::filter::Filter;
use super::plan::{AccessPath, Delivery, Order, Plan, QuerySpec, Scan};
use super::position::{Position, compare_position, compare_positions, position};
use super::ranges::{KeyRange, ReversedGroups, clip, clip_from, clip_to, ordered_ranges};
use super::sort::Sort;
use crate::budget::{self, steps_of};
use crate::catalog::Collection;
use crate::document;
use crate::document::Revision;
use crate::error::{Error, Kind, Result};
use crate::id::DocumentId;
use crate::index::{Entry, Index};
use crate::row::Row;
use crate::storage::{Read, Table, keys};
use crate::value::{Object, Value};
use std::cell::Cell;
use std::cmp::Ordering;
use std::iter::Peekable;

/// What an execution has read.
#[derive(Debug, Default)]
pub struct Counters {
    /// Index entries.
    pub keys: Cell<u64>,
    /// Documents.
    pub documents: Cell<u64>,
}

/// A document that matches.
pub struct FoundDocument<'t> {
    /// Its key in the document table.
    pub key: Vec<u8>,
    /// Revision and text; none if an index provided all wanted fields.
    pub stored: Option<(Revision, &'t [u8])>,
    /// The wanted fields, parsed.
    pub fields: Value,
}

impl FoundDocument<'_> {
    /// Its `_id`, as it was given.
    pub fn id(&self) -> Option<DocumentId> {
        match (self.stored, &self.fields) {
            (Some((_, json)), _) => document::id_of(json),
            (None, Value::Object(fields)) => fields.get("_id").cloned().and_then(DocumentId::new),
            _ => keys::document_id(&self.key),
        }
    }
}

/// Everything an execution needs.
pub struct Execution<'t, R> {
    /// The tables.
    pub read: &'t R,
    /// The collection.
    pub collection: &'t Collection,
    /// The query.
    pub wanted: QuerySpec<'t>,
    /// The outermost fields to be parsed, beside those of filter and sort.
    pub fields: &'t Fields,
    /// Only documents after this position.
    pub after: Option<&'t Position>,
    /// The budget.
    pub ctx: &'t Context<'t>,
    /// Counts what is read.
    pub counters: &'t Counters,
}

/// Documents that a sort with a small limit keeps beyond twice the limit.
const SLACK: usize = 32;

/// Results that are computed on demand.
pub type Stream<'t, T> = Box<dyn Iterator<Item = Result<T>> + 't>;

/// A document that may match: its key, and its fields if an index holds them.
struct Candidate {
    key: Vec<u8>,
    covered: Option<Value>,
}

fn damaged() -> Error {
    Error::new(Kind::Internal, "a stored document cannot be read")
}

impl<'t, R: Read> Execution<'t, R> {
    /// The matching documents, in order, from `after` on. Skip and limit are left to the caller,
    /// except that a sort keeps no more than the limit.
    ///
    /// # Errors
    /// `query_too_large`, `time_limit`, and what an expression of the filter reports.
    pub fn run(self, plan: &'t Plan) -> Result<Stream<'t, FoundDocument<'t>>> {
        let parsed = self.parsed();
        let (ctx, counters, filter) = (self.ctx, self.counters, self.wanted.filter);
        let matching: Stream<'t, FoundDocument<'t>> = match (&plan.access, plan.delivery) {
            (AccessPath::Collection { ranges }, Delivery::ById { reverse }) => {
                let ranges = self.document_ranges(ranges.as_deref(), plan.sort, reverse);
                let rows = ordered_ranges(self.read, Table::Documents, ranges, reverse);
                Box::new(rows.filter_map(move |row| {
                    let row = match row {
                        Ok(row) => row,
                        Err(error) => return Some(Err(error.into())),
                    };
                    counters.documents.set(counters.documents.get() + 1);
                    look(row, &parsed, filter, ctx).transpose()
                }))
            }
            _ => {
                let candidates = self.candidates(plan, &Order::of(self.wanted.sort))?;
                let read = self.read;
                Box::new(candidates.filter_map(move |candidate| {
                    let found = (|| {
                        let Candidate { key, covered } = candidate?;
                        ctx.work(budget::ROW)?;
                        if let Some(fields) = covered {
                            let found = FoundDocument { key, stored: None, fields };
                            return Ok(filter.matches(&found.fields, ctx)?.then_some(found));
                        }
                        let stored = read.get(Table::Documents, &key)?.ok_or_else(damaged)?;
                        ctx.work(budget::LOOK_UP + steps_of(stored.len()))?;
                        counters.documents.set(counters.documents.get() + 1);
                        parse(&key, stored, &parsed, filter, ctx)
                    })();
                    found.transpose()
                }))
            }
        };
        self.finish(matching, plan)
    }

    /// The outermost fields that are parsed.
    pub(super) fn parsed(&self) -> Fields {
        let mut parsed = self.fields.clone();
        self.wanted.filter.fields(&mut parsed);
        // The sort values of a document are part of a cursor.
        Order::of(self.wanted.sort).fields.iter().for_each(|(path, _)| parsed.add(path));
        parsed
    }

    /// The ranges of the collection that are read: all of it if there are `None`.
    pub(super) fn document_ranges(
        &self,
        ranges: Option<&[KeyRange]>,
        sorted: bool,
        reverse: bool,
    ) -> Vec<KeyRange> {
        let ranges = ranges
            .map_or_else(|| vec![bounds::all_ids(self.collection.id)], |ranges| ranges.to_vec());
        match self.after.filter(|_| !sorted) {
            Some(after) => clip(ranges, keys::document_key(self.collection.id, &after.id), reverse),
            None => ranges,
        }
    }

    /// What is left to do with the matching documents: leaving out those before the beginning,
    /// and sorting.
    fn finish(
        &self,
        matching: Stream<'t, FoundDocument<'t>>,
        plan: &Plan,
    ) -> Result<Stream<'t, FoundDocument<'t>>> {
        let sort = self.wanted.sort;
        let matching: Stream<'t, FoundDocument<'t>> = match self.after {
            None => matching,
            Some(after) => Box::new(matching.filter(move |found| match found {
                Ok(found) => compare_position(found, after, sort) == Ordering::Greater,
                Err(_) => true,
            })),
        };
        match sort.filter(|_| plan.sort) {
            None => Ok(matching),
            Some(sort) => self.sorted(matching, sort),
        }
    }

    /// Sorts the matching documents, keeping no more than the limit.
    fn sorted(
        &self,
        matching: Stream<'t, FoundDocument<'t>>,
        sort: &Sort,
    ) -> Result<Stream<'t, FoundDocument<'t>>> {
        let limit =
            self.wanted.limit.map_or(usize::MAX, |limit| limit.try_into().unwrap_or(usize::MAX));
        let mut kept: Vec<(Position, FoundDocument<'t>, usize)> = Vec::new();
        let compare = |a: &(Position, FoundDocument<'t>, usize),
                       b: &(Position, FoundDocument<'t>, usize)| {
            compare_positions(&a.0, &b.0, Some(sort))
        };
        for found in matching {
            let found = found?;
            let position = position(&found, Some(sort)).ok_or_else(damaged)?;
            let values: usize = position.values.iter().map(Value::bytes).sum();
            let bytes = values + found.fields.bytes() + found.key.len() + 96;
            self.ctx.charge(bytes, "the sort")?;
            // It is compared with some of the others.
            self.ctx.work(4 * steps_of(values))?;
            kept.push((position, found, bytes));
            if kept.len() >= limit.saturating_mul(2).saturating_add(SLACK) {
                kept.sort_by(compare);
                let dropped = kept.drain(limit.min(kept.len())..);
                self.ctx.release(dropped.map(|(_, _, bytes)| bytes).sum());
            }
        }
        kept.sort_by(compare);
        kept.truncate(limit);
        Ok(Box::new(kept.into_iter().map(|(_, found, _)| Ok(found))))
    }

    /// Keys of the documents that the index scans find, in the plan's order.
    fn candidates(&self, plan: &Plan, order: &Order<'_>) -> Result<Stream<'t, Candidate>> {
        match (&plan.access, plan.delivery) {
            (AccessPath::Index(scan), Delivery::ByIndex { reverse, regroup }) => {
                let fields = self.collection.indexes[scan.index].paths.len();
                let turned = regroup == Some(fields);
                let entries = self.entries_in_order(scan, order, reverse, turned, plan.covered)?;
                Ok(match regroup.filter(|_| !turned) {
                    None => Box::new(entries.map(|entry| entry.map(|(_, candidate)| candidate))),
                    Some(prefix) => Box::new(IncrementalSort {
                        entries: entries.peekable(),
                        group: Vec::new().into_iter(),
                        prefix,
                        id_descending: order.id_descending,
                        ctx: self.ctx,
                    }),
                })
            }
            (AccessPath::Collection { .. }, _) => Ok(Box::new(std::iter::empty())),
            (access, delivery) => {
                let reverse = delivery == Delivery::ById { reverse: true };
                let mut keys = match access {
                    AccessPath::Union(scans) => {
                        let mut all = Vec::new();
                        for scan in scans {
                            all.append(&mut self.gather(scan)?);
                        }
                        all
                    }
                    AccessPath::Index(scan) => self.gather(scan)?,
                    AccessPath::Intersection(first, second) => {
                        let second = self.gather(second)?;
                        let mut first = self.gather(first)?;
                        first.retain(|key| second.binary_search(key).is_ok());
                        first
                    }
                    AccessPath::Collection { .. } => Vec::new(),
                };
                keys.sort_unstable();
                keys.dedup();
                if reverse {
                    keys.reverse();
                }
                Ok(Box::new(keys.into_iter().map(|key| Ok(Candidate { key, covered: None }))))
            }
        }
    }

    /// The document keys that a scan finds, sorted.
    fn gather(&self, scan: &Scan) -> Result<Vec<Vec<u8>>> {
        let index = &self.collection.indexes[scan.index];
        let mut found = Vec::new();
        for (start, end) in &scan.bounds.ranges {
            for entry in self.read.range(Table::Indexes, start, end)? {
                let (key, value) = entry?;
                self.ctx.work(budget::ROW)?;
                self.counters.keys.set(self.counters.keys.get() + 1);
                let key =
                    Entry::new(key, value).document_key(self.collection.id, index.id_descending());
                self.ctx.charge(key.len() + 32, "the set of matching _ids")?;
                found.push(key);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Entries of one index in its order, equal ones in reverse if they are `turned`: the values'
    /// part of each key, and the candidate.
    fn entries_in_order(
        &self,
        scan: &Scan,
        order: &Order<'_>,
        reverse: bool,
        turned: bool,
        covered: bool,
    ) -> Result<Stream<'t, (GroupKey, Candidate)>> {
        let index: &'t Index = &self.collection.indexes[scan.index];
        let mut ranges = scan.bounds.ranges.clone();
        if let Some(start) = self.after.and_then(|after| resume_key(index, scan, order, after)) {
            ranges = match reverse {
                false => clip_from(ranges, start),
                true => clip_to(ranges, [&start[..], &[0xff]].concat()),
            };
        }
        let rows = match turned {
            true => Box::new(ReversedGroups::new(self.read, ranges, reverse)),
            false => ordered_ranges(self.read, Table::Indexes, ranges, reverse),
        };
        let (collection, counters) = (self.collection.id, self.counters);
        Ok(Box::new(rows.map(move |row| {
            let (key, value) = row?;
            counters.keys.set(counters.keys.get() + 1);
            let entry = Entry::new(key, value);
            let document = entry.document_key(collection, index.id_descending());
            let fields = if covered { covered_fields(index, entry, &document) } else { None };
            let group = GroupKey { key: key.to_vec(), value: value.to_vec() };
            Ok((group, Candidate { key: document, covered: fields }))
        })))
    }
}

/// The row of an entry, kept to compare the leading fields of entries.
struct GroupKey {
    key: Vec<u8>,
    value: Vec<u8>,
}

impl GroupKey {
    fn prefix(&self, fields: usize) -> &[u8] {
        Entry::new(&self.key, &self.value).prefix(fields)
    }
}

/// Puts entries that are equal in their leading fields into the order of `_id`: an incremental
/// sort, as PostgreSQL calls it.
struct IncrementalSort<'t> {
    entries: Peekable<Stream<'t, (GroupKey, Candidate)>>,
    group: std::vec::IntoIter<Candidate>,
    prefix: usize,
    id_descending: bool,
    ctx: &'t Context<'t>,
}

impl Iterator for IncrementalSort<'_> {
    type Item = Result<Candidate>;

    fn next(&mut self) -> Option<Result<Candidate>> {
        if let Some(candidate) = self.group.next() {
            return Some(Ok(candidate));
        }
        let (first, candidate) = match self.entries.next()? {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        let mut group = vec![candidate];
        let mut bytes = 0;
        let prefix = self.prefix;
        while let Some(next) = self.entries.next_if(|next| match next {
            Ok((key, _)) => key.prefix(prefix) == first.prefix(prefix),
            Err(_) => true,
        }) {
            let candidate = match next {
                Ok((_, candidate)) => candidate,
                Err(error) => return Some(Err(error)),
            };
            let size = candidate.key.len() + 96;
            if let Err(error) = self.ctx.charge(size, "the sort") {
                return Some(Err(error));
            }
            bytes += size;
            group.push(candidate);
        }
        self.ctx.release(bytes);
        group.sort_by(|a, b| a.key.cmp(&b.key));
        if self.id_descending {
            group.reverse();
        }
        self.group = group.into_iter();
        self.group.next().map(Ok)
    }
}

/// The key at which the order continues after a position; none if that is before the bounds.
fn resume_key(index: &Index, scan: &Scan, order: &Order<'_>, after: &Position) -> Option<Vec<u8>> {
    let equal = scan.bounds.equal_fields;
    // Only one range has one prefix of equal values.
    let prefix = match scan.bounds.ranges.as_slice() {
        [(start, _)] if equal > 0 && equal == scan.bounds.bounded_fields => start.clone(),
        _ if equal == 0 => index.start(),
        _ => return None,
    };
    let constant = |path: &str| index.paths[..equal].iter().any(|p| p.as_str() == path);
    let values = order.fields.iter().zip(&after.values);
    let values: Vec<_> =
        values.filter(|((path, _), _)| !constant(path)).map(|(_, value)| value.clone()).collect();
    Some(bounds::position_key(index, prefix, equal, &values))
}

/// A row of the collection, parsed, if it matches.
pub(super) fn look<'t>(
    (key, stored): (&[u8], &'t [u8]),
    parsed: &Fields,
    filter: &Filter,
    ctx: &Context<'_>,
) -> Result<Option<FoundDocument<'t>>> {
    ctx.work(budget::ROW + steps_of(stored.len()))?;
    parse(key, stored, parsed, filter, ctx)
}

fn parse<'t>(
    key: &[u8],
    stored: &'t [u8],
    parsed: &Fields,
    filter: &Filter,
    ctx: &Context<'_>,
) -> Result<Option<FoundDocument<'t>>> {
    let row = Row::decode(stored).ok_or_else(damaged)?;
    let fields = row.fields(parsed).ok_or_else(damaged)?;
    let found = |fields| FoundDocument {
        key: key.to_vec(),
        stored: Some((row.revision, row.json)),
        fields,
    };
    Ok(filter.matches(&fields, ctx)?.then(|| found(fields)))
}

/// The fields of a document that an index entry holds; none if one must be looked up.
fn covered_fields(index: &Index, entry: Entry<'_>, document_key: &[u8]) -> Option<Value> {
    let mut fields = Object::new();
    if !entry.tells_id() {
        return None;
    }
    fields.insert("_id".into(), keys::document_id(document_key)?.value().clone());
    for (at, (path, descending)) in index.paths.iter().zip(&index.descending).enumerate() {
        let value = entry.field(at, *descending)?;
        if path.steps().len() == 1
            && let Some(value) = value
        {
            fields.insert(path.as_str().to_owned(), value);
        }
    }
    Some(Value::Object(fields))
}

#[cfg(test)]
#[path = "exec_tests.rs"]
mod tests;
