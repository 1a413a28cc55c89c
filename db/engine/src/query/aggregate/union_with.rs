//! `$unionWith`: the documents of another collection after those of the input.

use super::super::context::{At, Context, Fields};
use super::foreign::ForeignDocuments;
use super::memory::later;
use super::stage::{SharedStage, Stage};
use super::{DocumentSource, Documents, Nesting, Pipeline, read};
use crate::error::Result;
use crate::value::Value;

/// A parsed `$unionWith`.
#[derive(Debug)]
pub(super) struct UnionWith(ForeignDocuments);

impl UnionWith {
    /// Parses `"name"` or `{"coll": "name", "pipeline": […]}`.
    ///
    /// # Errors
    /// `invalid_query` for a wrong shape and for errors of the pipeline.
    pub(super) fn parse(spec: &Value, at: At<'_>, nesting: Nesting<'_>) -> Result<UnionWith> {
        if spec.as_str().is_some() {
            return Ok(UnionWith(ForeignDocuments::new(
                read::text(spec, at)?,
                Pipeline::default(),
            )));
        }
        let fields = read::object(spec, &["coll", "pipeline"], at)?;
        let collection = read::text(read::required(fields, "coll", at)?, at.key("coll"))?;
        let pipeline = fields.get("pipeline");
        let pipeline =
            pipeline.map(|stages| Pipeline::parse_inner(stages, at.key("pipeline"), nesting));
        Ok(UnionWith(ForeignDocuments::new(collection, pipeline.transpose()?.unwrap_or_default())))
    }
}

impl Stage for UnionWith {
    fn read(&self, _: &mut Fields) -> bool {
        false
    }

    fn run<'a>(
        &'a self,
        input: Documents<'a>,
        _following: &[SharedStage],
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Documents<'a> {
        Box::new(input.chain(later(move || self.0.find(None, source, ctx))))
    }
}
