//! SQL over documents. The `sqlparser` crate parses the text; here its tree is translated to a
//! statement.
//!
//! A column is the path of a field (`address.city`), a missing field is `NULL`, and `NULL` is
//! neither equal nor unequal to anything. Conditions on one field become plain filters, so that
//! indexes serve them; everything else becomes expressions.
//!
//! A name in double quotes is a field, but on the right of a comparison and among values it is a
//! text, as in MySQL and JettraDBVM.

mod columns;
mod condition;
mod expression;
mod functions;
mod group;
mod logic;
mod select;
mod write;

use super::Statement;
use super::lexer::Lexer;
use crate::error::{Error, Kind, Result};
use crate::value::Value;
use sqlparser::ast::{self, Expr, Ident, ObjectName, TableFactor};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};
use std::cell::{Cell, RefCell};

/// Maximum number of consecutive tokens without a comma. A longer chain of operators would make a
/// tree too deep for the stack.
const CHAIN_MAX: usize = 2000;
/// Longest statement in bytes; the parser's tree takes some hundred times as much.
const TEXT_MAX: usize = 1 << 20;
/// Most columns of a result, tables of a join, keys of an order or of groups.
const LIST_MAX: usize = 1000;
/// Most steps of a path.
const STEPS_MAX: usize = 100;
/// Expressions that may be translated for each byte of a statement, and in addition. Some are
/// translated several times: the left side of BETWEEN, names of columns after GROUP BY.
const EXPRESSIONS_PER_BYTE: usize = 4;
const EXPRESSIONS_FREE: usize = 5_000;
/// Bytes in memory that the translation may have for each byte of a statement, and in addition.
/// Some functions write their argument twice.
const GROWTH_MAX: usize = 64;
const GROWTH_FREE: usize = 1 << 18;

/// Bytes of stack for parsing a statement. The parser stops at fifty levels, each of which takes
/// some ten kilobytes, and many more in a build without optimisation.
const STACK_BYTES: usize = 16 << 20;

/// Parses a statement.
pub(super) fn parse(scan: Lexer<'_>) -> Result<Statement> {
    on_large_stack(|| translate(scan, read(scan)?))
}

/// Runs `work` on a stack that is large enough for nested text.
fn on_large_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES / 2, STACK_BYTES, work)
}

/// Parses a statement; if it is not SQL at all, `other` parses it. Of two errors, the one further
/// on in the text is returned.
pub(super) fn parse_or(
    scan: Lexer<'_>,
    other: fn(Lexer<'_>) -> Result<Statement>,
) -> Result<Statement> {
    let place = |error: &Error| {
        let number = |name| error.details.as_ref().and_then(|details| details[name].as_u64());
        (number("line"), number("column"))
    };
    match on_large_stack(|| read(scan)) {
        Ok(statement) => on_large_stack(|| translate(scan, statement)),
        Err(error) => other(scan)
            .map_err(|second| if place(&second) > place(&error) { second } else { error }),
    }
}

fn read(scan: Lexer<'_>) -> Result<ast::Statement> {
    let size = scan.rest().len();
    if size > TEXT_MAX {
        let message = format!("the statement has {size} bytes, {TEXT_MAX} are allowed");
        return Err(Error::new(Kind::TooLarge, message)
            .hint("insert many documents with the bulk call, or with several statements"));
    }
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, scan.rest()).tokenize_with_location().map_err(
        |TokenizerError { message, location }| {
            at(scan, location).error(message.to_lowercase(), &[])
        },
    )?;
    prepare(scan, &mut tokens)?;
    release_names(&mut tokens);
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| refused(scan, error))?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(statement),
        _ => Err(at(scan, next.span.start).expected(&["the end of the statement"])),
    }
}

/// Limits the depth of the tree, and reads the Spanish `donde`.
fn prepare(scan: Lexer<'_>, tokens: &mut [TokenWithSpan]) -> Result<()> {
    let mut chains = vec![0];
    let mut total = 0;
    for TokenWithSpan { token, span } in tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => {
                chains.push(0);
            }
            Token::RParen | Token::RBracket | Token::RBrace if chains.len() > 1 => {
                total -= chains.pop().unwrap_or(0);
            }
            Token::Comma => {
                if let Some(chain) = chains.last_mut() {
                    total -= std::mem::take(chain);
                }
            }
            Token::Word(word) if word.quote_style.is_none() => {
                let name = word.value.to_uppercase();
                if ["UNION", "INTERSECT", "EXCEPT", "MINUS"].contains(&name.as_str()) {
                    return Err(unsupported(at(scan, span.start), &name));
                }
                if name == "DONDE" {
                    *token = Token::make_keyword("WHERE");
                }
            }
            _ => {}
        }
        if let Some(chain) = chains.last_mut() {
            *chain += 1;
            total += 1;
        }
        if total > CHAIN_MAX || chains.len() > CHAIN_MAX {
            let place = at(scan, span.start);
            return Err(place.error("too long a chain; use IN (…) for many values", &["IN"]));
        }
    }
    Ok(())
}

