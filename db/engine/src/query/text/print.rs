//! Statements as text: every one in MongoDB's shell, and in JQL those that it can express.

use super::lexer::{is_name, is_word};
use super::where_clause::{is_reserved, operators, unlike};
use super::{Modification, Statement};
use crate::value::{Object, Value};

impl Statement {
    /// The statement in the language of MongoDB's shell. Parsing it returns the same statement.
    pub fn to_mongo(&self) -> String {
        match self {
            Statement::ShowDatabases => "show dbs".to_owned(),
            Statement::ShowCollections => "db.getCollectionNames()".to_owned(),
            Statement::CreateCollection { collection } => {
                format!("db.createCollection({})", quote(collection))
            }
            Statement::Explain { statement, execute } => {
                let verbosity = if *execute { "executionStats" } else { "queryPlanner" };
                match statement.call() {
                    Some((collection, call)) => {
                        format!("{}.explain(\"{verbosity}\").{call}", target(collection))
                    }
                    None => statement.to_mongo(),
                }
            }
            other => match other.call() {
                Some((collection, call)) => format!("{}.{call}", target(collection)),
                None => String::new(),
            },
        }
    }

    /// The collection, and the operation on it.
    fn call(&self) -> Option<(&str, String)> {
        Some(match self {
            Statement::Find { collection, .. } => (collection, self.find_call()),
            Statement::Aggregate { collection, pipeline } => {
                (collection, call("aggregate", [pipeline], Object::new()))
            }
            Statement::Count { collection, filter } => {
                (collection, call("countDocuments", [filter], Object::new()))
            }
            Statement::Distinct { collection, field, filter } => {
                (collection, call("distinct", [&field.as_str().into(), filter], Object::new()))
            }
            Statement::Insert { collection, documents, many } => {
                let documents = match documents.as_slice() {
                    [document] if !many => call("insertOne", [document], Object::new()),
                    all => call("insertMany", [&Value::Array(all.to_vec())], Object::new()),
                };
                (collection, documents)
            }
            Statement::Update { collection, filter, update, multi, upsert, array_filters } => {
                let options = options([
                    ("upsert", upsert.then_some(Value::Bool(true))),
                    ("arrayFilters", array_filters.clone()),
                ]);
                let name = if *multi { "updateMany" } else { "updateOne" };
                (collection, call(name, [filter, update], options))
            }
            Statement::Replace { collection, filter, replacement, upsert } => {
                let options = options([("upsert", upsert.then_some(Value::Bool(true)))]);
                (collection, call("replaceOne", [filter, replacement], options))
            }
            Statement::FindAndModify { collection, .. } => (collection, self.modify_call()),
            Statement::Delete { collection, filter, multi } => {
                let name = if *multi { "deleteMany" } else { "deleteOne" };
                (collection, call(name, [filter], Object::new()))
            }
            Statement::CreateIndex { collection, keys, options } => {
                (collection, call("createIndex", [keys], options.clone()))
            }
            Statement::DropIndex { collection, name_or_keys } => {
                (collection, call("dropIndex", [name_or_keys], Object::new()))
            }
            Statement::ShowIndexes { collection } => (collection, "getIndexes()".to_owned()),
            Statement::DropCollection { collection } => (collection, "drop()".to_owned()),
            Statement::RenameCollection { collection, to } => {
                (collection, call("renameCollection", [&to.as_str().into()], Object::new()))
            }
            Statement::Explain { statement, .. } => return statement.call(),
            Statement::CreateCollection { .. }
            | Statement::ShowCollections
            | Statement::ShowDatabases => return None,
        })
    }

