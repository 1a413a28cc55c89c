//! MongoDB's aggregation expressions, which compute a value from a document.
//!
//! Operators are functions in static tables, one for each family; they evaluate their arguments on
//! demand, so that `$cond` and `$add` are implemented alike. Values are borrowed from the document
//! or the expression until something has to be built.

mod arithmetic;
mod array;
mod bind;
mod calendar;
mod call;
mod compare;
mod convert;
mod date;
mod fold;
mod object;
mod pattern;
mod set;
mod string;
mod vars;
mod zone;

pub use vars::Vars;

use super::context::{At, Context, Fields, MemoryCharge};
use super::path::{Path, PathStep};
use crate::error::Result;
use crate::value::{Object, Value, number};
use call::{Args, OperatorCall, WHAT};
use std::borrow::Cow;

/// Maximum nesting of an expression.
const DEPTH_MAX: usize = 100;

/// The result of an evaluation; `None` is a missing value.
pub type EvalResult<'v> = Result<Option<Cow<'v, Value>>>;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Literal(Value),
    /// `$a.b`
    Field(Path),
    /// `$$ROOT`
    Root,
    /// `$$NOW`
    Now,
    /// `$$REMOVE`
    Remove,
    /// `$$name`, `$$name.a.b`
    Variable(String, Option<Path>),
    Object(Vec<(String, Expr)>),
    Array(Vec<Expr>),
    OperatorCall(OperatorCall),
}

/// The variables in scope where an expression is parsed.
struct Scope<'a> {
    parent: Option<&'a Scope<'a>>,
    names: &'a [&'a str],
    depth: usize,
}

impl<'a> Scope<'a> {
    fn inner(&'a self, names: &'a [&'a str], at: At<'_>) -> Result<Scope<'a>> {
        if self.depth >= DEPTH_MAX {
            return Err(at.invalid(format!("is nested more than {DEPTH_MAX} levels deep")));
        }
        Ok(Scope { parent: Some(self), names, depth: self.depth + 1 })
    }

    fn contains(&self, name: &str) -> bool {
        self.names.contains(&name) || self.parent.is_some_and(|parent| parent.contains(name))
    }
}

