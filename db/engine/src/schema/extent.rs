//! Bounds of a schema, checked before it is compiled: it refers to nothing outside, never to itself
//! for the same value, and does not grow without bound when its references are followed.

use crate::error::Result;
use crate::query::context::At;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Levels of a schema, as of a document.
const DEPTH_MAX: usize = 100;
/// Schemas inside a schema with every reference followed, to where it leads back to itself.
const PARTS_MAX: usize = 20_000;
/// Nested schemas for the same value; each costs stack at every level of a document.
const NESTED_MAX: usize = 32;
/// Levels of schemas inside each other with references followed; the library follows them too.
const LEVELS_MAX: usize = 200;
/// Patterns of a schema; each keeps its compiled form.
const PATTERNS_MAX: usize = 100;

/// Which value a subschema applies to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step<'s> {
    /// The same value.
    Same,
    /// A field of this name.
    Field(&'s str),
    /// The items of an array.
    Items,
    /// Fields of any name.
    Fields,
    /// None, until something refers to it.
    Nowhere,
}

/// The keywords that hold schemas: one, an array, or (if true) an object of named ones.
const KEYWORDS: &[(&str, bool, Step<'static>)] = &[
    ("allOf", false, Step::Same),
    ("anyOf", false, Step::Same),
    ("oneOf", false, Step::Same),
    ("not", false, Step::Same),
    ("if", false, Step::Same),
    ("then", false, Step::Same),
    ("else", false, Step::Same),
    ("dependentSchemas", true, Step::Same),
    ("dependencies", true, Step::Same),
    ("items", false, Step::Items),
    ("prefixItems", false, Step::Items),
    ("additionalItems", false, Step::Items),
    ("unevaluatedItems", false, Step::Items),
    ("contains", false, Step::Items),
    ("properties", true, Step::Field("")),
    ("patternProperties", true, Step::Fields),
    ("additionalProperties", false, Step::Fields),
    ("unevaluatedProperties", false, Step::Fields),
    ("propertyNames", false, Step::Fields),
    ("contentSchema", false, Step::Nowhere),
    ("$defs", true, Step::Nowhere),
    ("definitions", true, Step::Nowhere),
];

/// How a keyword holds schemas: whether under names, and which value they apply to.
pub(super) fn keyword(name: &str) -> Option<(bool, Step<'static>)> {
    KEYWORDS.iter().find(|(keyword, ..)| *keyword == name).map(|(_, named, step)| (*named, *step))
}

/// Keywords of MongoDB's `$jsonSchema`.
const MONGO: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "bsonType",
    "dependencies",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
];

/// Refuses JSON that is too deep to be walked.
pub(super) fn check_depth(schema: &Value, at: At<'_>) -> Result<()> {
    // Level by level, as JSON that is too deep must not be walked recursively.
    let mut level = vec![schema];
    for _ in 0..DEPTH_MAX {
        let inner = level.into_iter().flat_map(|value| match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => fields.values().collect(),
            _ => Vec::new(),
        });
        level = inner.collect();
    }
    match level.is_empty() {
        true => Ok(()),
        false => Err(at.invalid(format!("must be nested at most {DEPTH_MAX} levels deep"))),
    }
}

/// Calls `visit` with every subschema of `schema`, and which value it applies to.
fn inside<'s>(
    schema: &'s Map<String, Value>,
    at: At<'_>,
    visit: &mut dyn FnMut(Step<'s>, &'s Value, At<'_>) -> Result<()>,
) -> Result<()> {
    for (name, value) in schema {
        let Some((named, step)) = keyword(name) else { continue };
        let at = at.key(name);
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    visit(step, item, at.index(index))?;
                }
            }
            Value::Object(fields) if named => {
                for (field, inner) in fields {
                    let step = if name == "properties" { Step::Field(field) } else { step };
                    visit(step, inner, at.key(field))?;
                }
            }
            inner => visit(step, inner, at)?,
        }
    }
    Ok(())
}

