//! The bindings of the names in an expression during evaluation.

use crate::value::Value;

/// A binding of a variable; `None` is a missing value.
pub(super) type Binding<'a> = (&'a str, Option<&'a Value>);

/// The document and the variables of an expression.
#[derive(Clone, Copy)]
pub struct Vars<'a> {
    document: &'a Value,
    parent: Option<&'a Vars<'a>>,
    bindings: Bindings<'a>,
}

#[derive(Clone, Copy)]
enum Bindings<'a> {
    One(Binding<'a>),
    Many(&'a [Binding<'a>]),
}

impl<'a> Vars<'a> {
    /// The variables at the top of an expression over `document`.
    pub fn root(document: &'a Value) -> Vars<'a> {
        Vars { document, parent: None, bindings: Bindings::Many(&[]) }
    }

    /// These and one more, which shadows another of the same name; the value may be missing.
    pub fn with<'b>(&'b self, name: &'b str, value: impl Into<Option<&'b Value>>) -> Vars<'b> {
        self.inner(Bindings::One((name, value.into())))
    }

    /// As [`Vars::with`], several at once.
    pub fn with_all<'b>(&'b self, bindings: &'b [(&'b str, Option<&'b Value>)]) -> Vars<'b> {
        self.inner(Bindings::Many(bindings))
    }

    /// The same variables over another document, as the stages of a sub-pipeline need them.
    pub fn over<'b>(&'b self, document: &'b Value) -> Vars<'b> {
        Vars { document, ..self.inner(Bindings::Many(&[])) }
    }

    fn inner<'b>(&'b self, bindings: Bindings<'b>) -> Vars<'b> {
        Vars { document: self.document, parent: Some(self), bindings }
    }

    /// The document.
    pub(super) fn document(&self) -> &'a Value {
        self.document
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let bound = match self.bindings {
            Bindings::One(binding) => (binding.0 == name).then_some(binding),
            Bindings::Many(all) => all.iter().find(|binding| binding.0 == name).copied(),
        };
        match (bound, self.parent) {
            (Some((_, value)), _) => value,
            (None, Some(parent)) => parent.get(name),
            (None, None) => None,
        }
    }
}
