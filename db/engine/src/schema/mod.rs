//! JSON Schema of a collection's documents: draft 2020-12 unless `$schema` names an earlier
//! one, or MongoDB's `{"$jsonSchema": …}`.
//!
//! A schema applies to a document as it is stored, as relaxed Extended JSON: a date is the object
//! `{"$date": "2024-05-01T00:00:00Z"}`, a decimal `{"$numberDecimal": "1.50"}`. MongoDB's
//! `bsonType` names these types in any schema. `format` is checked. Patterns are matched in linear
//! time, which excludes look-around and back-references.
//!
//! Nothing is ever fetched: a schema may refer to its own parts only, as `#/$defs/name`.

mod convert;
mod extent;

pub use convert::definition_to_schema;

use crate::error::Result;
use crate::error::violation::{Violation, shortened};
use crate::query::context::At;
use extent::Extent;
use jsonschema::error::{TypeKind, ValidationErrorKind as Broken};
use jsonschema::paths::Location;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Bytes of a schema as compact JSON.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a compiled pattern, roughly.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;
/// Violations that are reported for one document.
const VIOLATIONS_MAX: usize = 20;
/// Values of a document in which every violation is looked for: the library collects them all
/// before it returns the first.
const VALUES_MAX: usize = 20_000;
/// Times that a part of a document may be visited while violations are looked for.
const VISITS_MAX: u64 = 10_000;
/// Nested schemas while a document is checked; each takes stack.
const NESTED_MAX: usize = 800;

/// What happens to a document that violates the schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    #[default]
    Error,
    /// It is stored, and the response has a warning.
    Warn,
}

/// A compiled schema; a clone shares it.
#[derive(Debug, Clone)]
pub struct Schema {
    validator: Arc<Validator>,
    extent: Extent,
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// `invalid_query` with the location of what is wrong: not a schema, a reference to anything
    /// outside, a pattern that cannot be matched in linear time, an unknown format, or a schema
    /// that is too large or too nested.
    pub fn compile(schema: &Value) -> Result<Schema> {
        let at = At::root("schema");
        // Depth first: everything after it, also writing JSON, walks the schema recursively.
        extent::check_depth(schema, at)?;
        if schema.to_string().len() > SCHEMA_BYTES_MAX {
            return Err(at.invalid(format!("must be at most {SCHEMA_BYTES_MAX} bytes of JSON")));
        }
        let in_wrapper = at.key("$jsonSchema");
        let (schema, default_draft, at) = match schema.get("$jsonSchema") {
            // MongoDB's keywords are those of draft 4, with a Boolean `exclusiveMinimum`.
            Some(inner) => {
                extent::check_mongo(schema, at)?;
                (inner, Draft::Draft4, in_wrapper)
            }
            None => (schema, Draft::Draft202012, at),
        };
        let draft = draft_of(schema, default_draft, at)?;
        let schema = convert::without_bson_types(schema.clone(), at)?;
        let extent = extent::measure(&schema, at)?;
        let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options().with_draft(draft).offline();
        let options = options.with_pattern_options(patterns);
        let options = options.should_validate_formats(true).should_ignore_unknown_formats(false);
        match options.build(&schema) {
            Ok(validator) => Ok(Schema { validator: Arc::new(validator), extent }),
            Err(error) => Err(compile_error(&error, at)),
        }
    }

