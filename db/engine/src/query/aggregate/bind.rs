//! Substitutes the values of `$lookup`'s `let` into its pipeline.
//!
//! The bound pipeline is an ordinary one: its filters, projections and expressions need no outer
//! variables, and `$match` with a bound value can use an index.

use crate::value::{Object, Value};

/// Variables and their values; `None` is a missing value.
pub(super) type Bindings<'a> = Vec<(&'a str, Option<&'a Value>)>;

/// A pipeline with values in place of the variables.
pub(super) fn pipeline(stages: &Value, bindings: &Bindings<'_>) -> Value {
    let Value::Array(stages) = stages else {
        return stages.clone();
    };
    let stages = stages.iter().map(|stage| {
        each(stage, |name, spec| match (name, spec) {
            ("$match", filter) => self::filter(filter, bindings),
            ("$lookup", Value::Object(lookup)) => {
                let hidden = lookup.get("let").and_then(Value::as_object);
                let inner = without(bindings, |name| {
                    hidden.is_some_and(|hidden| hidden.contains_key(name))
                });
                each(spec, |name, part| match name {
                    "let" => each(part, |_, value| expression(value, bindings)),
                    "pipeline" => pipeline(part, &inner),
                    _ => part.clone(),
                })
            }
            ("$unionWith", _) => each(spec, |name, part| match name {
                "pipeline" => pipeline(part, bindings),
                _ => part.clone(),
            }),
            ("$facet", _) => each(spec, |_, inner| pipeline(inner, bindings)),
            _ => expression(spec, bindings),
        })
    });
    Value::Array(stages.collect())
}

/// Maximum number of copies of a variable's value in a pipeline.
pub(super) fn uses(stages: &Value, name: &str) -> usize {
    match stages {
        Value::String(text) => {
            let rest = text.strip_prefix("$$").and_then(|text| text.strip_prefix(name));
            usize::from(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        }
        Value::Array(items) => items.iter().map(|item| uses(item, name)).sum(),
        Value::Object(fields) => fields.values().map(|field| uses(field, name)).sum(),
        _ => 0,
    }
}

/// Texts in a filter are values; only `$expr` has expressions.
fn filter(filter: &Value, bindings: &Bindings<'_>) -> Value {
    each(filter, |name, value| match (name, value) {
        ("$expr", _) => expression(value, bindings),
        ("$and" | "$or" | "$nor", Value::Array(filters)) => {
            Value::Array(filters.iter().map(|inner| self::filter(inner, bindings)).collect())
        }
        _ => value.clone(),
    })
}

fn expression(value: &Value, bindings: &Bindings<'_>) -> Value {
    match value {
        Value::String(text) => variable(text, bindings).unwrap_or_else(|| value.clone()),
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| expression(item, bindings)).collect())
        }
        Value::Object(_) => each(value, |name, operand| match name {
            "$literal" => operand.clone(),
            "$let" => {
                let hidden = operand.as_object().and_then(|let_| let_.get("vars")?.as_object());
                let inner =
                    without(bindings, |name| hidden.is_some_and(|vars| vars.contains_key(name)));
                each(operand, |name, part| match name {
                    // The names are not operators, whatever they are.
                    "vars" => each(part, |_, value| expression(value, bindings)),
                    _ => expression(part, &inner),
                })
            }
            "$map" | "$filter" | "$reduce" => {
                let named = operand.as_object().and_then(|fields| fields.get("as")?.as_str());
                let own = if name == "$reduce" {
                    ["this", "value"]
                } else {
                    [named.unwrap_or("this"); 2]
                };
                let inner = without(bindings, |name| own.contains(&name));
                each(operand, |name, part| match name {
                    "in" | "cond" => expression(part, &inner),
                    "as" => part.clone(),
                    _ => expression(part, bindings),
                })
            }
            _ => expression(operand, bindings),
        }),
        _ => value.clone(),
    }
}

/// The replacement of `$$name` or `$$name.path`.
fn variable(text: &str, bindings: &Bindings<'_>) -> Option<Value> {
    let (name, path) = match text.strip_prefix("$$")?.split_once('.') {
        Some((name, path)) => (name, Some(path)),
        None => (text.strip_prefix("$$")?, None),
    };
    let (_, value) = bindings.iter().find(|(bound, _)| *bound == name)?;
    let value = match value {
        Some(value) => single("$literal", (*value).clone()),
        None => Value::from("$$REMOVE"),
    };
    Some(match path {
        None => value,
        Some(_) => {
            let inner = [("vars", single(name, value)), ("in", Value::from(text))];
            single("$let", Value::Object(inner.map(|(key, part)| (key.to_owned(), part)).into()))
        }
    })
}

fn without<'a>(bindings: &Bindings<'a>, hidden: impl Fn(&str) -> bool) -> Bindings<'a> {
    bindings.iter().filter(|(name, _)| !hidden(name)).cloned().collect()
}

fn single(name: &str, value: Value) -> Value {
    Value::Object(Object::from_iter([(name.to_owned(), value)]))
}

/// The same object with other values; other values stay.
fn each(value: &Value, change: impl Fn(&str, &Value) -> Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), change(name, value))).collect(),
        ),
        other => other.clone(),
    }
}
