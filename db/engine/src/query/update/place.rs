//! Where an update changes a document: its paths, which may have `$`, `$[]` and `$[name]`, and the
//! places in one document that they resolve to.

use super::arrays::ItemFilter;
use crate::error::Error;
use crate::query::context::{At, Context, MemoryCharge};
use crate::query::filter::Filter;
use crate::query::path::{Path, PathStep};
use crate::value::{Object, Value};
use indexmap::map::Entry;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Items that one step may add to an array to reach its index. MongoDB allows 1,500,000.
const PADDING_MAX: usize = 100_000;

/// A path of an update.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// The path as it was written.
    pub(super) text: String,
    /// Its steps; at least one.
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// A field, or the number of an item.
    Name(PathStep),
    /// `$`: the item of the array at this path through which the filter matched.
    Matched(Path),
    /// `$[]`: every item.
    Every,
    /// `$[name]`: the items that the array filter with this number accepts.
    Each(usize),
}

/// One step of a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'t> {
    Name(&'t PathStep),
    Item(usize),
}

/// The sort key of a path's steps: numbers by size before names alphabetically.
pub(super) type Rank<'t> = Result<usize, &'t str>;

impl<'t> Key<'t> {
    fn rank(self) -> Rank<'t> {
        match self {
            Key::Item(index) => Ok(index),
            Key::Name(step) => step.index.ok_or(&step.name),
        }
    }
}

/// The ranks of a place, by which places are sorted and compared.
pub(super) fn ranks<'t>(place: &[Key<'t>]) -> impl Iterator<Item = Rank<'t>> {
    place.iter().map(|key| key.rank())
}

/// Whether one path is the other or leads through it.
pub(super) fn begins<T: PartialEq>(
    mut outer: impl Iterator<Item = T>,
    mut inner: impl Iterator<Item = T>,
) -> bool {
    outer.all(|rank| inner.next() == Some(rank))
}

impl Target {
    /// Parses a path whose `$[name]` parts name one of the array filters.
    ///
    /// # Errors
    /// `invalid_query` at `at` for an invalid path.
    pub(super) fn parse(text: &str, filters: &[ItemFilter], at: At<'_>) -> Result<Target> {
        let is_place = |part: &str| part == "$" || part.starts_with("$[");
        let names = text.split('.').map(|part| if is_place(part) { "0" } else { part });
        let path = Path::parse_update(&names.collect::<Vec<_>>().join("."), at)?;
        let mut steps: Vec<Step> = Vec::with_capacity(path.steps().len());
        let mut offset = 0;
        for (part, name) in text.split('.').zip(path.steps()) {
            let step = match part {
                _ if !is_place(part) => Step::Name(name.clone()),
                _ if offset == 0 => {
                    return Err(at.invalid(format!("begins with {part}, not with a field")));
                }
                "$" if steps.iter().all(|step| matches!(step, Step::Name(_))) => {
                    let array = text.get(..offset - 1).unwrap_or_default();
                    Step::Matched(Path::parse_update(array, at)?)
                }
                "$" => return Err(at.invalid("has $ after another part of this kind").hint(
                    "$ stands once, for an array reached through plain names; use $[] or $[name]",
                )),
                "$[]" => Step::Every,
                _ => Step::Each(array_filter(part, filters, at)?),
            };
            steps.push(step);
            offset += part.len() + 1;
        }
        Ok(Target { text: text.to_owned(), steps })
    }

    /// Whether its places depend on the document.
    pub(super) fn is_dynamic(&self) -> bool {
        self.steps.iter().any(Step::is_dynamic)
    }

    /// Whether it refers to the array filter with this number.
    pub(super) fn uses(&self, filter: usize) -> bool {
        self.steps.contains(&Step::Each(filter))
    }

