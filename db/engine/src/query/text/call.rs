//! A call in MongoDB's shell, `name(argument, …)`, and its arguments one after the other.

use super::lexer::Lexer;
use super::literal;
use super::mongo::empty;
use crate::error::Result;
use crate::value::{Object, Value};
use std::collections::VecDeque;

/// `name(argument, …)`.
pub(super) struct MethodCall<'t> {
    pub(super) name: &'t str,
    /// The position of the name.
    pub(super) place: Lexer<'t>,
    pub(super) arguments: VecDeque<(usize, Value)>,
    /// The position of the closing parenthesis.
    end: usize,
}

impl<'t> MethodCall<'t> {
    pub(super) fn parse(scan: &mut Lexer<'t>) -> Result<MethodCall<'t>> {
        scan.skip();
        let place = *scan;
        let name = scan.word().ok_or_else(|| place.expected(&["the name of an operation"]))?;
        let arguments = literal::list(scan, "(", ")", 0)?.into();
        Ok(MethodCall { name, place, arguments, end: scan.at() - 1 })
    }

    /// The next argument and its position.
    pub(super) fn take(&mut self, what: &str) -> Result<(Lexer<'t>, Value)> {
        match self.arguments.pop_front() {
            Some((at, value)) => Ok((self.place.to(at), value)),
            None => Err(self.place.to(self.end).expected(&[what])),
        }
    }

    pub(super) fn object(&mut self, what: &str) -> Result<Value> {
        match self.take(what)? {
            (_, value @ Value::Object(_)) => Ok(value),
            (place, _) => Err(place.expected(&[what])),
        }
    }

    pub(super) fn some_object(&mut self, what: &str) -> Result<Option<Value>> {
        if self.arguments.is_empty() { Ok(None) } else { self.object(what).map(Some) }
    }

    pub(super) fn object_or_empty(&mut self, what: &str) -> Result<Value> {
        Ok(self.some_object(what)?.unwrap_or_else(empty))
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String> {
        match self.take(what)? {
            (_, Value::String(text)) => Ok(text),
            (place, _) => Err(place.expected(&[what])),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let what = "a whole number that is not negative";
        let (place, value) = self.take(what)?;
        whole(&value).ok_or_else(|| place.expected(&[what]))
    }

    pub(super) fn hint(&mut self) -> Result<Value> {
        let (at, value) = self.take(HINT)?;
        is_hint(&value).ok_or_else(|| at.expected(&[HINT]))
    }

    /// Update operators, or an array of stages.
    pub(super) fn change(&mut self) -> Result<(Lexer<'t>, Value)> {
        let what = "an update or an array of stages";
        match self.take(what)? {
            (place, value @ (Value::Object(_) | Value::Array(_))) => Ok((place, value)),
            (place, _) => Err(place.expected(&[what])),
        }
    }

    /// The object of options, all of which must be known.
    pub(super) fn options(&mut self, known: &[&str]) -> Result<Options<'t>> {
        if self.arguments.is_empty() {
            return Ok(Options { place: self.place.to(self.end), fields: Object::new() });
        }
        let (place, value) = self.take("options")?;
        let Value::Object(fields) = value else {
            return Err(place.expected(&["an object of options"]));
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(place.unknown(&format!("option of {}", self.name), name, known)),
            None => Ok(Options { place, fields }),
        }
    }

    /// Checks that there are no more arguments.
    pub(super) fn done(&self) -> Result<()> {
        match self.arguments.front() {
            Some((at, _)) => Err(self.place.to(*at).expected(&["\")\""])),
            None => Ok(()),
        }
    }
}

const HINT: &str = "the name or the keys of an index";

fn is_hint(value: &Value) -> Option<Value> {
    matches!(value, Value::String(_) | Value::Object(_)).then(|| value.clone())
}

fn whole(value: &Value) -> Option<u64> {
    value.as_int().and_then(|number| u64::try_from(number).ok())
}

/// The options of a call.
pub(super) struct Options<'t> {
    pub(super) place: Lexer<'t>,
    fields: Object,
}

impl Options<'_> {
    /// An option as `read` converts it; `what` says what it must be.
    pub(super) fn take<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.fields.shift_remove(name) else {
            return Ok(None);
        };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(self.place.error(format!("the option {name:?} must be {what}"), &[what])),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool> {
        let truth = |value: &Value| match value {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        };
        Ok(self.take(name, "true or false", truth)?.unwrap_or(false))
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Value>> {
        self.take(name, "an object", |value| value.as_object().map(|_| value.clone()))
    }

    pub(super) fn array(&mut self, name: &str) -> Result<Option<Value>> {
        self.take(name, "an array", |value| value.as_array().map(|_| value.clone()))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>> {
        self.take(name, "a whole number that is not negative", whole)
    }

    pub(super) fn hint(&mut self) -> Result<Option<Value>> {
        self.take("hint", HINT, is_hint)
    }
}
