//! From a query's JSON to a filter.

use super::{Filter, Pattern, Test, TypeName};
use crate::error::{Error, Result};
use crate::query::context::At;
use crate::query::expr::{Expr, truthy};
use crate::query::path::Path;
use crate::value::number::truncated;
use crate::value::{Object, Regex, Value};
use std::cell::Cell;

/// Maximum nesting of filters and operators.
const DEPTH_MAX: usize = 100;
/// Most regular expressions of one filter; each may take some megabytes.
const PATTERNS_MAX: usize = 100;
/// Operators in the position of a field's name.
const CLAUSES: &str = "$and, $or, $nor, $expr, $comment";
/// Operators on a field.
const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists, $type, $regex, \
                         $options, $mod, $all, $elemMatch, $size, $not";

impl Filter {
    /// Parses MongoDB's form: `{"age": {"$gte": 18}, "$or": [{"a": 1}, {"b": 2}]}`.
    ///
    /// # Errors
    /// `invalid_query` at the location of the wrong part, below `at`.
    pub fn parse(value: &Value, at: At<'_>) -> Result<Filter> {
        filter(value, at, Nesting::new(&Cell::new(0)))
    }
}

/// The `$elemMatch` operator: [`Test::ElemMatch`] or [`Test::ElemMatchValue`].
pub(in crate::query) fn elem_match(value: &Value, at: At<'_>) -> Result<Test> {
    item_test(value, at, Nesting::new(&Cell::new(0)))
}

/// The position of a part during parsing.
#[derive(Clone, Copy)]
struct Nesting<'n> {
    depth: usize,
    /// Patterns so far, of the filter as a whole.
    patterns: &'n Cell<usize>,
    /// Inside an `$elemMatch`, where the document as a whole is not accessible.
    in_item: bool,
}

