//! `$facet`: several pipelines over the same documents.

use super::super::context::{At, Context, Fields};
use super::memory::{StageMemory, later, shallow};
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents, Nesting, Pipeline, read};
use crate::error::Result;
use crate::value::{Object, Value};

/// A parsed `$facet`: pipelines by the field that their result goes into.
#[derive(Debug)]
pub(super) struct Facet(Vec<(String, Pipeline)>);

impl Facet {
    /// Parses an object of pipelines.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape, a facet in a facet, and for errors of the pipelines.
    pub(super) fn parse(spec: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<Facet> {
        if nesting.in_facet {
            return Err(at.invalid("cannot stand inside another $facet"));
        }
        let nesting = Nesting { in_facet: true, ..nesting };
        let Some(fields) = spec.as_object().filter(|fields| !fields.is_empty()) else {
            return Err(at.invalid(
                "must be an object of pipelines, such as {\"all\": [{\"$count\": \"n\"}]}",
            ));
        };
        let parse = |(name, stages): (&String, &Value)| {
            read::field_name(name, at)?;
            Ok((name.clone(), Pipeline::parse_inner(stages, at.key(name), nesting)?))
        };
        fields.iter().map(parse).collect::<Result<_>>().map(Facet)
    }

    fn document(
        &self,
        input: Documents<'_>,
        source: &dyn DocumentSource,
        ctx: &Context<'_>,
    ) -> Result<Value> {
        let mut kept = StageMemory::new("$facet", ctx);
        let documents = kept.collect(input)?;
        let mut result = Object::with_capacity(self.0.len());
        for (name, pipeline) in &self.0 {
            let copies = Box::new(documents.iter().cloned().map(Ok));
            let output = kept.collect(pipeline.run(copies, source, ctx))?;
            result.insert(name.clone(), Value::Array(output));
        }
        Ok(Value::Object(result))
    }
}

impl Stage for Facet {
    fn read(&self, fields: &mut Fields) -> bool {
        for (_, pipeline) in &self.0 {
            // A pipeline that passes documents on puts all of their fields into its list.
            if !pipeline.read(fields) {
                fields.add_all();
            }
        }
        true
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        later(move || {
            let document = self.document(input, source, ctx).and_then(shallow);
            Ok(Box::new(std::iter::once(document)))
        })
    }
}