/// Words that the parser would take for calls, even without parentheses; without them they are
/// names of fields.
const NAMES: [Keyword; 5] =
    [Keyword::USER, Keyword::INTERVAL, Keyword::EXISTS, Keyword::STRUCT, Keyword::TRIM];

/// Turns words that are fields into names, unless they are followed by what only a call has.
fn release_names(tokens: &mut [TokenWithSpan]) {
    let mut called = false;
    for TokenWithSpan { token, .. } in tokens.iter_mut().rev() {
        match token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if NAMES.contains(&word.keyword) && !called => {
                word.keyword = Keyword::NoKeyword;
            }
            _ => {}
        }
        called = matches!(token, Token::LParen | Token::Number(..) | Token::SingleQuotedString(_));
    }
}

/// The parser's error, with our location and wording.
fn refused(scan: Lexer<'_>, error: ParserError) -> Error {
    let (ParserError::ParserError(text) | ParserError::TokenizerError(text)) = error else {
        return scan.error("nested too deep", &[]);
    };
    let (message, location) = match text.rsplit_once(" at Line: ") {
        Some((message, numbers)) => {
            let mut numbers = numbers.split(", Column: ").map(|number| number.trim().parse());
            match (numbers.next(), numbers.next()) {
                (Some(Ok(line)), Some(Ok(column))) => (message, Location::new(line, column)),
                _ => (message, Location::empty()),
            }
        }
        None => (text.as_str(), Location::empty()),
    };
    let place = match location.line {
        // An error without a location is about an early end.
        0 => scan.to(scan.at() + scan.rest().trim_end().len()),
        _ => at(scan, location),
    };
    match message.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found")) {
        Some((expected, _)) => place.expected(&[expected]),
        None => place.error(message.trim_start_matches("sql parser error: "), &[]),
    }
}

/// The position of a location that the parser counted from where it began.
fn at(scan: Lexer<'_>, location: Location) -> Lexer<'_> {
    let text = scan.rest();
    let lines = location.line.saturating_sub(1) as usize;
    let start = match lines {
        0 => 0,
        _ => text.match_indices('\n').nth(lines - 1).map_or(text.len(), |(newline, _)| newline + 1),
    };
    let line = &text[start..];
    let column = location.column.saturating_sub(1) as usize;
    let offset = line.char_indices().nth(column).map_or(line.len(), |(offset, _)| offset);
    scan.to(scan.at() + start + offset)
}

/// The error for an unsupported part of SQL; `what` may continue with advice after a semicolon.
fn unsupported(place: Lexer<'_>, what: &str) -> Error {
    let (what, advice) = what.split_at(what.find(';').unwrap_or(what.len()));
    place.error(format!("{what} is not supported{advice}"), &[])
}

fn translate(scan: Lexer<'_>, statement: ast::Statement) -> Result<Statement> {
    match statement {
        ast::Statement::Query(query) => select::translate(scan, &query),
        ast::Statement::Insert(insert) => write::insert(scan, &insert),
        ast::Statement::Update(update) => write::update(scan, &update),
        ast::Statement::Delete(delete) => write::delete(scan, &delete),
        _ => Err(scan.expected(&["SELECT", "INSERT", "UPDATE", "DELETE"])),
    }
}

/// The meaning of names in a statement.
struct Scope<'t> {
    /// Where the statement begins.
    scan: Lexer<'t>,
    /// The name of the statement's collection in columns.
    table: String,
    /// The names of joined documents; each is a field.
    joined: Vec<String>,
    /// The result of `GROUP BY`, where expressions refer to it.
    group: RefCell<Option<group::Group<'t>>>,
    /// The depth of the expression that is being translated.
    depth: Cell<usize>,
    /// Expressions that were translated so far.
    translated: Cell<usize>,
}

impl<'t> Scope<'t> {
    fn new(scan: Lexer<'t>, table: String) -> Self {
        let (group, depth, translated) = Default::default();
        Scope { scan, table, joined: Vec::new(), group, depth, translated }
    }

