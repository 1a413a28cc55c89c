//! Values in the notation of MongoDB's shell: JSON, and in addition keys without quotes, single
//! quotes, trailing commas, comments, regular expressions, and calls such as `ISODate("…")`.
//!
//! Written by hand: the JSON5 crates support neither the calls nor regular expressions, and return
//! no positions for errors inside a larger text.

use super::lexer::{Lexer, is_word};
use crate::error::{Error, Result};
use crate::query::context::At;
use crate::value::{Object, Regex, Value, from_json, is_reserved, number};

/// Calls that create a value, and the key of Extended JSON with the same meaning.
const CALLS: [(&str, &str); 19] = [
    ("ISODate", "$date"),
    ("Date", "$date"),
    ("ObjectId", "$oid"),
    ("ObjectID", "$oid"),
    ("NumberLong", "$numberLong"),
    ("Long", "$numberLong"),
    ("NumberInt", "$numberInt"),
    ("Int32", "$numberInt"),
    ("NumberDecimal", "$numberDecimal"),
    ("Decimal128", "$numberDecimal"),
    ("Double", "$numberDouble"),
    ("UUID", "$uuid"),
    ("BinData", "$binary"),
    ("Int64", "$numberLong"),
    ("Decimal", "$numberDecimal"),
    ("Timestamp", "$timestamp"),
    ("MinKey", "$minKey"),
    ("MaxKey", "$maxKey"),
    ("Code", "$code"),
];

/// Reads a value; `what` is what an error says was expected, `depth` how deeply it is nested, from
/// 1.
///
/// # Errors
/// `syntax_error`.
pub(super) fn value(scan: &mut Lexer<'_>, what: &str, depth: usize) -> Result<Value> {
    scan.skip();
    match scan.peek() {
        Some('{') => object(scan, depth),
        Some('[') => {
            let items = list(scan, "[", "]", depth)?;
            Ok(Value::Array(items.into_iter().map(|(_, item)| item).collect()))
        }
        Some('"' | '\'') => string(scan).map(Value::String),
        Some('/') => regex(scan),
        Some(next) if next.is_ascii_digit() || matches!(next, '-' | '+' | '.') => {
            number(scan, what)
        }
        _ => named(scan, what, depth),
    }
}

/// Reads values between brackets, each with the position where it begins.
pub(super) fn list(
    scan: &mut Lexer<'_>,
    open: &str,
    close: &str,
    depth: usize,
) -> Result<Vec<(usize, Value)>> {
    scan.check_depth(depth)?;
    scan.expect(open)?;
    let mut items = Vec::new();
    let what = format!("a value or {close:?}");
    while !scan.eat(close) {
        scan.skip();
        items.push((scan.at(), value(scan, &what, depth + 1)?));
        if !scan.eat(",") {
            if scan.eat(close) {
                break;
            }
            return Err(scan.expected(&["\",\"", &format!("{close:?}")]));
        }
    }
    Ok(items)
}

fn object(scan: &mut Lexer<'_>, depth: usize) -> Result<Value> {
    scan.check_depth(depth)?;
    let start = *scan;
    scan.expect("{")?;
    let mut fields = Object::new();
    while !scan.eat("}") {
        scan.skip();
        let place = *scan;
        let key = match scan.peek() {
            Some('"' | '\'') => string(scan)?,
            Some(next) if is_word(next) => scan.take_while(is_word).to_owned(),
            _ => return Err(scan.expected(&["a key", "\"}\""])),
        };
        scan.expect(":")?;
        let inner = value(scan, &format!("a value for {key:?}"), depth + 1)?;
        if fields.contains_key(&key) {
            return Err(place.error(format!("the key {key:?} is there twice"), &[]));
        }
        fields.insert(key, inner);
        if !scan.eat(",") {
            if scan.eat("}") {
                break;
            }
            return Err(scan.expected(&["\",\"", "\"}\""]));
        }
    }
    extended(&start, fields)
}

/// The value that an object of Extended JSON represents; other objects stay as they are.
fn extended(start: &Lexer<'_>, fields: Object) -> Result<Value> {
    let first = fields.first().map(|(name, _)| name.as_str());
    if !first.is_some_and(is_reserved) {
        return Ok(Value::Object(fields));
    }
    let json = serde_json::to_value(Value::Object(fields)).unwrap_or_default();
    from_json(json, At::root("value"))
        .map_err(|error| start.error(error.message.trim_start_matches("value."), &[]))
}

