//! Reading by query: find, aggregate, count, distinct, and how they are explained.

use super::call::{Call, pooled};
use super::document::{find_collection, readable_place};
use super::explain::Explained;
use super::reply::Reply;
use super::view::{Source, reading};
use crate::config::{PAGE_BYTES, PAGE_DEFAULT, WHOLE_BYTES_MAX};
use crate::engine::DocumentId;
use crate::engine::catalog::{self, Collection};
use crate::engine::document::parse_json;
use crate::engine::query::context::{At, Context, Fields};
use crate::engine::query::exec::{Counters, Execution, FoundDocument, Position, position};
use crate::engine::query::filter::Filter;
use crate::engine::query::path::Path;
use crate::engine::query::plan::{self, Hint, Plan, QuerySpec};
use crate::engine::query::project::Projection;
use crate::engine::query::sort::Sort;
use crate::engine::query::source::{ScanReport, ScanRequest, open, scan};
use crate::engine::value::{Value, from_json};
use crate::error::{Error, Kind, Result};
use crate::raft::Group;
use crate::storage::{Read, ReadTxn};
use base64::Engine;
use jettra_driver::wire::{CountBody, CountReply, DistinctBody, ExplainLevel, FindBody};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use xxhash_rust::xxh3::xxh3_64;

const CURSOR: base64::engine::GeneralPurpose = base64::engine::general_purpose::URL_SAFE_NO_PAD;
/// Estimated cost, in microseconds, up to which a query runs without changing threads.
const INLINE_COST: f64 = 150.0;
/// Longest time that a query waits for a place: callers that come in faster than queries end learn
/// it while they still can go elsewhere.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Time past its limit after which a query that has not looked at it is no longer waited for.
const OVERTIME_MAX: Duration = Duration::from_millis(500);
/// Steps after which a query that seemed to be short goes on to the pool for longer reads.
const INLINE_STEPS: u64 = 20_000;

/// A query that was checked.
#[derive(Debug, Clone)]
pub struct Find {
    /// Which documents.
    pub filter: Filter,
    /// In which order.
    pub sort: Option<Sort>,
    /// What of them.
    pub projection: Option<Projection>,
    /// How many to leave out.
    pub skip: u64,
    /// How many at most.
    pub limit: u64,
    /// How many this page and those after it give at most, when something bounds them together.
    pub left: Option<u64>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// Behind which document the answer begins.
    pub after: Option<Position>,
    /// Whether the plan is wanted instead of the documents.
    pub explain: Option<ExplainLevel>,
    /// Whether the answer has no place for a cursor, so that it must not be cut at its size.
    pub whole: bool,
    /// What a cursor is bound to: filter and sort.
    pub fingerprint: u64,
}

/// The answer to a query.
pub struct Page {
    /// A JSON array.
    pub documents: Vec<u8>,
    /// Where the next page begins.
    pub cursor: Option<String>,
    /// The plan, as JSON, when it was asked for.
    pub explained: Option<serde_json::Value>,
}

impl Page {
    /// As the REST interface answers.
    pub fn reply(self) -> Reply {
        if let Some(explained) = self.explained {
            return Reply::json(&json!({"explain": explained}));
        }
        let mut body = b"{\"documents\":".to_vec();
        body.extend_from_slice(&self.documents);
        if let Some(cursor) = self.cursor {
            body.extend_from_slice(format!(",\"cursor\":\"{cursor}\"").as_bytes());
        }
        body.push(b'}');
        Reply::bytes(body)
    }
}

/// A value of a body as the engine sees it.
///
/// # Errors
/// `invalid_query` for what only looks like Extended JSON.
pub fn value(json: serde_json::Value, name: &str) -> Result<Value> {
    from_json(json, At::root(name))
}

/// A filter of a body; without one everything matches.
pub fn filter(json: Option<serde_json::Value>) -> Result<Filter> {
    match json {
        None => Ok(Filter::And(Vec::new())),
        Some(json) => Filter::parse(&value(json, "filter")?, At::root("filter")),
    }
}

