//! Arrays: their items, slices, order, and values computed from them.

use super::call::{
    ANY, Args, Form, ONE, Operator, OperatorCall, Parts, Shape, TWO, named_fields, null, operator,
    owned,
};
use super::{EvalResult, Expr, Node, Scope, follow, parse};
use crate::error::Result;
use crate::query::context::At;
use crate::query::path::Path;
use crate::value::{Object, Value, compare};
use std::borrow::Cow;
use std::cmp::Ordering;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$arrayElemAt", TWO, |args| {
        let (Some(items), Some(index)) = (args.array(0)?, args.int32(1)?) else { return null() };
        Ok(item(items, index))
    }),
    operator("$first", ONE, |args| args.array(0)?.map_or_else(null, |items| Ok(item(items, 0)))),
    operator("$last", ONE, |args| args.array(0)?.map_or_else(null, |items| Ok(item(items, -1)))),
    operator("$size", ONE, |args| owned(args.list(0)?.len() as i64)),
    operator("$slice", Shape::List(2, 3), slice),
    operator("$concatArrays", ANY, concat),
    operator("$in", TWO, |args| {
        let (value, items) = (args.get(0)?, args.list(1)?);
        owned(match value {
            Some(value) => args.position(&items, &value)?.is_some(),
            None => false,
        })
    }),
    operator("$indexOfArray", Shape::List(2, 4), index_of),
    operator("$isArray", ONE, |args| {
        owned(matches!(args.get(0)?.as_deref(), Some(Value::Array(_))))
    }),
    operator("$range", Shape::List(2, 3), range),
    operator("$reverseArray", ONE, |args| {
        let Some(items) = args.array(0)? else { return null() };
        let mut items = args.own(items)?;
        args.ctx.work(items.len() as u64)?;
        items.reverse();
        owned(Value::Array(items))
    }),
    operator("$sortArray", Shape::Special(&SORT), sort),
    operator("$zip", Shape::Named(&["inputs", "useLongestLength", "defaults"], 1), zip),
    operator("$arrayToObject", ONE, array_to_object),
    operator("$objectToArray", ONE, object_to_array),
];

/// An item by its index, counted from the end if negative.
fn item<'v>(items: Cow<'v, [Value]>, index: i64) -> Option<Cow<'v, Value>> {
    let index = match index {
        0.. => usize::try_from(index).ok()?,
        _ => items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    match items {
        Cow::Borrowed(items) => items.get(index).map(Cow::Borrowed),
        Cow::Owned(items) => items.into_iter().nth(index).map(Cow::Owned),
    }
}

/// A number of items as an index, at most `len`.
fn clamp(number: u64, len: usize) -> usize {
    usize::try_from(number).unwrap_or(len).min(len)
}

fn slice<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(items), Some(first)) = (args.array(0)?, args.int32(1)?) else { return null() };
    let len = items.len();
    let from_end = |number: i64| len - clamp(number.unsigned_abs(), len);
    let (start, end) = match args.given(2) {
        false if first < 0 => (from_end(first), len),
        false => (0, clamp(first.unsigned_abs(), len)),
        true => {
            let Some(count) = args.int32(2)? else { return null() };
            if count <= 0 {
                return Err(args.wrong("a count of 1 or more after a position", &count.into()));
            }
            let start = if first < 0 { from_end(first) } else { clamp(first.unsigned_abs(), len) };
            (start, start + clamp(count.unsigned_abs(), len - start))
        }
    };
    owned(Value::Array(args.copy(items.get(start..end).unwrap_or_default())?))
}

fn concat<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut all = Vec::new();
    for index in 0..args.len() {
        match args.array(index)? {
            None => return null(),
            Some(Cow::Owned(items)) => all.extend(items),
            Some(Cow::Borrowed(items)) => {
                for item in items {
                    args.item(item, all.len() + 1)?;
                    all.push(item.clone());
                }
            }
        }
        args.check_len(all.len())?;
    }
    owned(Value::Array(all))
}

/// The part of something of length `len` that optional arguments select, from the one at `first`
/// on; an end before the start selects nothing.
fn bounds(args: &Args<'_, '_>, first: usize, len: usize) -> Result<(usize, usize)> {
    let start = bound(args, first)?.map_or(0, |start| start.min(len));
    let end = bound(args, first + 1)?.map_or(len, |end| end.min(len));
    Ok((start, end.max(start)))
}

