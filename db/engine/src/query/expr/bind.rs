//! Operators that bind variables, and `$switch`: their arguments are not plain expressions.

use super::call::{
    Args, Form, Operator, OperatorCall, Parts, Shape, WHAT, named_fields, null, operator, owned,
    parse_named,
};
use super::compare::is_true;
use super::vars::Binding;
use super::{EvalResult, Expr, Scope, parse, truthy};
use crate::error::Result;
use crate::query::context::{At, MemoryCharge};
use crate::value::{LEVELS_MAX, Object, Value};
use std::borrow::Cow;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$let", Shape::Special(&LET), run_let),
    operator("$map", Shape::Special(&MAP), run_map),
    operator("$filter", Shape::Special(&FILTER), run_filter),
    operator("$reduce", Shape::Special(&REDUCE), run_reduce),
    operator("$switch", Shape::Special(&SWITCH), run_switch),
];

static LET: Form = Form { parse: parse_let, to_value: let_to_value };
static SWITCH: Form = Form { parse: parse_switch, to_value: switch_to_value };

const MAP_FIELDS: &[&str] = &["input", "in", "as"];
static MAP: Form = Form {
    parse: |value, at, scope| parse_loop(value, at, scope, MAP_FIELDS, None),
    to_value: |call| loop_to_value(call, MAP_FIELDS),
};

const FILTER_FIELDS: &[&str] = &["input", "cond", "limit", "as"];
static FILTER: Form = Form {
    parse: |value, at, scope| parse_loop(value, at, scope, FILTER_FIELDS, None),
    to_value: |call| loop_to_value(call, FILTER_FIELDS),
};

const REDUCE_FIELDS: &[&str] = &["input", "in", "initialValue"];
static REDUCE: Form = Form {
    parse: |value, at, scope| parse_loop(value, at, scope, REDUCE_FIELDS, Some(&["value", "this"])),
    to_value: |call| loop_to_value(call, REDUCE_FIELDS),
};

/// Parses an operator whose second field is evaluated for an item: as one of the `fixed` variables,
/// or as the variable named by `as`.
fn parse_loop(
    value: &Value,
    at: At<'_>,
    scope: &Scope<'_>,
    fields: &'static [&'static str],
    fixed: Option<&[&str]>,
) -> Result<Parts> {
    let required = if fixed.is_some() { 3 } else { 2 };
    let mut rest = named_fields(value, at, fields, required)?.clone();
    let name = match rest.shift_remove("as") {
        None => "this".to_owned(),
        Some(Value::String(name)) => check_variable(&name, at.key("as"))?,
        Some(_) => return Err(at.key("as").invalid("must be the name of a variable as a text")),
    };
    let names = fixed.unwrap_or(&[name.as_str()]).to_vec();
    let body = fields.get(1).copied().unwrap_or_default();
    let inner = scope.inner(&names, at)?;
    let parse_field = |field: &&str| {
        let scope = if *field == body { &inner } else { scope };
        rest.get(*field).map(|value| parse(value, at.key(field), scope)).transpose()
    };
    let outside = fields.iter().filter(|field| **field != "as");
    let args = outside.map(parse_field).collect::<Result<_>>()?;
    Ok((names.into_iter().map(str::to_owned).collect(), args))
}

fn loop_to_value(call: &OperatorCall, fields: &[&str]) -> Value {
    let given = fields.iter().zip(&call.args);
    let given = given.filter_map(|(name, arg)| Some((*name, arg.as_ref()?.to_value())));
    let mut object: Object = given.map(|(name, value)| (name.to_owned(), value)).collect();
    if let ([name], true) = (call.names.as_slice(), fields.contains(&"as")) {
        object.insert("as".to_owned(), Value::from(name.as_str()));
    }
    Value::Object(object)
}

/// The name of a variable, as MongoDB allows it.
fn check_variable(name: &str, at: At<'_>) -> Result<String> {
    let letter = |char: char| char.is_ascii_lowercase() || !char.is_ascii();
    let rest = |char: char| char.is_ascii_alphanumeric() || char == '_' || !char.is_ascii();
    match name.starts_with(letter) && name.chars().all(rest) {
        true => Ok(name.to_owned()),
        false => Err(at.invalid(format!(
            "names the variable {name:?}; it must begin with a small letter and go on with \
             letters, digits and _"
        ))),
    }
}

