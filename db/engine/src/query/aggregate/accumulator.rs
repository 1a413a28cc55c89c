//! Accumulators: what `$group` and `$bucket` compute over the documents of a group.

use super::super::context::{At, Context};
use super::super::expr::{Expr, Vars};
use super::memory::StageMemory;
use super::read;
use super::total::{Total, Variance};
use crate::error::{Error, Kind, Result};
use crate::value::{Object, Value, number};
use indexmap::IndexSet;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Most values that `$firstN` and `$lastN` keep.
const N_MAX: u64 = 100_000;

/// One computed field of the groups.
#[derive(Debug, Clone)]
pub(super) struct Accumulator {
    name: String,
    input: Expr,
    fresh: State,
}

/// The state of an accumulator for one group.
#[derive(Debug, Clone)]
pub(super) enum State {
    Sum(Total),
    Avg(Total, i64),
    /// The smallest (`Less`) or largest (`Greater`) value.
    Extreme(Ordering, Option<Value>),
    First(Option<Value>),
    Last(Value),
    Push(Vec<Value>),
    AddToSet(IndexSet<Value>),
    /// Whether it is that of a sample.
    StdDev(Variance, bool),
    Merge(Object),
    FirstN(usize, Vec<Value>),
    LastN(usize, VecDeque<Value>),
}

type Fresh = fn() -> State;

/// Creates the state for a new group.
const FRESH: &[(&str, Fresh)] = &[
    ("$sum", || State::Sum(Total::default())),
    ("$avg", || State::Avg(Total::default(), 0)),
    ("$min", || State::Extreme(Ordering::Less, None)),
    ("$max", || State::Extreme(Ordering::Greater, None)),
    ("$first", || State::First(None)),
    ("$last", || State::Last(Value::Null)),
    ("$push", || State::Push(Vec::new())),
    ("$addToSet", || State::AddToSet(IndexSet::new())),
    ("$stdDevPop", || State::StdDev(Variance::default(), false)),
    ("$stdDevSamp", || State::StdDev(Variance::default(), true)),
    ("$mergeObjects", || State::Merge(Object::new())),
];

impl Accumulator {
    /// Parses an accumulator such as `{"$sum": "$price"}` for the field `name`.
    ///
    /// # Errors
    /// `invalid_query` for a name with `.` or `$`, an unknown accumulator, or a bad operand.
    pub(super) fn parse(name: &str, value: &Value, at: At<'_>) -> Result<Accumulator> {
        read::field_name(name, at)?;
        let one =
            value.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.first());
        let Some((operator, operand)) = one else {
            return Err(at.invalid("must be an object with one accumulator, such as {\"$sum\": 1}"));
        };
        let at = at.key(operator);
        let (fresh, input) = match operator.as_str() {
            "$count" if operand.as_object().is_some_and(Object::is_empty) => {
                (State::Sum(Total::default()), Expr::parse(&Value::Int(1), at)?)
            }
            "$count" => return Err(at.invalid("must be an empty object: {}")),
            "$firstN" | "$lastN" => {
                let fields = read::object(operand, &["input", "n"], at)?;
                let n = read::whole(read::required(fields, "n", at)?, 1, at.key("n"))?;
                if n > N_MAX {
                    return Err(at.key("n").invalid(format!("must be {N_MAX} at most")));
                }
                let n = n as usize;
                let input = Expr::parse(read::required(fields, "input", at)?, at.key("input"))?;
                let first = operator == "$firstN";
                (
                    if first {
                        State::FirstN(n, Vec::new())
                    } else {
                        State::LastN(n, VecDeque::new())
                    },
                    input,
                )
            }
            _ => {
                let Some((_, fresh)) = FRESH.iter().find(|(known, _)| known == operator) else {
                    let known: Vec<_> = FRESH.iter().map(|(known, _)| *known).collect();
                    return Err(at
                        .invalid("is not a known accumulator")
                        .hint(format!("known are {}, $count, $firstN, $lastN", known.join(", "))));
                };
                if operand.as_array().is_some() {
                    return Err(at.invalid("must be one expression, not a list of them"));
                }
                (fresh(), Expr::parse(operand, at)?)
            }
        };
        Ok(Accumulator { name: name.to_owned(), input, fresh })
    }

    /// The field that it computes.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its operand.
    pub(super) fn input(&self) -> &Expr {
        &self.input
    }

    /// The state of a group without documents.
    pub(super) fn fresh(&self) -> State {
        self.fresh.clone()
    }

    /// Adds a document.
    ///
    /// # Errors
    /// Those of the expression; `not_applicable` if `$mergeObjects` meets a value that is not an
    /// object; `query_too_large` if it keeps too much.
    pub(super) fn add(
        &self,
        state: &mut State,
        vars: &Vars<'_>,
        kept: &mut StageMemory<'_>,
        ctx: &Context<'_>,
    ) -> Result<()> {
        state.add(self.input.eval_ref(vars, ctx)?, kept).map_err(|error| match error.kind {
            Kind::NotApplicable => {
                Error::new(error.kind, format!("{:?}: {}", self.name, error.message))
            }
            _ => error,
        })
    }
}