    fn place(&self, expr: &Expr) -> Lexer<'t> {
        start(expr).map_or(self.scan, |location| at(self.scan, location))
    }

    fn unsupported(&self, expr: &Expr, what: &str) -> Error {
        unsupported(self.place(expr), what)
    }

    /// Counts a translated expression; refuses one too many.
    fn count(&self, expr: &Expr) -> Result<()> {
        let count = self.translated.get() + 1;
        self.translated.set(count);
        if count <= EXPRESSIONS_FREE + EXPRESSIONS_PER_BYTE * self.scan.rest().len() {
            return Ok(());
        }
        Err(self.place(expr).error("too many expressions inside each other", &[]))
    }

    /// Refuses a translation that is too large for so short a statement.
    fn check_growth(&self, expr: &Expr, value: &Value) -> Result<()> {
        if value.bytes() <= GROWTH_FREE + GROWTH_MAX * self.scan.rest().len() {
            return Ok(());
        }
        Err(self.place(expr).error("too many functions inside each other", &[]))
    }

    /// Refuses a list that is too long.
    fn check_list(&self, len: usize, what: &str) -> Result<()> {
        match len <= LIST_MAX {
            true => Ok(()),
            false => Err(self.scan.error(format!("more than {LIST_MAX} {what}"), &[])),
        }
    }

    /// Refuses the first clause that is present.
    fn refuse<const N: usize>(&self, clauses: [(bool, &str); N]) -> Result<()> {
        match clauses.iter().find(|(there, _)| *there) {
            Some((_, what)) => Err(unsupported(self.scan, what)),
            None => Ok(()),
        }
    }

    /// The path that a column refers to, without the name of its table.
    fn path(&self, names: &[Ident]) -> Result<String> {
        let place = || names.first().map_or(self.scan, |first| at(self.scan, first.span.start));
        let qualified =
            names.len() > 1 && names[0].value == self.table && !self.joined.contains(&self.table);
        let steps: Vec<&str> =
            names.iter().skip(usize::from(qualified)).map(|name| name.value.as_str()).collect();
        let path = steps.join(".");
        if path.split('.').any(|step| step.is_empty() || step.starts_with('$')) {
            return Err(place().expected(&["the name of a field"]));
        }
        if path.split('.').count() > STEPS_MAX {
            return Err(place().error(format!("a path of more than {STEPS_MAX} parts"), &[]));
        }
        Ok(path)
    }
}

/// The parts of the name of a table or column.
fn idents(name: &ObjectName) -> Vec<Ident> {
    name.0.iter().filter_map(|part| part.as_ident().cloned()).collect()
}

/// A table's collection, and its name in columns.
fn table(scan: Lexer<'_>, factor: &TableFactor) -> Result<(String, String)> {
    match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let names = idents(name);
            let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
            let collection = names.join(".");
            let known = alias.as_ref().map_or(collection.clone(), |alias| alias.name.value.clone());
            Ok((collection, known))
        }
        TableFactor::Derived { .. } => Err(unsupported(scan, "a subquery")),
        _ => Err(scan.error("only collections can stand after FROM and JOIN", &["a collection"])),
    }
}

/// Where an expression begins. The parser can tell too, but it reads the whole tree, and a long
/// chain of operators is too deep for that.
fn start(expr: &Expr) -> Option<Location> {
    let mut expr = expr;
    loop {
        expr = match expr {
            Expr::Identifier(name) => return Some(name.span.start),
            Expr::CompoundIdentifier(names) => return names.first().map(|name| name.span.start),
            Expr::Value(value) => return Some(value.span.start),
            Expr::TypedString(typed) => return Some(typed.value.span.start),
            Expr::Case { case_token, .. } => return Some(case_token.0.span.start),
            Expr::Function(function) => {
                return function.name.0.first()?.as_ident().map(|name| name.span.start);
            }
            Expr::Array(array) => array.elem.first()?,
            Expr::Tuple(items) => items.first()?,
            Expr::BinaryOp { left, .. }
            | Expr::AnyOp { left, .. }
            | Expr::AllOp { left, .. }
            | Expr::IsDistinctFrom(left, _)
            | Expr::IsNotDistinctFrom(left, _) => left,
            Expr::Nested(inner)
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::IsTrue(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotUnknown(inner) => inner,
            Expr::UnaryOp { expr, .. }
            | Expr::InList { expr, .. }
            | Expr::InSubquery { expr, .. }
            | Expr::Between { expr, .. }
            | Expr::Like { expr, .. }
            | Expr::ILike { expr, .. }
            | Expr::SimilarTo { expr, .. }
            | Expr::RLike { expr, .. }
            | Expr::Cast { expr, .. }
            | Expr::Ceil { expr, .. }
            | Expr::Floor { expr, .. }
            | Expr::Substring { expr, .. }
            | Expr::Trim { expr, .. }
            | Expr::Extract { expr, .. }
            | Expr::Collate { expr, .. } => expr,
            _ => return None,
        };
    }
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
