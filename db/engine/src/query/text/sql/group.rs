//! `GROUP BY` and its functions: `$group`, and the meaning of names after it.

use super::Scope;
use super::condition::{binary, not_null};
use super::expression::Operand;
use super::functions::AGGREGATES;
use crate::error::Result;
use crate::query::text::one;
use crate::value::{Object, Value};
use sqlparser::ast::{
    DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select,
};

/// The row of a statement without `GROUP BY`, until it is taken out.
const ROWS: &str = "rows";

/// The result of `GROUP BY`.
pub(super) struct Group<'q> {
    /// The expressions grouped by, and their paths afterwards.
    pub(super) keys: Vec<(Value, String)>,
    /// The accumulators of `$group`.
    pub(super) totals: Vec<Total>,
    /// The columns by their names, which `HAVING` and `ORDER BY` may use.
    pub(super) aliases: Vec<(String, &'q Expr)>,
}

/// An accumulator.
pub(super) struct Total {
    accumulator: Value,
    /// The value for a group of no documents.
    empty: Value,
    /// The path of the number of values; without any, the result is null.
    count: Option<String>,
}

/// Whether an expression contains a function of groups.
pub(super) fn has_aggregate(expr: &Expr, depth: usize) -> bool {
    // Deeper expressions are refused when they are translated.
    if depth > 100 {
        return false;
    }
    let has = |inner: &Expr| has_aggregate(inner, depth + 1);
    match expr {
        Expr::Function(function) => {
            let name = function.name.to_string().to_uppercase();
            AGGREGATES.contains(&name.as_str())
                || match &function.args {
                    FunctionArguments::List(list) => list.args.iter().any(|argument| {
                        matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) if has(inner))
                    }),
                    _ => false,
                }
        }
        Expr::BinaryOp { left, right, .. } => has(left) || has(right),
        Expr::Nested(inner)
        | Expr::UnaryOp { expr: inner, .. }
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::Like { expr: inner, .. }
        | Expr::ILike { expr: inner, .. }
        | Expr::Substring { expr: inner, .. }
        | Expr::Trim { expr: inner, .. }
        | Expr::Extract { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::Ceil { expr: inner, .. }
        | Expr::Floor { expr: inner, .. }
        | Expr::InList { expr: inner, .. } => has(inner),
        Expr::Between { expr, low, high, .. } => has(expr) || has(low) || has(high),
        Expr::Case { operand, conditions, else_result, .. } => {
            let parts = operand.iter().chain(else_result).map(|part| &**part);
            let branches = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
            parts.chain(branches).any(has)
        }
        _ => false,
    }
}

