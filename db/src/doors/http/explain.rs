//! How a count, the different values of a field, an update or a deletion find their documents,
//! without carrying them out.

use super::call::Call;
use super::query::{self, explained};
use super::view::{Source, reading};
use crate::engine::query::context::{At, Fields};
use crate::engine::query::filter::Filter;
use crate::engine::query::path::Path;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::sort::Sort;
use crate::engine::query::source::{ScanRequest, scan};
use crate::error::Result;
use jettra_driver::wire::{CountBody, DeleteBody, DistinctBody, ExplainLevel, UpdateBody};
use serde_json::{Value, json};
use std::time::Instant;

/// What finds its documents so.
pub(super) struct Explained {
    /// MongoDB's name of what is done with them; none where it has none.
    stage: Option<&'static str>,
    filter: Filter,
    sort: Option<Sort>,
    hint: Option<Hint>,
    /// Whether the order of the documents matters.
    ordered: bool,
    limit: Option<u64>,
    /// The fields that are read of them, beside those of the filter.
    fields: Fields,
    /// Whether an index may give these fields.
    covers: bool,
}

impl Explained {
    fn new(filter: Option<Value>, sort: Option<Value>, hint: Option<Value>) -> Result<Explained> {
        let sort = sort.map(|sort| Sort::parse(&query::value(sort, "sort")?, At::root("sort")));
        let hint = hint.map(|hint| Hint::parse(&query::value(hint, "hint")?, At::root("hint")));
        Ok(Explained {
            stage: None,
            filter: query::filter(filter)?,
            sort: sort.transpose()?,
            hint: hint.transpose()?,
            ordered: true,
            limit: None,
            fields: Fields::default(),
            covers: false,
        })
    }

    /// A count.
    pub(super) fn count(body: CountBody) -> Result<Explained> {
        let scan = Explained::new(body.filter, None, body.hint)?;
        Ok(Explained { stage: Some("COUNT"), ordered: false, covers: true, ..scan })
    }

    /// The different values of a field.
    pub(super) fn distinct(body: DistinctBody) -> Result<Explained> {
        let mut scan = Explained::new(body.filter, None, None)?;
        scan.fields.add(Path::parse(&body.field, At::root("field"))?.as_str());
        Ok(scan)
    }

    /// An update of the first document, or of all.
    pub(super) fn update(call: &Call, body: UpdateBody) -> Result<Explained> {
        let scan = Explained::new(Some(body.filter), body.sort, body.hint)?;
        Ok(Explained { stage: Some("UPDATE"), limit: limit(call, body.multi), ..scan })
    }

    /// A deletion of the first document, or of all.
    pub(super) fn delete(call: &Call, body: DeleteBody) -> Result<Explained> {
        let scan = Explained::new(Some(body.filter), body.sort, body.hint)?;
        Ok(Explained { stage: Some("DELETE"), limit: limit(call, body.multi), ..scan })
    }

    /// How the documents are found; with `executionStats` they are, too.
    pub(super) async fn run(self, call: &Call, level: ExplainLevel) -> Result<(Value, u64)> {
        let now = matches!(Source::of(call)?, Source::Now);
        reading(call, move |read, collection, ctx| {
            let started = Instant::now();
            let Explained { stage, filter, sort, hint, ordered, limit, fields, covers } = self;
            let everything =
                filter.always() && matches!(hint, None | Some(Hint::Natural | Hint::Id));
            if stage == Some("COUNT") && everything && now {
                let documents = collection.documents(read)?;
                return Ok(known_count(level, documents));
            }
            let mut needed = fields.clone();
            filter.fields(&mut needed);
            let names = needed.names().filter(|_| covers);
            let (sort, fields_wanted) = (sort.as_ref(), names.as_deref());
            let wanted = QuerySpec { filter: &filter, sort, ordered, limit, fields: fields_wanted };
            let request = ScanRequest { wanted, fields, hint: hint.as_ref() };
            scan(read, collection, request, ctx, |found, planned| {
                let mut returned = 0;
                if level == ExplainLevel::ExecutionStats {
                    let most = limit.map_or(usize::MAX, |limit| limit as usize);
                    for found in found.take(most) {
                        found?;
                        returned += 1;
                    }
                }
                let mut answer = explained(&filter, planned, collection, level, returned, started);
                if let Some(stage) = stage {
                    let input = answer["queryPlanner"]["winningPlan"].take();
                    answer["queryPlanner"]["winningPlan"] =
                        json!({"stage": stage, "inputStage": input});
                }
                Ok(answer)
            })
        })
        .await
    }
}

/// How many documents a write looks for.
fn limit(call: &Call, multi: bool) -> Option<u64> {
    let most = call.cluster().config.write_documents_max;
    Some(if multi { most.saturating_add(1) } else { 1 })
}

/// The number of documents is known without reading any.
fn known_count(level: ExplainLevel, documents: u64) -> Value {
    let mut answer = json!({"queryPlanner": {
        "parsedQuery": {},
        "winningPlan": {"stage": "RECORD_STORE_FAST_COUNT"},
        "rejectedPlans": [],
    }});
    if level == ExplainLevel::ExecutionStats {
        answer["executionStats"] = json!({
            "nReturned": documents, "totalKeysExamined": 0, "totalDocsExamined": 0,
            "executionTimeMillis": 0.0,
        });
    }
    answer
}
