//! `WHERE` of JQL: an expression becomes a filter of MongoDB, with MongoDB's meaning: `!=` is true
//! if the field is missing.

use super::lexer::{Lexer, is_word};
use super::{literal, one};
use crate::error::Result;
use crate::value::{Object, Value};

/// Words that end a value without quotes and cannot be the name of a field without quotes.
const RESERVED: [&str; 21] = [
    "AND", "OR", "NOT", "WHERE", "DONDE", "ORDER", "BY", "LIMIT", "OFFSET", "SKIP", "IN",
    "BETWEEN", "LIKE", "ILIKE", "IS", "CONTAINS", "JOIN", "ON", "NULL", "TRUE", "FALSE",
];
/// Comparisons, the longer ones first, and MongoDB's operator.
const COMPARISONS: [(&str, &str); 8] = [
    ("==", "$eq"),
    ("=", "$eq"),
    ("!=", "$ne"),
    ("<>", "$ne"),
    ("<=", "$lte"),
    (">=", "$gte"),
    ("<", "$lt"),
    (">", "$gt"),
];

/// Whether a word needs quotes to be the name of a field or a value.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

/// Reads an expression, after `WHERE`.
pub(super) fn expression(scan: &mut Lexer<'_>) -> Result<Value> {
    disjunction(scan, 0)
}

fn disjunction(scan: &mut Lexer<'_>, depth: usize) -> Result<Value> {
    let mut terms = vec![conjunction(scan, depth)?];
    while scan.keywords("OR") {
        terms.push(conjunction(scan, depth)?);
    }
    Ok(or(terms))
}

fn conjunction(scan: &mut Lexer<'_>, depth: usize) -> Result<Value> {
    let mut terms = vec![term(scan, depth)?];
    while scan.keywords("AND") {
        terms.push(term(scan, depth)?);
    }
    Ok(and(terms))
}

fn term(scan: &mut Lexer<'_>, depth: usize) -> Result<Value> {
    scan.check_depth(depth)?;
    if scan.keywords("NOT") {
        return Ok(one("$nor", Value::Array(vec![term(scan, depth + 1)?])));
    }
    if scan.eat("(") {
        let inner = disjunction(scan, depth + 1)?;
        scan.expect(")")?;
        return Ok(inner);
    }
    predicate(scan)
}

fn predicate(scan: &mut Lexer<'_>) -> Result<Value> {
    let field = field(scan, "a field")?;
    for (symbol, operator) in COMPARISONS {
        if scan.eat(symbol) {
            let value = value(scan, &format!("a value after {symbol:?}"))?;
            return Ok(one(field, comparison(operator, value)));
        }
    }
    if scan.keywords("IS") {
        let negated = scan.keywords("NOT");
        scan.expect_keywords("NULL")?;
        return Ok(one(field, comparison(if negated { "$ne" } else { "$eq" }, Value::Null)));
    }
    let negated = scan.keywords("NOT");
    let condition = if scan.keywords("IN") {
        let items = values(scan)?;
        return Ok(one(field, one(if negated { "$nin" } else { "$in" }, items)));
    } else if scan.keywords("BETWEEN") {
        let low = value(scan, "a value after BETWEEN")?;
        scan.expect_keywords("AND")?;
        let high = value(scan, "a value after AND")?;
        Value::Object(Object::from([("$gte".to_owned(), low), ("$lte".to_owned(), high)]))
    } else if scan.keywords("LIKE") {
        like(&pattern(scan)?, Some('\\'), false)
    } else if scan.keywords("ILIKE") {
        like(&pattern(scan)?, Some('\\'), true)
    } else if negated {
        return Err(scan.expected(&["IN", "BETWEEN", "LIKE", "ILIKE"]));
    } else if scan.keywords("CONTAINS") {
        match value(scan, "a value after CONTAINS")? {
            Value::String(text) => one("$regex", regex::escape(&text)),
            item => one("$elemMatch", one("$eq", item)),
        }
    } else {
        return Err(scan.expected(&[
            "=", "!=", "<", "<=", ">", ">=", "IN", "BETWEEN", "LIKE", "IS NULL", "CONTAINS",
        ]));
    };
    Ok(one(field, if negated { one("$not", condition) } else { condition }))
}

/// The condition of a field for a comparison with a value.
fn comparison(operator: &str, value: Value) -> Value {
    match (operator, &value) {
        // An object alone could be taken for operators.
        ("$eq", Value::Object(_)) => one("$eq", value),
        ("$eq", _) => value,
        _ => one(operator, value),
    }
}

fn values(scan: &mut Lexer<'_>) -> Result<Value> {
    scan.expect("(")?;
    let mut items = Vec::new();
    loop {
        items.push(value(scan, "a value")?);
        if !scan.eat(",") {
            break;
        }
    }
    if !scan.eat(")") {
        return Err(scan.expected(&["\",\"", "\")\""]));
    }
    Ok(Value::Array(items))
}

