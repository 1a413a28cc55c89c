//! Objects whose fields are merged, read or written by name.

use super::call::{ANY, Args, Operator, Shape, null, operator, owned};
use super::{EvalResult, Expr};
use crate::error::Result;
use crate::query::context::Fields;
use crate::value::{Object, Value};
use std::borrow::Cow;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$mergeObjects", ANY, merge),
    operator("$getField", Shape::Either(&["field", "input"], 1), get_field)
        .reading(get_field_reads),
    operator("$setField", Shape::Named(&["field", "input", "value"], 3), |args| {
        let value = args.get(2)?;
        change(args, value)
    }),
    operator("$unsetField", Shape::Named(&["field", "input"], 2), |args| change(args, None)),
];

/// `$getField` without an input reads the document, and no argument says so.
fn get_field_reads(args: &[Option<Expr>], fields: &mut Fields) {
    if let [name, None] = args {
        match name.as_ref().and_then(|name| name.as_literal()?.as_str()) {
            Some(name) if !name.contains('.') => fields.add(name),
            _ => fields.add_all(),
        }
    }
}

/// Merges the arguments or, of a single array, its items.
fn merge<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut merged = Object::new();
    for index in 0..args.len() {
        match args.present(index)? {
            None => {}
            Some(Cow::Owned(Value::Object(fields))) => {
                args.ctx.work(fields.len() as u64)?;
                merged.extend(fields);
            }
            Some(value) => match &*value {
                Value::Array(items) if args.len() == 1 => {
                    args.ctx.work(items.len() as u64)?;
                    items.iter().try_for_each(|item| merge_into(&mut merged, item, args))?;
                }
                value => merge_into(&mut merged, value, args)?,
            },
        }
    }
    owned(Value::Object(merged))
}

fn merge_into(merged: &mut Object, value: &Value, args: &Args<'_, '_>) -> Result<()> {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields {
                args.ctx.step()?;
                args.hold(48 + name.len() + value.bytes())?;
                merged.insert(name.clone(), value.clone());
            }
        }
        other => return Err(args.wrong("objects", other)),
    }
    Ok(())
}

fn name<'v>(args: &Args<'_, 'v>) -> Result<Cow<'v, str>> {
    args.text(0)?.ok_or_else(|| args.error("needs the name of a field, not null or nothing"))
}

fn get_field<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let name = name(args)?;
    let input = match args.given(1) {
        true => args.get(1)?,
        false => Some(Cow::Borrowed(args.vars.document())),
    };
    Ok(match input {
        Some(Cow::Borrowed(Value::Object(fields))) => fields.get(&*name).map(Cow::Borrowed),
        Some(Cow::Owned(Value::Object(mut fields))) => fields.swap_remove(&*name).map(Cow::Owned),
        Some(null) if matches!(*null, Value::Null) => Some(null),
        _ => None,
    })
}

/// Sets a field, or removes it when there is no value.
fn change<'v>(args: &Args<'_, 'v>, value: Option<Cow<'v, Value>>) -> EvalResult<'v> {
    let name = name(args)?;
    let Some(input) = args.present(1)? else { return null() };
    if let Cow::Borrowed(input) = &input {
        args.hold(input.bytes())?;
    }
    let mut fields = match input.into_owned() {
        Value::Object(fields) => fields,
        other => return Err(args.wrong("an object as input", &other)),
    };
    // What follows a field that is removed moves.
    args.ctx.work(fields.len() as u64)?;
    if let Some(Cow::Borrowed(value)) = &value {
        args.hold(value.bytes())?;
    }
    match value {
        Some(value) => fields.insert(name.into_owned(), value.into_owned()),
        None => fields.shift_remove(&*name),
    };
    owned(Value::Object(fields))
}
