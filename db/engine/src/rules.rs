//! Rules of a database's documents, as its `_rules` collection holds them:
//! `{"people": [{"age": {"type": "non_negative"}}, {"team": {"type": "referenced",
//! "collectionreferenced": "teams", "externalfield": "_id"}}]}`.
//!
//! A field may be a path. A path through arrays is followed into every item, so that
//! `lines.price` is checked in each line; a list without items breaks no rule. Collections whose
//! names begin with `_` belong to the system and are never checked.
//!
//! Both sides of a reference have an index. A reference is in force when these are ready, and not
//! before: without them each write would look through a collection.

use crate::catalog;
use crate::error::violation::{Violation, shortened};
use crate::error::{Error, Kind, Result};
use crate::query::context::At;
use crate::query::path::Path;
use crate::row::Row;
use crate::storage::{self, Read, Table, keys};
use crate::system;
use crate::value::{Decimal, Object, Value, number, parse_stored};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// What `type` may be, for messages.
const TYPES: &str = "validation, not_null, not_empty, non_negative, min_value, max_value, range \
                     or referenced";

/// Rules of a database.
pub const RULES_MAX: usize = 1_000;
/// Bytes of the documents of a database's `_rules`.
pub const RULES_BYTES_MAX: u64 = 256 * 1024;

/// The error for a change that would leave a document of `reference` pointing to nothing:
/// `value`, which the change takes away, is still referred to.
pub fn referenced_error(reference: &Reference, value: &Value) -> Error {
    let Reference { collection, field, target, target_field, .. } = reference;
    let (field, target_field) = (field.as_str(), target_field.as_str());
    let shown = shortened(value.to_json());
    let message = format!(
        "the document of {target} with {target_field} {shown} is referenced by {field} of {collection}"
    );
    Error::new(Kind::Referenced, message)
        .hint(format!("change or delete the documents of {collection} that refer to it first"))
        .details(json!({
            "collection": target, "field": target_field, "value": value,
            "referencedBy": {"collection": collection, "field": field},
        }))
}

/// Where values are looked up that other documents must have.
pub trait References {
    /// Whether a document of the collection has the value in the field, or in an array there.
    ///
    /// # Errors
    /// What the look-up fails with.
    fn exists(&self, collection: &str, field: &Path, value: &Value) -> Result<bool>;

    /// Whether a reference is in force: the indexes of both sides are ready.
    fn in_force(&self, reference: &Reference) -> bool;
}

/// A field whose values must exist in a field of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The collection whose documents refer.
    pub collection: String,
    /// Their field that refers.
    pub field: Path,
    /// The same field when it holds objects: where those have the value.
    pub inner_field: Path,
    /// The collection referred to.
    pub target: String,
    /// The field referred to.
    pub target_field: Path,
}

impl Reference {
    /// The collections and fields that need an index.
    pub fn sides(&self) -> [(&str, &Path); 3] {
        [
            (&*self.collection, &self.field),
            (&*self.collection, &self.inner_field),
            (&*self.target, &self.target_field),
        ]
    }

    /// The values that a document refers to: each item of an array, of an object its field that
    /// is named as the field referred to. `null` refers to nothing.
    pub fn values<'v>(&self, document: &'v Value) -> Vec<&'v Value> {
        let mut values = Vec::new();
        self.field.any(document, |value| {
            value.into_iter().for_each(|value| self.collect(value, &mut values));
            false
        });
        values
    }

    fn collect<'v>(&self, value: &'v Value, values: &mut Vec<&'v Value>) {
        match value {
            Value::Null => {}
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, values)),
            Value::Object(_) => match self.target_field.get(value) {
                None | Some(Value::Null) => {}
                Some(inner) => values.push(inner),
            },
            value => values.push(value),
        }
    }

    /// The first value that the document refers to in vain.
    fn dangling<'v>(
        &self,
        document: &'v Value,
        references: &dyn References,
    ) -> Result<Option<&'v Value>> {
        // A document may refer to itself, also while it is not stored yet.
        let own = match self.target == self.collection {
            true => self.target_field.get(document),
            false => None,
        };
        for value in self.values(document) {
            if own != Some(value) && !references.exists(&self.target, &self.target_field, value)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// One rule of one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Rule {
    field: Path,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Test {
    NotNull,
    NotEmpty,
    NonNegative,
    Min(Value),
    Max(Value),
    Range(Value, Value),
    Referenced(Arc<Reference>),
}

/// The rules of a database, by collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    collections: BTreeMap<String, Vec<Rule>>,
    /// The references to each collection.
    references: BTreeMap<String, Vec<Arc<Reference>>>,
    known: HashSet<(String, Rule)>,
}

