//! Comparison, truth and choice.

use super::call::{ANY, Args, ONE, Operator, Shape, TWO, operator, owned};
use super::{EvalResult, truthy};
use crate::error::Result;
use std::cmp::Ordering;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$eq", TWO, |args| owned(order(args)?.is_eq())),
    operator("$ne", TWO, |args| owned(order(args)?.is_ne())),
    operator("$gt", TWO, |args| owned(order(args)?.is_gt())),
    operator("$gte", TWO, |args| owned(order(args)?.is_ge())),
    operator("$lt", TWO, |args| owned(order(args)?.is_lt())),
    operator("$lte", TWO, |args| owned(order(args)?.is_le())),
    operator("$cmp", TWO, |args| owned(order(args)? as i64)),
    operator("$and", ANY, |args| owned(!any(args, false)?)),
    operator("$or", ANY, |args| owned(any(args, true)?)),
    operator("$not", ONE, |args| owned(!is_true(args, 0)?)),
    operator("$cond", Shape::Either(&["if", "then", "else"], 3), |args| {
        args.get(if is_true(args, 0)? { 1 } else { 2 })
    }),
    operator("$ifNull", Shape::List(2, usize::MAX), if_null),
];

/// The order of two arguments; a missing value comes before everything, null included.
fn order(args: &Args<'_, '_>) -> Result<Ordering> {
    Ok(match (args.get(0)?, args.get(1)?) {
        (Some(a), Some(b)) => args.ctx.compare(&a, &b)?,
        (a, b) => a.is_some().cmp(&b.is_some()),
    })
}

/// Whether an argument counts as true.
pub(super) fn is_true(args: &Args<'_, '_>, index: usize) -> Result<bool> {
    Ok(truthy(args.get(index)?.as_deref()))
}

/// Whether any argument has this truth value; later ones are not evaluated.
fn any(args: &Args<'_, '_>, truth: bool) -> Result<bool> {
    for index in 0..args.len() {
        if is_true(args, index)? == truth {
            return Ok(true);
        }
    }
    Ok(false)
}

fn if_null<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let last = args.len() - 1;
    for index in 0..last {
        if let Some(value) = args.present(index)? {
            return Ok(Some(value));
        }
    }
    args.get(last)
}