/// An optional bound: a whole number of 32 bits from 0 on.
pub(super) fn bound(args: &Args<'_, '_>, index: usize) -> Result<Option<usize>> {
    if !args.given(index) {
        return Ok(None);
    }
    let number = args.required_int(index)?;
    match u32::try_from(number) {
        Ok(bound) if i32::try_from(number).is_ok() => Ok(Some(bound as usize)),
        _ => Err(args.wrong("bounds of 0 or more and at most 32 bits", &number.into())),
    }
}

fn index_of<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(items) = args.array(0)? else { return null() };
    let value = args.get(1)?;
    let (start, end) = bounds(args, 2, items.len())?;
    let part = items.get(start..end).unwrap_or_default();
    let found = match value {
        Some(value) => args.position(part, &value)?,
        None => None,
    };
    owned(found.map_or(-1, |index| (start + index) as i64))
}

fn range<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let number = |index| {
        let number = args.int32(index)?;
        number.ok_or_else(|| args.error("needs a whole number, not null or nothing"))
    };
    let (start, end) = (number(0)?, number(1)?);
    let step = if args.given(2) { number(2)? } else { 1 };
    if step == 0 {
        return Err(args.error("needs a step other than 0"));
    }
    let distance = if step > 0 {
        i128::from(end) - i128::from(start)
    } else {
        i128::from(start) - i128::from(end)
    };
    let len =
        (distance.max(0) + i128::from(step.unsigned_abs()) - 1) / i128::from(step.unsigned_abs());
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    args.check_len(len)?;
    args.ctx.work(len as u64)?;
    args.hold(len * size_of::<Value>())?;
    let next = |number: &i64| number.checked_add(step);
    let numbers = std::iter::successors(Some(start), next).take(len);
    owned(Value::Array(numbers.map(Value::from).collect()))
}

/// The form of `$sortArray`: its sort order is not an expression.
static SORT: Form = Form { parse: parse_sort, to_value: sort_to_value };
const SORT_FIELDS: &[&str] = &["input", "sortBy"];

fn parse_sort(value: &Value, at: At<'_>, scope: &Scope<'_>) -> Result<Parts> {
    let fields = named_fields(value, at, SORT_FIELDS, 2)?;
    let (Some(input), Some(by)) = (fields.get("input"), fields.get("sortBy")) else {
        return Err(at.invalid("must have input and sortBy"));
    };
    let at_by = at.key("sortBy");
    let direction = |value: &Value, at: At<'_>| match value.as_int() {
        Some(1 | -1) => Ok(()),
        _ => Err(at.invalid("must be 1 (ascending) or -1 (descending)")),
    };
    match by {
        Value::Object(fields) if fields.is_empty() => {
            return Err(at_by.invalid("must name at least one field"));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                Path::parse(name, at_by)?;
                direction(value, at_by.key(name))?;
            }
        }
        other => direction(other, at_by)?,
    }
    let input = parse(input, at.key("input"), scope)?;
    Ok((Vec::new(), vec![Some(input), Some(Expr(Node::Literal(by.clone())))]))
}

fn sort_to_value(call: &OperatorCall) -> Value {
    let value = |(name, expr): (&&str, &Expr)| match expr.as_literal() {
        Some(by) if *name == "sortBy" => ((*name).to_owned(), by.clone()),
        _ => ((*name).to_owned(), expr.to_value()),
    };
    Value::Object(SORT_FIELDS.iter().zip(call.args.iter().flatten()).map(value).collect())
}

