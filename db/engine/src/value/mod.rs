//! The values of documents and queries: those of BSON but for its deprecated types (symbol,
//! undefined, DBPointer), read and written as Extended JSON.
//!
//! Order and equality are BSON's: MinKey, null, numbers, strings, objects, arrays, binary data,
//! object ids, booleans, dates, timestamps, regular expressions, code, code with a scope, MaxKey;
//! numbers compare exactly, whatever their types.

pub mod date;
pub mod decimal;
pub mod decimal_functions;
mod extended;
pub mod number;
mod write;

pub use date::{iso_date, parse_date};
pub use decimal::Decimal;
pub(crate) use extended::Name;
pub use extended::{
    from_json, is_reserved, parse_fields, parse_first, parse_stored, reserved_name,
};
pub use write::{canonical, canonical_in, relaxed};

use crate::error::{Error, Kind, Result};
use indexmap::IndexMap;
use memchr::memchr2;
use std::cmp::Ordering;
use std::fmt::Display;
use std::hash::{Hash, Hasher};

/// Levels of objects and arrays in a text that is read again, as documents and the parts of
/// commands are. [`parse_stored`] reads some more, and so do clients: common JSON readers end at
/// 128.
pub const LEVELS_MAX: usize = 120;

/// Fields in the order in which they were written.
pub type Object = IndexMap<String, Value>;

/// One value.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number of 32 bits.
    Int(i32),
    /// A whole number of 64 bits.
    Long(i64),
    /// A binary floating point number.
    Double(f64),
    /// A decimal number, at most 34 digits.
    Decimal(Box<Decimal>),
    /// A text.
    String(String),
    /// Named fields.
    Object(Object),
    /// A list.
    Array(Vec<Value>),
    /// Bytes, with MongoDB's sub type.
    Binary(u8, Vec<u8>),
    /// A 12-byte identifier of MongoDB.
    ObjectId([u8; 12]),
    /// Milliseconds since 1970.
    Date(i64),
    /// MongoDB's internal time: seconds since 1970, and a number inside the second.
    Timestamp(u32, u32),
    /// A regular expression.
    Regex(Box<Regex>),
    /// A program in JavaScript. Nothing here runs it.
    Code(Box<Code>),
    /// Below every other value.
    MinKey,
    /// Above every other value.
    MaxKey,
}

/// A regular expression as a value; [`crate::query::filter::Pattern`] is one that can be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Regex {
    /// Its text.
    pub pattern: String,
    /// Its options, in the order of the alphabet.
    pub options: String,
}

/// A program in JavaScript.
#[derive(Debug, Clone)]
pub struct Code {
    /// Its text.
    pub text: String,
    /// The variables that it sees, if it comes with some.
    pub scope: Option<Object>,
}

impl Regex {
    /// A regular expression; `None` if a text has the character NUL, which BSON does not allow.
    pub fn new(pattern: &str, options: &str) -> Option<Regex> {
        let mut letters: Vec<char> = options.chars().collect();
        letters.sort_unstable();
        letters.dedup();
        let options: String = letters.into_iter().collect();
        let valid = !pattern.contains('\0') && !options.contains('\0');
        valid.then(|| Regex { pattern: pattern.to_owned(), options })
    }
}

/// The position of a type in the order of types; numbers share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// MinKey.
    MinKey = 0x04,
    /// `null`, and missing values.
    Null = 0x10,
    /// Numbers of every kind.
    Number = 0x20,
    /// Texts.
    String = 0x30,
    /// Objects.
    Object = 0x40,
    /// Arrays.
    Array = 0x50,
    /// Binary data.
    Binary = 0x60,
    /// Object ids.
    ObjectId = 0x70,
    /// Truth values.
    Bool = 0x80,
    /// Dates.
    Date = 0x90,
    /// Timestamps.
    Timestamp = 0xa0,
    /// Regular expressions.
    Regex = 0xb0,
    /// Code without a scope.
    Code = 0xc0,
    /// Code with a scope.
    CodeWithScope = 0xd0,
    /// MaxKey.
    MaxKey = 0xe0,
}

