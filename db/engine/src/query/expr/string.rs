//! Texts. Positions count bytes (`…Bytes`) or code points (`…CP`).

use super::EvalResult;
use super::array::bound;
use super::call::{ANY, Args, ONE, Operator, Shape, TWO, null, operator, owned};
use super::convert::iso_text;
use crate::budget::steps_of;
use crate::error::Result;
use crate::value::{Value, number};
use std::borrow::Cow;
use std::collections::BTreeSet;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$concat", ANY, concat),
    operator("$toUpper", ONE, |args| owned(upper(args, 0)?)),
    operator("$toLower", ONE, |args| {
        let text = coerced(args, 0)?;
        args.hold(CASE_GROWTH * text.len())?;
        owned(text.to_lowercase())
    }),
    operator("$strcasecmp", TWO, |args| {
        // Case matters for letters beyond ASCII, as in MongoDB.
        let (a, b) = (coerced(args, 0)?, coerced(args, 1)?);
        args.hold(a.len() + b.len())?;
        owned(a.to_ascii_uppercase().cmp(&b.to_ascii_uppercase()) as i64)
    }),
    operator("$substr", Shape::List(3, 3), substr_bytes),
    operator("$substrBytes", Shape::List(3, 3), substr_bytes),
    operator("$substrCP", Shape::List(3, 3), substr_points),
    operator("$strLenBytes", ONE, |args| owned(required(args, 0)?.len() as i64)),
    operator("$strLenCP", ONE, |args| {
        let text = required(args, 0)?;
        args.ctx.work(steps_of(text.len()))?;
        owned(text.chars().count() as i64)
    }),
    operator("$split", TWO, split),
    operator("$trim", TRIM, |args| trim(args, true, true)),
    operator("$ltrim", TRIM, |args| trim(args, true, false)),
    operator("$rtrim", TRIM, |args| trim(args, false, true)),
    operator("$indexOfBytes", Shape::List(2, 4), index_of_bytes),
    operator("$indexOfCP", Shape::List(2, 4), index_of_points),
    operator("$replaceOne", REPLACE, |args| replace(args, 1)),
    operator("$replaceAll", REPLACE, |args| replace(args, usize::MAX)),
];

const TRIM: Shape = Shape::Named(&["input", "chars"], 1);
const REPLACE: Shape = Shape::Named(&["input", "find", "replacement"], 3);

/// The characters that `$trim` removes by default, as MongoDB lists them.
const BLANK: &[char] = &[
    '\0', ' ', '\t', '\n', '\u{b}', '\u{c}', '\r', '\u{a0}', '\u{1680}', '\u{2000}', '\u{2001}',
    '\u{2002}', '\u{2003}', '\u{2004}', '\u{2005}', '\u{2006}', '\u{2007}', '\u{2008}', '\u{2009}',
    '\u{200a}',
];

/// An argument as text, where MongoDB accepts numbers and dates as well, and null as "".
fn coerced<'v>(args: &Args<'_, 'v>, index: usize) -> Result<Cow<'v, str>> {
    Ok(match args.present(index)? {
        None => Cow::Borrowed(""),
        Some(Cow::Borrowed(Value::String(text))) => Cow::Borrowed(text),
        Some(Cow::Owned(Value::String(text))) => Cow::Owned(text),
        Some(value) => match &*value {
            Value::Date(ms) => Cow::Owned(iso_text(args, *ms)?),
            value if value.is_number() => Cow::Owned(super::convert::coerced_text(value)),
            value => return Err(args.wrong("a text", value)),
        },
    })
}

/// Maximum growth of a text by a change of case.
const CASE_GROWTH: usize = 3;

fn upper(args: &Args<'_, '_>, index: usize) -> Result<String> {
    let text = coerced(args, index)?;
    args.hold(CASE_GROWTH * text.len())?;
    Ok(text.to_uppercase())
}

/// A text; null is an error.
fn required<'v>(args: &Args<'_, 'v>, index: usize) -> Result<Cow<'v, str>> {
    args.text(index)?.ok_or_else(|| args.error("needs a text, not null or nothing"))
}

fn concat<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let mut all = String::new();
    for index in 0..args.len() {
        let Some(text) = args.text(index)? else { return null() };
        args.check_text(all.len() + text.len())?;
        args.hold(text.len())?;
        all.push_str(&text);
    }
    owned(all)
}

/// A position or length in bytes. Fractions of doubles are truncated, those of decimals rounded, as
/// in MongoDB.
fn byte_position(args: &Args<'_, '_>, index: usize) -> Result<i64> {
    let Some(value) = args.number(index)? else {
        return Err(args.error("needs numbers for the start and the length"));
    };
    let whole = number::truncated(&value)
        .ok_or_else(|| args.wrong("a start and a length of at most 64 bits", &value))?;
    if !matches!(*value, Value::Decimal(_)) {
        return Ok(whole);
    }
    let rest = number::to_double(&number::subtract(&value, &Value::from(whole)));
    let rounded = rest.abs() > 0.5 || rest.abs() == 0.5 && whole % 2 != 0;
    Ok(if rounded { whole.saturating_add(rest.signum() as i64) } else { whole })
}

