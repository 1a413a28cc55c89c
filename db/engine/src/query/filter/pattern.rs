//! Regular expressions of filters.

use crate::error::Result;
use crate::query::context::{At, Context};
use crate::query::search::Searcher;
use crate::value::{Regex, Value};

/// Maximum size of a compiled pattern, in bytes.
const SIZE_MAX: usize = 2 << 20;

/// A regular expression with its source.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    options: String,
    searcher: Searcher,
}

impl Pattern {
    /// Compiles a pattern; `options` are letters: `i` ignores case, `m` lets `^` and `$` match at
    /// lines, `s` lets `.` match line ends, `x` allows blanks and comments, `u` says nothing new.
    ///
    /// # Errors
    /// `invalid_query` at `at` for another option, and for a pattern that does not compile, is too
    /// large, or has features that need backtracking.
    pub fn new(source: &str, options: &str, at: At<'_>) -> Result<Pattern> {
        if let Some(other) = options.chars().find(|option| !"imsxu".contains(*option)) {
            let message = format!("has the option {other:?}, but options are i, m, s and x");
            return Err(at.invalid(message));
        }
        if source.contains('\0') {
            return Err(at.invalid("has the character NUL, which BSON does not allow in a pattern"));
        }
        let has = |option| options.contains(option);
        let searcher = Searcher::new(source, options, SIZE_MAX);
        let searcher = searcher.map_err(|error| refusal(&error, at))?;
        let options = "imsx".chars().filter(|option| has(*option)).collect();
        Ok(Pattern { source: source.to_owned(), options, searcher })
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its options, in the order `imsx`.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// As a value.
    pub fn to_value(&self) -> Value {
        let (pattern, options) = (self.source.clone(), self.options.clone());
        Value::Regex(Box::new(Regex { pattern, options }))
    }

    /// Whether a value is the same regular expression.
    pub fn is_written_as(&self, regex: &Regex) -> bool {
        self.source == regex.pattern && self.options == regex.options
    }

    /// The steps of work of compiling it.
    pub fn compile_steps(&self) -> u64 {
        self.searcher.compile_steps()
    }

    /// The literal prefix of every text that it matches; `None` if there is none, or it is not
    /// obvious. An index on texts can use it.
    pub fn literal_prefix(&self) -> Option<String> {
        let rest = self.source.strip_prefix('^')?;
        if !self.options.trim_matches('s').is_empty() || rest.contains('|') {
            return None;
        }
        let mut prefix = String::new();
        let mut chars = rest.chars();
        while let Some(char) = chars.next() {
            match char {
                // The previous character may occur zero times.
                '*' | '?' | '{' => {
                    prefix.pop();
                    break;
                }
                '\\' => match chars.next() {
                    Some(escaped) if escaped.is_ascii_punctuation() => prefix.push(escaped),
                    _ => break,
                },
                '.' | '+' | '^' | '$' | '(' | ')' | '[' | ']' | '}' => break,
                plain => prefix.push(plain),
            }
        }
        (!prefix.is_empty()).then_some(prefix)
    }

    /// Whether it matches somewhere in the text.
    ///
    /// # Errors
    /// Those of counting the work.
    pub fn is_match(&self, text: &str, ctx: &Context<'_>) -> Result<bool> {
        self.searcher.is_match(text, ctx)
    }
}

fn refusal(error: &regex::Error, at: At<'_>) -> crate::error::Error {
    let message = match error {
        regex::Error::CompiledTooBig(_) => "is too large a pattern".to_owned(),
        // The library draws the pattern first; its last line has the error.
        other => {
            let text = other.to_string();
            let reason = text.lines().next_back().unwrap_or_default();
            format!("is not a pattern: {}", reason.trim_start_matches("error: "))
        }
    };
    at.invalid(message).hint(
        "patterns have the linear-time syntax of the Rust crate `regex`, without back references \
         and look-around; see https://docs.rs/regex/#syntax",
    )
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source && self.options == other.options
    }
}