/// Reads a text in single or double quotes.
pub(super) fn string(scan: &mut Lexer<'_>) -> Result<String> {
    let start = *scan;
    let quote = scan.bump();
    let mut text = String::new();
    loop {
        let place = *scan;
        match scan.bump() {
            next if next == quote => return Ok(text),
            None | Some('\n') => {
                return Err(start.error("the text has no closing quote on its line", &[]));
            }
            Some('\\') => match escape(scan) {
                Some(character) => text.extend(character),
                None => return Err(place.error("the escape after \"\\\" is not one", &[])),
            },
            Some(other) => text.push(other),
        }
    }
}

/// The character of an escape, after its `\`; `Some(None)` is a continued line.
fn escape(scan: &mut Lexer<'_>) -> Option<Option<char>> {
    Some(Some(match scan.bump()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '0' => '\0',
        '\n' => return Some(None),
        'x' => char::from_u32(hex(scan, 2)?)?,
        'u' if scan.peek() == Some('{') => {
            scan.bump();
            let digits = scan.take_while(|next| next.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, 16).ok()?;
            scan.bump().filter(|next| *next == '}')?;
            char::from_u32(code)?
        }
        'u' => {
            let first = hex(scan, 4)?;
            if !(0xd800..0xdc00).contains(&first) {
                char::from_u32(first)?
            } else {
                if scan.bump()? != '\\' || scan.bump()? != 'u' {
                    return None;
                }
                char::decode_utf16([first as u16, hex(scan, 4)? as u16]).next()?.ok()?
            }
        }
        other if other.is_alphanumeric() => return None,
        other => other,
    }))
}

fn hex(scan: &mut Lexer<'_>, digits: usize) -> Option<u32> {
    let text = scan.rest().get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
    let code = u32::from_str_radix(text?, 16).ok();
    *scan = scan.to(scan.at() + digits);
    code
}

fn number(scan: &mut Lexer<'_>, what: &str) -> Result<Value> {
    let start = *scan;
    let wrong = || start.expected(&[what]);
    let sign = scan.take_while(|next| matches!(next, '-' | '+'));
    if sign.len() > 1 {
        return Err(wrong());
    }
    let minus = if sign == "-" { "-" } else { "" };
    let digits = scan.take_while(char::is_alphanumeric);
    if digits == "Infinity" {
        let infinity = if minus.is_empty() { f64::INFINITY } else { f64::NEG_INFINITY };
        return Ok(Value::Double(infinity));
    }
    let mut text = format!("{minus}{digits}");
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    if hexadecimal.is_none() {
        if scan.rest().starts_with('.') {
            scan.bump();
            // `.5` and `5.` are numbers, a dot alone is not.
            let fraction = scan.take_while(char::is_alphanumeric);
            let exponent_only = fraction.starts_with(['e', 'E']);
            let padded = if fraction.is_empty() || exponent_only { "0" } else { "" };
            if digits.is_empty() && !fraction.starts_with(|next: char| next.is_ascii_digit()) {
                return Err(wrong());
            }
            let zero = if digits.is_empty() { "0" } else { "" };
            text = format!("{minus}{zero}{digits}.{padded}{fraction}");
        }
        if text.ends_with(['e', 'E']) && scan.rest().starts_with(['+', '-']) {
            text.extend(scan.bump());
            text.push_str(scan.take_while(char::is_alphanumeric));
        }
    }
    if scan.peek().is_some_and(|next| is_word(next) || matches!(next, '.' | '-')) {
        return Err(wrong());
    }
    let parsed = match hexadecimal {
        Some(digits) => i64::from_str_radix(&format!("{minus}{digits}"), 16).ok().map(Value::from),
        None => decimal_number(&text),
    };
    parsed.ok_or_else(wrong)
}

/// JSON's rules decide which digits are a number: no leading zeros, no `1.e5.2`.
fn decimal_number(text: &str) -> Option<Value> {
    let number = serde_json::from_str::<serde_json::Number>(text).ok()?;
    from_json(serde_json::Value::Number(number), At::root("value")).ok()
}

fn regex(scan: &mut Lexer<'_>) -> Result<Value> {
    let start = *scan;
    scan.bump();
    let mut pattern = String::new();
    let mut in_class = false;
    loop {
        match scan.bump() {
            Some('/') if !in_class => break,
            None | Some('\n') => {
                return Err(start.error("the regular expression has no closing \"/\"", &[]));
            }
            Some('\\') => match scan.bump() {
                // Only the delimiter's escape is JavaScript's; the others are the pattern's.
                Some('/') => pattern.push('/'),
                Some(other) => pattern.extend(['\\', other]),
                None => pattern.push('\\'),
            },
            Some(other) => {
                in_class = other == '[' || in_class && other != ']';
                pattern.push(other);
            }
        }
    }
    let place = *scan;
    let flags = scan.take_while(is_word);
    regex_value(&place, pattern, flags)
}