impl Find {
    /// Checks a query. `limit_max` bounds a page.
    ///
    /// # Errors
    /// `invalid_query` naming the part that cannot be; `invalid_parameter` for a limit that is
    /// too large or a foreign cursor.
    pub fn parse(body: FindBody, limit_max: u64) -> Result<Find> {
        let limit = body.limit.unwrap_or(PAGE_DEFAULT.min(limit_max));
        if limit > limit_max {
            let message = format!("limit={limit} is out of range");
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint(format!("use 0 to {limit_max}, and the cursor for what comes after")));
        }
        let sort = match body.sort {
            None => None,
            Some(serde_json::Value::String(names)) => {
                Some(Sort::from_names(&names, At::root("sort"))?)
            }
            Some(json) => Some(Sort::parse(&value(json, "sort")?, At::root("sort"))?),
        };
        let projection = match body.projection {
            None => None,
            Some(serde_json::Value::String(names)) => {
                Some(Projection::from_names(&names, At::root("projection"))?)
            }
            Some(json) => {
                Some(Projection::parse(&value(json, "projection")?, At::root("projection"))?)
            }
        };
        let hint = body.hint.map(|json| Hint::parse(&value(json, "hint")?, At::root("hint")));
        let filter = filter(body.filter)?;
        let sorted = sort.as_ref().map_or(Value::Null, Sort::to_value);
        let fingerprint =
            xxh3_64(format!("{}{}", filter.to_value().to_json(), sorted.to_json()).as_bytes());
        let cursor = body.cursor.map(|text| parse_cursor(&text, fingerprint)).transpose()?;
        let (after, left) = cursor.unzip();
        let sort = sort.filter(|sort| !sort.keys.is_empty());
        Ok(Find {
            filter,
            sort,
            projection,
            skip: if after.is_some() { 0 } else { body.skip.unwrap_or(0) },
            limit,
            left: left.flatten(),
            hint: hint.transpose()?,
            after,
            explain: body.explain,
            whole: false,
            fingerprint,
        })
    }

    /// Bounds all pages together; a cursor knows how many are left.
    pub fn bounded(mut self, total: Option<u64>) -> Find {
        self.left = if self.after.is_some() { self.left } else { total };
        self.limit = self.left.map_or(self.limit, |left| left.min(self.limit));
        self
    }

    /// The outermost fields that the answer needs; none when it is the stored text itself.
    fn needed(&self) -> Option<Fields> {
        let projection = self.projection.as_ref()?;
        let mut fields = Fields::default();
        projection.fields(&mut fields);
        Some(fields)
    }

    fn plan(&self, read: &impl Read, collection: &Collection) -> Result<(Plan, Vec<Plan>)> {
        let names = self.covering_names();
        let wanted = self.wanted(names.as_deref());
        plan::choose(read, collection, wanted, self.hint.as_ref())
    }

    /// The fields from which an index could answer alone.
    fn covering_names(&self) -> Option<Vec<String>> {
        let mut fields = Fields::default();
        self.projection.as_ref()?.plain_names()?.iter().for_each(|name| fields.add(name));
        self.filter.fields(&mut fields);
        self.sort.iter().for_each(|sort| sort.fields(&mut fields));
        fields.names()
    }

    fn wanted<'q>(&'q self, fields: Option<&'q [String]>) -> QuerySpec<'q> {
        QuerySpec {
            filter: &self.filter,
            sort: self.sort.as_ref(),
            ordered: true,
            // One more tells whether there is another page.
            limit: Some(self.skip.saturating_add(self.limit).saturating_add(1)),
            fields,
        }
    }

    /// Carries the query out.
    pub fn run(
        &self,
        read: &impl Read,
        collection: &Collection,
        plan: &Plan,
        rejected: &[Plan],
        ctx: &Context<'_>,
    ) -> Result<Page> {
        let started = Instant::now();
        let fields = self.needed().unwrap_or_default();
        let counters = Counters::default();
        let execution = Execution {
            read,
            collection,
            wanted: self.wanted(None),
            fields: &fields,
            after: self.after.as_ref(),
            ctx,
            counters: &counters,
        };
        let mut page = Page { documents: vec![b'['], cursor: None, explained: None };
        let mut returned = 0;
        if self.explain != Some(ExplainLevel::QueryPlanner) {
            let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let mut found = execution.run(plan)?.skip(skip).peekable();
            while returned < self.limit {
                let Some(next) = found.next() else { break };
                let next = next?;
                if returned > 0 {
                    page.documents.push(b',');
                }
                self.write(&next, &mut page.documents, ctx)?;
                returned += 1;
                let bytes = page.documents.len();
                if self.whole && bytes > WHOLE_BYTES_MAX {
                    return Err(Error::new(
                        Kind::TooLarge,
                        format!("the answer has more than {WHOLE_BYTES_MAX} bytes"),
                    )
                    .hint(
                        "ask for fewer documents or fields, or read page by page with a cursor",
                    ));
                }
                let full = returned == self.limit || bytes >= PAGE_BYTES && !self.whole;
                // Explained, the query reads no more than the answer needs.
                let left = self.left.map(|left| left.saturating_sub(returned));
                let ends = left == Some(0) || self.explain.is_some();
                if full && !ends && found.peek().is_some() {
                    page.cursor = self.cursor(&next, left);
                    break;
                }
            }
        }
        page.documents.push(b']');
        if let Some(level) = self.explain {
            let planned = ScanReport { plan, rejected, counters: &counters };
            page.explained =
                Some(explained(&self.filter, &planned, collection, level, returned, started));
        }
        Ok(page)
    }

    fn write(&self, found: &FoundDocument<'_>, out: &mut Vec<u8>, ctx: &Context<'_>) -> Result<()> {
        match (&self.projection, found.stored) {
            (None, Some((_, json))) => out.extend_from_slice(json),
            (None, None) => out.extend_from_slice(found.fields.to_json().as_bytes()),
            (Some(projection), _) => {
                let projected = projection.apply(&found.fields, ctx)?;
                out.extend_from_slice(projected.to_json().as_bytes());
            }
        }
        Ok(())
    }

    fn cursor(&self, last: &FoundDocument<'_>, left: Option<u64>) -> Option<String> {
        cursor_text(self.fingerprint, position(last, self.sort.as_ref())?, left)
    }
}

