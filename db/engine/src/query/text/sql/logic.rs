//! Conditions of SQL, with `NOT` moved down to the single tests. There it meets SQL's `NULL`:
//! neither a test nor its opposite holds for it.

use super::Scope;
use super::condition::{expression, filter, not};
use super::expression::Operand;
use crate::error::Result;
use crate::query::text::{one, where_clause};
use crate::value::{Object, Value};
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use std::cmp::Ordering;

/// A condition.
pub(super) enum Logic {
    And(Vec<Logic>),
    Or(Vec<Logic>),
    /// Holds where the other does not, so for `NULL` too.
    Not(Box<Logic>),
    Test(Test),
    /// An expression that is true or false.
    Computed(Value),
}

/// A test of operands.
pub(super) enum Test {
    Compare(Comparison, Operand, Operand),
    In {
        operand: Operand,
        items: Vec<Operand>,
        negated: bool,
    },
    Null {
        operand: Operand,
        negated: bool,
    },
    /// A regular expression of MongoDB.
    Like {
        operand: Operand,
        regex: Object,
        negated: bool,
    },
    Truth(Operand, bool),
    Known(bool),
}

/// A comparison.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
}

use Comparison::*;

impl Comparison {
    fn of(operator: &BinaryOperator) -> Option<Comparison> {
        Some(match operator {
            BinaryOperator::Eq => Eq,
            BinaryOperator::NotEq => Ne,
            BinaryOperator::Lt => Lt,
            BinaryOperator::LtEq => Lte,
            BinaryOperator::Gt => Gt,
            BinaryOperator::GtEq => Gte,
            _ => return None,
        })
    }

    fn negated(self) -> Comparison {
        match self {
            Eq => Ne,
            Ne => Eq,
            Lt => Gte,
            Gte => Lt,
            Gt => Lte,
            Lte => Gt,
        }
    }

    /// The comparison with its sides swapped.
    fn flipped(self) -> Comparison {
        match self {
            Lt => Gt,
            Gt => Lt,
            Lte => Gte,
            Gte => Lte,
            same => same,
        }
    }

    pub(super) fn operator(self) -> &'static str {
        match self {
            Eq => "$eq",
            Ne => "$ne",
            Lt => "$lt",
            Lte => "$lte",
            Gt => "$gt",
            Gte => "$gte",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Eq => order.is_eq(),
            Ne => order.is_ne(),
            Lt => order.is_lt(),
            Lte => order.is_le(),
            Gt => order.is_gt(),
            Gte => order.is_ge(),
        }
    }
}

