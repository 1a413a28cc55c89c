//! Operators that reduce many values to one: their arguments, or the items of a single one.

use super::EvalResult;
use super::call::{ANY, Args, List, Operator, Shape, null, operator, owned};
use crate::budget::steps_of;
use crate::error::Result;
use crate::query::aggregate::total::Total;
use crate::value::{Value, compare, number};
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$sum", ANY, |args| owned(total(args)?.0)),
    operator("$avg", ANY, |args| match total(args)? {
        (sum, count) if count > 0 => Ok(number::divide(&sum, &Value::from(count)).map(Cow::Owned)),
        _ => null(),
    }),
    operator("$min", ANY, |args| extreme(args, Ordering::Less)),
    operator("$max", ANY, |args| extreme(args, Ordering::Greater)),
    operator("$stdDevPop", ANY, |args| deviation(args, 0)),
    operator("$stdDevSamp", ANY, |args| deviation(args, 1)),
    operator("$minN", N, |args| extremes(args, compare)),
    operator("$maxN", N, |args| extremes(args, |a, b| compare(b, a))),
    operator("$firstN", N, |args| {
        let (items, n) = counted(args)?;
        owned(Value::Array(args.copy(items.get(..n).unwrap_or(&items))?))
    }),
    operator("$lastN", N, |args| {
        let (items, n) = counted(args)?;
        let start = items.len().saturating_sub(n);
        owned(Value::Array(args.copy(items.get(start..).unwrap_or_default())?))
    }),
];

const N: Shape = Shape::Named(&["n", "input"], 2);

/// Calls `visit` with the values to reduce, without nulls.
fn each(args: &Args<'_, '_>, mut visit: impl FnMut(&Value) -> Result<()>) -> Result<()> {
    let mut present = |value: &Value| match value {
        Value::Null => Ok(()),
        value => visit(value),
    };
    for index in 0..args.len() {
        match args.get(index)?.as_deref() {
            Some(Value::Array(items)) if args.len() == 1 => {
                args.ctx.work(items.len() as u64)?;
                items.iter().try_for_each(&mut present)?;
            }
            Some(value) => present(value)?,
            None => {}
        }
    }
    Ok(())
}

/// The sum and the count of the numbers.
fn total(args: &Args<'_, '_>) -> Result<(Value, i64)> {
    let (mut total, mut count) = (Total::default(), 0);
    each(args, |value| {
        count += i64::from(total.add(value));
        Ok(())
    })?;
    Ok((total.value(), count))
}

fn extreme<'v>(args: &Args<'_, 'v>, wanted: Ordering) -> EvalResult<'v> {
    let mut best: Option<Value> = None;
    each(args, |value| {
        let better = match &best {
            Some(best) => args.ctx.compare(value, best)? == wanted,
            None => true,
        };
        if better {
            args.ctx.work(steps_of(value.bytes()))?;
            best = Some(value.clone());
        }
        Ok(())
    })?;
    owned(best.unwrap_or_default())
}

/// The standard deviation of all numbers (`less` is 0) or of a sample (1), by Welford's method,
/// which loses no digits when the numbers are large and close together.
fn deviation<'v>(args: &Args<'_, 'v>, less: u32) -> EvalResult<'v> {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    each(args, |value| {
        if value.is_number() {
            let number = number::nearest(value);
            count += 1.0;
            let difference = number - mean;
            mean += difference / count;
            squares += difference * (number - mean);
        }
        Ok(())
    })?;
    let divisor = count - f64::from(less);
    if divisor > 0.0 { owned((squares / divisor).sqrt()) } else { null() }
}

/// The array and the number of wanted items.
fn counted<'v>(args: &Args<'_, 'v>) -> Result<(List<'v>, usize)> {
    match args.required_int(0)? {
        n if n > 0 => Ok((args.list(1)?, usize::try_from(n).unwrap_or(usize::MAX))),
        n => Err(args.wrong("n to be 1 or more", &Value::from(n))),
    }
}

fn extremes<'v>(args: &Args<'_, 'v>, order: fn(&Value, &Value) -> Ordering) -> EvalResult<'v> {
    let (items, n) = counted(args)?;
    args.ctx.sorting(items.len(), items.iter().map(Value::bytes).sum())?;
    let mut items: Vec<&Value> = items.iter().filter(|item| !matches!(item, Value::Null)).collect();
    items.sort_by(|a, b| order(a, b));
    items.truncate(n);
    args.hold(items.iter().map(|item| item.bytes()).sum())?;
    owned(Value::Array(items.into_iter().cloned().collect()))
}
