//! Reading a statement from left to right, and errors that show where reading stopped.

use crate::error::{Error, Kind, Result};
use std::fmt::Display;

/// Maximum nesting of objects, arrays and parentheses.
pub(super) const DEPTH_MAX: usize = 100;
/// Most characters of a source line that an error shows.
const LINE_SHOWN: usize = 120;
/// Most characters of a token that an error shows.
const TOKEN_SHOWN: usize = 40;

/// A position in a text. A parser looks ahead by copying it.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// The start of a text.
    pub(super) fn new(text: &'t str) -> Self {
        Lexer { text, at: 0 }
    }

    /// The same text at another position; `at` is a byte between two characters.
    pub(super) fn to(self, at: usize) -> Self {
        Lexer { at, ..self }
    }

    /// Bytes before this position.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text that is still to be read.
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character, which may be a blank.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Reads one character.
    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Reads characters while the predicate holds.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|next| !wanted(next)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Skips blanks and comments (`// …`, `-- …`, `/* … */`).
    pub(super) fn skip(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            let rest = self.rest();
            let end = if rest.starts_with("//") || rest.starts_with("--") {
                rest.find('\n')
            } else if rest.starts_with("/*") {
                rest.find("*/").map(|end| end + 2)
            } else {
                return;
            };
            self.at += end.unwrap_or(rest.len());
        }
    }

    /// Reads these characters if they come next.
    pub(super) fn eat(&mut self, symbol: &str) -> bool {
        let mut ahead = *self;
        ahead.skip();
        let found = ahead.rest().starts_with(symbol);
        if found {
            ahead.at += symbol.len();
            *self = ahead;
        }
        found
    }

    /// As [`Lexer::eat`]; it is required.
    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.eat(symbol) { Ok(()) } else { Err(self.expected(&[&format!("{symbol:?}")])) }
    }

    /// Reads a word: a letter, `_` or `$`, then digits too.
    pub(super) fn word(&mut self) -> Option<&'t str> {
        let mut ahead = *self;
        ahead.skip();
        if !ahead.peek().is_some_and(is_word_start) {
            return None;
        }
        let word = ahead.take_while(is_word);
        *self = ahead;
        Some(word)
    }

    /// Reads these words, in any case, if they come next.
    pub(super) fn keywords(&mut self, words: &str) -> bool {
        let mut ahead = *self;
        for expected in words.split(' ') {
            if !ahead.word().is_some_and(|word| word.eq_ignore_ascii_case(expected)) {
                return false;
            }
        }
        *self = ahead;
        true
    }

    /// As [`Lexer::keywords`]; they are required.
    pub(super) fn expect_keywords(&mut self, words: &str) -> Result<()> {
        if self.keywords(words) { Ok(()) } else { Err(self.expected(&[words])) }
    }

    /// Whether only blanks are left.
    pub(super) fn is_end(&self) -> bool {
        let mut ahead = *self;
        ahead.skip();
        ahead.rest().is_empty()
    }

    /// Reads the end of a statement; otherwise one of `expected` was required.
    pub(super) fn end(&mut self, expected: &[&str]) -> Result<()> {
        self.eat(";");
        if self.is_end() {
            return Ok(());
        }
        let mut all = expected.to_vec();
        all.push("the end of the statement");
        Err(self.expected(&all))
    }

    /// Refuses a level that is too deep.
    pub(super) fn check_depth(&self, depth: usize) -> Result<()> {
        if depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(self.error(format!("nested more than {DEPTH_MAX} levels"), &[]))
    }

    /// The error that one of `expected` was required next.
    pub(super) fn expected(&self, expected: &[&str]) -> Error {
        let mut here = *self;
        here.skip();
        let found = here.token();
        here.error(format!("expected {}, found {found}", alternatives(expected, "or")), expected)
    }

    /// The error for an unknown `what` of this name, with the nearest names.
    pub(super) fn unknown(&self, what: &str, name: &str, known: &[&str]) -> Error {
        let near = nearest(name, known);
        let quoted = |names: &[&str]| names.iter().map(|name| format!("{name:?}")).collect();
        let message = if near.is_empty() {
            let names: Vec<String> = quoted(known);
            format!("unknown {what} {name:?}; there are {}", alternatives(&names, "and"))
        } else {
            let names: Vec<String> = quoted(&near);
            format!("unknown {what} {name:?}; did you mean {}?", alternatives(&names, "or"))
        };
        self.error(message, if near.is_empty() { known } else { &near })
    }

    /// A syntax error here; `expected` is for programs.
    pub(super) fn error(&self, message: impl Display, expected: &[&str]) -> Error {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        let source = self.text[line_start..].split('\n').next().unwrap_or_default();
        let message = format!("line {line}, column {column}: {message}");
        Error::new(Kind::SyntaxError, message)
            .hint(caret(source.trim_end(), column))
            .details(serde_json::json!({"line": line, "column": column, "expected": expected}))
    }

    /// The next token, for a message.
    fn token(&self) -> String {
        let mut ahead = *self;
        let token = match ahead.peek() {
            None => return "the end of the text".to_owned(),
            Some(quote @ ('"' | '\'' | '`')) => {
                let inside = self.rest()[1..].find([quote, '\n']);
                let end = inside.map_or(self.rest().len(), |end| end + 1);
                return format!("{}{quote}", shorten(&self.rest()[..end]));
            }
            Some(first) if is_word(first) => {
                ahead.take_while(|next| is_word(next) || matches!(next, '.' | '-'))
            }
            Some(first) => &self.rest()[..first.len_utf8()],
        };
        format!("\"{}\"", shorten(token))
    }
}

