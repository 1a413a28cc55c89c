//! Matching a document against a filter.

use super::{Filter, Pattern, Test};
use crate::budget::steps_of;
use crate::error::{Error, Result};
use crate::query::context::{At, Context};
use crate::query::expr::{Expr, Vars, truthy};
use crate::query::path::Path;
use crate::value::{Value, number};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

/// One evaluation of a filter for a document. An error is kept until the end; all results after it
/// are meaningless, and fast.
struct Evaluation<'c> {
    ctx: &'c Context<'c>,
    failed: Cell<bool>,
    error: RefCell<Option<Error>>,
}

impl<'c> Evaluation<'c> {
    /// The result of `ask`, unless an error occurs.
    fn at<T>(ctx: &'c Context<'c>, ask: impl FnOnce(&Evaluation<'c>) -> T) -> Result<T> {
        let look = Evaluation { ctx, failed: Cell::new(false), error: RefCell::new(None) };
        let answer = ask(&look);
        look.error.into_inner().map_or(Ok(answer), Err)
    }

    /// The result of a part; the default if it failed, or something before it.
    fn part<T: Default>(&self, part: impl FnOnce() -> Result<T>) -> T {
        if self.failed.get() {
            return T::default();
        }
        part().unwrap_or_else(|error| {
            self.failed.set(true);
            self.error.replace(Some(error));
            T::default()
        })
    }

    /// Counts work; false if the evaluation must end.
    fn step(&self, count: usize) -> bool {
        self.part(|| self.ctx.work(count as u64).map(|()| true))
    }

    fn compare(&self, a: &Value, b: &Value) -> Option<Ordering> {
        self.part(|| self.ctx.compare(a, b).map(Some))
    }

    fn equal(&self, a: &Value, b: &Value) -> bool {
        self.compare(a, b).is_some_and(Ordering::is_eq)
    }

    /// Whether a pattern matches a text, or is the regular expression that the value is.
    fn is_match_or_same(&self, pattern: &Pattern, value: &Value) -> bool {
        match value {
            Value::String(text) => self.part(|| pattern.is_match(text, self.ctx)),
            Value::Regex(regex) => pattern.is_written_as(regex),
            _ => false,
        }
    }

    fn truth(&self, expr: &Expr, document: &Value) -> bool {
        self.part(|| Ok(truthy(expr.eval_ref(&Vars::root(document), self.ctx)?.as_deref())))
    }
}

impl Filter {
    /// Whether the document matches.
    ///
    /// # Errors
    /// Those of evaluating a `$expr`, and of counting the work.
    pub fn matches(&self, document: &Value, ctx: &Context<'_>) -> Result<bool> {
        Evaluation::at(ctx, |look| self.holds(document, true, look))
    }

    /// `whole` is true for the document, false for an item of an array.
    fn holds(&self, document: &Value, whole: bool, look: &Evaluation<'_>) -> bool {
        let holds = |filter: &Filter| filter.holds(document, whole, look);
        match self {
            Filter::And(filters) => filters.iter().all(holds),
            Filter::Or(filters) => filters.iter().any(holds),
            Filter::Nor(filters) => !filters.iter().any(holds),
            Filter::Field(path, test) => test.holds_at(path, document, look),
            // Parsing refuses expressions in items; a filter built in code matches nothing.
            Filter::Expr(inner) => whole && look.truth(inner, document),
        }
    }

    /// Whether an array's item matches: an object, or an array seen as an object with the names
    /// `0`, `1` and so on.
    fn holds_for_item(&self, item: &Value, look: &Evaluation<'_>) -> bool {
        match item {
            Value::Object(_) => self.holds(item, false, look),
            Value::Array(items) => {
                if !look.step(items.len() + steps_of(item.bytes()) as usize) {
                    return false;
                }
                let fields = items.iter().enumerate();
                let fields = fields.map(|(index, item)| (index.to_string(), item.clone()));
                self.holds(&Value::Object(fields.collect()), false, look)
            }
            _ => false,
        }
    }

    /// Index of the item that a positional update (`grades.$`) refers to: the first item of the
    /// array at the path that satisfies all conditions of the filter on the array's items, or else
    /// the first that satisfies one of them. Negations (`$ne`, `$nor`, …) are no conditions.
    ///
    /// # Errors
    /// Those of counting the work.
    pub fn matched_item(
        &self,
        document: &Value,
        array: &Path,
        ctx: &Context<'_>,
    ) -> Result<Option<usize>> {
        let items = follow(document, array).and_then(Value::as_array).unwrap_or_default();
        Evaluation::at(ctx, |look| {
            let first = |every| {
                let verdict = |item| self.item_verdict(item, array.as_str(), every, look);
                items.iter().position(|item| verdict(item) == Some(true))
            };
            first(true).or_else(|| first(false))
        })
    }

    /// Whether the filter accepts an item of the array; `None` if it has no condition on it.
    /// `every` condition of a conjunction must accept it, or one.
    fn item_verdict(
        &self,
        item: &Value,
        array: &str,
        every: bool,
        look: &Evaluation<'_>,
    ) -> Option<bool> {
        look.step(1);
        match self {
            Filter::And(filters) | Filter::Or(filters) => {
                let verdicts =
                    filters.iter().map(|filter| filter.item_verdict(item, array, every, look));
                verdict(verdicts, every && matches!(self, Filter::And(_)))
            }
            Filter::Nor(_) | Filter::Expr(_) => None,
            Filter::Field(path, test) => match path.as_str().strip_prefix(array)? {
                "" => test.item_verdict(item, look),
                _ if matches!(test, Test::Not(_)) => None,
                rest => {
                    let rest =
                        Path::parse_filter(rest.strip_prefix('.')?, At::root("filter")).ok()?;
                    Some(item.as_object().is_some() && test.holds_at(&rest, item, look))
                }
            },
        }
    }
}

fn verdict(verdicts: impl Iterator<Item = Option<bool>>, every: bool) -> Option<bool> {
    let join = |a, b| if every { a && b } else { a || b };
    verdicts.flatten().reduce(join)
}

/// The value at a path whose numbers are indexes in arrays.
fn follow<'v>(root: &'v Value, path: &Path) -> Option<&'v Value> {
    path.steps().iter().try_fold(root, |value, step| match value {
        Value::Object(fields) => fields.get(&step.name),
        Value::Array(items) => items.get(step.index?),
        _ => None,
    })
}