/// The rules of some databases, each with the state of `_rules` that it was compiled from.
#[derive(Default)]
pub struct CompiledRules(HashMap<String, (RulesState, Arc<Rules>)>);

/// What changes with every change of a database's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RulesState {
    /// Number of the collection.
    pub collection: u32,
    /// Log index of its last change.
    pub changed: u64,
    /// Bytes of its documents.
    pub bytes: u64,
}

/// Databases whose rules are kept compiled.
const COMPILED_MAX: usize = 64;

impl CompiledRules {
    /// The rules of a database, if they were compiled from this state.
    pub fn get(&self, database: &str, state: RulesState) -> Option<Arc<Rules>> {
        let known = self.0.get(database).filter(|(known, _)| *known == state);
        known.map(|(_, rules)| rules.clone())
    }

    /// Keeps the rules of a database.
    pub fn insert(&mut self, database: &str, state: RulesState, rules: Arc<Rules>) {
        if self.0.len() >= COMPILED_MAX {
            self.0.clear();
        }
        self.0.insert(database.to_owned(), (state, rules));
    }

    /// Forgets the rules of a database.
    pub fn remove(&mut self, database: &str) {
        self.0.remove(database);
    }

    /// Forgets what was changed by a log entry or later.
    pub fn forget_since(&mut self, index: u64) {
        self.0.retain(|_, (state, _)| state.changed < index);
    }
}

impl Rules {
    /// Reads a document of `_rules`; `at` is its place in messages. Its fields that begin with
    /// `_` are no rules.
    ///
    /// # Errors
    /// `invalid_query` for what is not a rule, with its place and what it could be.
    pub fn parse(document: &Value, at: At<'_>) -> Result<Rules> {
        let mut rules = Rules::default();
        let fields = document.as_object().ok_or_else(|| at.invalid("must be an object"))?;
        for (collection, list) in checked_collections(fields) {
            let at = at.key(collection);
            let list = list.as_array().ok_or_else(|| {
                at.invalid("must be a list of rules such as [{\"age\": {\"type\": \"not_null\"}}]")
            })?;
            for (index, entry) in list.iter().enumerate() {
                let at = at.index(index);
                let entry = entry.as_object().filter(|entry| !entry.is_empty());
                let entry = entry.ok_or_else(|| {
                    at.invalid("must be an object such as {\"age\": {\"type\": \"not_null\"}}")
                })?;
                for (field, rule) in entry {
                    rules.add(collection, parse_rule(collection, field, rule, at)?);
                }
            }
        }
        Ok(rules)
    }