fn is_word_start(next: char) -> bool {
    next.is_alphabetic() || matches!(next, '_' | '$')
}

/// Whether the character may be inside a word.
pub(super) fn is_word(next: char) -> bool {
    next.is_alphanumeric() || matches!(next, '_' | '$')
}

/// Whether a text is one word.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(is_word_start) && text.chars().all(is_word)
}

fn shorten(token: &str) -> String {
    let mut shown: String = token.chars().take(TOKEN_SHOWN).map(visible).collect();
    if token.chars().nth(TOKEN_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// A tab or another control character would move the caret away from its column.
fn visible(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// The part of a line around a column, and below it a caret under that column.
fn caret(line: &str, column: usize) -> String {
    let length = line.chars().count();
    let start = match length > LINE_SHOWN {
        true => (column - 1).saturating_sub(LINE_SHOWN / 2).min(length - LINE_SHOWN),
        false => 0,
    };
    let (before, after) = (start > 0, start + LINE_SHOWN < length);
    let shown: String = line.chars().skip(start).take(LINE_SHOWN).map(visible).collect();
    let (before, after) = (if before { "…" } else { "" }, if after { "…" } else { "" });
    let indent = column - 1 - start + before.chars().count();
    format!("{before}{shown}{after}\n{:indent$}^", "")
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn alternatives(items: &[impl AsRef<str>], last: &str) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match items.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, others)) => format!("{} {last} {end}", others.join(", ")),
    }
}

/// At most three known names that are similar, the most similar first.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Vec<&'n str> {
    let name: String = name.chars().take(TOKEN_SHOWN).collect::<String>().to_lowercase();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        // A missing beginning or end is nearer than different letters.
        match !name.is_empty() && (known.starts_with(&name) || name.starts_with(&known)) {
            true => 1,
            false => strsim::damerau_levenshtein(&name, &known),
        }
    };
    let mut near: Vec<(usize, &str)> =
        known.iter().map(|known| (distance(known), *known)).collect();
    near.retain(|(distance, known)| *distance <= (known.len() / 3).max(1));
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().take(3).map(|(_, known)| known).collect()
}
