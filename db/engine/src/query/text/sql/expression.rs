//! Values of SQL as expressions of MongoDB.

use super::Scope;
use super::logic::is_condition;
use crate::error::Result;
use crate::query::context::At;
use crate::query::text::lexer::DEPTH_MAX;
use crate::query::text::one;
use crate::value::{Object, Value, from_json, number, parse_date};
use sqlparser::ast::{self, BinaryOperator, CeilFloorKind, DateTimeField, Expr, UnaryOperator};
use std::fmt::Write;

/// Maximum nesting of expressions. Each is a few calls on the stack, and at least one level of the
/// translation, which is bounded alike.
const LEVELS_MAX: usize = 64;

/// A value in a condition or among the columns.
#[derive(Clone)]
pub(super) enum Operand {
    /// A field.
    Path(String),
    /// A literal.
    Constant(Value),
    /// An expression of MongoDB.
    Computed(Value),
}

impl Operand {
    /// The operand as an expression.
    pub(super) fn expression(self) -> Value {
        match self {
            Operand::Path(path) => format!("${path}").into(),
            Operand::Constant(value) => match &value {
                Value::String(text) if text.starts_with('$') => one("$literal", value),
                Value::Object(_) | Value::Array(_) => one("$literal", value),
                _ => value,
            },
            Operand::Computed(expression) => expression,
        }
    }
}

