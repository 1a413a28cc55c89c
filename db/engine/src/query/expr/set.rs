//! Arrays as sets: items count once, and their order does not matter.

use super::call::{ANY, Args, ONE, Operator, Shape, TWO, null, operator, owned};
use super::{EvalResult, truthy};
use crate::error::Result;
use crate::value::Value;
use std::collections::HashSet;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$setUnion", ANY, union),
    operator("$setIntersection", ANY, intersection),
    operator("$setDifference", TWO, difference),
    operator("$setEquals", Shape::List(2, usize::MAX), equals),
    operator("$setIsSubset", TWO, |args| {
        let (part, whole) = (args.list(0)?, args.list(1)?);
        args.look_through(&part)?;
        args.look_through(&whole)?;
        let whole: HashSet<&Value> = whole.iter().collect();
        owned(part.iter().all(|item| whole.contains(item)))
    }),
    operator("$anyElementTrue", ONE, |args| {
        let items = args.list(0)?;
        args.ctx.work(items.len() as u64)?;
        owned(items.iter().any(|item| truthy(Some(item))))
    }),
    operator("$allElementsTrue", ONE, |args| {
        let items = args.list(0)?;
        args.ctx.work(items.len() as u64)?;
        owned(items.iter().all(|item| truthy(Some(item))))
    }),
];

fn union<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut lists = Vec::with_capacity(args.len());
    for index in 0..args.len() {
        let Some(list) = args.array(index)? else { return null() };
        args.look_through(&list)?;
        lists.push(list);
    }
    let mut seen = HashSet::new();
    let mut items = Vec::new();
    for item in lists.iter().flat_map(|list| list.iter()) {
        if seen.insert(item) {
            args.item(item, seen.len())?;
            items.push(item.clone());
        }
    }
    owned(Value::Array(items))
}

fn intersection<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(first) = (if args.len() == 0 { None } else { args.array(0)? }) else {
        return if args.len() == 0 { owned(Value::Array(Vec::new())) } else { null() };
    };
    args.look_through(&first)?;
    let mut seen = HashSet::new();
    let mut items: Vec<&Value> = first.iter().filter(|item| seen.insert(*item)).collect();
    for index in 1..args.len() {
        let Some(list) = args.array(index)? else { return null() };
        args.look_through(&list)?;
        // The remaining items are looked up again in each list.
        args.ctx.work(items.len() as u64)?;
        let others: HashSet<&Value> = list.iter().collect();
        items.retain(|item| others.contains(item));
    }
    copied(args, &items)
}

/// A new array of items of other arrays.
fn copied<'v>(args: &Args<'_, 'v>, items: &[&Value]) -> EvalResult<'v> {
    args.hold(items.iter().map(|item| item.bytes()).sum())?;
    owned(Value::Array(items.iter().copied().cloned().collect()))
}

fn difference<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(items), Some(without)) = (args.present(0)?, args.present(1)?) else { return null() };
    let (items, without) = (args.as_list(items)?, args.as_list(without)?);
    args.look_through(&items)?;
    args.look_through(&without)?;
    let mut seen: HashSet<&Value> = without.iter().collect();
    let left: Vec<&Value> = items.iter().filter(|item| seen.insert(item)).collect();
    copied(args, &left)
}

fn equals<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let lists = (0..args.len()).map(|index| args.list(index)).collect::<Result<Vec<_>>>()?;
    lists.iter().try_for_each(|list| args.look_through(list))?;
    let mut sets = lists.iter().map(|list| list.iter().collect::<HashSet<&Value>>());
    let first = sets.next();
    owned(sets.all(|set| Some(&set) == first.as_ref()))
}