/// A position or length in code points: a whole number of 32 bits.
fn position(args: &Args<'_, '_>, index: usize) -> Result<i64> {
    let Some(value) = args.number(index)? else {
        return Err(args.error("needs numbers for the start and the length"));
    };
    let whole = value.as_int().filter(|whole| i32::try_from(*whole).is_ok());
    whole.ok_or_else(|| args.wrong("a whole number of 32 bits", &value))
}

fn substr_bytes<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let text = coerced(args, 0)?;
    let (start, len) = (byte_position(args, 1)?, byte_position(args, 2)?);
    let Ok(start) = usize::try_from(start) else {
        return Err(args.error("needs a start of 0 or more"));
    };
    if start >= text.len() {
        return owned("");
    }
    // A negative length means the whole rest.
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    match text.get(start..start.saturating_add(len).min(text.len())) {
        Some(part) => {
            args.hold(part.len())?;
            owned(part)
        }
        None => Err(args.error("would cut a character of several bytes; use $substrCP")),
    }
}

fn substr_points<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let text = coerced(args, 0)?;
    let start = usize::try_from(position(args, 1)?);
    let (Ok(start), Ok(len)) = (start, usize::try_from(position(args, 2)?)) else {
        return Err(args.error("needs a start and a length of 0 or more"));
    };
    args.ctx.work(steps_of(text.len()))?;
    let offset =
        |text: &str, count| text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    let rest = text.get(offset(&text, start)..).unwrap_or_default();
    let part = rest.get(..offset(rest, len)).unwrap_or_default();
    args.hold(part.len())?;
    owned(part)
}

fn split<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let (Some(text), Some(separator)) = (args.text(0)?, args.text(1)?) else { return null() };
    if separator.is_empty() {
        return Err(args.error("needs a separator that is not empty"));
    }
    args.ctx.work(steps_of(text.len()))?;
    let mut parts = Vec::new();
    for part in text.split(&*separator) {
        args.ctx.step()?;
        args.check_len(parts.len() + 1)?;
        args.hold(size_of::<Value>() + part.len())?;
        parts.push(Value::from(part));
    }
    owned(Value::Array(parts))
}

fn trim<'v>(args: &Args<'_, 'v>, left: bool, right: bool) -> EvalResult<'v> {
    let Some(text) = args.text(0)? else { return null() };
    let chars: BTreeSet<char> = match args.given(1) {
        false => BLANK.iter().copied().collect(),
        true => match args.text(1)? {
            Some(chars) => {
                args.ctx.work(chars.len() as u64)?;
                args.hold(chars.len() * 2 * size_of::<char>())?;
                chars.chars().collect()
            }
            None => return null(),
        },
    };
    let mut trimmed = &*text;
    if left {
        trimmed = trimmed.trim_start_matches(|char| chars.contains(&char));
    }
    if right {
        trimmed = trimmed.trim_end_matches(|char| chars.contains(&char));
    }
    args.ctx.work((text.len() - trimmed.len()) as u64)?;
    args.hold(trimmed.len())?;
    owned(trimmed)
}

/// The position of one text in another, in bytes; -1 if it is not entirely between the bounds.
fn index_of_bytes<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(text) = args.text(0)? else { return null() };
    let sought = required(args, 1)?;
    args.ctx.work(steps_of(text.len() + sought.len()))?;
    let start = bound(args, 2)?.unwrap_or(0);
    let end = bound(args, 3)?.unwrap_or(text.len()).min(text.len());
    if start > end {
        return owned(-1);
    }
    if sought.is_empty() {
        return owned(start as i64);
    }
    // The searched text neither begins nor ends inside a character.
    let is_border = |at: &usize| text.is_char_boundary(*at);
    let start = (start..=text.len()).find(is_border).unwrap_or(text.len());
    let end = (0..=end).rev().find(is_border).unwrap_or(0);
    let found = text.get(start..end).and_then(|part| part.find(&*sought));
    owned(found.map_or(-1, |at| (start + at) as i64))
}

/// The position of one text in another, in code points; -1 if it does not begin between the bounds.
fn index_of_points<'v>(args: &Args<'_, 'v>) -> EvalResult<'v> {
    let Some(text) = args.text(0)? else { return null() };
    let sought = required(args, 1)?;
    args.ctx.work(steps_of(text.len() + sought.len()))?;
    let offset = |point: usize| text.char_indices().nth(point).map_or(text.len(), |(at, _)| at);
    let start = bound(args, 2)?.map_or(0, offset);
    let end = bound(args, 3)?.map_or(text.len(), offset);
    if text.is_empty() && sought.is_empty() {
        return owned(0);
    }
    let rest = text.get(start..).unwrap_or_default();
    let found = rest.find(&*sought).map(|at| start + at).filter(|at| *at < end);
    owned(found.map_or(-1, |at| text.get(..at).unwrap_or_default().chars().count() as i64))
}

fn replace<'v>(args: &Args<'_, 'v>, times: usize) -> EvalResult<'v> {
    let (Some(text), Some(find), Some(replacement)) = (args.text(0)?, args.text(1)?, args.text(2)?)
    else {
        return null();
    };
    args.ctx.work(steps_of(text.len()))?;
    let found = text.matches(&*find).take(times).count();
    args.ctx.work(found as u64)?;
    let len = text.len() - found * find.len() + found.saturating_mul(replacement.len());
    args.check_text(len)?;
    args.hold(len)?;
    owned(text.replacen(&*find, &replacement, times))
}