impl Scope<'_> {
    /// After `GROUP BY`: the translation of an expression that is one of its keys, a function of
    /// groups, or the name of a column.
    pub(super) fn grouped(&self, expr: &Expr) -> Result<Option<Operand>> {
        // During its translation, names refer to the documents before grouping.
        let Some(mut group) = self.group.take() else {
            return Ok(None);
        };
        let known = self.key(&group, expr).map_or_else(|| self.total(&mut group, expr), Ok);
        let alias = match expr {
            Expr::Identifier(name) => {
                let mut aliases = group.aliases.iter();
                aliases.find(|(alias, _)| *alias == name.value).map(|(_, expr)| *expr)
            }
            _ => None,
        };
        *self.group.borrow_mut() = Some(group);
        match (known?, alias) {
            (Some(operand), _) => Ok(Some(operand)),
            (None, Some(expr)) => {
                // The expression of a column does not see the names of columns.
                let mut hidden = self.group.borrow_mut();
                let aliases = hidden.as_mut().map(|group| std::mem::take(&mut group.aliases));
                drop(hidden);
                let operand = self.operand(expr);
                if let (Some(group), Some(aliases)) = (&mut *self.group.borrow_mut(), aliases) {
                    group.aliases = aliases;
                }
                operand.map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    fn key(&self, group: &Group<'_>, expr: &Expr) -> Option<Option<Operand>> {
        if matches!(expr, Expr::Value(_)) || has_aggregate(expr, 0) {
            return None;
        }
        let expression = self.operand(expr).ok()?.expression();
        let (_, path) = group.keys.iter().find(|(key, _)| *key == expression)?;
        Some(Some(Operand::Path(path.clone())))
    }

    fn total(&self, group: &mut Group<'_>, expr: &Expr) -> Result<Option<Operand>> {
        let Expr::Function(function) = expr else { return Ok(None) };
        let name = function.name.to_string().to_uppercase();
        if !AGGREGATES.contains(&name.as_str()) {
            return Ok(None);
        }
        self.check_function(expr, function)?;
        let FunctionArguments::List(list) = &function.args else {
            return Err(self.place(expr).error(format!("{name} takes one argument"), &[]));
        };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let whole =
            matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if name == "COUNT" && whole && !distinct {
            let path = group.add(one("$sum", 1), Value::Int(0));
            return Ok(Some(Operand::Path(path)));
        }
        let arguments = self.arguments(expr, function)?;
        let [argument] = arguments.as_slice() else {
            return Err(self.place(expr).error(format!("{name} takes one argument"), &[]));
        };
        let operand = self.operand(argument)?;
        let minmax = ["MIN", "MAX"].contains(&name.as_str());
        Ok(Some(match name.as_str() {
            "COUNT" if distinct => {
                let set = one("$addToSet", operand.expression());
                let path = group.add(set, Value::Array(Vec::new()));
                let nothing = Value::Array(vec![Value::Null]);
                let set = Value::Array(vec![Operand::Path(path).expression(), nothing]);
                Operand::Computed(one("$size", one("$setDifference", set)))
            }
            "COUNT" => Operand::Path(group.add(count(operand), Value::Int(0))),
            _ if distinct && !minmax => {
                return Err(self.unsupported(expr, &format!("{name}(DISTINCT …)")));
            }
            // MongoDB's sum of no values is 0, SQL's is NULL.
            "SUM" => {
                let count = group.add(count(operand.clone()), Value::Int(0));
                let sum = one("$sum", operand.expression());
                Operand::Path(group.add_counted(sum, Value::Null, Some(count)))
            }
            other => {
                let operator = format!("${}", other.to_lowercase());
                Operand::Path(group.add(one(operator, operand.expression()), Value::Null))
            }
        }))
    }
}

/// The accumulator that counts the present values.
fn count(operand: Operand) -> Value {
    let there = vec![not_null(operand), Value::Int(1), Value::Int(0)];
    one("$sum", one("$cond", Value::Array(there)))
}

/// The path of a key after `$group`.
pub(super) fn key_path(keys: usize, index: usize) -> String {
    if keys == 1 { "_id".to_owned() } else { format!("_id.k{index}") }
}

/// The `_id` of `$group` for keys with their paths. A missing field and null are one group.
pub(super) fn group_id(keys: &[(Value, String)]) -> Value {
    match keys {
        [] => Value::Null,
        [(key, _)] => key.clone(),
        keys => {
            let name = |path: &str| path.trim_start_matches("_id.").to_owned();
            let or_null = |key: &Value| Value::Array(vec![key.clone(), Value::Null]);
            let keys = keys.iter().map(|(key, path)| (name(path), one("$ifNull", or_null(key))));
            Value::Object(keys.collect())
        }
    }
}

impl Group<'_> {
    /// Adds an accumulator unless it exists; returns its path.
    fn add(&mut self, accumulator: Value, empty: Value) -> String {
        self.add_counted(accumulator, empty, None)
    }

    /// As [`Group::add`], with the path of the number of its values.
    fn add_counted(&mut self, accumulator: Value, empty: Value, count: Option<String>) -> String {
        let same = |known: &Total| known.accumulator == accumulator && known.count == count;
        let known = self.totals.iter().position(same);
        let index = known.unwrap_or_else(|| {
            self.totals.push(Total { accumulator, empty, count });
            self.totals.len() - 1
        });
        format!("a{index}")
    }

    /// `$group`. Without `GROUP BY` there is one row, even for no documents.
    pub(super) fn stages(self, select: &Select) -> Vec<Value> {
        let alone =
            matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
        let mut fields = Object::from([("_id".to_owned(), group_id(&self.keys))]);
        let (mut empty, mut sums) = (Object::new(), Object::new());
        for (index, total) in self.totals.into_iter().enumerate() {
            let name = format!("a{index}");
            if let Some(count) = total.count {
                let there = binary("$gt", format!("${count}").into(), Value::Int(0));
                let sum = vec![there, format!("${name}").into(), Value::Null];
                sums.insert(name.clone(), one("$cond", Value::Array(sum)));
            }
            fields.insert(name.clone(), total.accumulator);
            empty.insert(name, total.empty);
        }
        let mut stages = vec![one("$group", Value::Object(fields))];
        if !sums.is_empty() {
            stages.push(one("$set", Value::Object(sums)));
        }
        if !alone {
            return stages;
        }
        let facet = one(ROWS, Value::Array(stages));
        let first = Value::Array(vec![format!("${ROWS}").into(), Value::Int(0)]);
        let empty = one("$literal", Value::Object(empty));
        let row = one("$ifNull", Value::Array(vec![one("$arrayElemAt", first), empty]));
        vec![one("$facet", facet), one("$replaceRoot", one("newRoot", row))]
    }
}