fn sort<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(items) = args.array(0)? else { return null() };
    let mut items = args.own(items)?;
    let directed = |order: Ordering, direction: &Value| match direction.as_int() {
        Some(1) => order,
        _ => order.reverse(),
    };
    match args.get(1)?.as_deref() {
        Some(Value::Object(fields)) => {
            let at = At::root("sortBy");
            let keys = fields.iter().map(|(name, value)| Ok((Path::parse(name, at)?, value)));
            let keys = keys.collect::<Result<Vec<_>>>()?;
            let mut bytes = 0;
            let mut keyed = Vec::with_capacity(items.len());
            for item in items {
                let mut key = Vec::with_capacity(keys.len());
                for (path, _) in &keys {
                    let value = follow(&item, path.steps(), args.ctx)?.unwrap_or_default();
                    let size = value.bytes();
                    args.hold(size)?;
                    bytes += size;
                    key.push(value.into_owned());
                }
                keyed.push((key, item));
            }
            args.ctx.sorting(keyed.len(), bytes)?;
            keyed.sort_by(|(a, _), (b, _)| {
                let pairs = a.iter().zip(b).zip(&keys);
                let orders =
                    pairs.map(|((a, b), (_, direction))| directed(compare(a, b), direction));
                orders.fold(Ordering::Equal, Ordering::then)
            });
            items = keyed.into_iter().map(|(_, item)| item).collect();
        }
        direction => {
            let direction = direction.cloned().unwrap_or_default();
            args.ctx.sorting(items.len(), items.iter().map(Value::bytes).sum())?;
            items.sort_by(|a, b| directed(compare(a, b), &direction));
        }
    }
    owned(Value::Array(items))
}

fn zip<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let inputs = args.list(0)?;
    if inputs.is_empty() {
        return Err(args.error("needs at least one input"));
    }
    let longest = match args.get(1)?.as_deref() {
        None => false,
        Some(Value::Bool(longest)) => *longest,
        Some(other) => return Err(args.wrong("useLongestLength to be true or false", other)),
    };
    let defaults = args.array(2)?.unwrap_or_default();
    if !defaults.is_empty() && (!longest || defaults.len() != inputs.len()) {
        let rule = "needs as many defaults as inputs, and useLongestLength: true with them";
        return Err(args.error(rule));
    }
    let mut lists = Vec::with_capacity(inputs.len());
    for input in inputs.iter() {
        match input {
            Value::Array(items) => lists.push(items),
            Value::Null => return null(),
            other => return Err(args.wrong("arrays", other)),
        }
    }
    let lens = lists.iter().map(|items| items.len());
    let len = if longest { lens.max() } else { lens.min() };
    let mut rows = Vec::new();
    for index in 0..len.unwrap_or(0) {
        let cells = || {
            lists.iter().enumerate().map(|(list, items)| {
                items.get(index).or_else(|| defaults.get(list)).unwrap_or(&Value::Null)
            })
        };
        args.ctx.work(1 + lists.len() as u64)?;
        args.check_len(rows.len() + 1)?;
        args.hold(size_of::<Value>() + cells().map(Value::bytes).sum::<usize>())?;
        rows.push(Value::Array(cells().cloned().collect()));
    }
    owned(Value::Array(rows))
}

fn array_to_object<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(items) = args.array(0)? else { return null() };
    let mut object = Object::new();
    for item in items.iter() {
        // All items have the form of the first.
        let first = items.first().map(std::mem::discriminant);
        let pair = match item {
            item if Some(std::mem::discriminant(item)) != first => None,
            Value::Array(pair) => match pair.as_slice() {
                [Value::String(name), value] => Some((name, value)),
                _ => None,
            },
            Value::Object(fields) if fields.len() == 2 => {
                match (fields.get("k"), fields.get("v")) {
                    (Some(Value::String(name)), Some(value)) => Some((name, value)),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((name, value)) = pair else {
            let rule = "items [name, value] or items {\"k\": name, \"v\": value}";
            return Err(args.wrong(rule, item));
        };
        if name.contains('\0') {
            return Err(args.wrong("names without the character NUL", item));
        }
        args.ctx.step()?;
        args.hold(48 + name.len() + value.bytes())?;
        object.insert(name.clone(), value.clone());
    }
    owned(Value::Object(object))
}

fn object_to_array<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let object = match args.present(0)? {
        None => return null(),
        Some(value) => value,
    };
    let Some(fields) = object.as_object() else {
        return Err(args.wrong("an object", &object));
    };
    let mut pairs = Vec::new();
    for (name, value) in fields {
        args.ctx.step()?;
        args.check_len(pairs.len() + 1)?;
        args.hold(2 * 48 + 2 * size_of::<Value>() + name.len() + value.bytes())?;
        let pair = [("k", Value::from(name.as_str())), ("v", value.clone())];
        pairs.push(Value::Object(pair.map(|(name, value)| (name.to_owned(), value)).into()));
    }
    owned(Value::Array(pairs))
}