impl Expr {
    /// Parses an expression; `at` is its location in the query.
    ///
    /// # Errors
    /// `invalid_query` for an unknown operator, wrong arguments, an unknown variable, and more
    /// than 100 levels.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Expr> {
        Expr::parse_with(value, at, &[])
    }

    /// As [`Expr::parse`], with variables beyond MongoDB's own; evaluation must bind them with
    /// [`Vars::with`].
    ///
    /// # Errors
    /// Those of [`Expr::parse`].
    pub fn parse_with(value: &Value, at: At<'_>, variables: &[&str]) -> Result<Expr> {
        parse(value, at, &Scope { parent: None, names: variables, depth: 0 })
    }

    /// Its value for a document; `None` if it is missing.
    ///
    /// # Errors
    /// `not_applicable` if an operator cannot be applied to its arguments, `query_too_large` if the
    /// value would be too large, and the errors of `ctx`.
    pub fn eval(&self, vars: &Vars<'_>, ctx: &Context<'_>) -> Result<Option<Value>> {
        Ok(self.eval_ref(vars, ctx)?.map(Cow::into_owned))
    }

    /// As [`Expr::eval`], borrowing from the document and the expression where it can.
    ///
    /// # Errors
    /// Those of [`Expr::eval`].
    pub fn eval_ref<'v>(&'v self, vars: &Vars<'v>, ctx: &Context<'_>) -> EvalResult<'v> {
        match &self.0 {
            Node::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Node::Field(path) => follow(vars.document(), path.steps(), ctx),
            Node::Root => Ok(Some(Cow::Borrowed(vars.document()))),
            Node::Now => Ok(Some(Cow::Owned(Value::Date(ctx.now_ms)))),
            Node::Remove => Ok(None),
            Node::Variable(name, path) => match (vars.get(name), path) {
                (Some(value), Some(path)) => follow(value, path.steps(), ctx),
                (value, _) => Ok(value.map(Cow::Borrowed)),
            },
            Node::OperatorCall(call) => {
                ctx.step()?;
                call.operator.run(&Args::new(call, vars, ctx))
            }
            Node::Array(items) => {
                ctx.work(items.len() as u64)?;
                let held = MemoryCharge::new(ctx, WHAT);
                let mut array = Vec::with_capacity(items.len());
                for item in items {
                    let value = item.eval_ref(vars, ctx)?.unwrap_or_default();
                    held.add(value.bytes())?;
                    array.push(value.into_owned());
                }
                Ok(Some(Cow::Owned(Value::Array(array))))
            }
            Node::Object(fields) => {
                ctx.work(fields.len() as u64)?;
                let held = MemoryCharge::new(ctx, WHAT);
                let mut object = Object::with_capacity(fields.len());
                for (name, field) in fields {
                    if let Some(value) = field.eval_ref(vars, ctx)? {
                        held.add(48 + name.len() + value.bytes())?;
                        object.insert(name.clone(), value.into_owned());
                    }
                }
                Ok(Some(Cow::Owned(Value::Object(object))))
            }
        }
    }

    /// The steps of work of parsing it beyond reading its text: its regular expressions.
    pub fn parse_steps(&self) -> u64 {
        match &self.0 {
            Node::Array(items) => items.iter().map(Expr::parse_steps).sum(),
            Node::Object(named) => named.iter().map(|(_, field)| field.parse_steps()).sum(),
            Node::OperatorCall(call) => {
                let args = call.args.iter().flatten().map(Expr::parse_steps).sum::<u64>();
                args + call.pattern.compile_steps()
            }
            _ => 0,
        }
    }

    /// Adds the fields of the document that it reads.
    pub fn fields(&self, fields: &mut Fields) {
        match &self.0 {
            Node::Literal(_) | Node::Now | Node::Remove | Node::Variable(..) => {}
            Node::Field(path) => fields.add(path.first()),
            Node::Root => fields.add_all(),
            Node::Array(items) => items.iter().for_each(|item| item.fields(fields)),
            Node::Object(named) => named.iter().for_each(|(_, field)| field.fields(fields)),
            Node::OperatorCall(call) => call.fields(fields),
        }
    }

    /// The query form of the expression; parsing it gives an equal one.
    pub fn to_value(&self) -> Value {
        match &self.0 {
            Node::Literal(value) if is_plain(value) => value.clone(),
            Node::Literal(value) => single("$literal", value.clone()),
            Node::Field(path) => Value::String(format!("${}", path.as_str())),
            Node::Root => Value::from("$$ROOT"),
            Node::Now => Value::from("$$NOW"),
            Node::Remove => Value::from("$$REMOVE"),
            Node::Variable(name, None) => Value::String(format!("$${name}")),
            Node::Variable(name, Some(path)) => {
                Value::String(format!("$${name}.{}", path.as_str()))
            }
            Node::Array(items) => Value::Array(items.iter().map(Expr::to_value).collect()),
            Node::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), field.to_value()));
                Value::Object(fields.collect())
            }
            Node::OperatorCall(call) => single(call.operator.name, call.to_value()),
        }
    }

    /// The path, if the expression is just one: `$a.b`.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.0 {
            Node::Field(path) => Some(path),
            _ => None,
        }
    }

    /// The value, if it is the same for every document.
    pub fn as_literal(&self) -> Option<&Value> {
        match &self.0 {
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }
}

/// Whether a value counts as true in MongoDB: all but false, zero, null and missing values.
pub fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(value) => !number::is_zero(value),
    }
}

fn single(name: &str, value: Value) -> Value {
    Value::Object(Object::from_iter([(name.to_owned(), value)]))
}

/// Whether a value represents itself in an expression.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.starts_with('$'),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(fields) => {
            fields.iter().all(|(name, value)| check_name(name).is_none() && is_plain(value))
        }
        _ => true,
    }
}

/// Why a name cannot be that of a field in an expression.
fn check_name(name: &str) -> Option<&'static str> {
    match name {
        _ if name.starts_with('$') => Some("has an operator beside other fields"),
        _ if name.contains('.') => Some("has a field whose name contains a dot"),
        _ if name.contains('\0') => Some("has a field whose name contains the character NUL"),
        _ => None,
    }
}

