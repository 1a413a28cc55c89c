//! Regular expressions, and the work that looking for one can be.
//!
//! The `regex` crate takes time in proportion to the text, but by a factor that the pattern
//! decides: as long as its lazy automaton fits, a nanosecond a byte; of a pattern such as
//! `[ab]*a[ab]{200}` it follows all places in the pattern at once, at each byte.

use super::context::Context;
use crate::error::{Error, Kind, Result};
use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Places of a pattern up to which its automaton stays small.
const SIMPLE: u64 = 12;
/// Bytes of text that cost about as much as one step, for each place of a pattern.
const STEP_BYTES: u64 = 32;
/// Bytes of text times places of the pattern that may be looked through at once: a search cannot
/// be ended half way.
const SEARCH_MAX: u64 = 1_000_000_000;

/// What compiling a pattern costs: at least, and for each range of characters in it, repetitions
/// counted out. `\w` has hundreds of ranges.
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

    /// The steps of work that compiling it was.
    pub(super) fn compile_steps(&self) -> u64 {
        self.compiled
    }

    /// Counts the work of looking through so many bytes.
    ///
    /// # Errors
    /// Those of [`Context::work`]; `query_too_large` for what would take seconds.
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

    /// The first match that begins at `start` or behind.
    ///
    /// # Errors
    /// Those of counting the work.
    pub(super) fn captures_at<'t>(
        &self,
        text: &'t str,
        start: usize,
        ctx: &Context<'_>,
    ) -> Result<Option<Captures<'t>>> {
        // Nobody sees how far it looks past the match that it gives.
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

/// Counts the classes of a pattern, repetitions counted out, and with `letters` of a plain text as
/// one more. With one for each class these are the places at which a match may stand at once,
/// roughly; plain texts make no automaton large.
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