    /// The violations of a document, at most 20; none if it conforms. For a very large document
    /// only the first one is reported, or, if even that would take too long, none in particular. If
    /// the schema refers back to itself, a document must not be so deep that more than 800 schemas
    /// are nested.
    pub fn check(&self, document: &Value) -> Vec<Violation> {
        let size = Size::of(document);
        let levels = (size.depth as usize).saturating_mul(self.extent.nested);
        if self.extent.recursive && levels > NESTED_MAX {
            let most = NESTED_MAX / self.extent.nested;
            let expected = format!("at most {most} levels deep, for its schema");
            let found = format!("{} levels", size.depth);
            return vec![Violation::new("", "schema", expected, Some(found))];
        }
        if self.validator.is_valid(document) {
            return Vec::new();
        }
        let entangled = self.extent.branching > 1
            && self.extent.branching.saturating_pow(size.depth) > VISITS_MAX;
        // The library copies the values that alternatives refuse, at each level again.
        let copies = if self.extent.alternatives { size.depth as usize } else { 1 };
        let large = size.values.saturating_mul(copies) > VALUES_MAX;
        let mut violations = match (entangled, large) {
            (false, false) => self.validator.iter_errors(document).flat_map(violations).collect(),
            (false, true) if !self.extent.alternatives => {
                self.validator.validate(document).err().map(violations).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        violations.truncate(VIOLATIONS_MAX);
        if violations.is_empty() {
            let found = "a value that does not fit in a document too large to say where";
            let expected = "valid under its schema".to_owned();
            violations.push(Violation::new("", "schema", expected, Some(found.to_owned())));
        }
        violations
    }
}

fn draft_of(schema: &Value, default: Draft, at: At<'_>) -> Result<Draft> {
    let Some(uri) = schema.get("$schema") else {
        return Ok(default);
    };
    match uri.as_str().map(Draft::from_schema_uri) {
        None | Some(Draft::Unknown) => Err(at.key("$schema").invalid(
            "must name a draft of JSON Schema, such as https://json-schema.org/draft/2020-12/schema",
        )),
        Some(draft) => Ok(draft),
    }
}

/// Translates the library's error about a schema.
fn compile_error(error: &ValidationError<'_>, at: At<'_>) -> crate::error::Error {
    let path = dotted(error.instance_path());
    let place = at.key(&path);
    let at = if path.is_empty() { at } else { place };
    let keyword = path.rsplit('.').next().unwrap_or_default();
    let found = shortened(error.instance().to_string());
    let must = match (keyword, error.kind()) {
        (_, Broken::Referencing(reason)) => {
            return at.invalid(format!("has a reference that fails: {reason}"));
        }
        ("pattern", _) => format!(
            "a regular expression of at most {PATTERN_BYTES_MAX} bytes when compiled, without \
             look-around and back-references"
        ),
        ("type", _) => {
            "string, number, integer, boolean, object, array or null, or a list of these".to_owned()
        }
        ("format", _) => "a format of JSON Schema, such as date-time, email or uuid".to_owned(),
        (_, kind) => expected(kind),
    };
    at.invalid(format!("must be {must}, not {found}"))
}

/// The violations that an error of the library represents.
fn violations(error: ValidationError<'_>) -> Vec<Violation> {
    let path = dotted(error.instance_path());
    let instance = error.instance();
    let one = |path: &str, found: Option<&Value>| {
        let (rule, expected) = (error.kind().keyword(), expected(error.kind()));
        Violation::new(path, rule, expected, found.map(Value::to_string))
    };
    let inner =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match error.kind() {
        Broken::Required { property } => {
            vec![one(&inner(property.as_str().unwrap_or_default()), None)]
        }
        Broken::AdditionalProperties { unexpected }
        | Broken::UnevaluatedProperties { unexpected } => {
            let names = unexpected.iter().take(VIOLATIONS_MAX);
            names.map(|name| one(&inner(name), instance.get(name))).collect()
        }
        _ => vec![one(&path, Some(instance))],
    }
}

/// `lines.0.price`.
fn dotted(location: &Location) -> String {
    let segments = location.segments().map(|segment| segment.to_string());
    segments.collect::<Vec<_>>().join(".")
}

/// The text after "must be".
fn expected(kind: &Broken) -> String {
    match kind {
        Broken::AdditionalItems { limit } => format!("a list of at most {limit} items"),
        Broken::AdditionalProperties { .. } | Broken::UnevaluatedProperties { .. } => {
            "absent, as the schema does not list it".to_owned()
        }
        Broken::AnyOf { .. } => "valid under one of the schemas of anyOf".to_owned(),
        Broken::Constant { expected_value } => shortened(expected_value.to_string()),
        Broken::Contains => "a list that contains what the schema wants".to_owned(),
        Broken::ContentEncoding { content_encoding } => format!("encoded as {content_encoding}"),
        Broken::ContentMediaType { content_media_type } => format!("of type {content_media_type}"),
        Broken::Enum { options } => format!("one of {}", shortened(options.to_string())),
        Broken::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Broken::ExclusiveMinimum { limit } => format!("greater than {limit}"),
        Broken::FalseSchema => "absent, as the schema allows no value here".to_owned(),
        Broken::Format { format } => format!("of the format {format}"),
        Broken::MaxItems { limit } => format!("a list of at most {limit} items"),
        Broken::Maximum { limit } => format!("at most {limit}"),
        Broken::MaxLength { limit } => format!("a text of at most {limit} characters"),
        Broken::MaxProperties { limit } => format!("an object of at most {limit} fields"),
        Broken::MinItems { limit } => format!("a list of at least {limit} items"),
        Broken::Minimum { limit } => format!("at least {limit}"),
        Broken::MinLength { limit } => format!("a text of at least {limit} characters"),
        Broken::MinProperties { limit } => format!("an object of at least {limit} fields"),
        Broken::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Broken::Not { schema } => format!("other than {}", shortened(schema.to_string())),
        Broken::OneOfMultipleValid { .. } | Broken::OneOfNotValid { .. } => {
            "valid under exactly one of the schemas of oneOf".to_owned()
        }
        Broken::Pattern { pattern } => {
            format!("a text that matches {}", shortened(pattern.clone()))
        }
        Broken::PropertyNames { error } => {
            format!("an object whose every name is {}", expected(error.kind()))
        }
        Broken::Required { .. } => "present".to_owned(),
        Broken::Type { kind: TypeKind::Single(name) } => format!("of type {name}"),
        Broken::Type { kind: TypeKind::Multiple(names) } => {
            let names = names.iter().map(|name| name.to_string());
            format!("of type {}", names.collect::<Vec<_>>().join(" or "))
        }
        Broken::UnevaluatedItems { .. } => "a list without other items".to_owned(),
        Broken::UniqueItems => "a list without duplicates".to_owned(),
        other => format!("valid under {}", other.keyword()),
    }
}

/// The number of values of a document and its depth.
#[derive(Default)]
struct Size {
    values: usize,
    depth: u32,
}

impl Size {
    fn of(document: &Value) -> Size {
        let mut size = Size::default();
        size.add(document, 1);
        size
    }

    fn add(&mut self, value: &Value, depth: u32) {
        self.values += 1;
        self.depth = self.depth.max(depth);
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add(item, depth + 1)),
            Value::Object(fields) => fields.values().for_each(|item| self.add(item, depth + 1)),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
