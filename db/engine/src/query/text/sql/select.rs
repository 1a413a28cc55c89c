//! `SELECT`: a plain find where possible, else a pipeline.

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
    OrderByExpr, OrderByKind, OrderBySort, Query, Select, SetExpr,
};

/// Translates a query.
pub(super) fn translate<'q>(scan: Lexer<'q>, query: &'q Query) -> Result<Statement> {
    let SetExpr::Select(select) = &*query.body else {
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
    check_query(&scope, query)?;
    check_select(&scope, select)?;
    scope.check_list(select.projection.len(), "columns")?;
    scope.check_list(from.joins.len(), "joins")?;
    let joins = joins(&mut scope, &from.joins)?;
    let (wildcard, columns) = columns(&scope, &select.projection)?;
    let filter = scope.filter(select.selection.as_ref())?;
    let (skip, limit) = limits(&scope, query.limit_clause.as_ref())?;
    let order = order_keys(&scope, query)?;
    let distinct = is_distinct(scan, select)?;

    let (before, mut stages) = split_filter(&scope, filter, joins);
    let grouped = group(&scope, select, &columns, order.iter().map(|key| &key.expr))?;
    if grouped && wildcard {
        return Err(unsupported(scan, "* together with GROUP BY"));
    }
    let having = having(&scope, select, grouped)?;
    let sort = Sort::new(&scope, &columns, order, distinct && !wildcard)?;
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
    let clauses =
        Clauses { collection, before, stages, sort, output, distinct, wildcard, rows, skip, limit };
    Ok(match findable && clauses.output.as_ref().is_none_or(|(name, _)| is_plain(name)) {
        true => clauses.find(),
        false => clauses.aggregate(),
    })
}

/// The clauses of a query, translated.
struct Clauses {
    collection: String,
    /// The filter before the joins.
    before: Value,
    /// The joins, the filter after them, and the groups.
    stages: Vec<Value>,
    sort: Sort,
    /// The stage that makes the columns.
    output: Option<(&'static str, Value)>,
    distinct: bool,
    wildcard: bool,
    /// The stages of `SELECT DISTINCT` with columns.
    rows: Vec<Value>,
    skip: u64,
    limit: Option<u64>,
}

impl Clauses {
    fn find(self) -> Statement {
        Statement::Find {
            collection: self.collection,
            filter: self.before,
            projection: self.output.map(|(_, projection)| projection),
            sort: (!self.sort.keys.is_empty()).then_some(Value::Object(self.sort.keys)),
            skip: self.skip,
            limit: self.limit,
            hint: None,
            one: false,
        }
    }

    fn aggregate(self) -> Statement {
        let Clauses { collection, before, stages, sort, .. } = self;
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
        let output = self.output.map(|(name, fields)| one(name, fields));
        if self.distinct {
            match self.wildcard {
                true => {
                    pipeline.extend(output);
                    pipeline.push(one("$group", one("_id", "$$ROOT")));
                    pipeline.push(one("$replaceRoot", one("newRoot", "$_id")));
                }
                false => pipeline.extend(self.rows),
            }
            pipeline.extend(sorted);
        } else {
            pipeline.extend(sorted);
            // `$project` leaves the sort keys out by itself.
            if !temporary.is_empty() && self.wildcard {
                pipeline.push(one("$unset", Value::Array(temporary)));
            }
            pipeline.extend(output);
        }
        if self.skip > 0 {
            pipeline.push(one("$skip", self.skip as i64));
        }
        pipeline.extend(self.limit.map(|limit| one("$limit", limit as i64)));
        Statement::Aggregate { collection, pipeline: Value::Array(pipeline) }
    }
}

/// Refuses clauses of a query that have no meaning here.
fn check_query(scope: &Scope<'_>, query: &Query) -> Result<()> {
    scope.refuse([
        (query.with.is_some(), "WITH"),
        (query.fetch.is_some(), "FETCH; write LIMIT"),
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "FOR XML"),
        (query.settings.is_some() || query.format_clause.is_some(), "SETTINGS"),
        (!query.pipe_operators.is_empty(), "|>"),
    ])
}

/// The keys of `ORDER BY`.
fn order_keys<'q>(scope: &Scope<'_>, query: &'q Query) -> Result<&'q [OrderByExpr]> {
    match query.order_by.as_ref().map(|order| &order.kind) {
        None => Ok(&[]),
        Some(OrderByKind::Expressions(order)) => {
            scope.check_list(order.len(), "keys to sort by")?;
            Ok(order)
        }
        Some(OrderByKind::All(_)) => Err(unsupported(scope.scan, "ORDER BY ALL")),
    }
}

fn is_distinct(scan: Lexer<'_>, select: &Select) -> Result<bool> {
    match &select.distinct {
        None | Some(Distinct::All) => Ok(false),
        Some(Distinct::Distinct) => Ok(true),
        Some(Distinct::On(_)) => Err(unsupported(scan, "DISTINCT ON")),
    }
}

/// The filter before the joins, and the joins with the filter after them.
fn split_filter(scope: &Scope<'_>, filter: Value, joins: Vec<Value>) -> (Value, Vec<Value>) {
    if joins.is_empty() {
        return (filter, joins);
    }
    let (before, after) = where_clause::split(filter, &scope.joined);
    let mut stages = joins;
    if !after.is_empty() {
        stages.push(one("$match", Value::Object(after)));
    }
    (Value::Object(before), stages)
}

fn having(scope: &Scope<'_>, select: &Select, grouped: bool) -> Result<Option<Value>> {
    match &select.having {
        Some(having) if grouped => scope.filter(Some(having)).map(Some),
        Some(having) => Err(scope.place(having).error("HAVING needs GROUP BY", &["WHERE"])),
        None => Ok(None),
    }
}

/// Whether a key of `ORDER BY` descends. `NULL` counts as least, so it comes first in an
/// ascending order.
fn is_descending(scope: &Scope<'_>, key: &OrderByExpr) -> Result<bool> {
    match (&key.options.sort, key.options.nulls_first) {
        (None | Some(OrderBySort::Asc), None | Some(true)) => Ok(false),
        (Some(OrderBySort::Desc), None | Some(false)) => Ok(true),
        (Some(OrderBySort::Using(_)), _) => Err(scope.unsupported(&key.expr, "USING")),
        _ => Err(scope.unsupported(&key.expr, "this place of NULLS; they count as least")),
    }
}

/// Refuses clauses of `SELECT` that have no meaning here.
fn check_select(scope: &Scope<'_>, select: &Select) -> Result<()> {
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

/// The field of the documents so far, and that of the joined collection.
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

/// Sets the scope to the result of `$group`, if there is one.
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
    /// Keys that are not fields, computed before the sort.
    computed: Object,
}

impl Sort {
    fn new(
        scope: &Scope<'_>,
        columns: &[Column<'_>],
        order: &[OrderByExpr],
        output_only: bool,
    ) -> Result<Sort> {
        let mut sort = Sort::default();
        for key in order {
            let descending = is_descending(scope, key)?;
            sort.add(scope, columns, &key.expr, descending, output_only)?;
        }
        Ok(sort)
    }

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
