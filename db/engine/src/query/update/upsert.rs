//! The initial document of an upsert.

use super::place::{self, Failure, Key};
use crate::error::Result;
use crate::query::context::At;
use crate::query::filter::{Filter, Test};
use crate::query::path::Path;
use crate::value::{Object, Value};

/// The document that an upsert begins with if nothing matches its filter: the fields that the
/// filter compares for equality with one value, in the order of the filter. `$and`, and `$or`,
/// `$in` and `$all` with a single member, count too.
///
/// # Errors
/// `invalid_query` if overlapping paths, such as `a` and `a.b`, have to be equal to something:
/// there is no one document that the filter describes.
pub fn upsert_base(filter: &Filter, at: At<'_>) -> Result<Value> {
    let mut fields = Vec::new();
    equalities(filter, &mut fields);
    let mut paths: Vec<Vec<&str>> =
        fields.iter().map(|(path, _)| path.as_str().split('.').collect()).collect();
    paths.sort();
    if let Some((a, b)) = paths.iter().zip(paths.iter().skip(1)).find(|(a, b)| b.starts_with(a)) {
        let message = format!("wants {:?} and {:?} equal to something", a.join("."), b.join("."));
        return Err(at.invalid(message).hint("an upsert makes one document: name each part once"));
    }
    let mut base = Value::Object(Object::new());
    for (path, value) in fields {
        let place: Vec<_> = path.steps().iter().map(Key::Name).collect();
        let made = place::ensure(&mut base, &place, None).map_err(|failure| match failure {
            Failure::Document(reason) => at.invalid(reason),
            Failure::Other(error) => error,
        })?;
        *made.0 = value.clone();
    }
    Ok(base)
}

fn equalities<'f>(filter: &'f Filter, found: &mut Vec<(&'f Path, &'f Value)>) {
    match filter {
        Filter::And(filters) => filters.iter().for_each(|filter| equalities(filter, found)),
        Filter::Field(path, test) => found.extend(equal_to(test).map(|value| (path, value))),
        // An $or with a single member was parsed to that member.
        _ => {}
    }
}

/// The one value that passes the test.
fn equal_to(test: &Test) -> Option<&Value> {
    match test {
        Test::Eq(value) => Some(value),
        Test::In(values, patterns) if patterns.is_empty() => match &values[..] {
            [single] => Some(single),
            _ => None,
        },
        Test::All(tests) => match &tests[..] {
            [single] => equal_to(single),
            _ => None,
        },
        _ => None,
    }
}
