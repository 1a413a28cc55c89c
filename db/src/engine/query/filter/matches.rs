//! Whether a document matches.

use super::{Filter, Test};
use crate::engine::query::context::{At, Context};
use crate::engine::query::expr::{Expr, Vars, truthy};
use crate::engine::query::path::Path;
use crate::engine::value::{Value, compare};
use crate::error::Result;
use bigdecimal::ToPrimitive;
use std::cmp::Ordering;

impl Filter {
    /// Whether the document matches.
    ///
    /// # Errors
    /// Of a `$expr` only: those of its evaluation.
    pub fn matches(&self, document: &Value, ctx: &Context<'_>) -> Result<bool> {
        let mut failure = None;
        let found =
            self.holds(document, &mut |expr| match expr.eval_ref(&Vars::root(document), ctx) {
                Ok(value) => truthy(value.as_deref()),
                Err(error) => {
                    failure.get_or_insert(error);
                    false
                }
            });
        failure.map_or(Ok(found), Err)
    }

    fn holds(&self, document: &Value, expr: &mut dyn FnMut(&Expr) -> bool) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.holds(document, expr)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.holds(document, expr)),
            Filter::Nor(filters) => !filters.iter().any(|filter| filter.holds(document, expr)),
            Filter::Field(path, test) => test.holds_at(path, document),
            Filter::Expr(inner) => expr(inner),
        }
    }

    /// Whether an array's item matches: an object, or an array seen as an object with the names
    /// `0`, `1` and so on. Parsing refuses expressions here; one made by hand matches nothing.
    fn holds_for_item(&self, item: &Value) -> bool {
        let never = &mut |_: &Expr| false;
        match item {
            Value::Object(_) => self.holds(item, never),
            Value::Array(items) => {
                let fields = items.iter().enumerate();
                let fields = fields.map(|(index, item)| (index.to_string(), item.clone()));
                self.holds(&Value::Object(fields.collect()), never)
            }
            _ => false,
        }
    }

    /// Index of the item that a positional update (`grades.$`) is about: the first item of the
    /// array at the path which satisfies all that the filter asks of the array's items, or else
    /// the first which satisfies a part of it. Negations (`$ne`, `$nor`, …) ask nothing.
    pub fn matched_item(&self, document: &Value, array: &Path) -> Option<usize> {
        let items = follow(document, array)?.as_array()?;
        let first = |every| {
            let mut items = items.iter();
            items.position(|item| self.item_verdict(item, array.as_str(), every) == Some(true))
        };
        first(true).or_else(|| first(false))
    }

    /// What the filter says of an item of the array; `None` when it says nothing. `every` part of
    /// a conjunction must agree, or one.
    fn item_verdict(&self, item: &Value, array: &str, every: bool) -> Option<bool> {
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                let verdicts = filters.iter().map(|filter| filter.item_verdict(item, array, every));
                verdict(verdicts, every && matches!(self, Filter::And(_)))
            }
            Filter::Nor(_) | Filter::Expr(_) => None,
            Filter::Field(path, test) => match path.as_str().strip_prefix(array)? {
                "" => test.item_verdict(item),
                _ if matches!(test, Test::Not(_)) => None,
                rest => {
                    let rest = Path::parse(rest.strip_prefix('.')?, At::root("filter")).ok()?;
                    Some(item.as_object().is_some() && test.holds_at(&rest, item))
                }
            },
        }
    }
}

fn verdict(verdicts: impl Iterator<Item = Option<bool>>, every: bool) -> Option<bool> {
    let join = |a, b| if every { a && b } else { a || b };
    verdicts.flatten().reduce(join)
}

/// The value at a path whose numbers are places in arrays.
fn follow<'v>(root: &'v Value, path: &Path) -> Option<&'v Value> {
    path.steps().iter().try_fold(root, |value, step| match value {
        Value::Object(fields) => fields.get(&step.name),
        Value::Array(items) => items.get(step.index?),
        _ => None,
    })
}