impl State {
    fn add(&mut self, value: Option<Cow<'_, Value>>, kept: &mut StageMemory<'_>) -> Result<()> {
        // Only these distinguish missing values.
        let value = match (&mut *self, value) {
            (_, Some(value)) => value,
            (State::First(_) | State::Last(_) | State::FirstN(..) | State::LastN(..), None) => {
                Cow::Owned(Value::Null)
            }
            (_, None) => return Ok(()),
        };
        match self {
            State::Sum(total) => {
                total.add(&value);
            }
            State::Avg(total, count) => *count += i64::from(total.add(&value)),
            State::StdDev(variance, _) => variance.add(&value),
            State::Extreme(wanted, best) => {
                let better = best.as_ref().is_none_or(|best| value.as_ref().cmp(best) == *wanted);
                if better && !matches!(*value, Value::Null) {
                    kept.replace(best.as_ref().map_or(0, Value::bytes), value.bytes())?;
                    *best = Some(value.into_owned());
                }
            }
            State::First(first) => {
                if first.is_none() {
                    kept.add(value.bytes())?;
                    *first = Some(value.into_owned());
                }
            }
            State::Last(last) => {
                kept.replace(last.bytes(), value.bytes())?;
                *last = value.into_owned();
            }
            State::Push(items) => {
                kept.add(value.bytes())?;
                items.push(value.into_owned());
            }
            State::AddToSet(items) => {
                if !items.contains(&*value) {
                    kept.add(value.bytes())?;
                    items.insert(value.into_owned());
                }
            }
            State::FirstN(n, items) => {
                if items.len() < *n {
                    kept.add(value.bytes())?;
                    items.push(value.into_owned());
                }
            }
            State::LastN(n, items) => {
                let gone = if items.len() < *n { None } else { items.pop_front() };
                kept.replace(gone.map_or(0, |value| value.bytes()), value.bytes())?;
                items.push_back(value.into_owned());
            }
            State::Merge(merged) => match &*value {
                Value::Null => {}
                Value::Object(fields) => {
                    for (name, value) in fields {
                        kept.replace(
                            merged.get(name).map_or(0, Value::bytes),
                            value.bytes() + name.len(),
                        )?;
                        merged.insert(name.clone(), value.clone());
                    }
                }
                other => {
                    let message = format!(
                        "$mergeObjects takes objects, not a value of type {}",
                        other.type_name()
                    );
                    return Err(Error::new(Kind::NotApplicable, message));
                }
            },
        }
        Ok(())
    }

    /// The result for the group.
    pub(super) fn into_value(self) -> Value {
        match self {
            State::Sum(total) => total.value(),
            State::Avg(total, count) => {
                number::divide(&total.value(), &Value::from(count)).unwrap_or_default()
            }
            State::Extreme(_, value) | State::First(value) => value.unwrap_or_default(),
            State::Last(value) => value,
            State::Push(items) | State::FirstN(_, items) => Value::Array(items),
            State::LastN(_, items) => Value::Array(items.into()),
            State::AddToSet(items) => Value::Array(items.into_iter().collect()),
            State::StdDev(variance, sample) => variance.deviation(sample),
            State::Merge(fields) => Value::Object(fields),
        }
    }
}

#[cfg(test)]
#[path = "accumulator_tests.rs"]
mod tests;
