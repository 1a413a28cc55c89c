//! The planner: which indexes are read, and in which order, by estimated cost.
//!
//! Results are in the order of the sort, ties by ascending `_id`, whatever the directions of the
//! sort; without a sort by ascending `_id`. So the result does not depend on the plan or the node,
//! and a cursor is a position in that order.

use super::bounds::{self, IndexBounds};
use super::filter::Filter;
pub use super::hint::Hint;
use super::sort::{Direction, Sort};
use crate::catalog::Collection;
use crate::error::Result;
use crate::index::Index;
use crate::storage::{Read, Table};
use serde_json::json;

/// Entries that are counted to estimate a range; beyond that the statistics are used.
const DIVE: usize = 128;
/// Index scans that are compared for the branches of an `$or`.
const SCANS_MAX: usize = 5_000;
/// Cost of reading the next document, of fetching one by its `_id`, of reading an index entry,
/// and of keeping one for a sort; in microseconds, roughly.
const READ: f64 = 2.0;
const FETCH: f64 = 3.0;
const ENTRY: f64 = 0.4;
const KEEP: f64 = 1.0;

/// What a query reads.
#[derive(Clone, Copy)]
pub struct QuerySpec<'q> {
    /// The filter.
    pub filter: &'q Filter,
    /// The order; that of `_id` if none.
    pub sort: Option<&'q Sort>,
    /// Whether the order matters at all.
    pub ordered: bool,
    /// The limit, including skipped documents; all if none.
    pub limit: Option<u64>,
    /// The needed outermost fields, if they are few enough for an index to provide them all.
    pub fields: Option<&'q [String]>,
}

impl<'q> QuerySpec<'q> {
    /// All documents that match, in the order of `_id`.
    pub fn all(filter: &'q Filter) -> QuerySpec<'q> {
        QuerySpec { filter, sort: None, ordered: true, limit: None, fields: None }
    }
}

/// The access path: where the documents come from.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessPath {
    /// The collection, or ranges of it.
    Collection {
        /// Ranges of document keys; the whole collection if none.
        ranges: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    },
    /// One index.
    Index(Scan),
    /// Documents that one of several scans finds.
    Union(Vec<Scan>),
    /// Documents that both scans find.
    Intersection(Scan, Scan),
}

/// One scan of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Its position in the collection's list.
    pub index: usize,
    /// The ranges that are read.
    pub bounds: IndexBounds,
}

/// The order in which an access path delivers documents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Delivery {
    /// The order of the collection, or its reverse.
    ById {
        /// In reverse.
        reverse: bool,
    },
    /// The order of the one index, or its reverse.
    ByIndex {
        /// In reverse.
        reverse: bool,
        /// Number of leading fields after which equal entries are put into the order of `_id`; none
        /// if they are in it, or it does not matter. If these are all fields, equal entries are in
        /// the reverse order of `_id`.
        regroup: Option<usize>,
    },
}

/// A plan of execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The access path.
    pub access: AccessPath,
    /// The order of delivery.
    pub delivery: Delivery,
    /// Whether they must be sorted afterwards.
    pub sort: bool,
    /// Whether the index alone provides the result.
    pub covered: bool,
    /// Estimated documents or entries that are read.
    pub reads: f64,
    /// Estimated cost.
    pub cost: f64,
    /// Estimated cost if the limit does not end it early.
    pub cost_max: f64,
}

/// The sort in parts: the fields before `_id`, and the direction of `_id`.
pub struct Order<'q> {
    /// Paths, and whether descending.
    pub fields: Vec<(&'q str, bool)>,
    /// Whether `_id`, which breaks ties, is descending.
    pub id_descending: bool,
}

impl<'q> Order<'q> {
    /// The order of a sort; ties are broken by ascending `_id`.
    pub fn of(sort: Option<&'q Sort>) -> Order<'q> {
        let mut order = Order { fields: Vec::new(), id_descending: false };
        for (path, direction) in sort.iter().flat_map(|sort| &sort.keys) {
            let descending = *direction == Direction::Descending;
            if path.as_str() == "_id" {
                order.id_descending = descending;
                break;
            }
            order.fields.push((path.as_str(), descending));
        }
        order
    }
}

/// Chooses a plan; the second part are the rejected plans, for `explain`.
///
/// # Errors
/// `invalid_query` for a hint without an index; storage errors.
pub fn choose(
    read: &impl Read,
    collection: &Collection,
    wanted: QuerySpec<'_>,
    hint: Option<&Hint>,
) -> Result<(Plan, Vec<Plan>)> {
    let planner = Planner {
        read,
        collection,
        wanted,
        order: Order::of(wanted.sort),
        documents: collection.documents(read)? as f64,
    };
    let mut plans = planner.plans(hint)?;
    plans.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let best = plans.remove(0);
    Ok((best, plans))
}

struct Planner<'q, R> {
    read: &'q R,
    collection: &'q Collection,
    wanted: QuerySpec<'q>,
    order: Order<'q>,
    documents: f64,
}

