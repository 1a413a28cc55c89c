//! Regular expressions in expressions.

use super::Expr;
use super::call::{Args, Operator, Shape, null, operator, owned};
use crate::engine::query::context::At;
use crate::engine::value::Value;
use crate::error::Result;
use regex::{Captures, Regex, RegexBuilder};
use std::borrow::Cow;

/// Bytes that a compiled pattern may take.
const SIZE_MAX: usize = 1 << 20;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$regexMatch", PATTERN, |args| {
        owned(match search(args)? {
            Some((text, regex)) => regex.is_match(&text),
            None => false,
        })
    }),
    operator("$regexFind", PATTERN, |args| {
        let Some((text, regex)) = search(args)? else { return null() };
        match regex.captures(&text) {
            Some(captures) => owned(describe(&text, &captures, &mut (0, 0))),
            None => null(),
        }
    }),
    operator("$regexFindAll", PATTERN, |args| {
        let mut found = Vec::new();
        if let Some((text, regex)) = search(args)? {
            let mut counted = (0, 0);
            for captures in regex.captures_iter(&text) {
                let description = describe(&text, &captures, &mut counted);
                args.item(&description, found.len() + 1)?;
                found.push(description);
            }
        }
        owned(Value::Array(found))
    }),
];

const PATTERN: Shape = Shape::Named(&["input", "regex", "options"], 2);

/// The compiled pattern of a call that has the same one for every document. It follows from
/// the arguments, so it makes no difference between two calls.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Option<Regex>);

impl PartialEq for Pattern {
    fn eq(&self, _: &Pattern) -> bool {
        true
    }
}

impl Pattern {
    /// Compiles the pattern, if the operator has one and it is a literal.
    pub(super) fn prepare(name: &str, args: &[Option<Expr>], at: At<'_>) -> Result<Pattern> {
        let literal = |index: usize| args.get(index)?.as_ref()?.as_literal()?.as_str();
        let options = match args.get(2) {
            Some(Some(_)) => literal(2),
            _ => Some(""),
        };
        let (true, Some(pattern), Some(options)) =
            (OPERATORS.iter().any(|operator| operator.name == name), literal(1), options)
        else {
            return Ok(Pattern(None));
        };
        let compiled = compile(pattern, options);
        compiled.map(|regex| Pattern(Some(regex))).map_err(|message| at.invalid(message))
    }
}

fn compile(pattern: &str, options: &str) -> std::result::Result<Regex, String> {
    if let Some(unknown) = options.chars().find(|option| !"imsx".contains(*option)) {
        return Err(format!("has the option {unknown:?}; the options are i, m, s and x"));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(SIZE_MAX).dfa_size_limit(SIZE_MAX);
    builder.case_insensitive(options.contains('i')).multi_line(options.contains('m'));
    builder.dot_matches_new_line(options.contains('s')).ignore_whitespace(options.contains('x'));
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "has a pattern that is too large".to_owned(),
        error => format!("has a pattern that is not a regular expression: {error}"),
    })
}

/// The text and the pattern to look for; `None` when one of them is null.
fn search<'v>(args: &Args<'_, 'v>) -> Result<Option<(Cow<'v, str>, Cow<'v, Regex>)>> {
    let Some(text) = args.text(0)? else { return Ok(None) };
    if let Pattern(Some(regex)) = &args.call.pattern {
        return Ok(Some((text, Cow::Borrowed(regex))));
    }
    let Some(pattern) = args.text(1)? else { return Ok(None) };
    let options = args.text(2)?.unwrap_or_default();
    match compile(&pattern, &options) {
        Ok(regex) => Ok(Some((text, Cow::Owned(regex)))),
        Err(message) => Err(args.error(message)),
    }
}

/// What `$regexFind` tells about a match. `counted` is a byte of the text and the code points
/// before it, so that many matches in a text do not count from its start each time.
fn describe(text: &str, captures: &Captures<'_>, counted: &mut (usize, i64)) -> Value {
    let (start, matched) = captures.get(0).map_or((0, ""), |found| (found.start(), found.as_str()));
    let before = text.get(counted.0..start).unwrap_or_default().chars().count() as i64;
    *counted = (start, counted.1 + before);
    let groups = captures.iter().skip(1);
    let groups = groups.map(|group| group.map_or(Value::Null, |group| group.as_str().into()));
    let fields = [
        ("match", Value::from(matched)),
        ("idx", Value::Int(counted.1)),
        ("captures", Value::Array(groups.collect())),
    ];
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
}
