//! From a filter back to a query's JSON.

use super::{Filter, Pattern, Test};
use crate::value::{Object, Value};

impl Filter {
    /// The filter in MongoDB's form. [`Filter::parse`] of it returns the same filter, if it was
    /// parsed.
    pub fn to_value(&self) -> Value {
        let mut object = Object::new();
        let written = match self {
            Filter::And(filters) => filters.iter().all(|filter| filter.write(&mut object)),
            other => other.write(&mut object),
        };
        match self {
            Filter::And(filters) if !written => single("$and", list(filters, Filter::to_value)),
            _ => Value::Object(object),
        }
    }

    /// Adds the filter to others in one object; false if its name is used there already.
    fn write(&self, object: &mut Object) -> bool {
        match self {
            Filter::And(_) => false,
            // Empty lists cannot be written; these are equivalent.
            Filter::Or(filters) if filters.is_empty() => {
                put(object, "$nor", Value::Array(vec![Value::Object(Object::new())]))
            }
            Filter::Nor(filters) if filters.is_empty() => true,
            Filter::Or(filters) => put(object, "$or", list(filters, Filter::to_value)),
            Filter::Nor(filters) => put(object, "$nor", list(filters, Filter::to_value)),
            Filter::Expr(expr) => put(object, "$expr", expr.to_value()),
            Filter::Field(path, test) => match object.last_mut() {
                // Consecutive operators on one field share an object.
                Some((name, Value::Object(operators)))
                    if name == path.as_str() && begins_with_operator(operators) =>
                {
                    test.write(operators)
                }
                _ => put(object, path.as_str(), test.field_value()),
            },
        }
    }
}

impl Test {
    /// What stands beside the field's name.
    fn field_value(&self) -> Value {
        match self {
            Test::Eq(Value::Object(fields)) if begins_with_operator(fields) => {
                single("$eq", Value::Object(fields.clone()))
            }
            // Alone it would be a pattern.
            Test::Eq(value @ Value::Regex(_)) => single("$eq", value.clone()),
            Test::Eq(value) => value.clone(),
            other => operators(std::slice::from_ref(other)),
        }
    }

    /// Adds the test to others of the same field; false if its operator is used already.
    fn write(&self, object: &mut Object) -> bool {
        let (name, value) = match self {
            Test::Eq(value) => ("$eq", value.clone()),
            Test::Gt(bound) => ("$gt", bound.clone()),
            Test::Gte(bound) => ("$gte", bound.clone()),
            Test::Lt(bound) => ("$lt", bound.clone()),
            Test::Lte(bound) => ("$lte", bound.clone()),
            Test::In(..) => ("$in", self.in_value()),
            Test::Exists(wanted) => ("$exists", Value::Bool(*wanted)),
            Test::Type(types) => match types.as_slice() {
                [single] => ("$type", single.as_str().into()),
                several => ("$type", list(several, |name| name.as_str().into())),
            },
            Test::Regex(pattern) if object.contains_key("$regex") => {
                ("$regularExpression", regex_parts(pattern))
            }
            Test::Regex(pattern) => {
                put(object, "$regex", pattern.source().into());
                return pattern.options().is_empty()
                    || put(object, "$options", pattern.options().into());
            }
            Test::Mod(divisor, remainder) => {
                ("$mod", Value::Array(vec![(*divisor).into(), (*remainder).into()]))
            }
            Test::All(tests) => ("$all", list(tests, Test::all_value)),
            Test::ElemMatch(filter) => ("$elemMatch", filter.to_value()),
            Test::ElemMatchValue(tests) => ("$elemMatch", operators(tests)),
            Test::Size(size) => ("$size", i64::try_from(*size).unwrap_or(i64::MAX).into()),
            Test::Not(tests) => match tests.as_slice() {
                [Test::Eq(value)]
                    if !object.contains_key("$ne") && !matches!(value, Value::Regex(_)) =>
                {
                    ("$ne", value.clone())
                }
                [test @ Test::In(..)] if !object.contains_key("$nin") => ("$nin", test.in_value()),
                several => ("$not", operators(several)),
            },
        };
        put(object, name, value)
    }

    /// The list of an `$in`; empty for other tests.
    fn in_value(&self) -> Value {
        let Test::In(values, patterns) = self else {
            return Value::Array(Vec::new());
        };
        let patterns = patterns.iter().map(Pattern::to_value);
        Value::Array(values.iter().cloned().chain(patterns).collect())
    }

    /// The list of an `$all`.
    fn all_value(&self) -> Value {
        match self {
            Test::Eq(value) => value.clone(),
            Test::Regex(pattern) => pattern.to_value(),
            other => operators(std::slice::from_ref(other)),
        }
    }
}

fn operators(tests: &[Test]) -> Value {
    let mut object = Object::new();
    for test in tests {
        test.write(&mut object);
    }
    Value::Object(object)
}

fn regex_parts(pattern: &Pattern) -> Value {
    let parts = [("pattern", pattern.source()), ("options", pattern.options())];
    Value::Object(parts.map(|(name, text)| (name.to_owned(), Value::from(text))).into())
}

fn begins_with_operator(fields: &Object) -> bool {
    fields.first().is_some_and(|(name, _)| name.starts_with('$'))
}

fn list<T>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
    Value::Array(items.iter().map(write).collect())
}

fn single(name: &str, value: Value) -> Value {
    Value::Object([(name.to_owned(), value)].into())
}

/// Adds a name; false if it is used already.
fn put(object: &mut Object, name: &str, value: Value) -> bool {
    let free = !object.contains_key(name);
    if free {
        object.insert(name.to_owned(), value);
    }
    free
}