fn parse_let(value: &Value, at: At<'_>, scope: &Scope<'_>) -> Result<Parts> {
    let fields = named_fields(value, at, &["vars", "in"], 2)?;
    let (Some(Value::Object(vars)), Some(body)) = (fields.get("vars"), fields.get("in")) else {
        return Err(at.key("vars").invalid("must be an object of variables"));
    };
    let (mut names, mut args) = (Vec::new(), Vec::new());
    for (name, value) in vars {
        let at_vars = at.key("vars");
        names.push(check_variable(name, at_vars)?);
        args.push(Some(parse(value, at_vars.key(name), scope)?));
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    args.push(Some(parse(body, at.key("in"), &scope.inner(&known, at)?)?));
    Ok((names, args))
}

fn let_to_value(call: &OperatorCall) -> Value {
    let values = call.args.iter().flatten().map(Expr::to_value);
    let vars = call.names.iter().cloned().zip(values).collect();
    let body = call.args.last().and_then(|body| Some(body.as_ref()?.to_value()));
    let fields = [("vars", Value::Object(vars)), ("in", body.unwrap_or_default())];
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn run_let<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let last = args.len() - 1;
    let values = (0..last).map(|index| args.get(index)).collect::<Result<Vec<_>>>()?;
    let names = args.call.names.iter().map(String::as_str);
    let bindings: Vec<Binding<'_>> =
        names.zip(&values).map(|(name, value)| (name, value.as_deref())).collect();
    let vars = args.vars.with_all(&bindings);
    let Some(body) = args.expr(last) else { return Ok(None) };
    let value = body.eval_ref(&vars, args.ctx)?;
    if let Some(Cow::Borrowed(value)) = &value {
        args.hold(value.bytes())?;
    }
    Ok(value.map(|value| Cow::Owned(value.into_owned())))
}

/// The value of the body of a loop, which is its second argument, for one item.
fn body(args: &Args<'_, '_>, bindings: &[Binding<'_>]) -> Result<Option<Value>> {
    args.ctx.step()?;
    match args.expr(1) {
        Some(body) => body.eval(&args.vars.with_all(bindings), args.ctx),
        None => Ok(None),
    }
}

fn variable<'v>(args: &Args<'_, 'v>) -> &'v str {
    args.call.names.first().map_or("this", String::as_str)
}

fn run_map<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(input) = args.array(0)? else { return null() };
    let mut mapped = Vec::new();
    for item in input.iter() {
        let value = body(args, &[(variable(args), Some(item))])?.unwrap_or_default();
        args.item(&value, mapped.len() + 1)?;
        mapped.push(value);
    }
    owned(Value::Array(mapped))
}

fn run_filter<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(input) = args.array(0)? else { return null() };
    let limit = match args.int(2)? {
        None => usize::MAX,
        Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(usize::MAX),
        Some(_) => return Err(args.error("needs a limit of 1 or more")),
    };
    let mut kept = Vec::new();
    for item in input.iter() {
        if kept.len() >= limit {
            break;
        }
        if truthy(body(args, &[(variable(args), Some(item))])?.as_ref()) {
            args.item(item, kept.len() + 1)?;
            kept.push(item.clone());
        }
    }
    owned(Value::Array(kept))
}

fn run_reduce<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(input) = args.array(0)? else { return null() };
    let mut value = args.get(2)?.map(Cow::into_owned);
    let held = MemoryCharge::new(args.ctx, WHAT);
    for item in input.iter() {
        value = body(args, &[("value", value.as_ref()), ("this", Some(item))])?;
        // Each round may nest one level more; too deep a value would overflow the stack elsewhere.
        let bytes = value.as_ref().map_or(Some(0), |value| value.bytes_within(LEVELS_MAX));
        held.replace(bytes.ok_or_else(|| args.too_deep())?)?;
    }
    Ok(value.map(Cow::Owned))
}

/// The arguments of `$switch` are its cases and their results, alternating, and the default.
fn parse_switch(value: &Value, at: At<'_>, scope: &Scope<'_>) -> Result<Parts> {
    let fields = named_fields(value, at, &["branches", "default"], 1)?;
    let branches = fields.get("branches").and_then(Value::as_array);
    let Some(branches) = branches.filter(|branches| !branches.is_empty()) else {
        let rule = "must be an array of at least one {\"case\": …, \"then\": …}";
        return Err(at.key("branches").invalid(rule));
    };
    let mut args = Vec::with_capacity(2 * branches.len() + 1);
    for (index, branch) in branches.iter().enumerate() {
        let at_branches = at.key("branches");
        args.extend(parse_named(branch, at_branches.index(index), scope, &["case", "then"], 2)?);
    }
    let default = fields.get("default");
    args.push(default.map(|value| parse(value, at.key("default"), scope)).transpose()?);
    Ok((Vec::new(), args))
}

fn switch_to_value(call: &OperatorCall) -> Value {
    let branch = |pair: &[Option<Expr>]| {
        let pair = ["case", "then"].iter().zip(pair.iter().flatten());
        Value::Object(pair.map(|(name, part)| ((*name).to_owned(), part.to_value())).collect())
    };
    let branches = call.args.chunks_exact(2).map(branch).collect();
    let mut object = Object::from_iter([("branches".to_owned(), Value::Array(branches))]);
    if let Some(Some(default)) = call.args.last() {
        object.insert("default".to_owned(), default.to_value());
    }
    Value::Object(object)
}

fn run_switch<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let default = args.len() - 1;
    for case in (0..default).step_by(2) {
        if is_true(args, case)? {
            return args.get(case + 1);
        }
    }
    match args.given(default) {
        true => args.get(default),
        false => Err(args.error("has no branch for this document and no default")),
    }
}
