//! Reads the parts of a stage, with errors at their location.

use super::super::context::At;
use super::super::expr::Expr;
use crate::error::Result;
use crate::value::{Object, Value};

/// The fields of an object that may have only these fields.
pub(super) fn object<'v>(value: &'v Value, allowed: &[&str], at: At<'_>) -> Result<&'v Object> {
    let list = || allowed.join(", ");
    let Value::Object(fields) = value else {
        return Err(at.invalid(format!("must be an object with {}", list())));
    };
    match fields.keys().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => Err(at
            .invalid(format!("has the unknown option {name:?}"))
            .hint(format!("known are {}", list()))),
        None => Ok(fields),
    }
}

/// A required field.
pub(super) fn required<'v>(fields: &'v Object, name: &str, at: At<'_>) -> Result<&'v Value> {
    fields.get(name).ok_or_else(|| at.invalid(format!("must have {name:?}")))
}

/// A text that is not empty.
pub(super) fn text<'v>(value: &'v Value, at: At<'_>) -> Result<&'v str> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.ok_or_else(|| at.invalid("must be a text that is not empty"))
}

/// One of a list of texts.
pub(super) fn choice<T: Copy>(value: &Value, choices: &[(&str, T)], at: At<'_>) -> Result<T> {
    let found = choices.iter().find(|(name, _)| value.as_str() == Some(name));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        at.invalid(format!("must be one of {}", names.join(", ")))
    })
}

/// A truth value; false by default.
pub(super) fn flag(fields: &Object, name: &str, at: At<'_>) -> Result<bool> {
    match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(_) => Err(at.key(name).invalid("must be true or false")),
    }
}

/// A whole number of at least `min`.
pub(super) fn whole(value: &Value, min: u64, at: At<'_>) -> Result<u64> {
    let number = value.as_int().and_then(|number| u64::try_from(number).ok());
    let number = number.filter(|number| *number >= min);
    number.ok_or_else(|| at.invalid(format!("must be a whole number of at least {min}")))
}

/// The name of one outermost field.
pub(super) fn field_name(name: &str, at: At<'_>) -> Result<()> {
    if name.is_empty() || name.starts_with('$') || name.contains('.') {
        let message =
            format!("has {name:?} where the name of a field without '.' or a leading '$' belongs");
        return Err(at.invalid(message));
    }
    Ok(())
}

/// An expression that is not constant: a path or an operator.
pub(super) fn computed(value: &Value, at: At<'_>) -> Result<Expr> {
    let computed = match value {
        Value::String(text) => text.starts_with('$'),
        Value::Object(fields) => fields.first().is_some_and(|(name, _)| name.starts_with('$')),
        _ => false,
    };
    match computed {
        true => Expr::parse(value, at),
        false => Err(at.invalid("must be an expression, such as \"$field\"")),
    }
}

/// The path in a text such as `$a.b`, without its `$`.
pub(super) fn field_path<'v>(value: &'v Value, at: At<'_>) -> Result<&'v str> {
    let path = value.as_str().and_then(|text| text.strip_prefix('$'));
    path.ok_or_else(|| at.invalid("must be a field with a leading '$', such as \"$items\""))
}
