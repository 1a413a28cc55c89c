//! Regular expressions, and the work of searching with them.
//!
//! The `regex` crate takes time proportional to the text, but the factor depends on the pattern:
//! while its lazy automaton fits, a nanosecond a byte; with a pattern such as `[ab]*a[ab]{200}` it
//! follows all positions in the pattern at once, at each byte.

use super::context::Context;
use crate::error::{Error, Kind, Result};
use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Positions of a pattern up to which its automaton stays small.
const SIMPLE: u64 = 12;
/// Bytes of text that cost about as much as one step, for each position of a pattern.
const STEP_BYTES: u64 = 32;
/// Bytes of text times positions of the pattern that may be searched at once: a search cannot be
/// interrupted.
const SEARCH_MAX: u64 = 1_000_000_000;

/// The cost of compiling a pattern: the minimum, and for each range of characters in it, with
/// repetitions expanded. `\w` has hundreds of ranges.
const COMPILE_STEPS: u64 = 1_000;
const RANGE_STEPS: u64 = 16;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Searcher {
    regex: Regex,
    places: u64,
    compiled: u64,
}

impl Searcher {
    /// Compiles a pattern with the options `imsx`, of at most `size_max` bytes.
    pub(super) fn new(
        source: &str,
        options: &str,
        size_max: usize,
    ) -> std::result::Result<Searcher, regex::Error> {
        let has = |option| options.contains(option);
        let regex = RegexBuilder::new(source)
            .case_insensitive(has('i'))
            .multi_line(has('m'))
            .dot_matches_new_line(has('s'))
            .ignore_whitespace(has('x'))
            .size_limit(size_max)
            .build()?;
        let parsed = ParserBuilder::new()
            .case_insensitive(has('i'))
            .multi_line(has('m'))
            .dot_matches_new_line(has('s'))
            .ignore_whitespace(has('x'))
            .build()
            .parse(source);
        let (places, ranges) = parsed.map_or((u64::MAX, u64::MAX), |parsed| {
            (count(&parsed, &|_| 1, 8), count(&parsed, &ranges, 1))
        });
        let compiled = ranges.saturating_mul(RANGE_STEPS).saturating_add(COMPILE_STEPS);
        Ok(Searcher { regex, places, compiled })
    }

    /// The steps of work of compiling it.
    pub(super) fn compile_steps(&self) -> u64 {
        self.compiled
    }

    /// Counts the work of searching this many bytes.
    ///
    /// # Errors
    /// Those of [`Context::work`]; `query_too_large` for a search that would take seconds.
    fn work(&self, bytes: usize, ctx: &Context<'_>) -> Result<()> {
        let weight = if self.places <= SIMPLE { 1 } else { self.places };
        let work = weight.saturating_mul(bytes as u64);
        if weight > 1 && work > SEARCH_MAX {
            let message = format!("the pattern is too complex for a text of {bytes} bytes");
            return Err(Error::new(Kind::QueryTooLarge, message)
                .hint("use a pattern with fewer and shorter repetitions"));
        }
        ctx.work(1 + work / STEP_BYTES)
    }

    /// Whether it matches somewhere in the text.
    ///
    /// # Errors
    /// Those of counting the work.
    pub(super) fn is_match(&self, text: &str, ctx: &Context<'_>) -> Result<bool> {
        self.work(text.len(), ctx)?;
        Ok(self.regex.is_match(text))
    }

    /// The first match that begins at or after `start`.
    ///
    /// # Errors
    /// Those of counting the work.
    pub(super) fn captures_at<'t>(
        &self,
        text: &'t str,
        start: usize,
        ctx: &Context<'_>,
    ) -> Result<Option<Captures<'t>>> {
        // It is not visible how far the search reads beyond the match.
        self.work(text.len().saturating_sub(start), ctx)?;
        Ok(self.regex.captures_at(text, start))
    }
}

fn ranges(class: &Class) -> u64 {
    match class {
        Class::Unicode(class) => class.ranges().len() as u64,
        Class::Bytes(class) => class.ranges().len() as u64,
    }
}

/// Counts the classes of a pattern, with repetitions expanded, and with `letters` each letter of a
/// plain text as one more. These are roughly the positions that a match may be at simultaneously;
/// plain texts make no automaton large.
fn count(pattern: &Hir, class: &dyn Fn(&Class) -> u64, letters: u64) -> u64 {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(text) => 1 + text.0.len() as u64 / letters,
        HirKind::Class(found) => class(found),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            count(&repetition.sub, class, letters).saturating_mul(times.into())
        }
        HirKind::Capture(capture) => count(&capture.sub, class, letters),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let parts = parts.iter().map(|part| count(part, class, letters));
            parts.fold(0, u64::saturating_add)
        }
    }
}