fn pattern(scan: &mut Lexer<'_>) -> Result<String> {
    scan.skip();
    let start = *scan;
    match value(scan, "a pattern")? {
        Value::String(text) => Ok(text),
        _ => Err(start.expected(&["a pattern in quotes"])),
    }
}

/// Reads a text in quotes if one comes next. A quote inside it may be doubled, as in SQL.
pub(super) fn quoted(scan: &mut Lexer<'_>) -> Result<Option<String>> {
    scan.skip();
    let Some(quote @ ('"' | '\'')) = scan.peek() else { return Ok(None) };
    let mut text = literal::string(scan)?;
    while scan.peek() == Some(quote) {
        text.push(quote);
        text.push_str(&literal::string(scan)?);
    }
    Ok(Some(text))
}

/// Reads the path of a field, which may be in quotes; `what` is named in the error if there is
/// none.
pub(super) fn field(scan: &mut Lexer<'_>, what: &str) -> Result<String> {
    if let Some(quoted) = quoted(scan)? {
        return Ok(quoted);
    }
    if let Some(quoted) = backticks(scan) {
        return Ok(quoted.to_owned());
    }
    let start = *scan;
    match scan.word().filter(|word| !is_reserved(word)) {
        None => Err(start.expected(&[what])),
        Some(_) => {
            loop {
                let mut ahead = *scan;
                if ahead.bump() != Some('.') || ahead.take_while(is_word).is_empty() {
                    break;
                }
                *scan = ahead;
            }
            let length = scan.at() - start.at();
            Ok(start.rest()[..length].to_owned())
        }
    }
}

/// Reads a name in backticks.
pub(super) fn backticks<'t>(scan: &mut Lexer<'t>) -> Option<&'t str> {
    let mut ahead = *scan;
    ahead.eat("`").then_some(())?;
    let name = ahead.take_while(|next| next != '`' && next != '\n');
    ahead.bump().filter(|next| *next == '`')?;
    *scan = ahead;
    Some(name).filter(|name| !name.is_empty())
}

/// Reads a value: a number, a text in quotes, an object, an array, `true`, `false`, `null`, a call
/// such as `ISODate("…")`, or one word, which is a text.
pub(super) fn value(scan: &mut Lexer<'_>, what: &str) -> Result<Value> {
    if let Some(quoted) = quoted(scan)? {
        return Ok(quoted.into());
    }
    let mut ahead = *scan;
    let Some(word) = ahead.word() else {
        return literal::value(scan, what, 1);
    };
    let constant =
        [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
            .into_iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name));
    if let Some((_, value)) = constant {
        *scan = ahead;
        return Ok(value);
    }
    if is_reserved(word) {
        return Err(scan.expected(&[what]));
    }
    if word == "new" || ahead.rest().starts_with('(') {
        return literal::value(scan, what, 1);
    }
    let text = scan.take_while(|next| is_word(next) || matches!(next, '.' | '-' | '@'));
    Ok(text.into())
}

/// The conjunction of filters; one object if no two of them have the same condition on a field.
pub(super) fn and(terms: Vec<Value>) -> Value {
    let mut terms = flatten(terms, "$and");
    if terms.len() == 1 {
        return terms.pop().unwrap_or_default();
    }
    match merge(&terms) {
        Some(merged) => Value::Object(merged),
        None => one("$and", Value::Array(terms)),
    }
}

/// The disjunction of filters.
pub(super) fn or(terms: Vec<Value>) -> Value {
    let mut terms = flatten(terms, "$or");
    match terms.len() {
        1 => terms.pop().unwrap_or_default(),
        _ => one("$or", Value::Array(terms)),
    }
}

/// Flattens nested `$and` or `$or`.
fn flatten(terms: Vec<Value>, operator: &str) -> Vec<Value> {
    let mut flat = Vec::with_capacity(terms.len());
    for term in terms {
        match term {
            Value::Object(mut fields) if fields.len() == 1 && fields.contains_key(operator) => {
                match fields.shift_remove(operator) {
                    Some(Value::Array(items)) => flat.extend(items),
                    other => flat.extend(other.map(|other| one(operator, other))),
                }
            }
            other => flat.push(other),
        }
    }
    flat
}

fn merge(terms: &[Value]) -> Option<Object> {
    let mut merged = Object::new();
    for (name, condition) in terms.iter().filter_map(Value::as_object).flatten() {
        match (merged.get_mut(name), operators(condition)) {
            (None, _) => {
                merged.insert(name.clone(), condition.clone());
            }
            // `$or` and the like stay separate, only conditions on one field can be joined.
            (Some(known), Some(new)) if !name.starts_with('$') && operators(known).is_some() => {
                let Value::Object(known) = known else { return None };
                if new.keys().any(|key| known.contains_key(key)) {
                    return None;
                }
                known.extend(new.clone());
            }
            _ => return None,
        }
    }
    Some(merged)
}

