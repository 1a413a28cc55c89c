//! `SELECT`: a plain find where it can be one, else a pipeline.

use super::columns::{Column, Kind, columns, distinct_rows, group_keys, meant, output};
use super::expression::Operand;
use super::group::{Group, has_aggregate};
use super::{Scope, table, unsupported};
use crate::error::Result;
use crate::query::text::lexer::Lexer;
use crate::query::text::{Statement, one, where_clause};
use crate::value::{Object, Value};
use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause,
    OrderByKind, OrderBySort, Query, Select, SetExpr,
};

/// Translates a query.
pub(super) fn translate<'q>(scan: Lexer<'q>, query: &'q Query) -> Result<Statement> {
    let Query { with, body, order_by, limit_clause, fetch, locks, for_clause, settings, .. } =
        query;
    let SetExpr::Select(select) = &**body else {
        return Err(scan.expected(&["SELECT"]));
    };
    let [from] = select.from.as_slice() else {
        return Err(match select.from.is_empty() {
            true => scan.error("FROM and a collection are missing", &["FROM"]),
            false => unsupported(scan, "a list of tables; write JOIN … ON …"),
        });
    };
    let (collection, name) = table(scan, &from.relation)?;
    let mut scope = Scope::new(scan, name);
    scope.refuse([
        (with.is_some(), "WITH"),
        (fetch.is_some(), "FETCH; write LIMIT"),
        (!locks.is_empty(), "FOR UPDATE"),
        (for_clause.is_some(), "FOR XML"),
        (settings.is_some() || query.format_clause.is_some(), "SETTINGS"),
        (!query.pipe_operators.is_empty(), "|>"),
    ])?;
    check(&scope, select)?;
    scope.check_list(select.projection.len(), "columns")?;
    scope.check_list(from.joins.len(), "joins")?;
    let joins = joins(&mut scope, &from.joins)?;
    let (wildcard, columns) = columns(&scope, &select.projection)?;
    let filter = scope.filter(select.selection.as_ref())?;
    let (skip, limit) = limits(&scope, limit_clause.as_ref())?;
    let order: &[_] = match order_by.as_ref().map(|order| &order.kind) {
        None => &[],
        Some(OrderByKind::Expressions(order)) => {
            scope.check_list(order.len(), "keys to sort by")?;
            order
        }
        Some(OrderByKind::All(_)) => return Err(unsupported(scan, "ORDER BY ALL")),
    };
    let distinct = match &select.distinct {
        None | Some(Distinct::All) => false,
        Some(Distinct::Distinct) => true,
        Some(Distinct::On(_)) => return Err(unsupported(scan, "DISTINCT ON")),
    };

    let (before, after) = match joins.is_empty() {
        true => (filter, Object::new()),
        false => {
            let (before, after) = where_clause::split(filter, &scope.joined);
            (Value::Object(before), after)
        }
    };
    let mut stages = joins;
    if !after.is_empty() {
        stages.push(one("$match", Value::Object(after)));
    }
    let grouped = group(&scope, select, &columns, order.iter().map(|key| &key.expr))?;
    if grouped && wildcard {
        return Err(unsupported(scan, "* together with GROUP BY"));
    }
    let having = match &select.having {
        Some(having) if grouped => Some(scope.filter(Some(having))?),
        Some(having) => return Err(scope.place(having).error("HAVING needs GROUP BY", &["WHERE"])),
        None => None,
    };
    let mut sort = Sort::default();
    for key in order {
        let descending = match (&key.options.sort, key.options.nulls_first) {
            (None | Some(OrderBySort::Asc), None | Some(true)) => false,
            (Some(OrderBySort::Desc), None | Some(false)) => true,
            (Some(OrderBySort::Using(_)), _) => return Err(scope.unsupported(&key.expr, "USING")),
            _ => {
                return Err(
                    scope.unsupported(&key.expr, "this place of NULLS; they count as least")
                );
            }
        };
        sort.add(&scope, &columns, &key.expr, descending, distinct && !wildcard)?;
    }
    if distinct && !sort.computed.is_empty() {
        return Err(unsupported(scan, "ORDER BY an expression with SELECT DISTINCT *"));
    }
    let output = output(&scope, wildcard, &columns, grouped)?;
    let rows = match distinct && !wildcard {
        true => distinct_rows(&scope, &columns)?,
        false => Vec::new(),
    };
    // The accumulators are complete once everything that names them is translated.
    if let Some(group) = scope.group.take() {
        stages.extend(group.stages(select));
        stages.extend(having.map(|having| one("$match", having)));
    }

    let all_fields = columns.iter().all(|column| column.kind == Kind::Field);
    let is_plain = |name: &str| all_fields && name != "$set";
    let findable = stages.is_empty() && sort.computed.is_empty() && !distinct;
    if findable && output.as_ref().is_none_or(|(name, _)| is_plain(name)) {
        return Ok(Statement::Find {
            collection,
            filter: before,
            projection: output.map(|(_, projection)| projection),
            sort: (!sort.keys.is_empty()).then_some(Value::Object(sort.keys)),
            skip,
            limit,
            hint: None,
            one: false,
        });
    }

    let mut pipeline = Vec::new();
    if before != Value::Object(Object::new()) {
        pipeline.push(one("$match", before));
    }
    pipeline.extend(stages);
    let temporary: Vec<Value> = sort.computed.keys().map(|name| name.as_str().into()).collect();
    let sorted = (!sort.keys.is_empty()).then(|| one("$sort", Value::Object(sort.keys)));
    if !temporary.is_empty() {
        pipeline.push(one("$set", Value::Object(sort.computed)));
    }
    let output = output.map(|(name, fields)| one(name, fields));
    if distinct {
        match wildcard {
            true => {
                pipeline.extend(output);
                pipeline.push(one("$group", one("_id", "$$ROOT")));
                pipeline.push(one("$replaceRoot", one("newRoot", "$_id")));
            }
            false => pipeline.extend(rows),
        }
        pipeline.extend(sorted);
    } else {
        pipeline.extend(sorted);
        // `$project` leaves the sort keys out by itself.
        if !temporary.is_empty() && wildcard {
            pipeline.push(one("$unset", Value::Array(temporary)));
        }
        pipeline.extend(output);
    }
    if skip > 0 {
        pipeline.push(one("$skip", skip as i64));
    }
    pipeline.extend(limit.map(|limit| one("$limit", limit as i64)));
    Ok(Statement::Aggregate { collection, pipeline: Value::Array(pipeline) })
}