impl Scope<'_> {
    /// The filter of a condition.
    pub(super) fn filter(&self, condition: Option<&Expr>) -> Result<Value> {
        match condition {
            None => Ok(Value::Object(Object::new())),
            Some(condition) => Ok(filter(self.logic(condition, false)?)),
        }
    }

    /// The expression of a condition that only decides; true or false.
    pub(super) fn condition(&self, condition: &Expr) -> Result<Value> {
        Ok(expression(self.logic(condition, false)?))
    }

    /// The expression of a condition as a value: null where neither the condition nor its opposite
    /// holds.
    pub(super) fn condition_value(&self, condition: &Expr) -> Result<Value> {
        let holds = self.condition(condition)?;
        if is_never_null(condition) {
            return Ok(holds);
        }
        let fails = expression(self.logic(condition, true)?);
        let otherwise = one("$cond", Value::Array(vec![fails, false.into(), Value::Null]));
        Ok(one("$cond", Value::Array(vec![holds, true.into(), otherwise])))
    }

    /// The expression of an equality that only decides.
    pub(super) fn equality(&self, left: &Expr, right: &Expr) -> Result<Value> {
        Ok(expression(self.compare(Eq, left, right)?))
    }

    fn logic(&self, condition: &Expr, negated: bool) -> Result<Logic> {
        self.deeper(condition, || self.logic_inside(condition, negated))
    }

    fn logic_inside(&self, condition: &Expr, negated: bool) -> Result<Logic> {
        use BinaryOperator::{And, Or};
        Ok(match condition {
            Expr::Nested(inner) => self.logic(inner, negated)?,
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => self.logic(expr, !negated)?,
            Expr::BinaryOp { op: op @ (And | Or), .. } => {
                let mut terms = Vec::new();
                for term in chain(condition, op) {
                    terms.push(self.logic(term, negated)?);
                }
                // De Morgan: not (a and b) is (not a) or (not b).
                if (*op == And) != negated { Logic::And(terms) } else { Logic::Or(terms) }
            }
            Expr::BinaryOp { left, op, right } => match Comparison::of(op) {
                Some(comparison) => {
                    let comparison = if negated { comparison.negated() } else { comparison };
                    self.compare(comparison, left, right)?
                }
                None => self.truth(condition, !negated)?,
            },
            Expr::Between { expr, negated: not, low, high } => {
                let inside = *not == negated;
                let (from, to) = if inside { (Gte, Lte) } else { (Lt, Gt) };
                let ends = vec![self.compare(from, expr, low)?, self.compare(to, expr, high)?];
                if inside { Logic::And(ends) } else { Logic::Or(ends) }
            }
            Expr::InList { expr, list, negated: not } => {
                let operand = self.operand(expr)?;
                let mut items = Vec::with_capacity(list.len());
                for item in list {
                    items.push(self.not_null(item)?);
                }
                Logic::Test(Test::In { operand, items, negated: *not != negated })
            }
            Expr::Like { negated: not, any: false, expr, pattern, escape_char } => {
                let regex = self.like(pattern, escape_char.as_deref(), false)?;
                let operand = self.operand(expr)?;
                Logic::Test(Test::Like { operand, regex, negated: *not != negated })
            }
            Expr::ILike { negated: not, any: false, expr, pattern, escape_char } => {
                let regex = self.like(pattern, escape_char.as_deref(), true)?;
                let operand = self.operand(expr)?;
                Logic::Test(Test::Like { operand, regex, negated: *not != negated })
            }
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => self.null(inner, negated)?,
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => self.null(inner, !negated)?,
            Expr::IsTrue(inner) => self.is(inner, true, negated)?,
            Expr::IsFalse(inner) => self.is(inner, false, negated)?,
            Expr::IsNotTrue(inner) => self.is(inner, true, !negated)?,
            Expr::IsNotFalse(inner) => self.is(inner, false, !negated)?,
            other => self.truth(other, !negated)?,
        })
    }

    fn compare(&self, comparison: Comparison, left: &Expr, right: &Expr) -> Result<Logic> {
        let (left, right) = (self.operand_or_null(left)?, self.not_null(right)?);
        Ok(Logic::Test(match (left, right) {
            (Operand::Constant(left), Operand::Constant(right)) => {
                Test::Known(comparison.holds(left.cmp(&right)))
            }
            (left @ Operand::Constant(_), right) => {
                Test::Compare(comparison.flipped(), right, left)
            }
            (left, right) => Test::Compare(comparison, left, right),
        }))
    }

    /// The left side of a comparison; a field may be in double quotes there.
    fn operand_or_null(&self, operand: &Expr) -> Result<Operand> {
        self.refuse_null(operand, self.operand(operand)?)
    }

    /// The right side of a comparison.
    fn not_null(&self, operand: &Expr) -> Result<Operand> {
        self.refuse_null(operand, self.right_operand(operand)?)
    }

    fn refuse_null(&self, written: &Expr, operand: Operand) -> Result<Operand> {
        if matches!(operand, Operand::Constant(Value::Null)) {
            let message = "nothing is equal or unequal to NULL; write IS NULL or IS NOT NULL";
            return Err(self.place(written).error(message, &["IS NULL", "IS NOT NULL"]));
        }
        Ok(operand)
    }

    fn like(&self, pattern: &Expr, escape: Option<&Expr>, insensitive: bool) -> Result<Object> {
        let text = |expr: &Expr, what: &str| match self.right_operand(expr)? {
            Operand::Constant(Value::String(text)) => Ok(text),
            _ => Err(self.place(expr).expected(&[what])),
        };
        let pattern = text(pattern, "a pattern in quotes")?;
        let escape = match escape {
            None => Some('\\'),
            Some(escape) => text(escape, "one character in quotes")?.chars().next(),
        };
        match where_clause::like(&pattern, escape, insensitive) {
            Value::Object(regex) => Ok(regex),
            _ => Ok(Object::new()),
        }
    }

    fn null(&self, operand: &Expr, negated: bool) -> Result<Logic> {
        if is_condition(operand) {
            let either = vec![self.logic(operand, false)?, self.logic(operand, true)?];
            let known = expression(Logic::Or(either));
            return Ok(Logic::Computed(if negated { known } else { not(known) }));
        }
        Ok(Logic::Test(match self.operand(operand)? {
            Operand::Constant(value) => Test::Known((value == Value::Null) != negated),
            operand => Test::Null { operand, negated },
        }))
    }

    /// `IS TRUE` and `IS FALSE`; the opposite holds for `NULL` too.
    fn is(&self, operand: &Expr, truth: bool, negated: bool) -> Result<Logic> {
        let logic = self.logic(operand, !truth)?;
        Ok(match logic {
            logic if !negated => logic,
            Logic::Test(Test::Known(holds)) => Logic::Test(Test::Known(!holds)),
            logic => Logic::Not(Box::new(logic)),
        })
    }

    /// A field or expression that is itself true or false.
    fn truth(&self, operand: &Expr, truth: bool) -> Result<Logic> {
        Ok(Logic::Test(match self.operand(operand)? {
            Operand::Constant(value) => Test::Known(value == Value::Bool(truth)),
            operand => Test::Truth(operand, truth),
        }))
    }
}

/// Whether an expression is a condition: a comparison, `LIKE`, `IS TRUE`, a combination of them.
pub(super) fn is_condition(expr: &Expr) -> bool {
    use BinaryOperator::{And, Or};
    match expr {
        Expr::Nested(inner) => is_condition(inner),
        Expr::BinaryOp { op, .. } => matches!(op, And | Or) || Comparison::of(op).is_some(),
        Expr::UnaryOp { op: UnaryOperator::Not, .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::Like { any: false, .. }
        | Expr::ILike { any: false, .. } => true,
        other => is_never_null(other),
    }
}

/// Whether an expression is a condition that is never `NULL`.
fn is_never_null(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_never_null(inner),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => is_never_null(expr),
        _ => matches!(
            expr,
            Expr::IsNull(_)
                | Expr::IsNotNull(_)
                | Expr::IsUnknown(_)
                | Expr::IsNotUnknown(_)
                | Expr::IsTrue(_)
                | Expr::IsNotTrue(_)
                | Expr::IsFalse(_)
                | Expr::IsNotFalse(_)
        ),
    }
}

/// The terms of `a AND b AND c`, found without recursion: the parser nests them to the left.
fn chain<'e>(expr: &'e Expr, operator: &BinaryOperator) -> Vec<&'e Expr> {
    let mut terms = Vec::new();
    let mut rest = expr;
    while let Expr::BinaryOp { left, op, right } = rest {
        if op != operator {
            break;
        }
        terms.push(&**right);
        rest = left;
    }
    terms.push(rest);
    terms.reverse();
    terms
}