impl<'n> Nesting<'n> {
    fn new(patterns: &'n Cell<usize>) -> Nesting<'n> {
        Nesting { depth: 0, patterns, in_item: false }
    }

    fn pattern(self, source: &str, options: &str, at: At<'_>) -> Result<Pattern> {
        match self.patterns.replace(self.patterns.get() + 1) {
            PATTERNS_MAX.. => Err(at
                .invalid(format!("is one regular expression too many; a filter has {PATTERNS_MAX}"))
                .hint("join some with |, as in ^a|^b")),
            _ => Pattern::new(source, options, at),
        }
    }

    fn compiled(self, regex: &Regex, at: At<'_>) -> Result<Pattern> {
        self.pattern(&regex.pattern, &regex.options, at.key("$regularExpression"))
    }

    fn deeper(self, at: At<'_>) -> Result<Nesting<'n>> {
        match self.depth {
            DEPTH_MAX => Err(at.invalid(format!("is nested more than {DEPTH_MAX} levels deep"))),
            depth => Ok(Nesting { depth: depth + 1, ..self }),
        }
    }
}

fn filter(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Filter> {
    let nest = nest.deeper(at)?;
    let Value::Object(fields) = value else {
        return Err(at.invalid("must be an object, such as {\"age\": {\"$gte\": 18}}"));
    };
    let mut all = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let inner = at.key(name);
        match name.as_str() {
            "$comment" => {}
            "$and" => all.push(Filter::all(filters(value, inner, nest)?)),
            "$or" => all.push(Filter::any(filters(value, inner, nest)?)),
            "$nor" => all.push(Filter::Nor(filters(value, inner, nest)?)),
            "$expr" if nest.in_item => {
                return Err(inner.invalid("cannot stand in $elemMatch; put it beside the field"));
            }
            "$expr" => all.push(Filter::Expr(Expr::parse(value, inner)?)),
            _ if name.starts_with('$') => return Err(unknown(at, name, CLAUSES)),
            _ => {
                let path = Path::parse_filter(name, at)?;
                let tests = field_tests(value, inner, nest)?.into_iter();
                all.extend(tests.map(|test| Filter::Field(path.clone(), test)));
            }
        }
    }
    Ok(Filter::all(all))
}

fn filters(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Vec<Filter>> {
    match value.as_array() {
        Some(items) if !items.is_empty() => items
            .iter()
            .enumerate()
            .map(|(index, item)| filter(item, at.index(index), nest))
            .collect(),
        _ => Err(at.invalid("must be an array of at least one filter")),
    }
}

/// The value beside a field's name: operators, or what the field must equal.
fn field_tests(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Vec<Test>> {
    match (operator_of(value), value) {
        (Some(_), _) => operators(value, at, nest),
        (None, Value::Regex(regex)) => Ok(vec![Test::Regex(nest.compiled(regex, at)?)]),
        (None, _) => Ok(vec![Test::Eq(value.clone())]),
    }
}

/// The first operator of an object of operators. MongoDB's references to documents begin with a
/// dollar sign, too, and are values.
fn operator_of(value: &Value) -> Option<&str> {
    let fields = value.as_object()?;
    let (name, _) = fields.first()?;
    let reference = name == "$ref" && fields.contains_key("$id");
    (name.starts_with('$') && !reference).then_some(name)
}

fn operators(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Vec<Test>> {
    let nest = nest.deeper(at)?;
    if let Value::Regex(regex) = value {
        return Ok(vec![Test::Regex(nest.compiled(regex, at)?)]);
    }
    let fields = value.as_object().filter(|fields| !fields.is_empty());
    let Some(fields) = fields else {
        return Err(at.invalid("must be an object of operators, such as {\"$gt\": 5}"));
    };
    let mut tests = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let inner = at.key(name);
        tests.push(match name.as_str() {
            "$eq" if matches!(value, Value::Regex(_)) => Test::Eq(value.clone()),
            "$eq" => Test::Eq(literal(value, inner)?),
            "$ne" => Test::Not(vec![Test::Eq(literal(value, inner)?)]),
            "$gt" => Test::Gt(literal(value, inner)?),
            "$gte" => Test::Gte(literal(value, inner)?),
            "$lt" => Test::Lt(literal(value, inner)?),
            "$lte" => Test::Lte(literal(value, inner)?),
            "$in" => one_of(value, inner, nest)?,
            "$nin" => Test::Not(vec![one_of(value, inner, nest)?]),
            "$exists" => Test::Exists(truthy(Some(value))),
            "$type" => types(value, inner)?,
            "$regex" => Test::Regex(regex(fields, at, nest)?),
            "$options" if fields.contains_key("$regex") => continue,
            "$options" => return Err(inner.invalid("must stand beside $regex")),
            "$regularExpression" => Test::Regex(regular_expression(value, inner, nest)?),
            "$mod" => modulo(value, inner)?,
            "$all" => {
                let items = items(value, inner)?.iter().enumerate();
                let tests = items.map(|(index, item)| all_of(item, inner.index(index), nest));
                Test::All(tests.collect::<Result<_>>()?)
            }
            "$elemMatch" => item_test(value, inner, nest)?,
            "$size" => size(value, inner)?,
            "$not" => Test::Not(operators(value, inner, nest)?),
            _ => return Err(unknown(at, name, OPERATORS)),
        });
    }
    Ok(tests)
}

fn unknown(at: At<'_>, name: &str, known: &str) -> Error {
    let message = match name.starts_with('$') {
        true => format!("has the unknown operator {name}"),
        false => format!("has the name {name:?} among operators"),
    };
    at.invalid(message).hint(format!("operators here are {known}"))
}

fn items<'v>(value: &'v Value, at: At<'_>) -> Result<&'v [Value]> {
    value.as_array().ok_or_else(|| at.invalid("must be an array"))
}

/// A value to compare with.
fn literal(value: &Value, at: At<'_>) -> Result<Value> {
    let is_regex = matches!(value, Value::Regex(_)) || operator_of(value) == Some("$regex");
    match is_regex {
        true => Err(at
            .invalid("cannot hold a regular expression")
            .hint("use $regex, or $not: {$regex}")),
        false => Ok(value.clone()),
    }
}

fn one_of(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Test> {
    let (mut values, mut patterns) = (Vec::new(), Vec::new());
    for (index, item) in items(value, at)?.iter().enumerate() {
        match pattern(item, at.index(index), nest)? {
            Some(pattern) => patterns.push(pattern),
            None => values.push(item.clone()),
        }
    }
    Ok(Test::In(values.into(), patterns))
}

fn all_of(item: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Test> {
    if let (Some("$elemMatch"), Some(fields)) = (operator_of(item), item.as_object())
        && let (1, Some(inner)) = (fields.len(), fields.get("$elemMatch"))
    {
        return item_test(inner, at.key("$elemMatch"), nest);
    }
    Ok(match pattern(item, at, nest)? {
        Some(pattern) => Test::Regex(pattern),
        None => Test::Eq(item.clone()),
    })
}

/// The pattern if an item of a list is one; `None` for a plain value.
fn pattern(item: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Option<Pattern>> {
    if let Value::Regex(regex) = item {
        return nest.compiled(regex, at).map(Some);
    }
    let (Some(name), Some(fields)) = (operator_of(item), item.as_object()) else {
        return Ok(None);
    };
    match name {
        "$regex" | "$options" if fields.keys().all(|key| key == "$regex" || key == "$options") => {
            regex(fields, at, nest).map(Some)
        }
        _ => Err(at.invalid(format!("cannot hold operators such as {name}"))),
    }
}

/// `{"$regex": "^a", "$options": "i"}`, as a text or in the form of Extended JSON.
fn regex(fields: &Object, at: At<'_>, nest: Nesting<'_>) -> Result<Pattern> {
    let (at_regex, at_options) = (at.key("$regex"), at.key("$options"));
    let options = match fields.get("$options") {
        Some(Value::String(options)) => Some(options.as_str()),
        Some(_) => return Err(at_options.invalid("must be a text of the letters i, m, s and x")),
        None => None,
    };
    match (fields.get("$regex"), options) {
        (Some(Value::String(source)), _) => {
            nest.pattern(source, options.unwrap_or_default(), at_regex)
        }
        (Some(Value::Regex(regex)), options) => match options {
            None => nest.compiled(regex, at_regex),
            Some(options) if regex.options.is_empty() => {
                nest.pattern(&regex.pattern, options, at_regex)
            }
            Some(_) => Err(at_options.invalid("must not repeat the options of $regex")),
        },
        (Some(_), _) => Err(at_regex.invalid("must be a text, or a $regularExpression")),
        (None, _) => Err(at_options.invalid("must stand beside $regex")),
    }
}

/// The inside of `{"$regularExpression": {"pattern": "^a", "options": "i"}}`.
fn regular_expression(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Pattern> {
    let text = |name| value.as_object().and_then(|fields| fields.get(name)).and_then(Value::as_str);
    match (text("pattern"), text("options")) {
        (Some(source), Some(options)) => nest.pattern(source, options, at),
        _ => Err(at.invalid("must be {\"pattern\": …, \"options\": …}, both texts")),
    }
}

fn types(value: &Value, at: At<'_>) -> Result<Test> {
    Ok(Test::Type(match value {
        Value::Array(items) if items.is_empty() => {
            return Err(at.invalid("must name a type at least"));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| TypeName::parse(item, at.index(index)))
                .collect::<Result<_>>()?
        }
        single => vec![TypeName::parse(single, at)?],
    }))
}

fn modulo(value: &Value, at: At<'_>) -> Result<Test> {
    match items(value, at)? {
        [divisor, remainder] => match (truncated(divisor), truncated(remainder)) {
            (Some(0), _) => Err(at.index(0).invalid("must not be 0")),
            (Some(divisor), Some(remainder)) => Ok(Test::Mod(divisor, remainder)),
            (None, _) => Err(at.index(0).invalid("must be a whole number")),
            (_, None) => Err(at.index(1).invalid("must be a whole number")),
        },
        _ => Err(at.invalid("must be [divisor, remainder]")),
    }
}

fn size(value: &Value, at: At<'_>) -> Result<Test> {
    let size = value.as_int().filter(|size| (0..=i64::from(i32::MAX)).contains(size));
    match size.map(u64::try_from) {
        Some(Ok(size)) => Ok(Test::Size(size)),
        _ => Err(at.invalid("must be a whole number from 0 to 2147483647")),
    }
}

fn item_test(value: &Value, at: At<'_>, nest: Nesting<'_>) -> Result<Test> {
    if value.as_object().is_none() {
        return Err(at.invalid("must be an object of fields, or of operators"));
    }
    let nest = Nesting { in_item: true, ..nest };
    match operator_of(value) {
        None => Ok(Test::ElemMatch(Box::new(filter(value, at, nest)?))),
        Some("$and" | "$or" | "$nor" | "$expr" | "$comment") => {
            Ok(Test::ElemMatch(Box::new(filter(value, at, nest)?)))
        }
        Some(_) => Ok(Test::ElemMatchValue(operators(value, at, nest)?)),
    }
}
