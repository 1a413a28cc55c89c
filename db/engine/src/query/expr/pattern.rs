//! Regular expressions in expressions.

use super::Expr;
use super::call::{Args, Operator, Shape, null, operator, owned};
use crate::budget::steps_of;
use crate::error::Result;
use crate::query::context::At;
use crate::query::search::Searcher;
use crate::value::Value;
use regex::Captures;
use std::borrow::Cow;

/// Maximum size of a compiled pattern, in bytes.
const SIZE_MAX: usize = 1 << 20;
/// The same for a pattern that is compiled for each document.
const COMPUTED_SIZE_MAX: usize = 256 << 10;

pub(super) const OPERATORS: &[Operator] = &[
    operator("$regexMatch", PATTERN, |args| {
        owned(match search(args)? {
            Some((text, searcher)) => searcher.is_match(&text, args.ctx)?,
            None => false,
        })
    })
    .preparing(Pattern::prepare),
    operator("$regexFind", PATTERN, |args| {
        let Some((text, searcher)) = search(args)? else { return null() };
        match searcher.captures_at(&text, 0, args.ctx)? {
            Some(captures) => owned(describe(args, &text, &captures, &mut (0, 0))?),
            None => null(),
        }
    })
    .preparing(Pattern::prepare),
    operator("$regexFindAll", PATTERN, |args| {
        let mut found = Vec::new();
        if let Some((text, searcher)) = search(args)? {
            let mut counted = (0, 0);
            let mut start = 0;
            while let Some(captures) = searcher.captures_at(&text, start, args.ctx)? {
                let Some(whole) = captures.get(0) else { break };
                args.check_len(found.len() + 1)?;
                found.push(describe(args, &text, &captures, &mut counted)?);
                start = match whole.is_empty() {
                    true => after(&text, whole.end()),
                    false => whole.end(),
                };
                // As in MongoDB, the search does not continue at the end of a text.
                if start >= text.len() {
                    break;
                }
            }
        }
        owned(Value::Array(found))
    })
    .preparing(Pattern::prepare),
];

const PATTERN: Shape = Shape::Named(&["input", "regex", "options"], 2);

/// The compiled pattern of a call that has the same one for every document. It is derived from the
/// arguments, so it does not count when calls are compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Pattern(Option<Searcher>);

impl PartialEq for Pattern {
    fn eq(&self, _: &Pattern) -> bool {
        true
    }
}

impl Pattern {
    /// The steps of work of compiling it.
    pub(super) fn compile_steps(&self) -> u64 {
        self.0.as_ref().map_or(0, Searcher::compile_steps)
    }

    /// Compiles the pattern, if it is a literal.
    fn prepare(args: &[Option<Expr>], at: At<'_>) -> Result<Pattern> {
        let literal = |index: usize| args.get(index)?.as_ref()?.as_literal();
        let options = match args.get(2) {
            Some(Some(_)) => literal(2).and_then(Value::as_str),
            _ => Some(""),
        };
        let (pattern, options) = match (literal(1), options) {
            (Some(Value::String(pattern)), Some(options)) => (pattern, options),
            (Some(Value::Regex(regex)), Some("")) => (&regex.pattern, regex.options.as_str()),
            _ => return Ok(Pattern(None)),
        };
        let compiled = compile(pattern, options, SIZE_MAX);
        compiled.map(|searcher| Pattern(Some(searcher))).map_err(|message| at.invalid(message))
    }
}

fn compile(pattern: &str, options: &str, size_max: usize) -> std::result::Result<Searcher, String> {
    if let Some(unknown) = options.chars().find(|option| !"imsxu".contains(*option)) {
        return Err(format!("has the option {unknown:?}; the options are i, m, s, x and u"));
    }
    Searcher::new(pattern, options, size_max).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "has a pattern that is too large".to_owned(),
        error => format!("has a pattern that is not a regular expression: {error}"),
    })
}

/// The text and the pattern; `None` if one of them is null.
fn search<'v>(args: &Args<'_, 'v>) -> Result<Option<(Cow<'v, str>, Cow<'v, Searcher>)>> {
    let Some(text) = args.text(0)? else { return Ok(None) };
    if let Pattern(Some(searcher)) = &args.call.pattern {
        return Ok(Some((text, Cow::Borrowed(searcher))));
    }
    let (pattern, own) = match args.present(1)? {
        None => return Ok(None),
        Some(Cow::Borrowed(Value::Regex(regex))) => {
            (Cow::Borrowed(regex.pattern.as_str()), regex.options.clone())
        }
        Some(Cow::Owned(Value::Regex(regex))) => (Cow::Owned(regex.pattern), regex.options),
        Some(_) => match args.text(1)? {
            None => return Ok(None),
            Some(text) => (text, String::new()),
        },
    };
    let options = args.text(2)?.unwrap_or_default();
    if !own.is_empty() && !options.is_empty() {
        return Err(args.error("has options beside a regular expression with options of its own"));
    }
    let options = own + &options;
    match compile(&pattern, &options, COMPUTED_SIZE_MAX) {
        Ok(searcher) => {
            args.ctx.work(searcher.compile_steps())?;
            Ok(Some((text, Cow::Owned(searcher))))
        }
        Err(message) => Err(args.error(message)),
    }
}

/// The description of a match for `$regexFind`. `counted` is a byte of the text and the code points
/// before it, so that many matches in a text do not count from its start each time.
fn describe(
    args: &Args<'_, '_>,
    text: &str,
    captures: &Captures<'_>,
    counted: &mut (usize, i64),
) -> Result<Value> {
    let inside = captures.iter().flatten().map(|group| group.len()).sum::<usize>();
    args.hold(size_of::<Value>() * (4 + captures.len()) + 3 * 64 + inside)?;
    let (start, matched) = captures.get(0).map_or((0, ""), |found| (found.start(), found.as_str()));
    args.ctx.work(steps_of(start - counted.0))?;
    let before = text.get(counted.0..start).unwrap_or_default().chars().count() as i64;
    *counted = (start, counted.1 + before);
    let groups = captures.iter().skip(1);
    let groups = groups.map(|group| group.map_or(Value::Null, |group| group.as_str().into()));
    let fields = [
        ("match", Value::from(matched)),
        ("idx", Value::from(counted.1)),
        ("captures", Value::Array(groups.collect())),
    ];
    Ok(Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into()))
}

/// The position after the character at `at`; beyond the end of the text if there is none.
fn after(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}