    /// Reads documents of `_rules` that were stored, perhaps by an earlier version: what is no
    /// rule is passed over, since a node must be able to serve what it holds.
    pub fn stored<'v>(documents: impl IntoIterator<Item = &'v Value>) -> Rules {
        let mut rules = Rules::default();
        let at = At::root("_rules");
        for fields in documents.into_iter().filter_map(Value::as_object) {
            for (collection, list) in checked_collections(fields) {
                let entries = list.as_array().into_iter().flatten().filter_map(Value::as_object);
                for (field, rule) in entries.flatten() {
                    if let Ok(rule) = parse_rule(collection, field, rule, at) {
                        rules.add(collection, rule);
                    }
                }
            }
        }
        rules
    }

    /// Adds the rules of another document.
    pub fn merge(&mut self, other: Rules) {
        for (collection, rules) in other.collections {
            rules.into_iter().for_each(|rule| self.add(&collection, rule));
        }
    }

    fn add(&mut self, collection: &str, rule: Rule) {
        if !self.known.insert((collection.to_owned(), rule.clone())) {
            return;
        }
        if let Test::Referenced(reference) = &rule.test {
            let to = self.references.entry(reference.target.clone()).or_default();
            to.push(reference.clone());
        }
        self.collections.entry(collection.to_owned()).or_default().push(rule);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many there are for a collection.
    pub fn len_of(&self, collection: &str) -> usize {
        self.of(collection).len()
    }

    /// Checks a document that is about to be stored in the collection; one violation for each
    /// rule that it breaks.
    ///
    /// # Errors
    /// What `references` fails with.
    pub fn check(
        &self,
        collection: &str,
        document: &Value,
        references: &dyn References,
    ) -> Result<Vec<Violation>> {
        let mut violations = Vec::new();
        for rule in self.of(collection) {
            let broken = match &rule.test {
                Test::Referenced(reference) => match references.in_force(reference) {
                    true => reference.dangling(document, references)?.map(Some),
                    false => None,
                },
                test => first_broken(test, &rule.field, document),
            };
            if let Some(found) = broken {
                let (path, found) = (rule.field.as_str(), found.map(Value::to_json));
                let Expectation(name, expected) = rule.test.describe();
                violations.push(Violation::new(path, name, expected, found));
            }
        }
        Ok(violations)
    }

    /// The paths that rules of the collection look at.
    pub fn fields(&self, collection: &str) -> impl Iterator<Item = &Path> {
        self.of(collection).iter().map(|rule| &rule.field)
    }

    /// Every reference, so that both of its sides can have an index.
    pub fn referenced(&self) -> impl Iterator<Item = &Arc<Reference>> {
        self.references.values().flatten()
    }

    /// The references of a collection's documents.
    pub fn references_of(&self, collection: &str) -> impl Iterator<Item = &Arc<Reference>> {
        self.of(collection).iter().filter_map(|rule| match &rule.test {
            Test::Referenced(reference) => Some(reference),
            _ => None,
        })
    }

    /// The references to a collection: before one of its documents is deleted, or changed in the
    /// field referred to, no document may refer to it through [`Reference::field`] or
    /// [`Reference::inner_field`].
    pub fn referencing(&self, collection: &str) -> impl Iterator<Item = &Arc<Reference>> {
        self.references.get(collection).into_iter().flatten()
    }

    /// Whether a rule checks a collection or refers to it.
    pub fn name(&self, collection: &str) -> bool {
        !self.of(collection).is_empty() || self.references.contains_key(collection)
    }

    fn of(&self, collection: &str) -> &[Rule] {
        self.collections.get(collection).map_or(&[], Vec::as_slice)
    }
}