/// The cursor of a query for what comes after a position, `left` documents at most.
pub(super) fn cursor_text(query: u64, after: Position, left: Option<u64>) -> Option<String> {
    let Position { values, id } = after;
    Some(CURSOR.encode(serde_json::to_vec(&Token { query, id, values, left }).ok()?))
}

/// What a cursor holds.
#[derive(Serialize)]
struct Token {
    query: u64,
    id: DocumentId,
    values: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

#[derive(Deserialize)]
struct TokenText {
    query: u64,
    id: DocumentId,
    values: Vec<serde_json::Value>,
    left: Option<u64>,
}

/// Where a page begins, and how many documents are left for it and those after it.
pub(super) fn parse_cursor(text: &str, fingerprint: u64) -> Result<(Position, Option<u64>)> {
    let decoded = CURSOR.decode(text).ok();
    let token: Option<TokenText> = decoded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(token) = token else {
        let message = format!("cursor={text} was not made by this database");
        return Err(Error::new(Kind::InvalidParameter, message)
            .hint("pass the cursor of the page before, or none for the first page"));
    };
    if token.query != fingerprint {
        return Err(Error::new(Kind::InvalidParameter, "the cursor belongs to another query")
            .hint("pass the filter and sort of the page before, or no cursor"));
    }
    let values = token.values.into_iter().map(|json| value(json, "cursor"));
    Ok((Position { values: values.collect::<Result<_>>()?, id: token.id }, token.left))
}

/// Ends a query when its time is up or its caller has gone.
pub struct Watch {
    gone: Arc<AtomicBool>,
    deadline: Instant,
    limit: Duration,
}

impl Watch {
    /// The bounds of a query that begins now, and the guard that says its caller is there.
    pub fn new(call: &Call) -> (Watch, Caller) {
        let limit = Duration::from_millis(call.cluster().config.query_timeout_ms);
        let gone = Arc::new(AtomicBool::new(false));
        let watch = Watch { gone: gone.clone(), deadline: Instant::now() + limit, limit };
        (watch, Caller(gone))
    }