impl Test {
    /// Whether some value at the path passes.
    fn holds_at(&self, path: &Path, document: &Value, look: &Evaluation<'_>) -> bool {
        let any = |visit: &dyn Fn(Option<&Value>) -> bool| {
            path.any_counted(document, |items| look.step(items), visit)
        };
        match self {
            Test::Not(tests) => !tests.iter().all(|test| test.holds_at(path, document, look)),
            Test::All(tests) => {
                !tests.is_empty() && tests.iter().all(|test| test.holds_at(path, document, look))
            }
            Test::Exists(wanted) => any(&|value| value.is_some()) == *wanted,
            Test::ElemMatch(_) | Test::ElemMatchValue(_) | Test::Size(_) => {
                any(&|value| self.holds_for(value, look))
            }
            _ => any(&|value| {
                self.holds_for(value, look)
                    || items(value).iter().any(|item| self.holds_for(Some(item), look))
            }),
        }
    }

    /// Whether the value itself passes, without its items if it is an array.
    fn holds_for(&self, value: Option<&Value>, look: &Evaluation<'_>) -> bool {
        // The end is not a result: the error is returned in its place.
        if !look.step(1) {
            return true;
        }
        match self {
            Test::Eq(wanted) => look.equal(value.unwrap_or(&Value::Null), wanted),
            Test::Gt(bound) => order(value, bound, look).is_some_and(Ordering::is_gt),
            Test::Gte(bound) => order(value, bound, look).is_some_and(Ordering::is_ge),
            Test::Lt(bound) => order(value, bound, look).is_some_and(Ordering::is_lt),
            Test::Lte(bound) => order(value, bound, look).is_some_and(Ordering::is_le),
            Test::In(values, patterns) => {
                let value = value.unwrap_or(&Value::Null);
                values.contains(value)
                    || patterns.iter().any(|one| look.is_match_or_same(one, value))
            }
            Test::Exists(wanted) => value.is_some() == *wanted,
            Test::Type(types) => {
                value.is_some_and(|value| types.iter().any(|name| name.covers(value)))
            }
            Test::Regex(pattern) => {
                value.is_some_and(|value| look.is_match_or_same(pattern, value))
            }
            Test::Mod(divisor, remainder) => {
                value.and_then(number::truncated).is_some_and(|number| {
                    // Dividing the least number by -1 overflows, and has no remainder.
                    number.checked_rem(*divisor).unwrap_or(0) == *remainder
                })
            }
            Test::All(tests) => {
                !tests.is_empty() && tests.iter().all(|test| test.holds_for(value, look))
            }
            Test::ElemMatch(_) | Test::ElemMatchValue(_) => {
                items(value).iter().any(|item| self.accepts_item(item, look))
            }
            Test::Size(size) => {
                value.and_then(Value::as_array).is_some_and(|items| items.len() as u64 == *size)
            }
            Test::Not(tests) => !tests.iter().all(|test| test.holds_for(value, look)),
        }
    }

    /// Whether an array's item passes an `$elemMatch`; false for other tests.
    ///
    /// # Errors
    /// Those of counting the work.
    pub(in crate::query) fn takes_item(&self, item: &Value, ctx: &Context<'_>) -> Result<bool> {
        Evaluation::at(ctx, |look| self.accepts_item(item, look))
    }

    fn accepts_item(&self, item: &Value, look: &Evaluation<'_>) -> bool {
        match self {
            Test::ElemMatch(filter) => look.step(1) && filter.holds_for_item(item, look),
            Test::ElemMatchValue(tests) => {
                tests.iter().all(|test| test.holds_for(Some(item), look))
            }
            _ => false,
        }
    }

    /// Whether a test of an array accepts one of its items; `None` if it has no condition on it.
    fn item_verdict(&self, item: &Value, look: &Evaluation<'_>) -> Option<bool> {
        match self {
            Test::Exists(_) | Test::Size(_) | Test::Not(_) => None,
            Test::ElemMatch(_) | Test::ElemMatchValue(_) => Some(self.accepts_item(item, look)),
            // The tests of an $all may each be passed by another item.
            Test::All(tests) => {
                verdict(tests.iter().map(|test| test.item_verdict(item, look)), false)
            }
            _ => Some(self.holds_for(Some(item), look)),
        }
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).unwrap_or_default()
}

/// The order of the value and a bound; `None` if their classes differ and the bound is not an end of
/// the order. NaN is neither less nor
/// greater than another number.
fn order(value: Option<&Value>, bound: &Value, look: &Evaluation<'_>) -> Option<Ordering> {
    let value = value.unwrap_or(&Value::Null);
    // Every value is above the one and below the other.
    let end = matches!(bound, Value::MinKey | Value::MaxKey);
    let alike = value.class() == bound.class() && number::is_nan(value) == number::is_nan(bound);
    let comparable = end || alike;
    if comparable { look.compare(value, bound) } else { None }
}
