//! The columns of a `SELECT`: their names, the meaning of names beside them, and the stages that
//! compute them.

use super::expression::Operand;
use super::group::{Group, group_id, key_path};
use super::{Scope, idents, unsupported};
use crate::error::Result;
use crate::query::text::one;
use crate::value::{Object, Value};
use sqlparser::ast::{Expr, SelectItem};

/// One column of the result.
pub(super) struct Column<'q> {
    /// Its name or, without one, the path of the field that it is.
    pub(super) name: String,
    pub(super) expr: &'q Expr,
    pub(super) kind: Kind,
    /// Its position in the list, from 1.
    number: usize,
}

/// The kind of a column.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// A field of the documents under its own path.
    Field,
    /// A field of a joined document under its path there.
    Joined,
    /// A field under another name.
    Renamed,
    Computed,
}

/// Whether there is a `*`, and the other columns.
pub(super) fn columns<'q>(
    scope: &Scope<'_>,
    items: &'q [SelectItem],
) -> Result<(bool, Vec<Column<'q>>)> {
    let mut wildcard = false;
    let mut columns: Vec<Column<'q>> = Vec::new();
    if items.is_empty() {
        return Err(scope.scan.error("the columns after SELECT are missing", &["*", "a column"]));
    }
    for (index, item) in items.iter().enumerate() {
        let column = match item {
            SelectItem::Wildcard(options) if options.to_string().is_empty() => {
                wildcard = true;
                continue;
            }
            SelectItem::UnnamedExpr(expr) => unnamed(scope, expr, index + 1)?,
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = alias.value.clone();
                if name.is_empty() || name.contains('.') || name.starts_with('$') {
                    return Err(scope.place(expr).error(format!("{name:?} cannot be a name"), &[]));
                }
                let kind = match expr {
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_) => Kind::Renamed,
                    _ => Kind::Computed,
                };
                Column { name, expr, kind, number: index + 1 }
            }
            _ => return Err(unsupported(scope.scan, "a column with .* or options of *")),
        };
        if columns.iter().any(|known| known.name == column.name) {
            let message = format!("two columns are named {:?}; give one another name", column.name);
            return Err(scope.place(column.expr).error(message, &["AS"]));
        }
        columns.push(column);
    }
    Ok((wildcard, columns))
}

fn unnamed<'q>(scope: &Scope<'_>, expr: &'q Expr, number: usize) -> Result<Column<'q>> {
    let name = match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match scope.operand(expr)? {
            Operand::Path(path) => {
                let (kind, name) = match of_joined(scope, &path) {
                    Some(name) => (Kind::Joined, name.to_owned()),
                    None => (Kind::Field, path),
                };
                return Ok(Column { name, expr, kind, number });
            }
            _ => String::new(),
        },
        Expr::Function(function) => {
            let names = idents(&function.name);
            names.last().map(|name| name.value.to_lowercase()).unwrap_or_default()
        }
        _ => String::new(),
    };
    let name = if name.is_empty() { format!("column{number}") } else { name };
    Ok(Column { name, expr, kind: Kind::Computed, number })
}

/// The path inside a joined document, if a path leads into one.
fn of_joined<'p>(scope: &Scope<'_>, path: &'p str) -> Option<&'p str> {
    let (first, rest) = path.split_once('.')?;
    scope.joined.iter().any(|joined| joined == first).then_some(rest)
}

/// The keys of `GROUP BY` with their paths. A name is that of a field, as in PostgreSQL; it is that
/// of a computed column only where this column could not be computed from the groups.
pub(super) fn group_keys<'e>(
    scope: &Scope<'e>,
    columns: &[Column<'e>],
    written: &'e [Expr],
) -> Result<Vec<(Value, String)>> {
    let mut keys = Vec::new();
    for (index, expr) in written.iter().enumerate() {
        let expr = if matches!(expr, Expr::Value(_)) { meant(scope, columns, expr)? } else { expr };
        keys.push((scope.operand(expr)?.expression(), key_path(written.len(), index)));
    }
    for (index, expr) in written.iter().enumerate() {
        let Expr::Identifier(name) = expr else { continue };
        let mut columns = columns.iter().filter(|column| column.kind != Kind::Field);
        let Some(column) = columns.find(|column| column.name == name.value) else { continue };
        let group = Group { keys: keys.clone(), totals: Vec::new(), aliases: Vec::new() };
        *scope.group.borrow_mut() = Some(group);
        let of_groups = scope.operand(column.expr);
        scope.group.take();
        match column.kind {
            _ if of_groups.is_ok() => {}
            Kind::Renamed => {
                let path = column.expr;
                let message = format!("{name} in GROUP BY is a field; write GROUP BY {path}");
                return Err(scope.place(path).error(message, &["GROUP BY"]));
            }
            _ => keys[index].0 = scope.operand(column.expr)?.expression(),
        }
    }
    Ok(keys)
}

/// The stages of `SELECT DISTINCT`: a group for each row.
pub(super) fn distinct_rows(scope: &Scope<'_>, columns: &[Column<'_>]) -> Result<Vec<Value>> {
    let (mut keys, mut fields) = (Vec::new(), Object::new());
    for (index, column) in columns.iter().enumerate() {
        let path = key_path(columns.len(), index);
        fields.insert(column.name.clone(), format!("${path}").into());
        keys.push((scope.operand(column.expr)?.expression(), path));
    }
    fields.entry("_id".to_owned()).or_insert(Value::Int(0));
    let id = group_id(&keys);
    Ok(vec![one("$group", one("_id", id)), one("$project", Value::Object(fields))])
}

/// The expression that a number or the name of a column refers to.
pub(super) fn meant<'q>(
    scope: &Scope<'_>,
    columns: &[Column<'q>],
    expr: &'q Expr,
) -> Result<&'q Expr> {
    match expr {
        Expr::Identifier(name) => {
            Ok(columns.iter().find(|one| one.name == name.value).map_or(expr, |one| one.expr))
        }
        Expr::Value(_) => {
            let number = match scope.operand(expr)? {
                Operand::Constant(number) => number.as_int(),
                _ => None,
            };
            let number = number.and_then(|number| usize::try_from(number).ok());
            let column = columns.iter().find(|column| Some(column.number) == number);
            let expected = "a field or the number of a column";
            Ok(column.ok_or_else(|| scope.place(expr).expected(&[expected]))?.expr)
        }
        _ => Ok(expr),
    }
}

/// The stage that computes the columns, and its fields; `None` if documents stay as they are.
pub(super) fn output(
    scope: &Scope<'_>,
    wildcard: bool,
    columns: &[Column<'_>],
    grouped: bool,
) -> Result<Option<(&'static str, Value)>> {
    let mut fields = Object::new();
    // Documents keep their fields, including joined documents.
    let there = |kind| wildcard && matches!(kind, Kind::Field | Kind::Joined);
    for column in columns.iter().filter(|column| !there(column.kind)) {
        let value = match column.kind == Kind::Field && !grouped {
            true => Value::Int(1),
            false => match scope.operand(column.expr)? {
                // A number alone would select a field, not be its value.
                Operand::Constant(value) => one("$literal", value),
                operand => operand.expression(),
            },
        };
        fields.insert(column.name.clone(), value);
    }
    if wildcard {
        return Ok((!fields.is_empty()).then_some(("$set", Value::Object(fields))));
    }
    if !fields.contains_key("_id") {
        fields.insert("_id".to_owned(), Value::Int(0));
    }
    Ok(Some(("$project", Value::Object(fields))))
}