    /// As [`ranks`] of a place, with `$` and its kind as names.
    pub(super) fn ranks(&self) -> impl Iterator<Item = Rank<'_>> {
        let steps = self.steps.iter().zip(self.text.split('.'));
        steps.map(|(step, part)| match step {
            &Step::Name(PathStep { index: Some(index), .. }) => Ok(index),
            _ => Err(part),
        })
    }

    /// Its place, without the parts that depend on the document.
    pub(super) fn plain(&self) -> Vec<Key<'_>> {
        self.steps.iter().filter_map(Step::plain).collect()
    }

    /// All its places in a document, before anything in it has changed. `matched` is the filter
    /// that selected the document. Items are taken out one at a time, so the document is damaged if
    /// this fails.
    ///
    /// # Errors
    /// Why there are no places, or the error of an array filter.
    pub(super) fn places(
        &self,
        document: &mut Value,
        matched: Option<&Filter>,
        filters: &[ItemFilter],
        ctx: &Context<'_>,
        held: &MemoryCharge<'_>,
    ) -> Result<Vec<Vec<Key<'_>>>, Failure> {
        let array = self.steps.iter().find_map(|step| match step {
            Step::Matched(array) => Some(array),
            _ => None,
        });
        let item = match (array, matched) {
            (Some(array), Some(matched)) => matched.matched_item(document, array, ctx)?,
            _ => None,
        };
        let stack = Vec::new();
        let mut search = Search { item, filters, ctx, held, stack, found: Vec::new() };
        search.follow(Some(document), &self.steps)?;
        Ok(search.found)
    }
}

impl Step {
    fn is_dynamic(&self) -> bool {
        !matches!(self, Step::Name(_))
    }

    fn plain(&self) -> Option<Key<'_>> {
        match self {
            Step::Name(name) => Some(Key::Name(name)),
            _ => None,
        }
    }
}

/// The number of the array filter that `$[name]` refers to.
fn array_filter(part: &str, filters: &[ItemFilter], at: At<'_>) -> Result<usize> {
    let Some(name) = part.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']')) else {
        return Err(at
            .invalid(format!("has {part:?} where the name of a field belongs"))
            .hint("only $, $[] and $[name] may begin with $"));
    };
    filters.iter().position(|filter| filter.name == name).ok_or_else(|| {
        at.invalid(format!("names the array filter {name:?}, which is not given"))
            .hint(format!("give arrayFilters with a filter on {name:?}, or use $[] for all items"))
    })
}

/// Why a change cannot be made.
pub(super) enum Failure {
    /// The document does not allow the change, with the reason.
    Document(String),
    /// A filter failed.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Other(error)
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure::Document(reason)
    }
}

struct Search<'t, 's> {
    /// The item that `$` stands for.
    item: Option<usize>,
    filters: &'s [ItemFilter],
    ctx: &'s Context<'s>,
    held: &'s MemoryCharge<'s>,
    stack: Vec<Key<'t>>,
    found: Vec<Vec<Key<'t>>>,
}

impl<'t> Search<'t, '_> {
    fn follow(&mut self, value: Option<&mut Value>, steps: &'t [Step]) -> Result<(), Failure> {
        let (step, rest) = match steps.split_first() {
            Some(split) if steps.iter().any(Step::is_dynamic) => split,
            _ => {
                let keys = self.stack.len() + steps.len();
                self.held.add(size_of::<Vec<Key<'_>>>() + keys * size_of::<Key<'_>>())?;
                let rest = steps.iter().filter_map(Step::plain);
                self.found.push(self.stack.iter().copied().chain(rest).collect());
                return Ok(());
            }
        };
        match step {
            Step::Name(name) => self.enter(Key::Name(name), value, rest),
            Step::Matched(array) => {
                let index = self.item.ok_or_else(|| {
                    let array = array.as_str();
                    format!("the filter matched no single item of {array:?} that $ could stand for")
                })?;
                self.enter(Key::Item(index), value, rest)
            }
            Step::Every | Step::Each(_) => {
                let items = match value {
                    Some(Value::Array(items)) => items,
                    Some(other) => return Err(not_an_array(other).into()),
                    None => {
                        return Err("there is no array of which to take items".to_owned().into());
                    }
                };
                let filter = match step {
                    Step::Each(filter) => self.filters.get(*filter),
                    _ => None,
                };
                for (index, item) in items.iter_mut().enumerate() {
                    self.ctx.step()?;
                    if filter.map_or(Ok(true), |filter| filter.matches(item, self.ctx))? {
                        self.stack.push(Key::Item(index));
                        self.follow(Some(item), rest)?;
                        self.stack.pop();
                    }
                }
                Ok(())
            }
        }
    }

    fn enter(
        &mut self,
        key: Key<'t>,
        value: Option<&mut Value>,
        rest: &'t [Step],
    ) -> Result<(), Failure> {
        self.stack.push(key);
        self.follow(value.and_then(|value| child(value, key)), rest)?;
        self.stack.pop();
        Ok(())
    }
}

