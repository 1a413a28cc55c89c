//! Reading by query: find, aggregate, count, distinct, and their plans.
//!
//! Filters, projections and pipelines are MongoDB's.

use crate::call::Call;
use crate::collection::{Collection, Page, decode};
use crate::error::{Error, Result};
use crate::wire::{
    AggregateBody, AggregateReply, CountBody, CountReply, DeleteBody, DistinctBody, DistinctReply,
    ExplainLevel, ExplainReply, FindBody, ReadLevel, UpdateBody,
};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Documents of one call when all of a result are read.
const BATCH_DOCUMENTS: u64 = 500;

/// Which documents, in which order, and what of them. A filter alone becomes one by `into`.
///
/// ```
/// use jettra_driver::Find;
/// use serde_json::json;
///
/// let find = Find::new(json!({"age": {"$gte": 18}})).sort("-age,name").skip(20).limit(10);
/// assert_eq!(find.body.sort, Some(json!("-age,name")));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Find {
    /// What is sent.
    pub body: FindBody,
    /// How fresh the answer must be; as the collection says when not given.
    pub level: Option<ReadLevel>,
}

impl Find {
    /// The documents that match a filter.
    pub fn new(filter: impl Into<Value>) -> Find {
        let body = FindBody { filter: Some(filter.into()), ..FindBody::default() };
        Find { body, level: None }
    }

    /// All documents.
    pub fn all() -> Find {
        Find::default()
    }

    /// In this order: `{"age": -1}`, or the short form `"-age,name"`.
    pub fn sort(mut self, sort: impl Into<Value>) -> Find {
        self.body.sort = Some(sort.into());
        self
    }

    /// Only these fields: `{"name": 1}`, or the short form `"name,-_id"`. What is left may need
    /// another type; see [`Collection::with_type`].
    pub fn projection(mut self, projection: impl Into<Value>) -> Find {
        self.body.projection = Some(projection.into());
        self
    }

    /// Leaves out the first documents. With a cursor this has no effect.
    pub fn skip(mut self, documents: u64) -> Find {
        self.body.skip = Some(documents);
        self
    }

    /// Limits the number of documents.
    pub fn limit(mut self, documents: u64) -> Find {
        self.body.limit = Some(documents);
        self
    }

    /// After the page that returned this cursor. Filter and sort must be the same as for that page.
    pub fn cursor(mut self, cursor: impl Into<String>) -> Find {
        self.body.cursor = Some(cursor.into());
        self
    }

    /// With this index: its name or its fields; `"$natural"` reads the collection itself.
    pub fn hint(mut self, index: impl Into<Value>) -> Find {
        self.body.hint = Some(index.into());
        self
    }

    /// With another read level than the collection's.
    pub fn level(mut self, level: ReadLevel) -> Find {
        self.level = Some(level);
        self
    }
}

impl From<Value> for Find {
    fn from(filter: Value) -> Find {
        Find::new(filter)
    }
}

impl From<Value> for AggregateBody {
    fn from(pipeline: Value) -> AggregateBody {
        AggregateBody { pipeline, hint: None, explain: None }
    }
}

impl AggregateBody {
    /// Whether the result goes into a collection, by `$out` or `$merge`.
    pub fn writes(&self) -> bool {
        let stages = self.pipeline.as_array().into_iter().flatten();
        stages.filter_map(Value::as_object).any(|stage| {
            stage.keys().next().is_some_and(|name| matches!(name.as_str(), "$out" | "$merge"))
        })
    }
}

impl From<Value> for CountBody {
    fn from(filter: Value) -> CountBody {
        CountBody { filter: Some(filter), ..CountBody::default() }
    }
}

/// The pages of a result, one after the other; created by [`Collection::find_pages`].
pub struct Pages<T> {
    collection: Collection<T>,
    find: Find,
    left: Option<u64>,
    ended: bool,
}

impl<T: Serialize + DeserializeOwned> Pages<T> {
    /// The next documents; `None` after the last page.
    ///
    /// # Errors
    /// Those of [`Collection::find`]; the same page can be asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>> {
        if self.ended || self.left == Some(0) {
            return Ok(None);
        }
        let limit = self.left.map_or(BATCH_DOCUMENTS, |left| left.min(BATCH_DOCUMENTS));
        let page = self.collection.find(self.find.clone().limit(limit)).await?;
        self.left = self.left.map(|left| left.saturating_sub(page.documents.len() as u64));
        self.ended = page.cursor.is_none();
        self.find.body.cursor = page.cursor;
        Ok(Some(page.documents))
    }
}