/// Lets a document of `_rules` follow a collection to its new name; whether it named it.
pub fn rename(document: &mut Object, from: &str, to: &str) -> bool {
    let mut named = false;
    let checked = document.iter_mut().filter(|(collection, _)| !collection.starts_with('_'));
    for entry in checked.flat_map(|(_, list)| items_mut(list)).filter_map(fields_mut) {
        for rule in entry.values_mut().filter_map(fields_mut) {
            if text(rule.get("type")).as_deref() == Some("referenced") {
                named |= rename_target(rule, from, to);
                named |= rule
                    .get_mut("value")
                    .and_then(fields_mut)
                    .is_some_and(|inside| rename_target(inside, from, to));
            }
        }
    }
    let Some((place, _, list)) = document.shift_remove_full(from) else { return named };
    match (document.get_mut(to), list) {
        (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
        (_, list) => drop(document.shift_insert(place, to.to_owned(), list)),
    }
    true
}

fn rename_target(rule: &mut Object, from: &str, to: &str) -> bool {
    match rule.get_mut("collectionreferenced") {
        Some(Value::String(target)) if target == from => {
            to.clone_into(target);
            true
        }
        _ => false,
    }
}

fn items_mut(value: &mut Value) -> &mut [Value] {
    match value {
        Value::Array(items) => items,
        _ => &mut [],
    }
}

fn fields_mut(value: &mut Value) -> Option<&mut Object> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn checked_collections(fields: &Object) -> impl Iterator<Item = (&String, &Value)> {
    fields.iter().filter(|(collection, _)| !collection.starts_with('_'))
}

/// The first value at the path that does not pass; the inner `None` is a missing one.
fn first_broken<'v>(test: &Test, path: &Path, document: &'v Value) -> Option<Option<&'v Value>> {
    let mut broken = None;
    path.any(document, |value| {
        let holds = test.holds(value);
        if !holds {
            broken = Some(value);
        }
        !holds
    });
    broken
}

/// A rule's type and what goes on after "must be".
struct Expectation(&'static str, String);

impl Test {
    /// Whether a value passes; `None` stands for a missing one. Bounds are for numbers only.
    fn holds(&self, value: Option<&Value>) -> bool {
        let number = value.filter(|value| value.is_number());
        match self {
            Test::NotNull => !matches!(value, None | Some(Value::Null)),
            Test::NotEmpty => match value {
                None | Some(Value::Null) => false,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Array(items)) => !items.is_empty(),
                Some(Value::Object(fields)) => !fields.is_empty(),
                Some(_) => true,
            },
            Test::NonNegative => number.is_none_or(|number| *number >= Value::Int(0)),
            Test::Min(min) => number.is_none_or(|number| number >= min),
            Test::Max(max) => number.is_none_or(|number| number <= max),
            Test::Range(min, max) => number.is_none_or(|number| min <= number && number <= max),
            // Needs more than the value, see `Reference::dangling`.
            Test::Referenced(_) => true,
        }
    }

    fn describe(&self) -> Expectation {
        match self {
            Test::NotNull => Expectation("not_null", "present and not null".to_owned()),
            Test::NotEmpty => Expectation("not_empty", "present and not empty".to_owned()),
            Test::NonNegative => Expectation("non_negative", "at least 0".to_owned()),
            Test::Min(min) => Expectation("min_value", format!("at least {}", shown(min))),
            Test::Max(max) => Expectation("max_value", format!("at most {}", shown(max))),
            Test::Range(min, max) => {
                Expectation("range", format!("from {} to {}", shown(min), shown(max)))
            }
            Test::Referenced(reference) => {
                let Reference { target, target_field, .. } = &**reference;
                let field = target_field.as_str();
                Expectation("referenced", format!("the {field} of a document in {target}"))
            }
        }
    }
}

/// A number as people write it.
fn shown(bound: &Value) -> String {
    match bound {
        Value::Decimal(number) => number.to_string(),
        Value::Long(number) => number.to_string(),
        bound => bound.to_json(),
    }
}

fn parse_rule(collection: &str, field: &str, rule: &Value, at: At<'_>) -> Result<Rule> {
    let path = Path::parse(field, at)?;
    let at = at.key(field);
    let rule = rule
        .as_object()
        .ok_or_else(|| at.invalid("must be an object such as {\"type\": \"not_null\"}"))?;
    let test = parse_test(collection, &path, rule, at)?;
    Ok(Rule { field: path, test })
}