/// A regular expression as a value.
fn regex_value(place: &Lexer<'_>, pattern: String, flags: &str) -> Result<Value> {
    if let Some(flag) = flags.chars().find(|flag| !"imsx".contains(*flag)) {
        let message = format!("the flag {flag:?} of a regular expression is not i, m, s or x");
        return Err(place.error(message, &["i", "m", "s", "x"]));
    }
    match Regex::new(&pattern, flags) {
        Some(regex) => Ok(Value::Regex(Box::new(regex))),
        None => Err(place.error("a regular expression cannot have the character NUL", &[])),
    }
}

fn named(scan: &mut Lexer<'_>, what: &str, depth: usize) -> Result<Value> {
    scan.skip();
    let start = *scan;
    let mut word = scan.word();
    if word == Some("new") {
        word = scan.word();
    }
    match word {
        Some(name) if scan.eat("(") => {
            *scan = scan.to(scan.at() - 1);
            call(&start, name, scan, depth)
        }
        Some("true") => Ok(Value::Bool(true)),
        Some("false") => Ok(Value::Bool(false)),
        Some("null") => Ok(Value::Null),
        Some("Infinity") => Ok(Value::Double(f64::INFINITY)),
        Some("NaN") => Ok(Value::Double(f64::NAN)),
        Some("MinKey") => Ok(Value::MinKey),
        Some("MaxKey") => Ok(Value::MaxKey),
        _ => Err(start.expected(&[what])),
    }
}

fn call(start: &Lexer<'_>, name: &str, scan: &mut Lexer<'_>, depth: usize) -> Result<Value> {
    let arguments = list(scan, "(", ")", depth)?;
    let arguments: Vec<Value> = arguments.into_iter().map(|(_, value)| value).collect();
    let key = CALLS.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
    let inner = match (key, arguments.as_slice()) {
        (None, [pattern, flags @ ..])
            if matches!(name, "RegExp" | "BSONRegExp") && flags.len() <= 1 =>
        {
            let flags = flags.first().map_or(Some(""), Value::as_str);
            return match (pattern.as_str(), flags) {
                (Some(pattern), Some(flags)) => regex_value(start, pattern.to_owned(), flags),
                _ => Err(start.error("RegExp takes a pattern and flags as texts", &[])),
            };
        }
        (None, _) => {
            let mut known: Vec<&str> = CALLS.iter().map(|(known, _)| *known).collect();
            known.push("RegExp");
            return Err(start.unknown("function", name, &known));
        }
        (Some("$binary"), [kind, base64]) => {
            let kind = kind.as_int().filter(|kind| (0..256).contains(kind)).unwrap_or(-1);
            Value::Object(Object::from([
                ("base64".to_owned(), base64.clone()),
                ("subType".to_owned(), format!("{kind:02x}").into()),
            ]))
        }
        (Some("$numberDecimal"), [number]) if number.is_number() => match number::whole(number) {
            Some(whole) => whole.to_string().into(),
            None => number.to_json().into(),
        },
        (Some("$timestamp"), [seconds, number]) => Value::Object(Object::from([
            ("t".to_owned(), seconds.clone()),
            ("i".to_owned(), number.clone()),
        ])),
        (Some("$minKey" | "$maxKey"), []) => Value::Int(1),
        (Some(key @ "$code"), [text, scope]) => {
            let fields = [(key.to_owned(), text.clone()), ("$scope".to_owned(), scope.clone())];
            return extended(start, Object::from(fields));
        }
        (Some("$date" | "$oid"), []) => return Err(no_argument(start, name)),
        (Some(_), [inner]) => inner.clone(),
        (Some(_), _) => {
            let count = if name == "BinData" { "two arguments" } else { "one argument" };
            return Err(start.error(format!("{name} takes {count}"), &[]));
        }
    };
    extended(start, Object::from([(key.unwrap_or_default().to_owned(), inner)]))
}

/// A statement has the same meaning every time it is read, so it has neither a clock nor
/// randomness.
fn no_argument(start: &Lexer<'_>, name: &str) -> Error {
    let instead = match name.starts_with("Object") {
        true => "give 24 hexadecimal digits, or leave _id out and one is made",
        false => "give a date, or write \"$$NOW\" in an expression",
    };
    start.error(format!("{name}() without a value is not possible; {instead}"), &[])
}
