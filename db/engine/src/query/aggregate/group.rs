//! `$group`, and the groups that `$bucket` and `$bucketAuto` fill.

use super::super::context::{At, Context, Fields};
use super::super::expr::{Expr, Vars};
use super::accumulator::{Accumulator, State};
use super::memory::{StageMemory, later, shallow};
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents};
use crate::error::Result;
use crate::value::{Object, Value};
use indexmap::IndexSet;
use std::borrow::Cow;

/// A parsed `$group`.
#[derive(Debug)]
pub(super) struct Group {
    key: Expr,
    output: Accumulators,
}

impl Group {
    /// Parses `{"_id": expression, field: accumulator, …}`.
    ///
    /// # Errors
    /// `invalid_query` when `_id` is missing or a part is wrong.
    pub(super) fn parse(value: &Value, at: At<'_>) -> Result<Group> {
        let fields = value.as_object().filter(|fields| fields.contains_key("_id"));
        let Some(fields) = fields else {
            return Err(at
                .invalid("must be an object with \"_id\", what to group by")
                .hint("\"_id\": null makes one group of all documents"));
        };
        let key = Expr::parse(&fields["_id"], at.key("_id"))?;
        let output = fields.iter().filter(|(name, _)| *name != "_id");
        Ok(Group { key, output: Accumulators::parse(output, at)? })
    }

    /// One group for each value of an expression, with the number of its documents.
    pub(super) fn counted(key: Expr, at: At<'_>) -> Result<Group> {
        Ok(Group { key, output: Accumulators::count(at)? })
    }
}

impl Stage for Group {
    fn read(&self, fields: &mut Fields) -> bool {
        self.key.fields(fields);
        self.output.fields(fields);
        true
    }

    /// The groups, in the order in which their first documents came.
    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        _source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        later(move || {
            let mut groups = Groups::new("$group", &self.output, ctx);
            for document in input {
                let document = document?;
                ctx.step()?;
                let vars = Vars::root(&document);
                let key = self.key.eval_ref(&vars, ctx)?.unwrap_or(Cow::Owned(Value::Null));
                groups.add(key, &vars)?;
            }
            Ok(groups.into_documents())
        })
    }
}

/// The computed fields of groups.
#[derive(Debug, Clone)]
pub(super) struct Accumulators(Vec<Accumulator>);

impl Accumulators {
    /// Parses fields and their accumulators.
    ///
    /// # Errors
    /// `invalid_query` at the field.
    pub(super) fn parse<'v>(
        fields: impl Iterator<Item = (&'v String, &'v Value)>,
        at: At<'_>,
    ) -> Result<Accumulators> {
        let parsed = fields.map(|(name, value)| Accumulator::parse(name, value, at.key(name)));
        parsed.collect::<Result<_>>().map(Accumulators)
    }

    /// The number of documents, as `count`.
    pub(super) fn count(at: At<'_>) -> Result<Accumulators> {
        let one = Value::Object(Object::from_iter([("$sum".to_owned(), Value::Int(1))]));
        Ok(Accumulators(vec![Accumulator::parse("count", &one, at)?]))
    }

    /// Adds the fields that they read.
    pub(super) fn fields(&self, fields: &mut Fields) {
        self.0.iter().for_each(|accumulator| accumulator.input().fields(fields));
    }
}

/// Groups in the order of their first documents.
pub(super) struct Groups<'a> {
    output: &'a [Accumulator],
    keys: IndexSet<Value>,
    /// Those of the first group, then those of the second, and so on.
    states: Vec<State>,
    kept: StageMemory<'a>,
    ctx: &'a Context<'a>,
}

impl<'a> Groups<'a> {
    /// Creates no groups yet; `what` names the stage in errors.
    pub(super) fn new(what: &'static str, output: &'a Accumulators, ctx: &'a Context<'a>) -> Self {
        let kept = StageMemory::new(what, ctx);
        Groups { output: &output.0, keys: IndexSet::new(), states: Vec::new(), kept, ctx }
    }

    /// Adds a document to the group of `key`, which is copied only for a new group.
    ///
    /// # Errors
    /// `query_too_large` when the groups are too large, and those of the accumulators.
    pub(super) fn add(&mut self, key: Cow<'_, Value>, vars: &Vars<'_>) -> Result<()> {
        let group = match self.keys.get_index_of(&*key) {
            Some(group) => group,
            None => {
                // The hash and the slot of the key beside it.
                let states = self.output.len() * size_of::<State>();
                self.kept.add(key.bytes() + states + 4 * size_of::<usize>())?;
                self.states.extend(self.output.iter().map(Accumulator::fresh));
                self.keys.insert_full(key.into_owned()).0
            }
        };
        let states = self.states.iter_mut().skip(group * self.output.len());
        for (accumulator, state) in self.output.iter().zip(states) {
            accumulator.add(state, vars, &mut self.kept, self.ctx)?;
        }
        Ok(())
    }

    /// Orders the groups by key.
    ///
    /// # Errors
    /// Those of counting the work.
    pub(super) fn into_sorted_documents(self) -> Result<Documents<'a>> {
        self.ctx.sorting(self.keys.len(), self.keys.iter().map(Value::bytes).sum())?;
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by(|a, b| self.keys.get_index(*a).cmp(&self.keys.get_index(*b)));
        let mut documents: Vec<_> = self.into_documents().map(Some).collect();
        Ok(Box::new(order.into_iter().filter_map(move |index| documents.get_mut(index)?.take())))
    }

    /// A document for each group.
    pub(super) fn into_documents(self) -> Documents<'a> {
        let Groups { output, keys, states, kept, .. } = self;
        let mut states = states.into_iter();
        Box::new(keys.into_iter().map(move |key| {
            // Charged until the last group has been passed on.
            let _ = &kept;
            let values = states.by_ref().take(output.len()).map(State::into_value);
            let names = output.iter().map(|accumulator| accumulator.name().to_owned());
            let mut fields = Object::with_capacity(output.len() + 1);
            fields.insert("_id".to_owned(), key);
            fields.extend(names.zip(values));
            shallow(Value::Object(fields))
        }))
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