    /// Whether the query may go on.
    ///
    /// # Errors
    /// `time_limit`.
    pub fn check(&self) -> Result<()> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::TimeLimit, "the caller has gone"));
        }
        match Instant::now() > self.deadline {
            true => Err(took_too_long(self.limit)),
            false => Ok(()),
        }
    }

    /// How long the query may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

fn took_too_long(limit: Duration) -> Error {
    Error::new(Kind::TimeLimit, format!("the query took longer than {} ms", limit.as_millis()))
        .hint("add an index or a narrower filter; explain shows what is read")
}

/// Tells a running query that nobody waits for it any more.
pub struct Caller(Arc<AtomicBool>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A place for a longer query; waits for one, but not for ever.
///
/// # Errors
/// `overloaded`.
pub async fn permit(call: &Call) -> Result<OwnedSemaphorePermit> {
    let limit = Duration::from_millis(call.cluster().config.query_timeout_ms);
    let waiting = call.app.queries.clone().acquire_owned();
    let permit = tokio::time::timeout(limit.min(PLACE_WAIT_MAX), waiting).await;
    permit.ok().and_then(std::result::Result::ok).ok_or_else(|| {
        Error::new(Kind::Overloaded, "too many queries are running on this node")
            .hint("try again after a pause, on another node, or with fewer at once")
    })
}

/// Runs a query on the pool, and waits for it little longer than it may take. It holds `place` until
/// its thread has ended, whether somebody waits for it or not.
///
/// # Errors
/// `time_limit`, and those of `work`.
pub async fn within<T: Send + 'static>(
    limit: Duration,
    place: impl Send + 'static,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let working = pooled(move || {
        let _place = place;
        work()
    });
    let done = tokio::time::timeout(limit + OVERTIME_MAX, working).await;
    done.unwrap_or_else(|_| Err(took_too_long(limit)))
}

/// Runs `work` on the pool for longer reads, within the bounds of a query.
///
/// # Errors
/// `time_limit`, `query_too_large`, and those of `work`.
pub async fn in_background<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&ReadTxn<'_>, &Context<'_>) -> Result<T> + Send + 'static,
) -> Result<(T, u64)> {
    let memory = call.cluster().config.query_memory_mb << 20;
    let permit = permit(call).await?;
    let group = call.group()?.clone();
    let (watch, _caller) = Watch::new(call);
    within(watch.limit(), permit, move || {
        let (read, index) = group.read_with_index()?;
        let interrupt = || watch.check();
        let ctx = Context::new(group.time_ms() as i64, memory, &interrupt);
        work(&read, &ctx).map(|done| (done, index))
    })
    .await
}

/// Carries a query out: at once when it is short, else on the pool for longer reads.
pub async fn find_page(call: &Call, find: Find) -> Result<(Page, u64)> {
    let (database, collection) = readable_place(call)?;
    if matches!(Source::of(call)?, Source::Now)
        && let Some(done) = find_at_once(call.group()?, call, database, collection, &find)?
    {
        return Ok(done);
    }
    reading(call, move |read, collection, ctx| {
        let (plan, rejected) = find.plan(read, collection)?;
        find.run(read, collection, &plan, &rejected, ctx)
    })
    .await
}

fn find_at_once(
    group: &Group,
    call: &Call,
    database: &str,
    collection: &str,
    find: &Find,
) -> Result<Option<(Page, u64)>> {
    let (read, index) = group.read_with_index()?;
    let collection = open(&read, database, collection)?;
    let (plan, rejected) = find.plan(&read, &collection)?;
    if plan.cost_max > INLINE_COST {
        return Ok(None);
    }
    let config = &call.cluster().config;
    let (watch, _caller) = Watch::new(call);
    let interrupt = || watch.check();
    let now_ms = group.time_ms() as i64;
    let ctx = Context::new(now_ms, config.query_memory_mb << 20, &interrupt);
    let ctx = ctx.steps_max(INLINE_STEPS);
    match find.run(&read, &collection, &plan, &rejected, &ctx) {
        // The plan knows nothing of the work that expressions do.
        Err(_) if ctx.is_worn_out() => Ok(None),
        page => page.map(|page| Some((page, index))),
    }
}

