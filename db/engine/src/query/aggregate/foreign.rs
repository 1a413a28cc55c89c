//! Documents of another collection, for `$lookup` and `$unionWith`.

use super::super::context::Context;
use super::super::filter::Filter;
use super::{DocumentSource, Documents, Pipeline};
use crate::error::Result;

/// Documents of another collection, after a pipeline.
#[derive(Debug)]
pub(super) struct ForeignDocuments {
    pub(super) collection: String,
    /// Taken out of the pipeline, so that an index can serve it.
    filter: Filter,
    pipeline: Pipeline,
}

impl ForeignDocuments {
    /// The documents of a collection after a pipeline.
    pub(super) fn new(collection: &str, mut pipeline: Pipeline) -> ForeignDocuments {
        let filter = pipeline.take_filter().unwrap_or(Filter::And(Vec::new()));
        ForeignDocuments { collection: collection.to_owned(), filter, pipeline }
    }

    /// The documents; with `keys`, only those that match it.
    pub(super) fn find<'a>(
        &'a self,
        keys: Option<Filter>,
        source: &'a dyn DocumentSource,
        ctx: &'a Context<'a>,
    ) -> Result<Documents<'a>> {
        let filter = match keys {
            Some(keys) => Filter::all(vec![keys, self.filter.clone()]),
            None => self.filter.clone(),
        };
        let found = source.find(&self.collection, filter, ctx)?;
        Ok(self.pipeline.run(found, source, ctx))
    }
}
