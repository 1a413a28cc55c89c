//! Functions of SQL as operators of MongoDB.

use super::Scope;
use super::condition::not_null;
use super::expression::{Operand, call};
use crate::error::Result;
use crate::query::text::one;
use crate::value::{Value, number};
use sqlparser::ast::{DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

/// Functions that are one operator: name, operator, fewest and most arguments.
const FUNCTIONS: [(&str, &str, usize, usize); 25] = [
    ("ABS", "$abs", 1, 1),
    ("CEILING", "$ceil", 1, 1),
    ("COALESCE", "$ifNull", 2, 100),
    ("IFNULL", "$ifNull", 2, 2),
    ("EXP", "$exp", 1, 1),
    ("GREATEST", "$max", 2, 100),
    ("LEAST", "$min", 2, 100),
    ("LN", "$ln", 1, 1),
    ("LOG10", "$log10", 1, 1),
    ("MOD", "$mod", 2, 2),
    ("POWER", "$pow", 2, 2),
    ("POW", "$pow", 2, 2),
    ("ROUND", "$round", 1, 2),
    ("SQRT", "$sqrt", 1, 1),
    ("TRUNC", "$trunc", 1, 2),
    ("YEAR", "$year", 1, 1),
    ("MONTH", "$month", 1, 1),
    ("DAY", "$dayOfMonth", 1, 1),
    ("HOUR", "$hour", 1, 1),
    ("MINUTE", "$minute", 1, 1),
    ("SECOND", "$second", 1, 1),
    ("ARRAY_LENGTH", "$size", 1, 1),
    ("LOWER", "$toLower", 1, 1),
    ("UPPER", "$toUpper", 1, 1),
    ("LENGTH", "$strLenCP", 1, 1),
];
/// Operators that return a text or an error for null, where SQL has `NULL`.
const NOT_FOR_NULL: [&str; 5] = ["$toLower", "$toUpper", "$strLenCP", "$size", "$substrCP"];
/// Functions of groups.
pub(super) const AGGREGATES: [&str; 5] = ["COUNT", "SUM", "AVG", "MIN", "MAX"];

/// Functions whose names are also parts of `EXTRACT`.
const PARTS_OF_DATES: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];