impl Test {
    /// Whether something that the path leads to passes.
    fn holds_at(&self, path: &Path, document: &Value) -> bool {
        match self {
            Test::Not(tests) => !tests.iter().all(|test| test.holds_at(path, document)),
            Test::All(tests) => {
                !tests.is_empty() && tests.iter().all(|test| test.holds_at(path, document))
            }
            Test::Exists(wanted) => path.any(document, |value| value.is_some()) == *wanted,
            Test::ElemMatch(_) | Test::ElemMatchValue(_) | Test::Size(_) => {
                path.any(document, |value| self.holds_for(value))
            }
            _ => path.any(document, |value| {
                self.holds_for(value) || items(value).iter().any(|item| self.holds_for(Some(item)))
            }),
        }
    }

    /// Whether the value itself passes, without a look at its items if it is an array.
    fn holds_for(&self, value: Option<&Value>) -> bool {
        match self {
            Test::Eq(wanted) => value.unwrap_or(&Value::Null) == wanted,
            Test::Gt(bound) => order(value, bound).is_some_and(Ordering::is_gt),
            Test::Gte(bound) => order(value, bound).is_some_and(Ordering::is_ge),
            Test::Lt(bound) => order(value, bound).is_some_and(Ordering::is_lt),
            Test::Lte(bound) => order(value, bound).is_some_and(Ordering::is_le),
            Test::In(values, patterns) => {
                let text = value.and_then(Value::as_str);
                values.contains(value.unwrap_or(&Value::Null))
                    || text.is_some_and(|text| patterns.iter().any(|one| one.is_match(text)))
            }
            Test::Exists(wanted) => value.is_some() == *wanted,
            Test::Type(types) => {
                value.is_some_and(|value| types.iter().any(|name| name.covers(value)))
            }
            Test::Regex(pattern) => {
                value.and_then(Value::as_str).is_some_and(|text| pattern.is_match(text))
            }
            Test::Mod(divisor, remainder) => {
                value.and_then(truncated).is_some_and(|number| {
                    // The least number by -1 overflows, and leaves nothing.
                    number.checked_rem(*divisor).unwrap_or(0) == *remainder
                })
            }
            Test::All(tests) => !tests.is_empty() && tests.iter().all(|test| test.holds_for(value)),
            Test::ElemMatch(_) | Test::ElemMatchValue(_) => {
                items(value).iter().any(|item| self.takes_item(item))
            }
            Test::Size(size) => {
                value.and_then(Value::as_array).is_some_and(|items| items.len() as u64 == *size)
            }
            Test::Not(tests) => !tests.iter().all(|test| test.holds_for(value)),
        }
    }

    /// Whether an array's item is one that an `$elemMatch` looks for; false for other tests.
    pub(in crate::engine::query) fn takes_item(&self, item: &Value) -> bool {
        match self {
            Test::ElemMatch(filter) => filter.holds_for_item(item),
            Test::ElemMatchValue(tests) => tests.iter().all(|test| test.holds_for(Some(item))),
            _ => false,
        }
    }

    /// What a test of an array says of one of its items; `None` when it says nothing.
    fn item_verdict(&self, item: &Value) -> Option<bool> {
        match self {
            Test::Exists(_) | Test::Size(_) | Test::Not(_) => None,
            Test::ElemMatch(_) | Test::ElemMatchValue(_) => Some(self.takes_item(item)),
            // The tests of an $all may each be passed by another item.
            Test::All(tests) => verdict(tests.iter().map(|test| test.item_verdict(item)), false),
            _ => Some(self.holds_for(Some(item))),
        }
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).unwrap_or_default()
}

/// How the value stands to a bound; `None` when their classes differ. NaN is neither less nor
/// greater than another number.
fn order(value: Option<&Value>, bound: &Value) -> Option<Ordering> {
    let value = value.unwrap_or(&Value::Null);
    let nan = |value: &Value| matches!(value, Value::Double(number) if number.is_nan());
    let comparable = value.class() == bound.class() && nan(value) == nan(bound);
    comparable.then(|| compare(value, bound))
}

/// A number without its fraction; `None` when it is no number or does not fit.
pub(super) fn truncated(value: &Value) -> Option<i64> {
    match value {
        Value::Double(number) => Value::Double(number.trunc()).as_int(),
        Value::Decimal(number) => number.with_scale(0).to_i64(),
        other => other.as_int(),
    }
}