/// Refuses keywords that MongoDB's `$jsonSchema` does not have.
pub(super) fn check_mongo(wrapper: &Value, at: At<'_>) -> Result<()> {
    let key = "$jsonSchema";
    if wrapper.as_object().is_some_and(|fields| fields.len() != 1) {
        return Err(at.invalid("must have nothing beside $jsonSchema"));
    }
    let at = at.key(key);
    match &wrapper[key] {
        Value::Object(schema) => check_mongo_keywords(schema, at),
        _ => Err(at.invalid("must be an object")),
    }
}

fn check_mongo_keywords(schema: &Map<String, Value>, at: At<'_>) -> Result<()> {
    if let Some(name) = schema.keys().find(|name| !MONGO.contains(&name.as_str())) {
        return Err(at
            .key(name)
            .invalid("is no keyword of MongoDB's $jsonSchema")
            .hint("leave the $jsonSchema wrapper out to use JSON Schema, draft 2020-12"));
    }
    inside(schema, at, &mut |_, inner, at| match inner {
        Value::Object(inner) => check_mongo_keywords(inner, at),
        _ => Ok(()),
    })
}

/// The cost of a schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// The number of references back into the schema from one value; the violations in a document
    /// of depth `d` may be looked for `branching` to the power of `d` times.
    pub(super) branching: u64,
    /// Whether it refers back to itself, so that it is as deep as the document.
    pub(super) recursive: bool,
    /// The most schemas inside each other, with references followed, for one value.
    pub(super) nested: usize,
    /// Whether it has `anyOf` or `oneOf`, which collect the violations of each of their schemas.
    pub(super) alternatives: bool,
}

/// Follows all references.
///
/// # Errors
/// `invalid_query` for references that lead outside, nowhere or to the same value again, and for a
/// schema that is too large with its references followed.
pub(super) fn measure(schema: &Value, at: At<'_>) -> Result<Extent> {
    let (stack, back) = (vec![(schema, 0)], HashMap::new());
    let heights = HashMap::new();
    let (parts, patterns, alternatives) = (0, 0, false);
    let mut walk = Walk { root: schema, stack, parts, patterns, back, heights, alternatives };
    walk.check_all(schema, at, true)?;
    if walk.patterns > PATTERNS_MAX {
        return Err(at.invalid(format!("must have at most {PATTERNS_MAX} patterns")));
    }
    walk.follow(schema, SchemaPosition { level: 0, depth: 0, step: Step::Same }, at)?;
    walk.measure_nested(schema, at)?;
    let recursive = !walk.back.is_empty();
    let nested = walk.heights.into_values().max().unwrap_or(0);
    let anywhere = walk.back.remove(&Step::Fields).unwrap_or(0);
    let branching = walk.back.into_values().max().unwrap_or(0) + anywhere;
    Ok(Extent { branching, recursive, nested, alternatives: walk.alternatives })
}

/// The position of the walk.
#[derive(Clone, Copy)]
struct SchemaPosition<'s> {
    /// Schemas around this one, and references followed.
    level: usize,
    /// Steps that led to other values.
    depth: usize,
    /// The last step that led to another value.
    step: Step<'s>,
}

struct Walk<'s> {
    root: &'s Value,
    /// The referenced schemas around the position, with their depth.
    stack: Vec<(&'s Value, usize)>,
    parts: usize,
    patterns: usize,
    /// References back to a schema around them, by the last step to them.
    back: HashMap<Step<'s>, u64>,
    /// The number of nested schemas for one value, from a schema (its address) on.
    heights: HashMap<*const Value, usize>,
    alternatives: bool,
}

impl<'s> Walk<'s> {
    /// Visits every schema as it is written.
    fn check_all(&mut self, schema: &'s Value, at: At<'_>, outermost: bool) -> Result<()> {
        let Value::Object(fields) = schema else { return Ok(()) };
        for (name, value) in fields {
            let at = at.key(name);
            match (name.as_str(), value) {
                ("$ref", Value::String(target)) if !target.starts_with('#') => {
                    return Err(at
                        .invalid(format!("refers to {target:?}, which is outside of the schema"))
                        .hint("put the schema under $defs and refer to it as #/$defs/<name>"));
                }
                (
                    "$dynamicRef" | "$recursiveRef" | "$anchor" | "$dynamicAnchor"
                    | "$recursiveAnchor" | "$vocabulary",
                    _,
                ) => {
                    return Err(at
                        .invalid("is not supported")
                        .hint("refer to a part of the schema by $ref, as #/$defs/<name>"));
                }
                ("$id" | "id" | "$schema", Value::String(_)) if !outermost => {
                    return Err(at.invalid("may only stand in the outermost schema"));
                }
                ("pattern", _) => self.patterns += 1,
                ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
                ("anyOf" | "oneOf", _) => self.alternatives = true,
                _ => {}
            }
        }
        inside(fields, at, &mut |_, inner, at| self.check_all(inner, at, false))
    }