    fn find_call(&self) -> String {
        let Statement::Find { filter, projection, sort, skip, limit, hint, one, .. } = self else {
            return String::new();
        };
        let skipped = (*skip > 0).then_some(Value::from(*skip as i64));
        if *one {
            let options =
                options([("sort", sort.clone()), ("skip", skipped), ("hint", hint.clone())]);
            // The options are the third argument.
            let empty = Value::Object(Object::new());
            return match projection {
                None if options.is_empty() => call("findOne", [filter], options),
                projection => {
                    call("findOne", [filter, projection.as_ref().unwrap_or(&empty)], options)
                }
            };
        }
        let mut text = match projection {
            None => call("find", [filter], Object::new()),
            Some(projection) => call("find", [filter, projection], Object::new()),
        };
        let limit = limit.map(|limit| Value::from(limit as i64));
        for (name, argument) in
            [("sort", sort), ("skip", &skipped), ("limit", &limit), ("hint", hint)]
        {
            if let Some(argument) = argument {
                text.push('.');
                text.push_str(&call(name, [argument], Object::new()));
            }
        }
        text
    }

    fn modify_call(&self) -> String {
        let Statement::FindAndModify {
            filter,
            change,
            sort,
            projection,
            return_new,
            upsert,
            array_filters,
            ..
        } = self
        else {
            return String::new();
        };
        let options = options([
            ("sort", sort.clone()),
            ("projection", projection.clone()),
            ("upsert", upsert.then_some(Value::Bool(true))),
            ("returnDocument", return_new.then_some("after".into())),
            ("arrayFilters", array_filters.clone()),
        ]);
        match change {
            Modification::Update(update) => call("findOneAndUpdate", [filter, update], options),
            Modification::Replace(document) => {
                call("findOneAndReplace", [filter, document], options)
            }
            Modification::Delete => call("findOneAndDelete", [filter], options),
        }
    }

    /// The statement in JQL; `None` if JQL cannot express it. Parsed again, it has the same
    /// meaning.
    pub fn to_jql(&self) -> Option<String> {
        Some(match self {
            Statement::Find { collection, filter, sort, skip, limit, .. } if self.is_jql_find() => {
                let mut text = format!("FIND IN {}{}", name(collection), where_text(filter)?);
                if let Some(sort) = sort {
                    text.push_str(&format!(" ORDER BY {}", keys(sort)?));
                }
                if let Some(limit) = limit {
                    text.push_str(&format!(" LIMIT {limit}"));
                }
                if *skip > 0 {
                    text.push_str(&format!(" OFFSET {skip}"));
                }
                text
            }
            Statement::Aggregate { collection, pipeline } => {
                format!("AGGREGATE IN {} PIPELINE {}", name(collection), pipeline.to_json())
            }
            Statement::Count { collection, filter } => {
                format!("COUNT IN {}{}", name(collection), where_text(filter)?)
            }
            Statement::Insert { collection, documents, many } => {
                let documents = match documents.as_slice() {
                    [document] if !many => document.to_json(),
                    all => Value::Array(all.to_vec()).to_json(),
                };
                format!("INSERT INTO {} DOC {documents}", name(collection))
            }
            Statement::Update {
                collection,
                filter,
                update,
                multi: true,
                upsert: false,
                array_filters: None,
            } => {
                let fields = update.as_object().filter(|operators| operators.len() == 1)?;
                let fields = fields.get("$set")?.as_object().filter(|set| !set.is_empty())?;
                let set: Vec<String> =
                    fields.iter().map(|(path, value)| equals(path, value)).collect();
                let set = set.join(", ");
                format!("UPDATE IN {} SET {set}{}", name(collection), where_text(filter)?)
            }
            // Not `DELETE FROM`, which is SQL first and does not match documents without the field.
            Statement::Delete { collection, filter, multi: true } => {
                format!("DELETE IN {}{}", name(collection), where_text(filter)?)
            }
            Statement::CreateIndex { collection, keys: fields, options } => {
                create_index(collection, fields, options)?
            }
            Statement::DropIndex { collection, name_or_keys } => match name_or_keys {
                Value::String(index) => {
                    format!("DROP INDEX {} ON {}", name(index), name(collection))
                }
                fields => format!("DROP INDEX ON {} ({})", name(collection), keys(fields)?),
            },
            Statement::ShowIndexes { collection } => {
                format!("SHOW INDEXES ON {}", name(collection))
            }
            Statement::CreateCollection { collection } => {
                format!("CREATE COLLECTION {}", name(collection))
            }
            Statement::DropCollection { collection } => {
                format!("DROP COLLECTION {}", name(collection))
            }
            Statement::RenameCollection { collection, to } => {
                format!("RENAME COLLECTION {} TO {}", name(collection), name(to))
            }
            Statement::ShowCollections => "SHOW COLLECTIONS".to_owned(),
            Statement::ShowDatabases => "SHOW DATABASES".to_owned(),
            Statement::Explain { statement, execute } => {
                let analyze = if *execute { "ANALYZE " } else { "" };
                format!("EXPLAIN {analyze}{}", statement.to_jql()?)
            }
            _ => return None,
        })
    }