impl Value {
    /// The position of its type in the order of types.
    pub fn class(&self) -> Class {
        match self {
            Value::Null => Class::Null,
            Value::Bool(_) => Class::Bool,
            Value::Int(_) | Value::Long(_) | Value::Double(_) | Value::Decimal(_) => Class::Number,
            Value::String(_) => Class::String,
            Value::Object(_) => Class::Object,
            Value::Array(_) => Class::Array,
            Value::Binary(..) => Class::Binary,
            Value::ObjectId(_) => Class::ObjectId,
            Value::Date(_) => Class::Date,
            Value::Timestamp(..) => Class::Timestamp,
            Value::Regex(_) => Class::Regex,
            Value::Code(code) if code.scope.is_some() => Class::CodeWithScope,
            Value::Code(_) => Class::Code,
            Value::MinKey => Class::MinKey,
            Value::MaxKey => Class::MaxKey,
        }
    }

    /// MongoDB's name of its type, as in `$type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Long(_) => "long",
            Value::Double(_) => "double",
            Value::Decimal(_) => "decimal",
            Value::String(_) => "string",
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::Binary(..) => "binData",
            Value::ObjectId(_) => "objectId",
            Value::Date(_) => "date",
            Value::Timestamp(..) => "timestamp",
            Value::Regex(_) => "regex",
            Value::Code(code) if code.scope.is_some() => "javascriptWithScope",
            Value::Code(_) => "javascript",
            Value::MinKey => "minKey",
            Value::MaxKey => "maxKey",
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The fields, if it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The whole number, if it is a number without a fraction that fits.
    pub fn as_int(&self) -> Option<i64> {
        number::to_int(self)
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        self.class() == Class::Number
    }

    /// Its approximate size in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let inside = match self {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(Value::bytes).sum(),
            Value::Object(fields) => object_bytes(fields),
            Value::Binary(_, bytes) => bytes.len(),
            Value::Decimal(_) => 64,
            Value::Regex(regex) => 64 + regex.pattern.len() + regex.options.len(),
            Value::Code(code) => 64 + code.text.len() + code.scope.as_ref().map_or(0, object_bytes),
            _ => 0,
        };
        size_of::<Value>() + inside
    }

    /// As [`Value::bytes`]; `None` for a value of more than `levels` levels.
    pub fn bytes_within(&self, levels: usize) -> Option<usize> {
        let inside = match self {
            Value::Array(items) => {
                let inner = levels.checked_sub(1)?;
                items.iter().map(|item| item.bytes_within(inner)).sum::<Option<usize>>()?
            }
            Value::Object(fields) => object_bytes_within(fields, levels)?,
            Value::Code(code) if code.scope.is_some() => {
                let scope = code.scope.as_ref()?;
                code.text.len() + object_bytes_within(scope, levels.checked_sub(1)?)?
            }
            plain => return Some(plain.bytes()),
        };
        Some(size_of::<Value>() + inside)
    }

    /// Levels of objects and arrays in it; 0 for a plain value.
    pub fn depth(&self) -> usize {
        let of_fields = |fields: &Object| 1 + fields.values().map(Value::depth).max().unwrap_or(0);
        match self {
            Value::Object(fields) => of_fields(fields),
            Value::Array(items) => 1 + items.iter().map(Value::depth).max().unwrap_or(0),
            // As text the scope stands in an object.
            Value::Code(code) => code.scope.as_ref().map_or(0, |scope| 1 + of_fields(scope)),
            _ => 0,
        }
    }

    /// Whether it has more levels of objects and arrays than `max`; descends no deeper.
    pub fn is_deeper(&self, levels: usize) -> bool {
        let deeper = |inner: &Value| levels == 0 || inner.is_deeper(levels - 1);
        match self {
            Value::Object(fields) => levels == 0 || fields.values().any(deeper),
            Value::Array(items) => levels == 0 || items.iter().any(deeper),
            // As text the scope stands in an object.
            Value::Code(code) => code.scope.as_ref().is_some_and(|scope| {
                levels < 2 || scope.values().any(|inner| inner.is_deeper(levels - 2))
            }),
            _ => false,
        }
    }

    /// As compact Extended JSON that keeps every type: the relaxed form, in which a 64-bit integer
    /// that 32 bits can hold is written as `$numberLong`.
    pub fn to_json(&self) -> String {
        // Writing to memory cannot fail, and every key is a string.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn object_bytes(fields: &Object) -> usize {
    fields.iter().map(|(name, value)| 48 + name.len() + value.bytes()).sum()
}

fn object_bytes_within(fields: &Object, levels: usize) -> Option<usize> {
    let inner = levels.checked_sub(1)?;
    let field =
        |(name, value): (&String, &Value)| Some(48 + name.len() + value.bytes_within(inner)?);
    fields.iter().map(field).sum()
}