impl<R: Read> Planner<'_, R> {
    /// At least one plan.
    fn plans(&self, hint: Option<&Hint>) -> Result<Vec<Plan>> {
        if let Some(hint) = hint {
            return self.hinted(hint).map(|plan| vec![plan]);
        }
        let ids = bounds::id_ranges(self.collection.id, self.wanted.filter);
        let points = ids.as_ref().is_some_and(|ids| ids.iter().all(bounds::is_one_id));
        if points || self.collection.indexes.iter().all(|index| !index.is_ready()) {
            // Nothing is better than reading the documents themselves.
            return Ok(vec![self.by_id(ids, points, f64::INFINITY)]);
        }
        let mut scans = Vec::new();
        for at in 0..self.collection.indexes.len() {
            scans.extend(self.scan(at, self.wanted.filter)?);
        }
        let mut plans = Vec::new();
        let matching = scans
            .iter()
            .filter(|(scan, _)| scan.bounds.bounded_fields > 0)
            .map(|(_, reads)| *reads);
        let matching = matching.fold(self.documents / 3.0, f64::min);
        for (scan, reads) in &scans {
            plans.extend(self.by_index(scan, *reads, matching));
        }
        plans.extend(self.intersection(&scans));
        plans.extend(self.union()?);
        let matching = match self.wanted.filter.always() {
            true => self.documents,
            false => matching,
        };
        plans.push(self.by_id(ids, points, matching));
        Ok(plans)
    }

    fn hinted(&self, hint: &Hint) -> Result<Plan> {
        let Some(position) = hint.find(self.collection)? else {
            let ids = bounds::id_ranges(self.collection.id, self.wanted.filter);
            let all = || vec![bounds::all_ids(self.collection.id)];
            let ids = if *hint == Hint::Id { ids.or_else(|| Some(all())) } else { ids };
            return Ok(self.by_id(ids, false, self.documents));
        };
        let (scan, reads) = self.bounded(position, self.wanted.filter)?;
        Ok(self
            .by_index(&scan, reads, reads)
            .unwrap_or_else(|| self.gathered(AccessPath::Index(scan), reads, reads)))
    }

    /// The scan of an index for a filter, and the estimated number of entries; `None` if the index
    /// is not ready or lacks documents that match.
    fn scan(&self, at: usize, filter: &Filter) -> Result<Option<(Scan, f64)>> {
        let index = &self.collection.indexes[at];
        if !index.is_ready() || !bounds::index_is_complete(index, filter) {
            return Ok(None);
        }
        self.bounded(at, filter).map(Some)
    }

    /// The scan of an index, even if it does not hold every document that matches.
    fn bounded(&self, at: usize, filter: &Filter) -> Result<(Scan, f64)> {
        let index = &self.collection.indexes[at];
        let bounds = bounds::index_bounds(index, filter);
        let reads = self.estimate(index, &bounds)?;
        Ok((Scan { index: at, bounds }, reads))
    }

    /// Entries in some ranges: counted if they are few, else estimated from the statistics.
    fn estimate(&self, index: &Index, bounds: &IndexBounds) -> Result<f64> {
        let stats = self.collection.stats(self.read, index.entry.id)?;
        let entries = stats.entries as f64;
        if bounds.bounded_fields == 0 {
            return Ok(entries);
        }
        let mut counted = 0;
        for (start, end) in &bounds.ranges {
            let range = self.read.range(Table::Indexes, start, end)?;
            for entry in range.take(DIVE - counted) {
                entry?;
                counted += 1;
            }
            if counted == DIVE {
                let each = match bounds.points {
                    true => entries / stats.distinct(bounds.bounded_fields),
                    false => entries / stats.distinct(bounds.equal_fields) / 3.0,
                };
                return Ok((each * bounds.ranges.len() as f64).clamp(DIVE as f64, entries.max(1.0)));
            }
        }
        Ok(counted as f64)
    }

    /// How many of `all` are read until the limit is reached, when `matching` of them match.
    fn until_limit(&self, all: f64, matching: f64) -> f64 {
        match self.wanted.limit {
            Some(limit) if matching > 0.0 => (limit as f64 * (all / matching).max(1.0)).min(all),
            _ => all,
        }
    }

    /// The maximum cost of a plan. Without a filter the limit certainly ends it.
    fn worst(&self, cost: f64, all: f64) -> f64 {
        if self.wanted.filter.always() { cost } else { all }
    }

    fn by_id(&self, ranges: Option<Vec<(Vec<u8>, Vec<u8>)>>, points: bool, matching: f64) -> Plan {
        let sort = self.wanted.ordered && !self.order.fields.is_empty();
        let all = match &ranges {
            Some(ranges) if points => ranges.len() as f64,
            Some(_) => self.documents / 3.0,
            None => self.documents,
        };
        let reads = if sort { all } else { self.until_limit(all, matching) };
        let kept = if sort { matching.min(all) } else { 0.0 };
        let cost = reads * READ + kept * KEEP;
        Plan {
            access: AccessPath::Collection { ranges },
            delivery: Delivery::ById { reverse: !sort && self.order.id_descending },
            sort,
            covered: false,
            reads,
            cost,
            cost_max: self.worst(cost, all * (READ + KEEP)),
        }
    }

    /// The index in its own order where that helps, else gathered by `_id`.
    fn by_index(&self, scan: &Scan, reads: f64, matching: f64) -> Option<Plan> {
        let index = &self.collection.indexes[scan.index];
        let covered = self.is_covered(index);
        let streamed = match self.wanted.ordered {
            false if !index.entry.multikey => {
                Some(Delivery::ByIndex { reverse: false, regroup: None })
            }
            false => None,
            true => self.in_order(index, &scan.bounds),
        };
        let Some(delivery) = streamed else {
            // An unbounded index that provides no order only costs.
            return (scan.bounds.bounded_fields > 0)
                .then(|| self.gathered(AccessPath::Index(scan.clone()), reads, matching));
        };
        if !covered
            && scan.bounds.bounded_fields == 0
            && (!self.wanted.ordered || self.order.fields.is_empty())
        {
            return None;
        }
        let all = reads;
        let reads = self.until_limit(all, matching.min(all));
        let each = if covered { ENTRY } else { ENTRY + FETCH };
        Some(Plan {
            access: AccessPath::Index(scan.clone()),
            delivery,
            sort: false,
            covered,
            reads,
            cost: reads * each,
            cost_max: self.worst(reads * each, all * each),
        })
    }

    /// A plan that collects the `_id`s first, and then fetches the documents in that order.
    fn gathered(&self, access: AccessPath, reads: f64, fetched: f64) -> Plan {
        let sort = self.wanted.ordered && !self.order.fields.is_empty();
        let fetched = fetched.min(reads);
        let fetches = if sort { fetched } else { self.until_limit(fetched, fetched) };
        let kept = if sort { fetched } else { 0.0 };
        let cost = reads * ENTRY + fetches * FETCH + kept * KEEP;
        Plan {
            access,
            delivery: Delivery::ById { reverse: !sort && self.order.id_descending },
            sort,
            covered: false,
            reads,
            cost,
            cost_max: self.worst(cost, reads * (ENTRY + FETCH + KEEP)),
        }
    }

    /// How the index provides the order, if it does.
    fn in_order(&self, index: &Index, bounds: &IndexBounds) -> Option<Delivery> {
        if index.entry.multikey {
            return None;
        }
        let equal = bounds.equal_fields;
        let constant = |path: &str| index.paths[..equal].iter().any(|p| p.as_str() == path);
        let wanted: Vec<_> = self.order.fields.iter().filter(|(path, _)| !constant(path)).collect();
        let given = index.paths.get(equal..equal + wanted.len())?;
        if wanted.iter().zip(given).any(|((path, _), given)| given.as_str() != *path) {
            return None;
        }
        let mut turns = wanted
            .iter()
            .zip(&index.descending[equal..])
            .map(|((_, wanted), given)| wanted != given);
        let prefix = equal + wanted.len();
        let whole = prefix == index.paths.len();
        let id_turned = self.order.id_descending != index.id_descending();
        let Some(reverse) = turns.next() else {
            // Equal values only: the order of `_id` is provided if no field comes before it.
            return whole.then_some(Delivery::ByIndex { reverse: id_turned, regroup: None });
        };
        if turns.any(|turn| turn != reverse) {
            return None;
        }
        let regroup = (!whole || id_turned != reverse).then_some(prefix);
        Some(Delivery::ByIndex { reverse, regroup })
    }

    fn is_covered(&self, index: &Index) -> bool {
        let has =
            |name: &String| name == "_id" || index.paths.iter().any(|path| path.as_str() == name);
        !index.entry.multikey && self.wanted.fields.is_some_and(|fields| fields.iter().all(has))
    }

    /// The two most selective scans, when fetching what both find is cheaper than fetching
    /// what one does.
    fn intersection(&self, scans: &[(Scan, f64)]) -> Option<Plan> {
        let mut bounded: Vec<_> =
            scans.iter().filter(|(scan, _)| scan.bounds.bounded_fields > 0).collect();
        bounded.sort_by(|a, b| a.1.total_cmp(&b.1));
        let (first, first_reads) = bounded.first()?;
        let leading = |scan: &Scan| self.collection.indexes[scan.index].paths[0].as_str();
        let (second, second_reads) =
            bounded[1..].iter().find(|(scan, _)| leading(scan) != leading(first))?;
        let both = first_reads * second_reads / self.documents.max(1.0);
        let access = AccessPath::Intersection(first.clone(), second.clone());
        Some(self.gathered(access, first_reads + second_reads, both))
    }

    /// One scan for each branch of an `$or`.
    fn union(&self) -> Result<Option<Plan>> {
        let parts = match self.wanted.filter {
            Filter::And(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        let Some(branches) = parts.iter().find_map(|part| match part {
            Filter::Or(branches) => Some(branches),
            _ => None,
        }) else {
            return Ok(None);
        };
        if branches.len().saturating_mul(self.collection.indexes.len()) > SCANS_MAX {
            return Ok(None);
        }
        let (mut scans, mut reads) = (Vec::new(), 0.0);
        for branch in branches {
            let mut best: Option<(Scan, f64)> = None;
            for at in 0..self.collection.indexes.len() {
                let Some((scan, reads)) = self.scan(at, branch)? else { continue };
                let better = best.as_ref().is_none_or(|(_, least)| reads < *least);
                if scan.bounds.bounded_fields > 0 && better {
                    best = Some((scan, reads));
                }
            }
            let Some((scan, branch_reads)) = best else { return Ok(None) };
            scans.push(scan);
            reads += branch_reads;
        }
        Ok(Some(self.gathered(AccessPath::Union(scans), reads, reads)))
    }
}

/// The work of choosing, in steps: for each plan, and for each range that was counted.
const PLAN_STEPS: u64 = 100;
const RANGE_STEPS: u64 = 50;

impl Plan {
    /// The steps of work that this plan took to make.
    pub fn steps(&self) -> u64 {
        let of = |scan: &Scan| PLAN_STEPS + RANGE_STEPS * scan.bounds.ranges.len() as u64;
        match &self.access {
            AccessPath::Collection { ranges } => {
                ranges.as_ref().map_or(1, |ranges| ranges.len() as u64)
            }
            AccessPath::Index(one) => of(one),
            AccessPath::Union(scans) => scans.iter().map(of).sum(),
            AccessPath::Intersection(a, b) => of(a) + of(b),
        }
    }

    /// The form in `explain`, with MongoDB's names of stages.
    pub fn explain(&self, collection: &Collection) -> serde_json::Value {
        let scan = |scan: &Scan| {
            let index = &collection.indexes[scan.index];
            let keys: serde_json::Map<_, _> = index
                .names()
                .map(|(name, descending)| (name.to_owned(), json!(if descending { -1 } else { 1 })))
                .collect();
            let bounds: serde_json::Map<_, _> = scan
                .bounds
                .text
                .iter()
                .map(|(path, intervals)| (path.clone(), json!(intervals)))
                .collect();
            let backwards = matches!(self.delivery, Delivery::ByIndex { reverse: true, .. });
            json!({
                "stage": "IXSCAN",
                "indexName": index.entry.spec.name,
                "keyPattern": keys,
                "isMultiKey": index.entry.multikey,
                "direction": if backwards { "backward" } else { "forward" },
                "indexBounds": bounds,
            })
        };
        let fetch = |input: serde_json::Value| match self.covered {
            true => input,
            false => json!({"stage": "FETCH", "inputStage": input}),
        };
        let access = match &self.access {
            AccessPath::Collection { ranges: None } => {
                let reverse = self.delivery == Delivery::ById { reverse: true };
                json!({"stage": "COLLSCAN", "direction": if reverse { "backward" } else { "forward" }})
            }
            AccessPath::Collection { ranges: Some(ranges) } => {
                json!({"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "_id_", "ranges": ranges.len()}})
            }
            AccessPath::Index(one) => fetch(scan(one)),
            AccessPath::Union(scans) => {
                let inputs: Vec<_> = scans.iter().map(scan).collect();
                fetch(json!({"stage": "OR", "inputStages": inputs}))
            }
            AccessPath::Intersection(a, b) => {
                fetch(json!({"stage": "AND_SORTED", "inputStages": [scan(a), scan(b)]}))
            }
        };
        let mut stage = match self.sort {
            true => json!({"stage": "SORT", "inputStage": access}),
            false => access,
        };
        if let Some(stage) = stage.as_object_mut() {
            stage.insert("covered".into(), json!(self.covered));
            stage.insert("estimatedReads".into(), json!(self.reads.round()));
            stage.insert("estimatedCost".into(), json!((self.cost * 10.0).round() / 10.0));
        }
        stage
    }
}