    /// Visits a schema and everything that it refers to.
    fn follow(&mut self, schema: &'s Value, place: SchemaPosition<'s>, at: At<'_>) -> Result<()> {
        self.parts += 1;
        // The location would be a long chain of references; the schema as a whole is too large.
        let too_much = match place {
            _ if self.parts > PARTS_MAX => format!("grow to more than {PARTS_MAX} schemas"),
            SchemaPosition { level, .. } if level > LEVELS_MAX => {
                format!("be more than {LEVELS_MAX} levels deep")
            }
            _ => String::new(),
        };
        if !too_much.is_empty() {
            let message = format!("must not {too_much} when its references are followed");
            return Err(At::root("schema").invalid(message));
        }
        let Value::Object(fields) = schema else { return Ok(()) };
        if let Some(Value::String(target)) = fields.get("$ref") {
            self.refer(target, place, at.key("$ref"))?;
        }
        inside(fields, at, &mut |step, inner, at| match step {
            Step::Nowhere => Ok(()),
            step => self.follow(inner, place.inside(step), at),
        })
    }

    fn target(&self, target: &str) -> Option<&'s Value> {
        let schema = self.root.pointer(target.strip_prefix('#')?)?;
        (schema.is_object() || schema.is_boolean()).then_some(schema)
    }

    /// Counts the nested schemas for one value, everywhere.
    fn measure_nested(&mut self, schema: &'s Value, at: At<'_>) -> Result<()> {
        self.height(schema, 0, at)?;
        let Value::Object(fields) = schema else { return Ok(()) };
        inside(fields, at, &mut |_, inner, at| self.measure_nested(inner, at))
    }

    fn height(&mut self, schema: &'s Value, around: usize, at: At<'_>) -> Result<usize> {
        let known = self.heights.get(&std::ptr::from_ref(schema)).copied();
        if around + known.unwrap_or(1) > NESTED_MAX {
            return Err(at.invalid(format!(
                "is one of more than {NESTED_MAX} schemas inside each other for the same value"
            )));
        }
        let (None, Value::Object(fields)) = (known, schema) else {
            return Ok(known.unwrap_or(1));
        };
        let mut height = 0;
        if let Some(target) = fields.get("$ref").and_then(Value::as_str)
            && let Some(target) = self.target(target)
        {
            height = self.height(target, around + 1, at)?;
        }
        inside(fields, at, &mut |step, inner, at| {
            if step == Step::Same {
                height = height.max(self.height(inner, around + 1, at)?);
            }
            Ok(())
        })?;
        self.heights.insert(schema, height + 1);
        Ok(height + 1)
    }

    fn refer(&mut self, target: &'s str, place: SchemaPosition<'s>, at: At<'_>) -> Result<()> {
        let Some(schema) = self.target(target) else {
            return Err(at.invalid(format!("refers to {target:?}, where the schema has no schema")));
        };
        match self.stack.iter().find(|(around, _)| std::ptr::eq(*around, schema)) {
            Some((_, depth)) if *depth == place.depth => Err(at.invalid(format!(
                "refers to {target:?}, which is already being checked for the same value"
            ))),
            Some(_) => {
                *self.back.entry(place.step).or_default() += 1;
                Ok(())
            }
            None => {
                self.stack.push((schema, place.depth));
                let result = self.follow(schema, place.inside(Step::Same), at);
                self.stack.pop();
                result
            }
        }
    }
}

impl<'s> SchemaPosition<'s> {
    fn inside(self, step: Step<'s>) -> SchemaPosition<'s> {
        let level = self.level + 1;
        match step {
            Step::Same => SchemaPosition { level, ..self },
            step => SchemaPosition { level, depth: self.depth + 1, step },
        }
    }
}