fn parse_test(collection: &str, field: &Path, rule: &Object, at: At<'_>) -> Result<Test> {
    let (at_type, at_value) = (at.key("type"), at.key("value"));
    let value = rule.get("value");
    match text(rule.get("type")).as_deref() {
        Some("validation") => text(value).as_deref().and_then(simple_test).ok_or_else(|| {
            at_value.invalid("must be one of notnull, not_null, notempty, not_empty, non_negative")
        }),
        Some("min_value") => Ok(Test::Min(parse_number(value, at_value)?)),
        Some("max_value") => Ok(Test::Max(parse_number(value, at_value)?)),
        Some("range") => parse_range(value, at_value),
        Some("referenced") => {
            let reference = parse_reference(collection, field, rule, at)?;
            Ok(Test::Referenced(Arc::new(reference)))
        }
        Some(name) => simple_test(name).ok_or_else(|| {
            at_type.invalid(format!("must be {TYPES}, not {:?}", shortened(name.to_owned())))
        }),
        None => Err(at_type.invalid(format!("must be {TYPES}"))),
    }
}

/// A word, whatever its case.
fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(|text| text.trim().to_ascii_lowercase())
}

fn simple_test(name: &str) -> Option<Test> {
    match name {
        "notnull" | "not_null" => Some(Test::NotNull),
        "notempty" | "not_empty" => Some(Test::NotEmpty),
        "non_negative" => Some(Test::NonNegative),
        _ => None,
    }
}

/// A number, also as a text.
fn parse_number(value: Option<&Value>, at: At<'_>) -> Result<Value> {
    let number = match value {
        Some(Value::String(text)) => {
            let text = text.trim();
            let whole = text.parse::<i64>().map(Value::from).ok();
            whole.or_else(|| Decimal::parse(text).map(number::decimal))
        }
        number => number.cloned(),
    };
    // NaN is no bound.
    let is_bound = |number: &Value| number.is_number() && !number::nearest(number).is_nan();
    number.filter(is_bound).ok_or_else(|| at.invalid("must be a number"))
}

fn parse_range(value: Option<&Value>, at: At<'_>) -> Result<Test> {
    let bounds = match value {
        Some(Value::String(text)) => text.split(',').map(Value::from).collect(),
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    };
    let [min, max] = bounds.as_slice() else {
        return Err(at.invalid("must be two numbers, \"min,max\" or [min, max]"));
    };
    let (min, max) = (parse_number(Some(min), at.index(0))?, parse_number(Some(max), at.index(1))?);
    if min > max {
        return Err(at.invalid("must have the smaller number first"));
    }
    Ok(Test::Range(min, max))
}

fn parse_reference(collection: &str, field: &Path, rule: &Object, at: At<'_>) -> Result<Reference> {
    let inside = rule.get("value").and_then(Value::as_object);
    let name = |key: &str| {
        let name = rule.get(key).or_else(|| inside?.get(key)).and_then(Value::as_str);
        name.filter(|name| !name.is_empty()).ok_or_else(|| {
            at.key(key)
                .invalid("must be a name; a reference has collectionreferenced and externalfield")
        })
    };
    let (target, external) = (name("collectionreferenced")?, name("externalfield")?);
    let target_field = Path::parse(external, at.key("externalfield"))?;
    let inner_field = Path::parse(&format!("{}.{external}", field.as_str()), at)?;
    let (collection, target) = (collection.to_owned(), target.to_owned());
    Ok(Reference { collection, field: field.clone(), inner_field, target, target_field })
}

/// The rules that the documents of a database's `_rules` make.
pub fn stored_rules(read: &impl Read, database: &str) -> storage::Result<Rules> {
    let Some(id) = catalog::collection(read, database, system::RULES)? else {
        return Ok(Rules::default());
    };
    let mut documents = Vec::new();
    let (start, end) = (keys::collection_start(id), keys::collection_end(id));
    for row in read.range(Table::Documents, &start, &end)? {
        let (_, stored) = row?;
        documents.extend(Row::decode(stored).and_then(|row| parse_stored(row.json)));
    }
    Ok(Rules::stored(&documents))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