/// `POST …/find`
pub async fn find(call: Rc<Call>) -> Result<Reply> {
    let find = Find::parse(call.json_or_empty()?, call.cluster().config.page_max as u64)?;
    let (page, index) = find_page(&call, find).await?;
    Ok(page.reply().at(index))
}

/// A parameter with JSON text in it; with `plain` other text stands for itself.
pub(super) fn json_parameter(
    call: &Call,
    name: &str,
    plain: bool,
) -> Result<Option<serde_json::Value>> {
    let Some(text) = call.parameter(&[name]) else { return Ok(None) };
    if plain && !text.trim_start().starts_with('{') {
        return Ok(Some(text.into()));
    }
    parse_json(text.as_bytes(), &call.cluster().config.limits()).map(Some).map_err(|error| {
        let message = format!("the parameter {name} cannot be read: {}", error.message);
        Error::new(Kind::InvalidParameter, message)
            .hint("encode the JSON text for an address, or send it as the body of a POST")
    })
}

/// The query in the parameters of an address: `filter`, `sort`, `fields` (or `projection`),
/// `skip` (or `offset`), `limit`, `cursor`, `hint`, `explain`.
///
/// The caller has read `limit`, which must not be above `limit_max`.
///
/// # Errors
/// `invalid_parameter` for text that is not JSON where JSON is due; those of [`Find::parse`].
pub fn find_from_parameters(call: &Call, limit: u64, limit_max: u64) -> Result<Find> {
    let json = |name, plain| json_parameter(call, name, plain);
    let explain = match call.parameter(&["explain"]) {
        None => None,
        Some(text) => Some(serde_json::from_value(text.into()).map_err(|_| {
            Error::new(Kind::InvalidParameter, format!("explain={text} is unknown"))
                .hint("use queryPlanner or executionStats")
        })?),
    };
    let projection = match json("fields", true)? {
        None => json("projection", true)?,
        some => some,
    };
    let skip = call.number("skip", call.number("offset", 0, u64::MAX)?, u64::MAX)?;
    let body = FindBody {
        filter: json("filter", false)?,
        sort: json("sort", true)?,
        projection,
        skip: Some(skip),
        limit: Some(limit),
        cursor: call.parameter(&["cursor"]).map(str::to_owned),
        hint: json("hint", true)?,
        explain,
    };
    // Who counts documents himself would miss those that were cut off.
    let whole = call.parameter(&["offset"]).is_some();
    Ok(Find { whole, ..Find::parse(body, limit_max)? })
}

/// `GET …/documents`
pub async fn list(call: Rc<Call>) -> Result<Reply> {
    let max = call.cluster().config.page_max as u64;
    let limit = call.number("limit", PAGE_DEFAULT.min(max), max)?;
    let find = find_from_parameters(&call, limit, max)?;
    let (page, index) = find_page(&call, find).await?;
    Ok(page.reply().at(index))
}

/// `GET …/count`, `POST …/count`
pub async fn count(call: Rc<Call>) -> Result<Reply> {
    let body = match json_parameter(&call, "filter", false)? {
        Some(filter) => CountBody { filter: Some(filter), ..CountBody::default() },
        None => call.json_or_empty()?,
    };
    if let Some(level) = body.explain {
        return explain(&call, Explained::count(body)?, level).await;
    }
    let filter = filter(body.filter)?;
    let hint = body.hint.map(|json| Hint::parse(&value(json, "hint")?, At::root("hint")));
    let hint = hint.transpose()?;
    let (count, index) = count_matching(&call, filter, hint).await?;
    Ok(Reply::json(&CountReply { count }).at(index))
}