fn parse(value: &Value, at: At<'_>, scope: &Scope<'_>) -> Result<Expr> {
    let scope = &scope.inner(&[], at)?;
    Ok(Expr(match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(rest) => match rest.strip_prefix('$') {
                Some(variable) => parse_variable(variable, at, scope)?,
                None => Node::Field(Path::parse(rest, at)?),
            },
            None => Node::Literal(value.clone()),
        },
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| parse(item, at.index(index), scope));
            let items = items.collect::<Result<Vec<_>>>()?;
            match items.iter().all(|item| item.as_literal().is_some()) {
                true => Node::Literal(Value::Array(items.into_iter().map(literal).collect())),
                false => Node::Array(items),
            }
        }
        Value::Object(fields) => match fields.first() {
            Some((name, argument)) if name.starts_with('$') => {
                if fields.len() > 1 {
                    return Err(at.invalid(format!("must have {name} as its only field")));
                }
                match name.as_str() {
                    "$literal" => Node::Literal(argument.clone()),
                    _ => Node::OperatorCall(OperatorCall::parse(
                        name,
                        argument,
                        at.key(name),
                        scope,
                    )?),
                }
            }
            _ => parse_object(fields, at, scope)?,
        },
        _ => Node::Literal(value.clone()),
    }))
}

fn parse_variable(text: &str, at: At<'_>, scope: &Scope<'_>) -> Result<Node> {
    let (name, path) = match text.split_once('.') {
        Some((name, path)) => (name, Some(Path::parse(path, at)?)),
        None => (text, None),
    };
    Ok(match (name, path) {
        (name, path) if scope.contains(name) => Node::Variable(name.to_owned(), path),
        ("ROOT" | "CURRENT", Some(path)) => Node::Field(path),
        ("ROOT" | "CURRENT", None) => Node::Root,
        ("NOW", None) => Node::Now,
        // Neither has fields.
        ("REMOVE", _) | ("NOW", Some(_)) => Node::Remove,
        _ => {
            return Err(at
                .invalid(format!("uses the variable $${text}, which is not defined here"))
                .hint("known everywhere are $$ROOT, $$CURRENT, $$NOW and $$REMOVE"));
        }
    })
}

fn parse_object(fields: &Object, at: At<'_>, scope: &Scope<'_>) -> Result<Node> {
    let mut parsed = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if let Some(reason) = check_name(name) {
            return Err(at.invalid(format!("{reason}: {name:?}")));
        }
        parsed.push((name.clone(), parse(value, at.key(name), scope)?));
    }
    Ok(match parsed.iter().all(|(_, field)| field.as_literal().is_some()) {
        true => {
            let literals = parsed.into_iter().map(|(name, field)| (name, literal(field)));
            Node::Literal(Value::Object(literals.collect()))
        }
        false => Node::Object(parsed),
    })
}

/// The value of a literal expression.
fn literal(expr: Expr) -> Value {
    match expr.0 {
        Node::Literal(value) => value,
        _ => Value::Null,
    }
}

/// The value at a path: through an array, the array of the values in its objects.
fn follow<'v>(mut value: &'v Value, mut steps: &[PathStep], ctx: &Context<'_>) -> EvalResult<'v> {
    while let Some((step, rest)) = steps.split_first() {
        match value {
            Value::Object(fields) => match fields.get(&step.name) {
                Some(inner) => value = inner,
                None => return Ok(None),
            },
            Value::Array(items) => {
                ctx.work(items.len() as u64)?;
                let held = MemoryCharge::new(ctx, WHAT);
                let mut found = Vec::new();
                for item in items.iter().filter(|item| matches!(item, Value::Object(_))) {
                    if let Some(inner) = follow(item, steps, ctx)? {
                        held.add(inner.bytes())?;
                        found.push(inner.into_owned());
                    }
                }
                return Ok(Some(Cow::Owned(Value::Array(found))));
            }
            _ => return Ok(None),
        }
        steps = rest;
    }
    Ok(Some(Cow::Borrowed(value)))
}

#[cfg(test)]
#[path = "expr_tests.rs"]
mod tests;