/// The operators of a condition such as `{"$gt": 1}`; `None` if it is a value.
pub(super) fn operators(condition: &Value) -> Option<&Object> {
    condition
        .as_object()
        .filter(|fields| fields.first().is_some_and(|(key, _)| key.starts_with('$')))
}

/// A part of the pattern of `LIKE`.
#[derive(PartialEq)]
enum Like {
    Any,
    One,
    Literal(char),
}

/// The condition for `LIKE`: a regular expression with the same meaning, anchored where the pattern
/// does not begin or end with `%`.
pub(super) fn like(pattern: &str, escape: Option<char>, insensitive: bool) -> Value {
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(next) = characters.next() {
        parts.push(match next {
            _ if Some(next) == escape => Like::Literal(characters.next().unwrap_or(next)),
            '%' => Like::Any,
            '_' => Like::One,
            other => Like::Literal(other),
        });
    }
    parts.dedup_by(|a, b| *a == Like::Any && *b == Like::Any);
    let open = |part: Option<&Like>| part == Some(&Like::Any);
    let (open_start, open_end) = (open(parts.first()), open(parts.last()));
    let end = parts.len() - usize::from(open_end);
    let inside = parts.get(usize::from(open_start)..end).unwrap_or_default();
    let mut regex = String::from(if open_start { "" } else { "^" });
    for part in inside {
        match part {
            Like::Any => regex.push_str(".*"),
            Like::One => regex.push('.'),
            Like::Literal(literal) => {
                regex.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])))
            }
        }
    }
    if !open_end {
        regex.push('$');
    }
    let dots = inside.iter().any(|part| !matches!(part, Like::Literal(_)));
    let options = [(insensitive, 'i'), (dots, 's')];
    let options: String = options.iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
    let mut condition = Object::from([("$regex".to_owned(), regex.into())]);
    if !options.is_empty() {
        condition.insert("$options".to_owned(), options.into());
    }
    Value::Object(condition)
}

/// The pattern of `LIKE` or, with true, `ILIKE` that a regular expression came from.
pub(super) fn unlike(regex: &str, options: &str) -> Option<(String, bool)> {
    let body = regex.strip_prefix('^');
    let mut pattern = String::from(if body.is_some() { "" } else { "%" });
    let mut characters = body.unwrap_or(regex).chars().peekable();
    let mut end = "%";
    while let Some(next) = characters.next() {
        match next {
            '.' if characters.next_if_eq(&'*').is_some() => pattern.push('%'),
            '.' => pattern.push('_'),
            '$' => end = "",
            _ => {
                let literal = if next == '\\' { characters.next()? } else { next };
                if matches!(literal, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(literal);
            }
        }
    }
    pattern.push_str(end);
    let insensitive = options.contains('i');
    // Only a pattern that translates back is printed as `LIKE`: other regular expressions mean
    // more.
    let Value::Object(again) = like(&pattern, Some('\\'), insensitive) else { return None };
    let text = |name: &str| again.get(name).and_then(Value::as_str).unwrap_or_default();
    (text("$regex") == regex && text("$options") == options).then_some((pattern, insensitive))
}

/// The stages of a join: each document once for every document of `from` whose `foreign` field
/// equals its `local` one, with that document in the field `name`. `$lookup` alone would take null
/// and missing fields as equal.
pub(super) fn join(from: &str, local: &str, foreign: &str, name: &str, outer: bool) -> [Value; 2] {
    let not_null = one("$match", one(foreign, one("$ne", Value::Null)));
    let lookup = [
        ("from", from.into()),
        ("localField", local.into()),
        ("foreignField", foreign.into()),
        ("pipeline", Value::Array(vec![not_null])),
        ("as", name.into()),
    ];
    let lookup = lookup.map(|(key, value)| (key.to_owned(), value));
    let path = Value::String(format!("${name}"));
    let unwind = match outer {
        false => path,
        true => Value::Object(Object::from([
            ("path".to_owned(), path),
            ("preserveNullAndEmptyArrays".to_owned(), true.into()),
        ])),
    };
    [one("$lookup", Value::Object(Object::from(lookup))), one("$unwind", unwind)]
}

/// Splits a filter into the part before a join and the part on joined documents.
pub(super) fn split(filter: Value, joined: &[String]) -> (Object, Object) {
    let mut before = Object::new();
    let mut after = Object::new();
    if let Value::Object(fields) = filter {
        for (name, condition) in fields {
            let first = name.split('.').next().unwrap_or_default();
            let late = name.starts_with('$') || joined.iter().any(|joined| joined == first);
            if late { &mut after } else { &mut before }.insert(name, condition);
        }
    }
    (before, after)
}