/// Refuses clauses of `SELECT` that have no meaning here.
fn check(scope: &Scope<'_>, select: &Select) -> Result<()> {
    scope.refuse([
        (select.top.is_some(), "TOP; write LIMIT"),
        (select.into.is_some(), "INTO"),
        (select.exclude.is_some(), "EXCLUDE"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty(), "CLUSTER BY"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
        (!select.sort_by.is_empty(), "SORT BY; write ORDER BY"),
        (!select.named_window.is_empty(), "a window function (WINDOW)"),
        (select.qualify.is_some(), "QUALIFY"),
        (select.value_table_mode.is_some(), "SELECT AS VALUE"),
    ])
}

fn joins(scope: &mut Scope<'_>, joins: &[Join]) -> Result<Vec<Value>> {
    let mut stages = Vec::new();
    for join in joins {
        let (from, name) = table(scope.scan, &join.relation)?;
        let (outer, constraint) = match &join.join_operator {
            JoinOperator::Join(on) | JoinOperator::Inner(on) => (false, on),
            JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (true, on),
            _ => {
                let what = format!("this kind of join with {from:?}; use JOIN or LEFT JOIN");
                return Err(unsupported(scope.scan, &what));
            }
        };
        let JoinConstraint::On(on) = constraint else {
            let message = format!("the join with {from:?} needs ON and an equality");
            return Err(scope.scan.error(message, &["ON"]));
        };
        if name == scope.table || scope.joined.contains(&name) || name.contains('.') {
            let message = format!("the join needs a name of its own for {from:?}");
            return Err(scope.scan.error(message, &["AS"]));
        }
        scope.joined.push(name.clone());
        let (local, foreign) = join_fields(scope, on, &name)?;
        stages.extend(where_clause::join(&from, &local, &foreign, &name, outer));
    }
    Ok(stages)
}

/// The field of the documents so far and the one of the joined collection.
fn join_fields(scope: &Scope<'_>, on: &Expr, name: &str) -> Result<(String, String)> {
    let mut inner = on;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    let wrong = || scope.place(on).expected(&["an equality of two fields"]);
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = inner else {
        return Err(wrong());
    };
    let (Operand::Path(left), Operand::Path(right)) = (scope.operand(left)?, scope.operand(right)?)
    else {
        return Err(wrong());
    };
    let of_joined = |path: &str| {
        path.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned)
    };
    match (of_joined(&left), of_joined(&right)) {
        (None, Some(foreign)) => Ok((left, foreign)),
        (Some(foreign), None) => Ok((right, foreign)),
        _ => {
            let expected = format!("a field of {name:?} on one side");
            Err(scope.place(on).expected(&[&expected]))
        }
    }
}