    fn is_jql_find(&self) -> bool {
        matches!(self, Statement::Find { projection: None, hint: None, one: false, .. })
    }
}

/// `name(argument, …, {options})`; without options if there are none.
fn call<const N: usize>(name: &str, arguments: [&Value; N], options: Object) -> String {
    let mut arguments: Vec<String> = arguments.iter().map(|value| value.to_json()).collect();
    if !options.is_empty() {
        arguments.push(Value::Object(options).to_json());
    }
    format!("{name}({})", arguments.join(", "))
}

fn options<const N: usize>(options: [(&str, Option<Value>); N]) -> Object {
    let given = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

fn target(collection: &str) -> String {
    match collection.split('.').all(is_name) {
        true => format!("db.{collection}"),
        false => format!("db.getCollection({})", quote(collection)),
    }
}

fn quote(text: &str) -> String {
    Value::from(text).to_json()
}

/// The name of a collection or index.
fn name(name: &str) -> String {
    let plain = name.starts_with(is_word)
        && name.chars().all(|next| is_word(next) || matches!(next, '.' | '-'))
        && !is_reserved(name);
    if plain { name.to_owned() } else { quote(name) }
}

/// The path of a field.
fn field(path: &str) -> String {
    let mut steps = path.split('.');
    let plain = steps.next().is_some_and(|first| is_name(first) && !is_reserved(first))
        && steps.all(|step| !step.is_empty() && step.chars().all(is_word));
    if plain { path.to_owned() } else { quote(path) }
}

fn equals(path: &str, value: &Value) -> String {
    format!("{} = {}", field(path), value.to_json())
}

/// `a, b DESC`; `None` for directions other than 1 and -1.
fn keys(keys: &Value) -> Option<String> {
    let key = |(path, direction): (&String, &Value)| match direction {
        Value::Int(1) => Some(field(path)),
        Value::Int(-1) => Some(format!("{} DESC", field(path))),
        _ => None,
    };
    let keys: Vec<String> = keys.as_object()?.iter().map(key).collect::<Option<_>>()?;
    if keys.is_empty() { None } else { Some(keys.join(", ")) }
}

fn create_index(collection: &str, fields: &Value, options: &Object) -> Option<String> {
    let (mut index, mut flags, mut filter) = (String::new(), String::new(), String::new());
    for (option, value) in options {
        match (option.as_str(), value) {
            ("name", Value::String(text)) => index = format!("{} ", name(text)),
            ("unique" | "sparse" | "sequential", Value::Bool(true)) => {
                flags.push_str(&format!(" {}", option.to_uppercase()));
            }
            ("expireAfterSeconds", Value::Int(seconds)) if *seconds >= 0 => {
                flags.push_str(&format!(" EXPIRE AFTER {seconds}"));
            }
            ("partialFilterExpression", condition) => filter = where_text(condition)?,
            _ => return None,
        }
    }
    let keys = keys(fields)?;
    Some(format!("CREATE INDEX {index}ON {} ({keys}){flags}{filter}", name(collection)))
}

/// ` WHERE …`, or nothing for an empty filter; `None` if the filter cannot be expressed.
fn where_text(filter: &Value) -> Option<String> {
    match filter.as_object()? {
        fields if fields.is_empty() => Some(String::new()),
        fields => Some(format!(" WHERE {}", conjunction(fields)?)),
    }
}

fn conjunction(fields: &Object) -> Option<String> {
    let mut terms = Vec::new();
    for (name, condition) in fields {
        match (name.as_str(), condition) {
            ("$and", Value::Array(items)) => terms.push(joined(items, " AND ")?),
            ("$or", Value::Array(items)) => {
                let any = joined(items, " OR ")?;
                terms.push(if fields.len() == 1 { any } else { format!("({any})") });
            }
            ("$nor", Value::Array(items)) if items.len() == 1 => {
                terms.push(format!("NOT {}", joined(items, "")?));
            }
            (operator, _) if operator.starts_with('$') => return None,
            (path, condition) => match operators(condition) {
                None => terms.push(match condition {
                    Value::Null => format!("{} IS NULL", field(path)),
                    Value::Regex(regex) => like(&field(path), "", &regex.pattern, &regex.options)?,
                    value => equals(path, value),
                }),
                Some(operators) => conditions(&field(path), operators, &mut terms)?,
            },
        }
    }
    if terms.is_empty() { None } else { Some(terms.join(" AND ")) }
}

fn joined(items: &[Value], word: &str) -> Option<String> {
    let items = items.iter().map(|item| Some(format!("({})", conjunction(item.as_object()?)?)));
    let items: Vec<String> = items.collect::<Option<_>>()?;
    if items.is_empty() { None } else { Some(items.join(word)) }
}

fn conditions(field: &str, operators: &Object, terms: &mut Vec<String>) -> Option<()> {
    for (operator, value) in operators {
        let json = value.to_json();
        terms.push(match operator.as_str() {
            "$eq" => format!("{field} = {json}"),
            "$ne" if *value == Value::Null => format!("{field} IS NOT NULL"),
            "$ne" => format!("{field} != {json}"),
            "$lt" => format!("{field} < {json}"),
            "$lte" => format!("{field} <= {json}"),
            "$gt" => format!("{field} > {json}"),
            "$gte" => format!("{field} >= {json}"),
            "$in" => format!("{field} IN ({})", list(value)?),
            "$nin" => format!("{field} NOT IN ({})", list(value)?),
            "$options" if operators.contains_key("$regex") => continue,
            "$regex" => like_of(field, "", operators)?,
            "$elemMatch" => {
                let item = value.as_object().filter(|inner| inner.len() == 1)?.get("$eq")?;
                format!("{field} CONTAINS {}", item.to_json())
            }
            "$not" => negated(field, value.as_object()?)?,
            _ => return None,
        });
    }
    Some(())
}

fn negated(field: &str, operators: &Object) -> Option<String> {
    if operators.contains_key("$regex") {
        let known = operators.keys().all(|key| key == "$regex" || key == "$options");
        return if known { like_of(field, "NOT ", operators) } else { None };
    }
    match (operators.len(), operators.get("$gte"), operators.get("$lte")) {
        (2, Some(low), Some(high)) => {
            Some(format!("{field} NOT BETWEEN {} AND {}", low.to_json(), high.to_json()))
        }
        _ => None,
    }
}

fn like_of(field: &str, not: &str, operators: &Object) -> Option<String> {
    let options = operators.get("$options").map_or(Some(""), Value::as_str)?;
    like(field, not, operators.get("$regex")?.as_str()?, options)
}

fn like(field: &str, not: &str, pattern: &str, options: &str) -> Option<String> {
    let (pattern, insensitive) = unlike(pattern, options)?;
    let word = if insensitive { "ILIKE" } else { "LIKE" };
    Some(format!("{field} {not}{word} {}", quote(&pattern)))
}

fn list(items: &Value) -> Option<String> {
    let items: Vec<String> = items.as_array()?.iter().map(Value::to_json).collect();
    if items.is_empty() { None } else { Some(items.join(", ")) }
}
