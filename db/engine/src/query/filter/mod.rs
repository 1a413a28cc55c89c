//! MongoDB's query filters: conditions on documents.
//!
//! A parsed filter is in one form: an [`Filter::And`] never has one member and never holds
//! another `And`, and likewise [`Filter::Or`]. [`Filter::all`] and [`Filter::any`] keep it so.

mod matches;
mod parse;
mod pattern;
mod types;
mod write;

pub use pattern::Pattern;
pub use types::TypeName;

pub(super) use parse::elem_match;

use super::context::Fields;
use super::expr::Expr;
use super::path::Path;
use crate::value::Value;
use std::ops::Deref;

/// A condition on a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All members match; without members it matches everything.
    And(Vec<Filter>),
    /// At least one member matches; without members it matches nothing.
    Or(Vec<Filter>),
    /// No member matches.
    Nor(Vec<Filter>),
    /// A value at the path passes the test.
    Field(Path, Test),
    /// The expression is true for the document.
    Expr(Expr),
}

/// A condition on the values at a path. Where the path ends at an array, most tests apply to the
/// array as a whole and to each of its items; `Exists`, `ElemMatch`, `ElemMatchValue` and `Size`
/// apply to the array only.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal; null equals missing values.
    Eq(Value),
    /// Greater, among values of the same class.
    Gt(Value),
    /// Greater or equal, among values of the same class.
    Gte(Value),
    /// Less, among values of the same class.
    Lt(Value),
    /// Less or equal, among values of the same class.
    Lte(Value),
    /// Equal to one of the values, or matched by one of the patterns.
    In(ValueSet, Vec<Pattern>),
    /// Present, or missing.
    Exists(bool),
    /// Of one of the types.
    Type(Vec<TypeName>),
    /// A text that the pattern matches.
    Regex(Pattern),
    /// A number with the remainder (second) of a division by the divisor (first).
    Mod(i64, i64),
    /// Every test is passed, each perhaps by another item; without tests it matches nothing.
    All(Vec<Test>),
    /// An array with an object that the filter matches.
    ElemMatch(Box<Filter>),
    /// An array with an item that passes every test; no operator twice.
    ElemMatchValue(Vec<Test>),
    /// An array of this many items.
    Size(u64),
    /// Does not pass all of the tests; no operator twice.
    Not(Vec<Test>),
}

/// The values of an `$in`: sorted and without duplicates, so that a long list is searched quickly.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValueSet(Vec<Value>);

impl ValueSet {
    /// Whether the value is one of them.
    pub fn contains(&self, value: &Value) -> bool {
        self.0.binary_search(value).is_ok()
    }
}

impl From<Vec<Value>> for ValueSet {
    fn from(mut values: Vec<Value>) -> Self {
        values.sort();
        values.dedup();
        ValueSet(values)
    }
}

impl Deref for ValueSet {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0
    }
}

impl Filter {
    /// The conjunction of the filters.
    pub fn all(filters: Vec<Filter>) -> Filter {
        let flat = filters.into_iter().flat_map(|filter| match filter {
            Filter::And(inner) => inner,
            other => vec![other],
        });
        joined(flat.collect(), Filter::And)
    }

    /// The disjunction of the filters.
    pub fn any(filters: Vec<Filter>) -> Filter {
        let flat = filters.into_iter().flat_map(|filter| match filter {
            Filter::Or(inner) => inner,
            other => vec![other],
        });
        joined(flat.collect(), Filter::Or)
    }

    /// Whether it matches every document. False does not mean that some document does not match.
    pub fn always(&self) -> bool {
        match self {
            Filter::And(filters) => filters.iter().all(Filter::always),
            Filter::Or(filters) => filters.iter().any(Filter::always),
            Filter::Nor(filters) => filters.is_empty(),
            Filter::Field(..) | Filter::Expr(_) => false,
        }
    }

    /// Whether an expression decides. Any of its parts may fail, need memory, or be random.
    pub fn has_expressions(&self) -> bool {
        match self {
            Filter::And(filters) | Filter::Or(filters) | Filter::Nor(filters) => {
                filters.iter().any(Filter::has_expressions)
            }
            Filter::Field(..) => false,
            Filter::Expr(_) => true,
        }
    }

    /// The steps of work of parsing it beyond reading its text: its regular expressions.
    pub fn parse_steps(&self) -> u64 {
        match self {
            Filter::And(filters) | Filter::Or(filters) | Filter::Nor(filters) => {
                filters.iter().map(Filter::parse_steps).sum()
            }
            Filter::Field(_, test) => test.parse_steps(),
            Filter::Expr(expr) => expr.parse_steps(),
        }
    }

    /// Adds the fields that it reads.
    pub fn fields(&self, fields: &mut Fields) {
        match self {
            Filter::And(filters) | Filter::Or(filters) | Filter::Nor(filters) => {
                filters.iter().for_each(|filter| filter.fields(fields));
            }
            Filter::Field(path, _) => fields.add(path.as_str()),
            Filter::Expr(expr) => expr.fields(fields),
        }
    }
}

impl Test {
    fn parse_steps(&self) -> u64 {
        match self {
            Test::In(_, patterns) => patterns.iter().map(Pattern::compile_steps).sum(),
            Test::Regex(pattern) => pattern.compile_steps(),
            Test::All(tests) | Test::ElemMatchValue(tests) | Test::Not(tests) => {
                tests.iter().map(Test::parse_steps).sum()
            }
            Test::ElemMatch(filter) => filter.parse_steps(),
            _ => 0,
        }
    }
}

fn joined(mut filters: Vec<Filter>, join: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.len() {
        1 => filters.remove(0),
        _ => join(filters),
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "filter_property_tests.rs"]
mod property_tests;