/// Sets the scope to what follows `$group`, if there is one.
fn group<'e>(
    scope: &Scope<'e>,
    select: &'e Select,
    columns: &[Column<'e>],
    order: impl Iterator<Item = &'e Expr>,
) -> Result<bool> {
    let written = match &select.group_by {
        GroupByExpr::Expressions(written, modifiers) if modifiers.is_empty() => written,
        _ => return Err(unsupported(scope.scan, "GROUP BY with ALL, ROLLUP, CUBE")),
    };
    let mut others = columns.iter().map(|column| column.expr).chain(order).chain(&select.having);
    if written.is_empty() && !others.any(|expr| has_aggregate(expr, 0)) {
        return Ok(false);
    }
    scope.check_list(written.len(), "keys to group by")?;
    let keys = group_keys(scope, columns, written)?;
    let aliases = columns.iter().filter(|column| column.kind != Kind::Field);
    let aliases = aliases.map(|column| (column.name.clone(), column.expr)).collect();
    *scope.group.borrow_mut() = Some(Group { keys, totals: Vec::new(), aliases });
    Ok(true)
}

/// The order of the rows.
#[derive(Default)]
struct Sort {
    keys: Object,
    /// Keys that are no fields, computed before the sort.
    computed: Object,
}

impl Sort {
    fn add(
        &mut self,
        scope: &Scope<'_>,
        columns: &[Column<'_>],
        expr: &Expr,
        descending: bool,
        output_only: bool,
    ) -> Result<()> {
        let operand = scope.operand(meant(scope, columns, expr)?)?;
        let path = if output_only {
            // After DISTINCT only the columns are left.
            let expression = operand.expression();
            let mut named = None;
            for column in columns {
                if scope.operand(column.expr)?.expression() == expression {
                    named = Some(column.name.clone());
                }
            }
            let message = "ORDER BY of SELECT DISTINCT needs one of its columns";
            named.ok_or_else(|| scope.place(expr).error(message, &["a column"]))?
        } else {
            match operand {
                Operand::Path(path) => path,
                other => {
                    let name = format!("_sort{}", self.computed.len());
                    self.computed.insert(name.clone(), other.expression());
                    name
                }
            }
        };
        if self.keys.contains_key(&path) {
            return Ok(());
        }
        self.keys.insert(path, Value::Int(if descending { -1 } else { 1 }));
        Ok(())
    }
}

/// `OFFSET` and `LIMIT`.
fn limits(scope: &Scope<'_>, clause: Option<&LimitClause>) -> Result<(u64, Option<u64>)> {
    let (limit, offset) = match clause {
        None => (None, None),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
            scope.refuse([(!limit_by.is_empty(), "LIMIT BY")])?;
            (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(limit), Some(offset)),
    };
    let number = |expr: &Expr, least: i64| {
        let number = match scope.operand(expr)? {
            Operand::Constant(number) => number.as_int().filter(|number| *number >= least),
            _ => None,
        };
        let expected = format!("a whole number from {least}");
        number
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| scope.place(expr).expected(&[&expected]))
    };
    let skip = offset.map_or(Ok(0), |offset| number(offset, 0))?;
    Ok((skip, limit.map(|limit| number(limit, 1)).transpose()?))
}
