//! How a request finds its documents, without carrying it out.

use super::count::{Count, Distinct};
use super::find::{parse_filter, parse_hint};
use super::read::{State, reading};
use super::writes::{Delete, Selection};
use super::{Response, Session};
use crate::engine::Namespace;
use crate::engine::catalog::Collection;
use crate::engine::query::context::{At, Context, Fields};
use crate::engine::query::filter::Filter;
use crate::engine::query::path::Path;
use crate::engine::query::plan::{Hint, QuerySpec};
use crate::engine::query::sort::Sort;
use crate::engine::query::source::{ScanReport, ScanRequest, scan};
use crate::error::Result;
use crate::service::read::View;
use serde_json::{Value as Json, json};
use std::time::Instant;

/// How much an explanation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explain {
    /// The plans.
    Plan,
    /// The plans, and what finding the documents took.
    Execution,
}

/// A request whose plan is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Explained {
    /// A count.
    Count(Count),
    /// The different values of a field.
    Distinct(Distinct),
    /// An update of the first document, or of all.
    Update {
        /// Which.
        selection: Selection,
        /// All that match, not only the first.
        multi: bool,
    },
    /// A deletion of the first document, or of all.
    Delete(Delete),
}

/// A request whose documents are looked for.
struct Scan {
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
    /// Whether it reads the present state.
    now: bool,
}

/// Explains how a request finds its documents; with [`Explain::Execution`] they are found, too.
///
/// # Errors
/// `invalid_query`, and those of reading.
pub async fn explain(
    session: &Session,
    namespace: &Namespace,
    request: Explained,
    explain: Explain,
) -> Result<Response<Json>> {
    let mut scan = Scan::new(session, request)?;
    scan.now = State::of(session)?.is_now();
    let reading = reading(session, namespace, move |read, collection, ctx| {
        scan.run(read, collection, explain, ctx)
    });
    reading.await.map(|(explained, index)| Response::at(explained, index))
}

impl Scan {
    fn new(session: &Session, request: Explained) -> Result<Scan> {
        let limit = |multi| {
            let most = session.config().write_documents_max;
            Some(if multi { most.saturating_add(1) } else { 1 })
        };
        Ok(match request {
            Explained::Count(Count { filter, hint }) => {
                let selection = Selection { filter: filter.unwrap_or_else(all), hint, sort: None };
                let scan = Scan::of(selection)?;
                Scan { stage: Some("COUNT"), ordered: false, covers: true, ..scan }
            }
            Explained::Distinct(Distinct { field, filter }) => {
                let filter = filter.unwrap_or_else(all);
                let mut scan = Scan::of(Selection { filter, ..Selection::default() })?;
                scan.fields.add(Path::parse(&field, At::root("field"))?.as_str());
                scan
            }
            Explained::Update { selection, multi } => {
                Scan { stage: Some("UPDATE"), limit: limit(multi), ..Scan::of(selection)? }
            }
            Explained::Delete(Delete { selection, multi }) => {
                Scan { stage: Some("DELETE"), limit: limit(multi), ..Scan::of(selection)? }
            }
        })
    }

    fn of(selection: Selection) -> Result<Scan> {
        let Selection { filter, sort, hint } = selection;
        Ok(Scan {
            stage: None,
            sort: sort.map(|sort| Sort::parse(&sort, At::root("sort"))).transpose()?,
            hint: parse_hint(hint.as_ref())?,
            filter: parse_filter(Some(&filter))?,
            ordered: true,
            limit: None,
            fields: Fields::default(),
            covers: false,
            now: true,
        })
    }

    fn run(
        self,
        read: &View<'_>,
        collection: &Collection,
        explain: Explain,
        ctx: &Context<'_>,
    ) -> Result<Json> {
        let started = Instant::now();
        let Scan { stage, filter, sort, hint, ordered, limit, fields, covers, now } = self;
        let everything = filter.always() && matches!(hint, None | Some(Hint::Natural | Hint::Id));
        if stage == Some("COUNT") && everything && now {
            return Ok(known_count(explain, collection.documents(read)?));
        }
        let mut needed = fields.clone();
        filter.fields(&mut needed);
        let names = needed.names().filter(|_| covers);
        let (sort, fields_wanted) = (sort.as_ref(), names.as_deref());
        let wanted = QuerySpec { filter: &filter, sort, ordered, limit, fields: fields_wanted };
        let request = ScanRequest { wanted, fields, hint: hint.as_ref() };
        scan(read, collection, request, ctx, |found, planned| {
            let mut returned = 0;
            if explain == Explain::Execution {
                let most = limit.map_or(usize::MAX, |limit| limit as usize);
                for found in found.take(most) {
                    found?;
                    returned += 1;
                }
            }
            let mut answer = explained(&filter, planned, collection, explain, returned, started);
            if let Some(stage) = stage {
                let input = answer["queryPlanner"]["winningPlan"].take();
                answer["queryPlanner"]["winningPlan"] =
                    json!({"stage": stage, "inputStage": input});
            }
            Ok(answer)
        })
    }
}

/// The filter that every document matches.
fn all() -> crate::engine::value::Value {
    crate::engine::value::Value::Object(Default::default())
}

/// The explanation of a scan, in MongoDB's form.
pub(super) fn explained(
    filter: &Filter,
    planned: &ScanReport<'_>,
    collection: &Collection,
    explain: Explain,
    returned: u64,
    started: Instant,
) -> Json {
    let rejected: Vec<_> = planned.rejected.iter().map(|plan| plan.explain(collection)).collect();
    let mut explained = json!({"queryPlanner": {
        "parsedQuery": filter.to_value(),
        "winningPlan": planned.plan.explain(collection),
        "rejectedPlans": rejected,
    }});
    if explain == Explain::Execution {
        explained["executionStats"] = json!({
            "nReturned": returned,
            "totalKeysExamined": planned.counters.keys.get(),
            "totalDocsExamined": planned.counters.documents.get(),
            "executionTimeMillis": started.elapsed().as_secs_f64() * 1000.0,
        });
    }
    explained
}

/// The number of documents is known without reading any.
fn known_count(explain: Explain, documents: u64) -> Json {
    let mut answer = json!({"queryPlanner": {
        "parsedQuery": {},
        "winningPlan": {"stage": "RECORD_STORE_FAST_COUNT"},
        "rejectedPlans": [],
    }});
    if explain == Explain::Execution {
        answer["executionStats"] = json!({
            "nReturned": documents, "totalKeysExamined": 0, "totalDocsExamined": 0,
            "executionTimeMillis": 0.0,
        });
    }
    answer
}
