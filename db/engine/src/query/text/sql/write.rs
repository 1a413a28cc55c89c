//! `INSERT`, `UPDATE` and `DELETE`.

use super::expression::Operand;
use super::{Scope, idents, table, unsupported};
use crate::error::{Error, Kind, Result};
use crate::query::text::lexer::Lexer;
use crate::query::text::{Statement, one};
use crate::value::{Object, Value};
use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Insert, ObjectName, SetExpr,
    TableObject, TableWithJoins, Update,
};

/// Most bytes of the names of the columns in all documents of one statement.
const NAMES_MAX: usize = 16 << 20;

/// Translates `INSERT INTO c (a, b) VALUES (1, 2), …`.
pub(super) fn insert(scan: Lexer<'_>, insert: &Insert) -> Result<Statement> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(scan.expected(&["the name of a collection"]));
    };
    let collection = path_of(name);
    let scope = Scope::new(scan, collection.clone());
    scope.refuse([
        (insert.or.is_some() || insert.ignore || insert.replace_into, "INSERT OR …, REPLACE"),
        (insert.on.is_some(), "ON CONFLICT"),
        (insert.returning.is_some() || insert.output.is_some(), "RETURNING"),
        (!insert.assignments.is_empty(), "INSERT … SET; write (columns) VALUES (values)"),
        (insert.overwrite || insert.partitioned.is_some(), "INSERT OVERWRITE, PARTITION"),
        (insert.table_alias.is_some() || insert.insert_alias.is_some(), "an alias"),
    ])?;
    let rows = match insert.source.as_ref().map(|source| &*source.body) {
        Some(SetExpr::Values(values)) => &values.rows,
        Some(_) => return Err(unsupported(scan, "INSERT … SELECT")),
        None => return Err(scan.expected(&["VALUES"])),
    };
    if insert.columns.is_empty() {
        return Err(
            scan.error("the columns are missing; write INSERT INTO c (a, b) VALUES …", &["("])
        );
    }
    let paths = insert.columns.iter().map(|column| scope.path(&idents(column)));
    let paths = paths.collect::<Result<Vec<_>>>()?;
    // Each document repeats the names, which are in the statement once.
    let names = paths.iter().map(String::len).sum::<usize>();
    if names.saturating_mul(rows.len()) > NAMES_MAX {
        let message = format!("the names of the columns are too long for {} rows", rows.len());
        return Err(Error::new(Kind::TooLarge, message)
            .hint("insert fewer rows with one statement, or give the columns shorter names"));
    }
    let mut documents = Vec::with_capacity(rows.len());
    for row in rows {
        let row = &row.content;
        if row.len() != insert.columns.len() {
            let (values, columns) = (row.len(), insert.columns.len());
            let message = format!("{values} values for {columns} columns");
            return Err(row.first().map_or(scan, |first| scope.place(first)).error(message, &[]));
        }
        let mut document = Object::new();
        for (path, value) in paths.iter().zip(row) {
            let value = match scope.right_operand(value)? {
                Operand::Constant(value) => value,
                _ => return Err(scope.place(value).expected(&["a constant"])),
            };
            if !set_path(&mut document, path, value) {
                return Err(scan.error(format!("the column {path:?} is there twice"), &[]));
            }
        }
        documents.push(Value::Object(document));
    }
    let many = documents.len() != 1;
    Ok(Statement::Insert { collection, documents, many })
}

/// Sets `a.b` as the field `b` of an object `a`; false if the field is set already.
fn set_path(document: &mut Object, path: &str, value: Value) -> bool {
    match path.split_once('.') {
        None => document.insert(path.to_owned(), value).is_none(),
        Some((first, rest)) => {
            let inner = document.entry(first.to_owned());
            match inner.or_insert_with(|| Value::Object(Object::new())) {
                Value::Object(inner) => set_path(inner, rest, value),
                _ => false,
            }
        }
    }
}

/// Translates `UPDATE c SET a = 1 WHERE …`.
pub(super) fn update(scan: Lexer<'_>, update: &Update) -> Result<Statement> {
    let (collection, scope) = target(scan, &update.table)?;
    scope.refuse([
        (update.from.is_some(), "UPDATE … FROM"),
        (update.returning.is_some() || update.output.is_some(), "RETURNING"),
        (update.or.is_some(), "UPDATE OR …"),
        (!update.order_by.is_empty() || update.limit.is_some(), "UPDATE with ORDER BY or LIMIT"),
    ])?;
    let filter = scope.filter(update.selection.as_ref())?;
    let (mut constants, mut expressions) = (Object::new(), Object::new());
    let mut computed = false;
    for Assignment { target, value } in &update.assignments {
        let AssignmentTarget::ColumnName(name) = target else {
            return Err(unsupported(scope.place(value), "a list of columns before ="));
        };
        let path = scope.path(&idents(name))?;
        let expression = match assigned(&scope, value)? {
            Operand::Constant(value) => {
                constants.insert(path.clone(), value.clone());
                one("$literal", value)
            }
            other => {
                computed = true;
                other.expression()
            }
        };
        if expressions.insert(path.clone(), expression).is_some() {
            return Err(scope.place(value).error(format!("the column {path:?} is set twice"), &[]));
        }
    }
    let update = match computed {
        false => one("$set", Value::Object(constants)),
        true => Value::Array(vec![one("$set", Value::Object(expressions))]),
    };
    let (multi, upsert, array_filters) = (true, false, None);
    Ok(Statement::Update { collection, filter, update, multi, upsert, array_filters })
}

fn assigned(scope: &Scope<'_>, value: &Expr) -> Result<Operand> {
    match value {
        Expr::Identifier(name) if name.value.eq_ignore_ascii_case("DEFAULT") => {
            Err(scope.unsupported(value, "DEFAULT"))
        }
        value => scope.right_operand(value),
    }
}

/// Translates `DELETE FROM c WHERE …`.
pub(super) fn delete(scan: Lexer<'_>, delete: &Delete) -> Result<Statement> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = from.as_slice() else {
        return Err(unsupported(scan, "DELETE from several tables"));
    };
    let (collection, scope) = target(scan, from)?;
    scope.refuse([
        (!delete.tables.is_empty(), "DELETE with a list of tables"),
        (delete.using.is_some(), "USING"),
        (delete.returning.is_some() || delete.output.is_some(), "RETURNING"),
        (!delete.order_by.is_empty() || delete.limit.is_some(), "DELETE with ORDER BY or LIMIT"),
    ])?;
    let filter = scope.filter(delete.selection.as_ref())?;
    Ok(Statement::Delete { collection, filter, multi: true })
}

fn target<'t>(scan: Lexer<'t>, from: &TableWithJoins) -> Result<(String, Scope<'t>)> {
    let (collection, name) = table(scan, &from.relation)?;
    let scope = Scope::new(scan, name);
    scope.refuse([(!from.joins.is_empty(), "JOIN in a statement that changes documents")])?;
    Ok((collection, scope))
}

fn path_of(name: &ObjectName) -> String {
    let names = idents(name);
    names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
}
