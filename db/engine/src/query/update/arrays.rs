//! The operators on arrays: `$push`, `$addToSet`, `$pull`, and array filters.

use crate::budget::steps_of;
use crate::error::Result;
use crate::query::context::{At, Context, MemoryCharge};
use crate::query::filter::Filter;
use crate::query::sort::Sort;
use crate::value::{Object, Value};
use std::collections::BTreeSet;

/// The name of bare items in their condition.
const ITEM: &str = "item";

/// A filter on the items of an array; an item is the field `name` of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ItemFilter {
    pub(super) name: String,
    filter: Filter,
}

impl ItemFilter {
    /// Parses one array filter: a filter whose paths all begin with the same name.
    pub(super) fn parse(filter: &Value, at: At<'_>) -> Result<ItemFilter> {
        let fields = filter.as_object().ok_or_else(|| {
            at.invalid("must be an object").hint("such as {\"item.price\": {\"$gt\": 5}}")
        })?;
        let mut names = BTreeSet::new();
        first_names(fields, &mut names);
        let mut names = names.into_iter();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(at
                .invalid("must have paths that all begin with the same name")
                .hint("such as {\"item.price\": {\"$gt\": 5}} for $[item]"));
        };
        let mut letters = name.bytes();
        if !letters.next().is_some_and(|first| first.is_ascii_lowercase())
            || !letters.all(|letter| letter.is_ascii_alphanumeric())
        {
            return Err(at.invalid(format!(
                "has the name {name:?}, which must begin with a small letter, followed by \
                 letters and digits only"
            )));
        }
        Ok(ItemFilter { name: name.to_owned(), filter: Filter::parse(filter, at)? })
    }

    /// As `Update::parse_steps`.
    pub(super) fn parse_steps(&self) -> u64 {
        self.filter.parse_steps()
    }

    /// Whether the filter accepts an item; the item is lost if this fails.
    pub(super) fn matches(&self, item: &mut Value, ctx: &Context<'_>) -> Result<bool> {
        let fields = Object::from_iter([(self.name.clone(), std::mem::take(item))]);
        let mut document = Value::Object(fields);
        let matches = self.filter.matches(&document, ctx)?;
        if let Value::Object(fields) = &mut document
            && let Some((_, value)) = fields.pop()
        {
            *item = value;
        }
        Ok(matches)
    }
}

/// The first parts of all paths of a filter.
fn first_names<'f>(filter: &'f Object, names: &mut BTreeSet<&'f str>) {
    for (name, value) in filter {
        match value {
            _ if !name.starts_with('$') => {
                names.extend(name.split('.').next());
            }
            Value::Array(parts) if matches!(name.as_str(), "$and" | "$or" | "$nor") => {
                parts.iter().filter_map(Value::as_object).for_each(|part| first_names(part, names));
            }
            _ => {}
        }
    }
}

/// The values of `{"$each": […]}`, with the names of the fields allowed beside it; or one value.
fn each(value: &Value, beside: &[&str], at: At<'_>) -> Result<Vec<Value>> {
    let Some((fields, each)) = value.as_object().and_then(|f| Some((f, f.get("$each")?))) else {
        return Ok(vec![value.clone()]);
    };
    let known = |name: &String| name == "$each" || beside.contains(&name.as_str());
    if let Some(unknown) = fields.keys().find(|name| !known(name)) {
        return Err(at
            .key(unknown)
            .invalid("is not known beside $each")
            .hint(format!("known are: $each {}", beside.join(" "))));
    }
    let values = each.as_array();
    Ok(values.ok_or_else(|| at.key("$each").invalid("must be an array"))?.to_vec())
}

/// The values of `$addToSet`.
pub(super) fn parse_add_to_set(value: &Value, at: At<'_>) -> Result<Vec<Value>> {
    each(value, &[], at)
}

/// Adds the values that the array does not have yet; returns whether there were any.
///
/// # Errors
/// Those of counting work and memory.
pub(super) fn add_to_set(
    items: &mut Vec<Value>,
    values: &[Value],
    ctx: &Context<'_>,
    held: &MemoryCharge<'_>,
) -> Result<bool> {
    let new = values.iter().map(Value::bytes).sum::<usize>();
    let count = items.len() + values.len();
    ctx.sorting(count, items.iter().map(Value::bytes).sum::<usize>() + new)?;
    held.add(new + count * 2 * size_of::<&Value>())?;
    let mut seen: BTreeSet<&Value> = items.iter().collect();
    let new: Vec<Value> = values.iter().filter(|value| seen.insert(value)).cloned().collect();
    let found = !new.is_empty();
    items.extend(new);
    Ok(found)
}

/// `$push`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Push {
    values: Vec<Value>,
    position: Option<i64>,
    slice: Option<i64>,
    sort: Option<Order>,
}

#[derive(Debug, Clone, PartialEq)]
enum Order {
    /// The items themselves.
    Items { descending: bool },
    /// The fields of the items.
    Fields(Sort),
}