impl<T: Serialize + DeserializeOwned> Collection<T> {
    /// One page of the documents that match: 100, or what [`Find::limit`] says. The page's
    /// cursor leads to the next one.
    ///
    /// # Errors
    /// `invalid_query` (400) with the part that is wrong, `invalid_parameter` for a limit that is
    /// too large or the cursor of another query, `time_limit` when it takes too long,
    /// `query_too_large` when it would hold too much in memory.
    pub async fn find(&self, find: impl Into<Find>) -> Result<Page<T>> {
        let find = find.into();
        self.page(self.find_call(&find)).await
    }

    /// The documents that match, page after page. [`Find::limit`] bounds them all together.
    ///
    /// Pages are read one by one: a document that changes its place in the order meanwhile may
    /// be seen twice or not at all.
    ///
    /// ```no_run
    /// # async fn example(people: jettra_driver::Collection<serde_json::Value>)
    /// # -> Result<(), jettra_driver::Error> {
    /// let mut pages = people.find_pages(serde_json::json!({"city": "Lima"}));
    /// while let Some(documents) = pages.next().await? {
    ///     println!("{} more", documents.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_pages(&self, find: impl Into<Find>) -> Pages<T> {
        let find = find.into();
        Pages { collection: self.clone(), left: find.body.limit, find, ended: false }
    }

    /// All documents that match, over as many pages as it takes.
    ///
    /// # Errors
    /// Those of [`Collection::find`].
    pub async fn find_all(&self, find: impl Into<Find>) -> Result<Vec<T>> {
        let mut pages = self.find_pages(find);
        let mut all = Vec::new();
        while let Some(documents) = pages.next().await? {
            all.extend(documents);
        }
        Ok(all)
    }

    /// The first document that matches; `None` when there is none.
    ///
    /// # Errors
    /// Those of [`Collection::find`].
    pub async fn find_one(&self, find: impl Into<Find>) -> Result<Option<T>> {
        Ok(self.find(find.into().limit(1)).await?.documents.into_iter().next())
    }

    /// How a query is carried out, as MongoDB's `explain` reports it: `queryPlanner` with the
    /// winning plan and the others, and `executionStats` when asked for.
    ///
    /// # Errors
    /// Those of [`Collection::find`].
    pub async fn explain(&self, find: impl Into<Find>, level: ExplainLevel) -> Result<Value> {
        let mut find = find.into();
        find.body.explain = Some(level);
        let reply: ExplainReply = self.client().send(self.find_call(&find)).await?.json()?;
        Ok(reply.explain)
    }

    /// The result of a pipeline, which may be all of `[{"$match": …}, {"$group": …}, …]`.
    ///
    /// A pipeline that ends with `$out` or `$merge` returns nothing here; see
    /// [`Collection::aggregate_into`].
    ///
    /// # Errors
    /// `invalid_query` with the stage that is wrong, `query_too_large`, `time_limit`.
    pub async fn aggregate(&self, pipeline: impl Into<AggregateBody>) -> Result<Vec<Value>> {
        Ok(self.aggregated(pipeline.into()).await?.documents)
    }

    /// As [`Collection::aggregate`], each document of the result as `R`.
    ///
    /// # Errors
    /// Those of [`Collection::aggregate`]; [`Error::Decode`] for a document that is no `R`.
    pub async fn aggregate_as<R: DeserializeOwned>(
        &self,
        pipeline: impl Into<AggregateBody>,
    ) -> Result<Vec<R>> {
        self.aggregate(pipeline).await?.into_iter().map(decode).collect()
    }

    /// Carries out a pipeline that ends with `$out` or `$merge`; returns the number of documents
    /// that it wrote.
    ///
    /// # Errors
    /// Those of [`Collection::aggregate`] and of the writes; [`Error::Invalid`] for another
    /// pipeline. `$out` changes all or nothing, `$merge` may have merged some documents.
    pub async fn aggregate_into(&self, pipeline: impl Into<AggregateBody>) -> Result<u64> {
        let body = pipeline.into();
        if !body.writes() {
            let text = "a pipeline that writes its result ends with $out or $merge";
            return Err(Error::Invalid(text.into()));
        }
        let written = self.aggregated(body).await?.written;
        written.ok_or_else(|| Error::Decode("the answer does not say what was written".into()))
    }

    /// How the first stages of a pipeline are carried out; as [`Collection::explain`].
    ///
    /// # Errors
    /// Those of [`Collection::aggregate`].
    pub async fn explain_aggregate(
        &self,
        pipeline: impl Into<AggregateBody>,
        level: ExplainLevel,
    ) -> Result<Value> {
        let body = AggregateBody { explain: Some(level), ..pipeline.into() };
        let call = self.query_call("aggregate").body(&body).reads();
        Ok(self.client().send(call).await?.json::<ExplainReply>()?.explain)
    }

    async fn aggregated(&self, body: AggregateBody) -> Result<AggregateReply> {
        let call = self.query_call("aggregate").body(&body).confirms();
        let call = if body.writes() { call } else { call.reads() };
        self.client().send(call).await?.json()
    }

    /// Number of documents that match.
    ///
    /// # Errors
    /// `invalid_query`, `time_limit`.
    pub async fn count_matching(&self, filter: impl Into<CountBody>) -> Result<u64> {
        let call = self.query_call("count").body(&filter.into()).reads();
        Ok(self.client().send(call).await?.json::<CountReply>()?.count)
    }

    /// The different values of a field in the documents that match, in their order. The items
    /// of an array count one by one.
    ///
    /// # Errors
    /// `invalid_query`, `query_too_large`, `time_limit`.
    pub async fn distinct(&self, field: &str, filter: Option<Value>) -> Result<Vec<Value>> {
        let body = DistinctBody { field: field.to_owned(), filter, explain: None };
        let call = self.query_call("distinct").body(&body).reads();
        Ok(self.client().send(call).await?.json::<DistinctReply>()?.values)
    }

    /// How [`Collection::count_matching`] counts; as [`Collection::explain`].
    ///
    /// # Errors
    /// Those of [`Collection::count_matching`].
    pub async fn explain_count(
        &self,
        filter: impl Into<CountBody>,
        level: ExplainLevel,
    ) -> Result<Value> {
        let body = CountBody { explain: Some(level), ..filter.into() };
        self.explained("count", &body).await
    }

    /// How [`Collection::distinct`] finds the documents; as [`Collection::explain`].
    ///
    /// # Errors
    /// Those of [`Collection::distinct`].
    pub async fn explain_distinct(
        &self,
        field: &str,
        filter: Option<Value>,
        level: ExplainLevel,
    ) -> Result<Value> {
        let body = DistinctBody { field: field.to_owned(), filter, explain: Some(level) };
        self.explained("distinct", &body).await
    }

    /// How an update finds the documents, all that match if the body's `multi` is set; as
    /// [`Collection::explain`]. Nothing is changed.
    ///
    /// # Errors
    /// Those of [`Collection::find`], and `invalid_query` for an update that is not valid.
    pub async fn explain_update(
        &self,
        update: impl Into<UpdateBody>,
        level: ExplainLevel,
    ) -> Result<Value> {
        let body = UpdateBody { explain: Some(level), ..update.into() };
        self.explained("update", &body).await
    }

    /// How a deletion finds the documents, all that match if the body's `multi` is set; as
    /// [`Collection::explain`]. Nothing is deleted.
    ///
    /// # Errors
    /// Those of [`Collection::find`].
    pub async fn explain_delete(
        &self,
        delete: impl Into<DeleteBody>,
        level: ExplainLevel,
    ) -> Result<Value> {
        let body = DeleteBody { explain: Some(level), ..delete.into() };
        self.explained("delete", &body).await
    }

    async fn explained(&self, name: &str, body: &impl Serialize) -> Result<Value> {
        let call = self.query_call(name).body(body).reads();
        Ok(self.client().send(call).await?.json::<ExplainReply>()?.explain)
    }

    fn find_call(&self, find: &Find) -> Call {
        let level = find.level.unwrap_or(self.level());
        let call = self.call(Method::POST, "find").level(level);
        call.body(&find.body).reads().long()
    }

    fn query_call(&self, name: &str) -> Call {
        self.call(Method::POST, name).level(self.level()).long()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_pipeline_with_out_or_merge_writes() {
        let table = [
            (json!([{"$match": {"a": 1}}, {"$out": "b"}]), true),
            (json!([{"$merge": {"into": "b"}}]), true),
            (json!([{"$match": {"a": "$out"}}]), false),
            (json!([]), false),
            (json!({"$out": "b"}), false),
        ];
        for (pipeline, writes) in table {
            assert_eq!(AggregateBody::from(pipeline.clone()).writes(), writes, "{pipeline}");
        }
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        assert_eq!(json!(Find::all().body), json!({}));
        let find = Find::new(json!({"a": 1})).limit(0).hint("$natural").cursor("x");
        let expected = json!({"filter": {"a": 1}, "limit": 0, "cursor": "x", "hint": "$natural"});
        assert_eq!(json!(find.body), expected);
    }
}