/// Refuses a value of more than `max` levels; the message begins with `what`.
///
/// # Errors
/// `too_deep`.
pub fn check_depth(value: &Value, max: usize, what: impl Display) -> Result<()> {
    if !value.is_deeper(max) {
        return Ok(());
    }
    let message = format!("{what} would be nested deeper than {max} levels");
    Err(Error::new(Kind::TooDeep, message).hint("flatten it"))
}

/// Levels of objects and arrays in a JSON text, whatever follows a mistake.
pub fn text_levels(json: &str) -> usize {
    let json = json.as_bytes();
    let (mut level, mut deepest, mut at) = (0usize, 0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'{' | b'[' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b'"' => {
                at = string_end(json, at).unwrap_or(json.len());
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// The position after the string of a JSON text that begins at `at`; `None` if it has no end.
pub fn string_end(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Compares two values of the same or different types.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    compare_counted(a, b, &mut 0)
}

/// As [`compare`]; adds to `seen` the number of compared values and bytes of texts, in units of 64.
pub fn compare_counted(a: &Value, b: &Value, seen: &mut u64) -> Ordering {
    use Value::*;
    *seen += 1;
    match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Bool(a), Bool(b)) => a.cmp(b),
        (String(a), String(b)) => {
            *seen += a.len().min(b.len()) as u64 / 64;
            a.cmp(b)
        }
        (Date(a), Date(b)) => a.cmp(b),
        (ObjectId(a), ObjectId(b)) => a.cmp(b),
        (Array(a), Array(b)) => {
            compare_lists(a.iter(), b.iter(), |a, b| compare_counted(a, b, seen))
        }
        (Object(a), Object(b)) => compare_objects(a, b, seen),
        (Binary(a_type, a), Binary(b_type, b)) => {
            *seen += a.len().min(b.len()) as u64 / 64;
            a.len().cmp(&b.len()).then(a_type.cmp(b_type)).then_with(|| a.cmp(b))
        }
        (Timestamp(a, a_number), Timestamp(b, b_number)) => (a, a_number).cmp(&(b, b_number)),
        (Regex(a), Regex(b)) => {
            *seen += a.pattern.len().min(b.pattern.len()) as u64 / 64;
            a.cmp(b)
        }
        (Code(a), Code(b)) => {
            *seen += a.text.len().min(b.text.len()) as u64 / 64;
            match (&a.scope, &b.scope) {
                (Some(a_scope), Some(b_scope)) => {
                    a.text.cmp(&b.text).then_with(|| compare_objects(a_scope, b_scope, seen))
                }
                (a_scope, b_scope) => {
                    a_scope.is_some().cmp(&b_scope.is_some()).then_with(|| a.text.cmp(&b.text))
                }
            }
        }
        _ if a.is_number() && b.is_number() => number::compare(a, b),
        _ => a.class().cmp(&b.class()),
    }
}

fn compare_objects(a: &Object, b: &Object, seen: &mut u64) -> Ordering {
    compare_lists(a.iter(), b.iter(), |a, b| {
        let class = a.1.class().cmp(&b.1.class());
        class.then_with(|| a.0.cmp(b.0)).then_with(|| compare_counted(a.1, b.1, seen))
    })
}

fn compare_lists<T>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    mut compare: impl FnMut(T, T) -> Ordering,
) -> Ordering {
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match compare(a, b) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

/// Equal as in MongoDB: `5`, `5.0` and the decimal `5` are one value.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        compare(self, other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        compare(self, other)
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.class() as u8).hash(state);
        match self {
            Value::Null | Value::MinKey | Value::MaxKey => {}
            Value::Bool(truth) => truth.hash(state),
            Value::Int(_) | Value::Long(_) | Value::Double(_) | Value::Decimal(_) => {
                number::hash(self, state);
            }
            Value::String(text) => text.hash(state),
            Value::Object(fields) => fields.iter().for_each(|field| field.hash(state)),
            Value::Array(items) => items.hash(state),
            Value::Binary(kind, bytes) => (kind, bytes).hash(state),
            Value::ObjectId(bytes) => bytes.hash(state),
            Value::Date(ms) => ms.hash(state),
            Value::Timestamp(seconds, number) => (seconds, number).hash(state),
            Value::Regex(regex) => regex.hash(state),
            Value::Code(code) => {
                code.text.hash(state);
                code.scope.iter().flatten().for_each(|field| field.hash(state));
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

/// A whole number in as few bits as it needs.
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        i32::try_from(number).map_or(Value::Long(number), Value::Int)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Double(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
pub(crate) mod tests;