/// Counts the documents that match.
pub async fn count_matching(call: &Call, filter: Filter, hint: Option<Hint>) -> Result<(u64, u64)> {
    let everything = filter.always() && matches!(hint, None | Some(Hint::Natural | Hint::Id));
    if everything && matches!(Source::of(call)?, Source::Now) {
        let (database, collection) = readable_place(call)?;
        let (read, index) = call.group()?.read_with_index()?;
        let id = find_collection(&read, database, collection)?;
        return Ok((catalog::totals(&read, id)?.documents, index));
    }
    reading(call, move |read, collection, ctx| {
        let mut fields = Fields::default();
        filter.fields(&mut fields);
        let names = fields.names();
        let fields = names.as_deref();
        let wanted = QuerySpec { ordered: false, fields, ..QuerySpec::all(&filter) };
        let request = ScanRequest { wanted, fields: Fields::default(), hint: hint.as_ref() };
        scan(read, collection, request, ctx, |mut found, _| {
            found.try_fold(0, |count, found| found.map(|_| count + 1))
        })
    })
    .await
}

/// `POST …/distinct`
pub async fn distinct(call: Rc<Call>) -> Result<Reply> {
    let body: DistinctBody = call.json()?;
    if let Some(level) = body.explain {
        return explain(&call, Explained::distinct(body)?, level).await;
    }
    let filter = filter(body.filter)?;
    let (values, index) = distinct_values(&call, body.field, filter).await?;
    Ok(Reply::json(&json!({"values": values})).at(index))
}

/// The different values of a field, those inside arrays one by one, in their order.
pub async fn distinct_values(
    call: &Call,
    field: String,
    filter: Filter,
) -> Result<(Vec<Value>, u64)> {
    let path = Path::parse(&field, At::root("field"))?;
    reading(call, move |read, collection, ctx| {
        let mut fields = Fields::default();
        fields.add(path.as_str());
        let request = ScanRequest { wanted: QuerySpec::all(&filter), fields, hint: None };
        let mut values = BTreeSet::new();
        scan(read, collection, request, ctx, |found, _| {
            for found in found {
                let document = found?.fields;
                let mut found = Vec::new();
                path.any(&document, |value| {
                    match value {
                        Some(Value::Array(items)) => found.extend(items),
                        Some(value) => found.push(value),
                        None => {}
                    }
                    false
                });
                for value in found {
                    if !values.contains(value) {
                        ctx.charge(value.bytes(), "the set of different values")?;
                        values.insert(value.clone());
                    }
                }
            }
            Ok(())
        })?;
        Ok(values.into_iter().collect())
    })
    .await
}

/// Answers how something finds its documents.
pub(super) async fn explain(
    call: &Call,
    explained: Explained,
    level: ExplainLevel,
) -> Result<Reply> {
    let (explained, index) = explained.run(call, level).await?;
    Ok(Reply::json(&json!({"explain": explained})).at(index))
}

/// What `explain` answers.
pub(super) fn explained(
    filter: &Filter,
    planned: &ScanReport<'_>,
    collection: &Collection,
    level: ExplainLevel,
    returned: u64,
    started: Instant,
) -> serde_json::Value {
    let rejected: Vec<_> = planned.rejected.iter().map(|plan| plan.explain(collection)).collect();
    let mut explained = json!({"queryPlanner": {
        "parsedQuery": filter.to_value(),
        "winningPlan": planned.plan.explain(collection),
        "rejectedPlans": rejected,
    }});
    if level == ExplainLevel::ExecutionStats {
        explained["executionStats"] = json!({
            "nReturned": returned,
            "totalKeysExamined": planned.counters.keys.get(),
            "totalDocsExamined": planned.counters.documents.get(),
            "executionTimeMillis": started.elapsed().as_secs_f64() * 1000.0,
        });
    }
    explained
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    /// Symptom: the time-out had no effect, and each such query left one thread more behind.
    #[tokio::test]
    async fn a_query_that_does_not_look_at_its_time_is_answered_and_keeps_its_place() {
        let places = Arc::new(Semaphore::new(1));
        let (release, stuck) = std::sync::mpsc::channel::<()>();
        let place = places.clone().acquire_owned().await.unwrap();
        let work = move || {
            let _ = stuck.recv();
            Ok(())
        };
        let answer = within(Duration::from_millis(1), place, work).await;
        assert_eq!(answer.map_err(|error| error.kind), Err(Kind::TimeLimit));
        assert_eq!(places.available_permits(), 0);
        release.send(()).unwrap();
        assert!(places.acquire().await.is_ok());
    }
}