impl Scope<'_> {
    /// A value; a name in double quotes is a field.
    pub(super) fn operand(&self, expr: &Expr) -> Result<Operand> {
        let operand = self.deeper(expr, || match self.grouped(expr)? {
            Some(operand) => Ok(operand),
            None => self.operand_inside(expr),
        })?;
        if let Operand::Computed(value) = &operand {
            self.check_growth(expr, value)?;
        }
        Ok(operand)
    }

    /// A value; a name in double quotes is a text.
    pub(super) fn right_operand(&self, expr: &Expr) -> Result<Operand> {
        match expr {
            Expr::Identifier(name) if name.quote_style == Some('"') => {
                Ok(Operand::Constant(name.value.as_str().into()))
            }
            other => self.operand(other),
        }
    }

    /// Translates one level deeper.
    pub(super) fn deeper<T>(&self, expr: &Expr, inside: impl FnOnce() -> Result<T>) -> Result<T> {
        self.count(expr)?;
        let depth = self.depth.get();
        if depth >= LEVELS_MAX {
            return Err(self
                .place(expr)
                .error(format!("nested more than {LEVELS_MAX} levels"), &[]));
        }
        self.depth.set(depth + 1);
        let result = inside();
        self.depth.set(depth);
        result
    }

    pub(super) fn expression(&self, expr: &Expr) -> Result<Value> {
        self.operand(expr).map(Operand::expression)
    }

    fn operand_inside(&self, expr: &Expr) -> Result<Operand> {
        Ok(Operand::Computed(match expr {
            Expr::Nested(inner) => return self.operand(inner),
            Expr::Identifier(name) => return self.column(expr, std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => return self.column(expr, names),
            Expr::Value(value) => return self.constant(expr, &value.value).map(Operand::Constant),
            Expr::TypedString(typed) => return self.typed(expr, typed).map(Operand::Constant),
            Expr::Array(array) => return self.array(&array.elem),
            Expr::Dictionary(fields) => return self.object(fields),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => return self.operand(expr),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => return self.negated(expr),
            Expr::BinaryOp { op, .. } if arithmetic(op).is_some() => self.arithmetic(expr)?,
            condition if is_condition(condition) => self.condition_value(condition)?,
            Expr::BinaryOp { op, .. } => {
                return Err(self.unsupported(expr, &format!("the operator {op}")));
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())?
            }
            Expr::Function(function) => self.function(expr, function)?,
            Expr::Cast { expr, data_type, format: None, .. } => self.cast(expr, data_type)?,
            Expr::Ceil { expr: inner, field } | Expr::Floor { expr: inner, field } => {
                let whole = CeilFloorKind::DateTimeField(DateTimeField::NoDateTime);
                if *field != whole {
                    return Err(self.unsupported(expr, "the second argument"));
                }
                let operator = if matches!(expr, Expr::Ceil { .. }) { "$ceil" } else { "$floor" };
                one(operator, self.expression(inner)?)
            }
            Expr::Substring { expr: text, substring_from, substring_for, .. } => {
                self.substring(text, substring_from.as_deref(), substring_for.as_deref())?
            }
            Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters: None } => {
                one("$trim", one("input", self.expression(expr)?))
            }
            Expr::Extract { field, expr: date, .. } => {
                self.extract(expr, &field.to_string(), date)?
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                return Err(self.unsupported(expr, "a subquery"));
            }
            other => {
                let mut kind = FirstWord(String::new());
                // It fails after the first word, on purpose.
                let _ = write!(kind, "{other:?}");
                return Err(self.unsupported(expr, &format!("{} in an expression", kind.0)));
            }
        }))
    }

    fn column(&self, expr: &Expr, names: &[ast::Ident]) -> Result<Operand> {
        let path = self.path(names)?;
        if self.group.borrow().is_some() {
            let message =
                format!("{path:?} must be in GROUP BY, or inside COUNT, SUM, AVG, MIN, MAX");
            return Err(self.place(expr).error(message, &["GROUP BY"]));
        }
        Ok(Operand::Path(path))
    }

    /// The operand of a minus, negated.
    fn negated(&self, expr: &Expr) -> Result<Operand> {
        // The sign is part of the number: 2^63 fits into 64 bits only with it.
        if let Expr::Value(value) = expr
            && let ast::Value::Number(digits, _) = &value.value
        {
            let sign = if digits.bytes().all(|digit| digit == b'0') { "" } else { "-" };
            return self.number(expr, sign, digits).map(Operand::Constant);
        }
        Ok(match self.operand(expr)? {
            Operand::Constant(value) if value.is_number() => {
                Operand::Constant(number::subtract(&Value::Int(0), &value))
            }
            operand => {
                let sides = [Value::Int(0), operand.expression()];
                Operand::Computed(call("$subtract", sides))
            }
        })
    }

    fn number(&self, expr: &Expr, sign: &str, digits: &str) -> Result<Value> {
        // SQL allows leading zeros and a dot at either end, JSON does not.
        let plain = digits.trim_start_matches('0');
        let zero = if plain.starts_with(|next: char| next.is_ascii_digit()) { "" } else { "0" };
        let plain = format!("{zero}{plain}").replace(".e", ".0e").replace(".E", ".0e");
        let end = if plain.ends_with('.') { "0" } else { "" };
        match serde_json::from_str::<serde_json::Number>(&format!("{sign}{plain}{end}")) {
            Ok(number) => from_json(serde_json::Value::Number(number), At::root("value")),
            Err(_) => Err(self.place(expr).expected(&["a number"])),
        }
    }

    fn constant(&self, expr: &Expr, value: &ast::Value) -> Result<Value> {
        Ok(match value {
            ast::Value::Number(digits, _) => self.number(expr, "", digits)?,
            ast::Value::Boolean(truth) => (*truth).into(),
            ast::Value::Null => Value::Null,
            ast::Value::SingleQuotedString(text)
            | ast::Value::DoubleQuotedString(text)
            | ast::Value::EscapedStringLiteral(text)
            | ast::Value::UnicodeStringLiteral(text)
            | ast::Value::NationalStringLiteral(text) => text.as_str().into(),
            ast::Value::Placeholder(_) => return Err(self.unsupported(expr, "a parameter")),
            _ => return Err(self.unsupported(expr, "this kind of text")),
        })
    }

    /// `DATE '2026-01-31'`.
    fn typed(&self, expr: &Expr, typed: &ast::TypedString) -> Result<Value> {
        let is_date = ["DATE", "TIMESTAMP", "DATETIME"]
            .iter()
            .any(|name| typed.data_type.to_string().to_uppercase().starts_with(name));
        let date = match &typed.value.value {
            ast::Value::SingleQuotedString(text) if is_date => parse_date(text),
            _ => return Err(self.unsupported(expr, "this kind of constant")),
        };
        date.map(Value::Date).ok_or_else(|| self.place(expr).expected(&["a date of ISO 8601"]))
    }

    fn array(&self, items: &[Expr]) -> Result<Operand> {
        let items: Vec<Operand> =
            items.iter().map(|item| self.right_operand(item)).collect::<Result<_>>()?;
        let constants: Option<Vec<Value>> = items.iter().map(constant).collect();
        Ok(match constants {
            Some(constants) => Operand::Constant(Value::Array(constants)),
            None => Operand::Computed(Value::Array(
                items.into_iter().map(Operand::expression).collect(),
            )),
        })
    }

    fn object(&self, fields: &[ast::DictionaryField]) -> Result<Operand> {
        let mut object = Object::new();
        for field in fields {
            let value = self.right_operand(&field.value)?;
            let Some(value) = constant(&value) else {
                return Err(self.unsupported(&field.value, "an expression inside an object"));
            };
            if object.insert(field.key.value.clone(), value).is_some() {
                let message = format!("the key {:?} is there twice", field.key.value);
                return Err(self.place(&field.value).error(message, &[]));
            }
        }
        Ok(Operand::Constant(Value::Object(object)))
    }

    /// A chain such as `a + b * c - d`, without recursion along the chain.
    fn arithmetic(&self, expr: &Expr) -> Result<Value> {
        let mut operations = Vec::new();
        let mut rest = expr;
        while let Expr::BinaryOp { left, op, right } = rest {
            let Some(operator) = arithmetic(op) else { break };
            operations.push((operator, &**right));
            rest = left;
        }
        let mut result = self.text_for(operations.last().map(|(operator, _)| *operator), rest)?;
        let mut levels = 0;
        for (operator, right) in operations.into_iter().rev() {
            let right = self.text_for(Some(operator), right)?;
            // a + b + c is one sum of three.
            let joinable = ["$add", "$multiply", "$concat"].contains(&operator);
            if joinable
                && let Value::Object(fields) = &mut result
                && let Some(Value::Array(terms)) = fields.get_mut(operator)
            {
                terms.push(right);
                continue;
            }
            levels += 1;
            if levels > DEPTH_MAX {
                return Err(self.scan.error(format!("more than {DEPTH_MAX} operators"), &[]));
            }
            result = call(operator, [result, right]);
        }
        Ok(result)
    }

    /// An operand; for `
    /// ` and `CONCAT` anything is converted to text.
    pub(super) fn text_for(&self, operator: Option<&str>, expr: &Expr) -> Result<Value> {
        let operand = self.operand(expr)?;
        Ok(match (&operand, operator) {
            (Operand::Constant(Value::String(_)), _) | (_, None) => operand.expression(),
            (Operand::Computed(Value::Object(inner)), Some("$concat"))
                if inner.contains_key("$concat") =>
            {
                operand.expression()
            }
            (_, Some("$concat")) => one("$toString", operand.expression()),
            _ => operand.expression(),
        })
    }

    fn case(
        &self,
        operand: Option<&Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Value> {
        let mut branches = Vec::with_capacity(conditions.len());
        for branch in conditions {
            let case = match operand {
                None => self.condition(&branch.condition)?,
                Some(operand) => self.equality(operand, &branch.condition)?,
            };
            let fields = [("case", case), ("then", self.expression(&branch.result)?)];
            let fields = fields.map(|(name, value)| (name.to_owned(), value));
            branches.push(Value::Object(Object::from(fields)));
        }
        let otherwise = otherwise.map_or(Ok(Value::Null), |value| self.expression(value))?;
        Ok(one(
            "$switch",
            Value::Object(Object::from([
                ("branches".to_owned(), Value::Array(branches)),
                ("default".to_owned(), otherwise),
            ])),
        ))
    }
}

/// Keeps the first word that is written to it, so that a deep tree is not written at all.
struct FirstWord(String);

impl Write for FirstWord {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = text.find(|next: char| !next.is_alphanumeric());
        self.0.push_str(&text[..end.unwrap_or(text.len())]);
        if end.is_some() { Err(std::fmt::Error) } else { Ok(()) }
    }
}

fn constant(operand: &Operand) -> Option<Value> {
    match operand {
        Operand::Constant(value) => Some(value.clone()),
        _ => None,
    }
}

fn arithmetic(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::Plus => "$add",
        BinaryOperator::Minus => "$subtract",
        BinaryOperator::Multiply => "$multiply",
        BinaryOperator::Divide => "$divide",
        BinaryOperator::Modulo => "$mod",
        BinaryOperator::StringConcat => "$concat",
        _ => return None,
    })
}

pub(super) fn call<const N: usize>(operator: &str, arguments: [Value; N]) -> Value {
    one(operator, Value::Array(arguments.to_vec()))
}