impl Push {
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Push> {
        let values = each(value, &["$position", "$slice", "$sort"], at)?;
        let modifier = |name| value.as_object().filter(|f| f.contains_key("$each"))?.get(name);
        let whole = |name| match modifier(name).map(Value::as_int) {
            Some(None) => Err(at.key(name).invalid("must be a whole number")),
            number => Ok(number.flatten()),
        };
        let sort = match modifier("$sort") {
            None => None,
            Some(Value::Object(fields)) if !fields.is_empty() => {
                Some(Order::Fields(Sort::parse(&Value::Object(fields.clone()), at.key("$sort"))?))
            }
            Some(direction) => match direction.as_int() {
                Some(direction @ (1 | -1)) => Some(Order::Items { descending: direction < 0 }),
                _ => {
                    let message = "must be 1, -1, or an object of fields such as {\"price\": 1}";
                    return Err(at.key("$sort").invalid(message));
                }
            },
        };
        Ok(Push { values, position: whole("$position")?, slice: whole("$slice")?, sort })
    }

    /// Adds the values, sorts, and cuts, in this order. The array may be the same afterwards.
    ///
    /// # Errors
    /// Those of counting work and memory.
    pub(super) fn apply(
        &self,
        items: &mut Vec<Value>,
        ctx: &Context<'_>,
        held: &MemoryCharge<'_>,
    ) -> Result<()> {
        ctx.work(self.values.len() as u64)?;
        held.add(self.values.iter().map(Value::bytes).sum())?;
        if self.position.is_some() {
            ctx.work(steps_of(items.len() * size_of::<Value>()))?;
        }
        let from_end = |count: i64| items.len().saturating_sub(count.unsigned_abs() as usize);
        let position = match self.position {
            None => items.len(),
            Some(count) if count < 0 => from_end(count),
            Some(count) => items.len().min(count as usize),
        };
        items.splice(position..position, self.values.iter().cloned());
        if let Some(order) = &self.sort {
            let bytes = items.iter().map(Value::bytes).sum();
            ctx.sorting(items.len(), bytes)?;
            if matches!(order, Order::Fields(_)) {
                held.add(bytes)?;
            }
        }
        match &self.sort {
            None => {}
            Some(Order::Items { descending: false }) => items.sort(),
            Some(Order::Items { descending: true }) => items.sort_by(|a, b| b.cmp(a)),
            Some(Order::Fields(sort)) => {
                let mut keyed: Vec<_> =
                    items.drain(..).map(|item| (sort.key(&item), item)).collect();
                keyed.sort_by(|(a, _), (b, _)| sort.compare_keys(a, b));
                items.extend(keyed.into_iter().map(|(_, item)| item));
            }
        }
        match self.slice {
            None => {}
            Some(count) if count < 0 => {
                let surplus = items.len().saturating_sub(count.unsigned_abs() as usize);
                items.drain(..surplus);
            }
            Some(count) => items.truncate(count as usize),
        }
        Ok(())
    }

    /// Whether it can change an array without adding to it.
    pub(super) fn rearranges(&self) -> bool {
        self.slice.is_some() || self.sort.is_some()
    }

    /// Whether it has nothing to add.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// The condition of `$pull` for the removed items.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pull {
    /// Those that are equal.
    Equal(Value),
    /// Objects that match.
    Objects(Filter),
    /// Items that meet a condition such as `{"$gte": 6}`.
    Condition(ItemFilter),
}

impl Pull {
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Pull> {
        let Some(fields) = value.as_object() else {
            return Ok(Pull::Equal(value.clone()));
        };
        let on_documents = |name: &str| {
            // `$not` is not an operator on documents, so it is refused there.
            !name.starts_with('$') || matches!(name, "$and" | "$or" | "$nor" | "$expr" | "$not")
        };
        if fields.first().is_none_or(|(name, _)| on_documents(name)) {
            return Ok(Pull::Objects(Filter::parse(value, at)?));
        }
        let filter = Object::from_iter([(ITEM.to_owned(), value.clone())]);
        let filter = Filter::parse(&Value::Object(filter), at)?;
        Ok(Pull::Condition(ItemFilter { name: ITEM.to_owned(), filter }))
    }

    /// As `Update::parse_steps`.
    pub(super) fn parse_steps(&self) -> u64 {
        match self {
            Pull::Equal(_) => 0,
            Pull::Objects(filter) => filter.parse_steps(),
            Pull::Condition(filter) => filter.parse_steps(),
        }
    }

    /// Removes the items; returns whether there were any. Items are lost if this fails.
    pub(super) fn apply(&self, items: &mut Vec<Value>, ctx: &Context<'_>) -> Result<bool> {
        let count = items.len();
        let mut failed = None;
        items.retain_mut(|item| {
            let taken = failed.is_none()
                && self.takes(item, ctx).unwrap_or_else(|error| {
                    failed = Some(error);
                    false
                });
            !taken
        });
        failed.map_or(Ok(items.len() < count), Err)
    }

    fn takes(&self, item: &mut Value, ctx: &Context<'_>) -> Result<bool> {
        ctx.step()?;
        match self {
            Pull::Equal(value) => Ok(ctx.compare(item, value)?.is_eq()),
            Pull::Objects(filter) => Ok(item.as_object().is_some() && filter.matches(item, ctx)?),
            Pull::Condition(filter) => filter.matches(item, ctx),
        }
    }
}
