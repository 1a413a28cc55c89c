//! Updates made of operators.
//!
//! All paths are resolved, and all array filters evaluated, before anything changes, so that one
//! change does not affect another. Then the changes are made in the order of their paths (numbers
//! by size, names alphabetically), which is also the order of new fields.

use super::ARRAY_FILTERS;
use super::arrays::ItemFilter;
use super::operators::{self, Change};
use super::place::{self, Key, Target};
use crate::error::{Error, Kind, Result};
use crate::query::context::{At, Context, Fields, MemoryCharge};
use crate::query::filter::Filter;
use crate::value::{Object, Value};

/// Array filters of one update.
const FILTERS_MAX: usize = 100;

/// The changes of an update, in the order in which they are made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Changes {
    changes: Vec<Change>,
    filters: Vec<ItemFilter>,
}

impl Changes {
    pub(super) fn parse(
        operators: &Object,
        array_filters: Option<&Value>,
        at: At<'_>,
    ) -> Result<Changes> {
        if let Some(field) = operators.keys().find(|name| !name.starts_with('$')) {
            return Err(at
                .invalid(format!("has the field {field:?} where an operator belongs"))
                .hint("put fields into $set, or replace the document as a whole"));
        }
        let filters = array_filters.map_or(Ok(Vec::new()), parse_filters)?;
        let mut changes = Vec::new();
        for (name, fields) in operators {
            changes.extend(operators::parse(name, fields, &filters, at.key(name))?);
        }
        changes.sort_by(|a, b| a.target.ranks().cmp(b.target.ranks()));
        let parsed = Changes { changes, filters };
        parsed.refuse_overlap(at)?;
        parsed.refuse_unused()?;
        Ok(parsed)
    }

    fn refuse_overlap(&self, at: At<'_>) -> Result<()> {
        let mut targets: Vec<_> = self.targets().collect();
        targets.sort_by(|a, b| a.ranks().cmp(b.ranks()));
        for (a, b) in targets.iter().zip(targets.iter().skip(1)) {
            if place::begins(a.ranks(), b.ranks()) {
                let message =
                    format!("has a conflict: it changes both {:?} and {:?}", a.text, b.text);
                return Err(at.invalid(message).hint("change each part of a document once"));
            }
        }
        Ok(())
    }

    fn refuse_unused(&self) -> Result<()> {
        for (index, filter) in self.filters.iter().enumerate() {
            if !self.targets().any(|target| target.uses(index)) {
                let message = format!("is not used: no path of the update has $[{}]", filter.name);
                return Err(At::root(ARRAY_FILTERS).index(index).invalid(message));
            }
        }
        Ok(())
    }

    fn targets(&self) -> impl Iterator<Item = &Target> {
        self.changes.iter().flat_map(Change::targets)
    }

    /// As `Update::apply`, without checking `_id`.
    pub(super) fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> Result<bool> {
        let held = MemoryCharge::new(ctx, "the update");
        let mut places = Vec::with_capacity(self.changes.len());
        let mut dynamic = false;
        for change in self.changes.iter().filter(|change| inserting || !change.only_inserts()) {
            if change.target.is_dynamic() {
                dynamic = true;
                let found = change.target.places(document, filter, &self.filters, ctx, &held);
                let found = found.map_err(|failure| change.cannot(failure))?;
                places.extend(found.into_iter().map(|place| (change, place)));
            } else {
                places.push((change, change.target.plain()));
            }
        }
        if dynamic {
            ctx.sorting(places.len(), 0)?;
            places.sort_by(|(_, a), (_, b)| place::ranks(a).cmp(place::ranks(b)));
            refuse_meeting(&places)?;
        }
        let mut changed = false;
        for (change, place) in &places {
            ctx.step()?;
            let made = change.apply(document, place, ctx, &held);
            changed |= made.map_err(|failure| change.cannot(failure))?;
        }
        Ok(changed)
    }

    /// As `Update::parse_steps`.
    pub(super) fn parse_steps(&self) -> u64 {
        let filters = self.filters.iter().map(ItemFilter::parse_steps).sum::<u64>();
        filters + self.changes.iter().map(Change::parse_steps).sum::<u64>()
    }

    /// The outermost fields that may change.
    pub(super) fn touches(&self) -> Fields {
        let mut fields = Fields::default();
        self.targets().for_each(|target| fields.add(&target.text));
        fields
    }
}

fn parse_filters(filters: &Value) -> Result<Vec<ItemFilter>> {
    let at = At::root(ARRAY_FILTERS);
    let filters = filters.as_array().ok_or_else(|| at.invalid("must be an array of filters"))?;
    if filters.len() > FILTERS_MAX {
        return Err(at.invalid(format!("has more than {FILTERS_MAX} filters")));
    }
    let mut parsed: Vec<ItemFilter> = Vec::with_capacity(filters.len());
    for (index, filter) in filters.iter().enumerate() {
        let at = at.index(index);
        let filter = ItemFilter::parse(filter, at)?;
        if parsed.iter().any(|other| other.name == filter.name) {
            return Err(at
                .invalid(format!("is a second filter for {:?}", filter.name))
                .hint("join the two with $and"));
        }
        parsed.push(filter);
    }
    Ok(parsed)
}

/// Refuses paths that are written differently and meet in this document.
fn refuse_meeting(places: &[(&Change, Vec<Key<'_>>)]) -> Result<()> {
    for ((a, outer), (b, inner)) in places.iter().zip(places.iter().skip(1)) {
        if place::begins(place::ranks(outer), place::ranks(inner)) {
            let (a, b) = (&a.target.text, &b.target.text);
            let message = format!("the changes of {a:?} and {b:?} meet in one place");
            return Err(Error::new(Kind::NotApplicable, message)
                .hint("let array filters accept each item once"));
        }
    }
    Ok(())
}
