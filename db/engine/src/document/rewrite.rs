//! Rewriting a document in one pass: what a client has sent becomes the text that is stored, without
//! a tree of values in between.
//!
//! What is refused, and some rare forms, are left to [`super::check_document`], which knows the
//! reasons: an error here says only that the document was not rewritten.

use super::{NewDocument, Strict, check_id_size};
use crate::id::DocumentId;
use crate::limits::Limits;
use crate::query::context::At;
use crate::value::{LEVELS_MAX, Name, Value, from_json, is_reserved, reserved_name};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Names of fields that are compared one by one; those beyond are hashed.
const NAMES_COMPARED: usize = 24;
/// Bytes that a text gets before it grows.
const TEXT_BYTES: usize = 512;

/// A document that was rewritten, not yet compared with the limits.
#[derive(Debug, PartialEq)]
pub struct Rewritten {
    new: NewDocument,
    /// Levels of objects and arrays, its own among them.
    levels: usize,
}

impl Rewritten {
    /// The document, if it keeps the limits; it lies within `around` levels of what was sent.
    pub fn within(self, limits: &Limits, around: usize) -> Option<NewDocument> {
        let Rewritten { new, levels } = self;
        let keeps = levels <= LEVELS_MAX
            && levels + around <= limits.depth_max
            && new.body.len() <= limits.document_bytes_max
            && new.id.as_ref().is_none_or(|id| check_id_size(id, limits).is_ok());
        keeps.then_some(new)
    }
}

impl<'de> Deserialize<'de> for Rewritten {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Whole)
    }
}

fn left<E: Error>() -> E {
    E::custom("it is left to others")
}

/// Reads a whole document.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Rewritten;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rewritten, A::Error> {
        let mut text = Text { written: Vec::with_capacity(TEXT_BYTES), levels: 1 };
        let (mut names, mut id) = (Names::default(), None);
        text.written.push(b'{');
        while let Some(Name(name)) = map.next_key()? {
            if name == "_id" {
                let json = map.next_value_seed(Strict { depth: 1, depth_max: LEVELS_MAX })?;
                id = Some(DocumentId::new(text.value(json, 1)?).ok_or_else(left)?);
            } else {
                text.name(&name)?;
                map.next_value_seed(Part { text: &mut text, level: 1 })?;
            }
            names.add(name)?;
        }
        text.written.push(b'}');
        let body = String::from_utf8(text.written).map_err(A::Error::custom)?;
        Ok(Rewritten { new: NewDocument { id, body }, levels: text.levels })
    }
}

/// What is written so far.
struct Text {
    written: Vec<u8>,
    levels: usize,
}

impl Text {
    fn add<E: Error>(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(&mut self.written, value).map_err(E::custom)
    }

    /// Ends the part before, unless `opening` is what stands before: no part ends with it.
    fn separate(&mut self, opening: u8) {
        if self.written.last() != Some(&opening) {
            self.written.push(b',');
        }
    }

    fn name<E: Error>(&mut self, name: &str) -> Result<(), E> {
        if (name.starts_with('$') && is_reserved(name)) || name.contains('\0') {
            return Err(left());
        }
        self.separate(b'{');
        self.add(name)?;
        self.written.push(b':');
        Ok(())
    }

    /// The value that a tree of JSON stands for, which lies within `around` levels.
    fn value<E: Error>(&mut self, json: Json, around: usize) -> Result<Value, E> {
        self.levels = self.levels.max(around + levels(&json));
        from_json(json, At::root("document")).map_err(E::custom)
    }
}

fn levels(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(levels).max().unwrap_or_default(),
        Json::Object(fields) => 1 + fields.values().map(levels).max().unwrap_or_default(),
        _ => 0,
    }
}

/// The names of an object, of which none may come twice.
#[derive(Default)]
struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    fn add<E: Error>(&mut self, name: Cow<'de, str>) -> Result<(), E> {
        let known = self.few.contains(&name);
        if known || (self.few.len() == NAMES_COMPARED && !self.many.insert(name.clone())) {
            return Err(left());
        }
        if self.few.len() < NAMES_COMPARED {
            self.few.push(name);
        }
        Ok(())
    }
}

/// Writes a value that lies within `level` levels.
struct Part<'t> {
    text: &'t mut Text,
    level: usize,
}

impl<'t> Part<'t> {
    fn inner(&mut self) -> Part<'_> {
        Part { text: self.text, level: self.level + 1 }
    }

    /// Writes a value in its Extended JSON; `name` is the first of its object.
    fn extended<'de, A: MapAccess<'de>>(self, name: String, map: A) -> Result<(), A::Error> {
        let strict = Strict { depth: self.level, depth_max: LEVELS_MAX };
        let json = Json::Object(strict.fields(Some(name), map)?);
        let value = self.text.value(json, self.level)?;
        if reserved_name(&value).is_some() {
            return Err(left());
        }
        self.text.add(&value)
    }
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.text.add(&())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.text.add(&value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.text.add(&value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.text.add(&value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.text.add(&value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.text.add(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        self.text.levels = self.text.levels.max(self.level + 1);
        self.text.written.push(b'[');
        // The comma is written before it is known whether an item follows.
        let mut end = self.text.written.len();
        while seq.next_element_seed(self.inner())?.is_some() {
            end = self.text.written.len();
            self.text.written.push(b',');
        }
        self.text.written.truncate(end);
        self.text.written.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        let start = self.text.written.len();
        self.text.levels = self.text.levels.max(self.level + 1);
        self.text.written.push(b'{');
        while let Some(Name(name)) = map.next_key()? {
            if names.few.is_empty() && name.starts_with('$') && is_reserved(&name) {
                self.text.written.truncate(start);
                return self.extended(name.into_owned(), map);
            }
            self.text.name(&name)?;
            map.next_value_seed(self.inner())?;
            names.add(name)?;
        }
        self.text.written.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