impl Scope<'_> {
    /// `EXTRACT(YEAR FROM date)`.
    pub(super) fn extract(&self, expr: &Expr, part: &str, date: &Expr) -> Result<Value> {
        let name = part.to_uppercase();
        let known = FUNCTIONS.iter().find(|(function, ..)| *function == name);
        match known.filter(|_| PARTS_OF_DATES.contains(&name.as_str())) {
            Some((_, operator, ..)) => Ok(one(*operator, self.expression(date)?)),
            None => Err(self.unsupported(expr, &format!("EXTRACT of {name}"))),
        }
    }

    pub(super) fn cast(&self, expr: &Expr, data_type: &DataType) -> Result<Value> {
        let name = data_type.to_string().to_uppercase();
        let name = name.split([' ', '(']).next().unwrap_or_default();
        let operator = match name {
            "INT" | "INTEGER" | "SMALLINT" | "BIGINT" | "SIGNED" => "$toLong",
            "DOUBLE" | "FLOAT" | "REAL" => "$toDouble",
            "DECIMAL" | "NUMERIC" => "$toDecimal",
            "TEXT" | "VARCHAR" | "CHAR" | "STRING" => "$toString",
            "BOOL" | "BOOLEAN" => "$toBool",
            "DATE" | "TIMESTAMP" | "DATETIME" => "$toDate",
            other => return Err(self.unsupported(expr, &format!("CAST to {other}"))),
        };
        Ok(one(operator, self.expression(expr)?))
    }

    /// SQL counts characters from 1, MongoDB from 0.
    pub(super) fn substring(
        &self,
        text: &Expr,
        from: Option<&Expr>,
        length: Option<&Expr>,
    ) -> Result<Value> {
        let text = self.operand(text)?;
        let from = match from.map(|from| self.operand(from)).transpose()? {
            None => Value::Int(0),
            Some(Operand::Constant(from)) if from.as_int().is_some_and(|from| from > 0) => {
                number::subtract(&from, &Value::Int(1))
            }
            Some(from) => call("$subtract", [from.expression(), Value::Int(1)]),
        };
        let length = length.map_or(Ok(Value::Int(i32::MAX)), |n| self.expression(n))?;
        let part = call("$substrCP", [text.clone().expression(), from, length]);
        Ok(null_for_null(text, part))
    }

    pub(super) fn function(&self, expr: &Expr, function: &Function) -> Result<Value> {
        let name = function.name.to_string().to_uppercase();
        self.check_function(expr, function)?;
        if AGGREGATES.contains(&name.as_str()) {
            return Err(self.place(expr).error(format!("{name} cannot stand here"), &["HAVING"]));
        }
        if function.args == FunctionArguments::None && name != "CURRENT_TIMESTAMP" {
            let field = &function.name;
            let what = format!("{name}; a field of that name stands in backticks: `{field}`");
            return Err(self.unsupported(expr, &what));
        }
        let arguments = self.arguments(expr, function)?;
        let takes = |count: &str| self.place(expr).error(format!("{name} takes {count}"), &[]);
        match name.as_str() {
            "NOW" | "CURRENT_TIMESTAMP" if arguments.is_empty() => return Ok("$$NOW".into()),
            "CONCAT" if !arguments.is_empty() => {
                let texts = arguments.iter().map(|text| self.text_for(Some("$concat"), text));
                return Ok(one("$concat", Value::Array(texts.collect::<Result<_>>()?)));
            }
            "NULLIF" => {
                let [a, b] = arguments.as_slice() else { return Err(takes("two arguments")) };
                let (a, b) = (self.expression(a)?, self.expression(b)?);
                return Ok(call("$cond", [call("$eq", [a.clone(), b]), Value::Null, a]));
            }
            _ => {}
        }
        let name = match name.as_str() {
            "CHAR_LENGTH" | "CHARACTER_LENGTH" | "LEN" => "LENGTH",
            "LCASE" => "LOWER",
            "UCASE" => "UPPER",
            "CEIL" => "CEILING",
            other => other,
        };
        let Some((_, operator, least, most)) = FUNCTIONS.iter().find(|known| known.0 == name)
        else {
            let mut known: Vec<&str> = FUNCTIONS.iter().map(|known| known.0).collect();
            known.extend(["CONCAT", "NULLIF", "NOW", "CASE", "CAST", "FLOOR", "SUBSTRING", "TRIM"]);
            known.extend(AGGREGATES);
            return Err(self.place(expr).unknown("function", name, &known));
        };
        if !(*least..=*most).contains(&arguments.len()) {
            let count =
                if least == most { format!("{least}") } else { format!("{least} to {most}") };
            let plural = if *most == 1 { "" } else { "s" };
            return Err(takes(&format!("{count} argument{plural}")));
        }
        let operands: Vec<Operand> =
            arguments.iter().map(|item| self.operand(item)).collect::<Result<_>>()?;
        let first = operands.first().cloned();
        let mut expressions: Vec<Value> = operands.into_iter().map(Operand::expression).collect();
        let value = match expressions.len() {
            1 => one(*operator, expressions.pop().unwrap_or_default()),
            _ => one(*operator, Value::Array(expressions)),
        };
        Ok(match first.filter(|_| NOT_FOR_NULL.contains(operator)) {
            Some(operand) => null_for_null(operand, value),
            None => value,
        })
    }

    /// Refuses clauses around the arguments of a function.
    pub(super) fn check_function(&self, expr: &Expr, function: &Function) -> Result<()> {
        let clauses = match &function.args {
            FunctionArguments::List(list) => !list.clauses.is_empty(),
            FunctionArguments::None => false,
            FunctionArguments::Subquery(_) => return Err(self.unsupported(expr, "a subquery")),
        };
        let what = [
            (function.over.is_some(), "a window function (OVER)"),
            (function.filter.is_some(), "FILTER"),
            (!function.within_group.is_empty(), "WITHIN GROUP"),
            (function.null_treatment.is_some(), "IGNORE NULLS"),
            (function.parameters != FunctionArguments::None, "a function with parameters"),
            (clauses, "a clause inside the arguments of a function"),
        ];
        match what.iter().find(|(there, _)| *there) {
            Some((_, what)) => Err(self.unsupported(expr, what)),
            None => Ok(()),
        }
    }

    /// The arguments of a function without `*` or named arguments.
    pub(super) fn arguments<'e>(
        &self,
        expr: &Expr,
        function: &'e Function,
    ) -> Result<Vec<&'e Expr>> {
        let FunctionArguments::List(list) = &function.args else { return Ok(Vec::new()) };
        let plain = list.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Ok(argument),
            _ => Err(self.place(expr).expected(&["a function of values"])),
        });
        plain.collect()
    }
}

fn null_for_null(operand: Operand, value: Value) -> Value {
    match operand {
        Operand::Constant(_) => value,
        operand => call("$cond", [not_null(operand), value, Value::Null]),
    }
}