/// The reason if an array was needed.
pub(super) fn not_an_array(value: &Value) -> String {
    format!("the value there is of type {}, not an array", value.type_name())
}

fn child<'v>(value: &'v mut Value, key: Key<'_>) -> Option<&'v mut Value> {
    match (value, key) {
        (Value::Object(fields), Key::Name(step)) => fields.get_mut(&step.name),
        (Value::Array(items), Key::Name(step)) => items.get_mut(step.index?),
        (Value::Array(items), Key::Item(index)) => items.get_mut(index),
        _ => None,
    }
}

/// The value at a place.
pub(super) fn find<'v>(root: &'v mut Value, place: &[Key<'_>]) -> Option<&'v mut Value> {
    place.iter().try_fold(root, |value, key| child(value, *key))
}

/// Removes a field; in an array, an item is replaced by null. Returns whether anything changed.
///
/// # Errors
/// Those of counting the work.
pub(super) fn unset(root: &mut Value, place: &[Key<'_>], ctx: &Context<'_>) -> Result<bool> {
    let Some((last, parents)) = place.split_last() else { return Ok(false) };
    Ok(match (find(root, parents), *last) {
        (Some(Value::Object(fields)), Key::Name(step)) => {
            // All fields after it move.
            ctx.work(fields.len() as u64 / 2)?;
            fields.shift_remove(&step.name).is_some()
        }
        (Some(items), key) => match child(items, key) {
            None | Some(Value::Null) => false,
            Some(item) => {
                *item = Value::Null;
                true
            }
        },
        (None, _) => false,
    })
}

/// Whether the path to a place leads through an array.
pub(super) fn enters_array(root: &mut Value, place: &[Key<'_>]) -> bool {
    let end = place.iter().try_fold(root, |value, key| match value {
        Value::Array(_) => Err(true),
        value => child(value, *key).ok_or(false),
    });
    end.is_err_and(|entered| entered)
}

/// The value at a place, and whether it was created, as null, because nothing was there. Missing
/// objects are created on the way; arrays are filled with null up to the index.
///
/// # Errors
/// The reason if a value on the way cannot hold the next step, and those of `held`, to which
/// everything created is charged.
pub(super) fn ensure<'v>(
    root: &'v mut Value,
    place: &[Key<'_>],
    held: Option<&MemoryCharge<'_>>,
) -> Result<(&'v mut Value, bool), Failure> {
    let hold = |bytes: usize| held.map_or(Ok(()), |held| held.add(bytes));
    let mut value = root;
    let mut created = false;
    for key in place {
        if created {
            *value = Value::Object(Object::new());
        }
        value = match (value, *key) {
            (Value::Object(fields), Key::Name(step)) => match fields.entry(step.name.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    hold(48 + step.name.len() + size_of::<Value>())?;
                    created = true;
                    entry.insert(Value::Null)
                }
            },
            (Value::Array(items), key) => {
                let index = key.rank().map_err(|name| {
                    format!(
                        "the field {name:?} cannot be made in an array; name an item by its \
                             number, or use $[]"
                    )
                })?;
                if index >= items.len() {
                    if index - items.len() > PADDING_MAX {
                        return Err(format!(
                            "the array has {} items, and at most {PADDING_MAX} may be filled with \
                             null to reach a new one",
                            items.len()
                        )
                        .into());
                    }
                    hold((index + 1 - items.len()) * size_of::<Value>())?;
                    created = true;
                    items.resize(index + 1, Value::Null);
                }
                items.get_mut(index).ok_or_else(|| "the array has no such item".to_owned())?
            }
            (other, _) => {
                return Err(format!(
                    "a value of type {} on the way cannot have fields",
                    other.type_name()
                )
                .into());
            }
        };
    }
    Ok((value, created))
}
