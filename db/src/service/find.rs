//! Finding documents, page by page.

use super::bounds::Interrupt;
use super::cursor::{cursor_text, parse_cursor};
use super::explain::{Explain, explained};
use super::read::{State, reading};
use super::{Response, Session};
use crate::config::{PAGE_BYTES, PAGE_DEFAULT, WHOLE_BYTES_MAX};
use crate::engine::Namespace;
use crate::engine::catalog::Collection;
use crate::engine::query::context::{At, Context, Fields};
use crate::engine::query::exec::{Counters, Execution, FoundDocument};
use crate::engine::query::filter::Filter;
use crate::engine::query::plan::{self, Hint, Plan, QuerySpec};
use crate::engine::query::position::{Position, position};
use crate::engine::query::project::Projection;
use crate::engine::query::sort::Sort;
use crate::engine::query::source::{ScanReport, open, open_small};
use crate::engine::value::Value;
use crate::error::{Error, Kind, Result};
use crate::storage::Read;
use std::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// Estimated cost, in microseconds, up to which a query runs without changing threads.
const INLINE_COST: f64 = 150.0;
/// Steps after which a query that seemed to be short goes on to a thread for blocking work.
const INLINE_STEPS: u64 = 20_000;
/// The same where the query holds up whatever else its thread serves, as the messages of nodes.
const BRIEF_COST: f64 = 50.0;
const BRIEF_STEPS: u64 = 4_000;
/// Tests in the filter of such a query.
const BRIEF_TESTS_MAX: usize = 8;
/// Indexes that may have to be looked at for its plan, and bytes of their definitions.
const BRIEF_INDEXES_MAX: usize = 8;
const BRIEF_DEFINITIONS_MAX: usize = 4 << 10;

/// A request for documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Find {
    /// Which documents; all of them without it.
    pub filter: Option<Value>,
    /// In which order; a text lists names, `-` before those that descend.
    pub sort: Option<Value>,
    /// What of them; a text lists names, `-` before those that are left out.
    pub projection: Option<Value>,
    /// How many to leave out first.
    pub skip: u64,
    /// How many at most in one page.
    pub limit: Option<u64>,
    /// The largest limit of a page; none: any.
    pub limit_max: Option<u64>,
    /// How many at most in all pages together; a cursor knows how many are left.
    pub total: Option<u64>,
    /// The cursor of the page before.
    pub cursor: Option<String>,
    /// The index to use, by its name or its fields.
    pub hint: Option<Value>,
    /// Asks for the plan instead of the documents.
    pub explain: Option<Explain>,
    /// Whether the caller has no use for a cursor, so that a page must not end at its size.
    pub whole: bool,
}

/// A page of documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The documents.
    pub documents: Documents,
    /// Where the next page begins; none when this is the last.
    pub cursor: Option<String>,
    /// The plan, when it was asked for; then there are no documents.
    pub explained: Option<serde_json::Value>,
}

/// Documents as JSON texts, one after the other: a JSON array, or one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// `[`, and the texts with commas between them.
    array: Vec<u8>,
    /// Where each text ends.
    ends: Vec<usize>,
}

impl Default for Documents {
    fn default() -> Self {
        Documents { array: vec![b'['], ends: Vec::new() }
    }
}

impl Documents {
    /// Adds the document whose text `write` appends.
    pub fn push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if !self.ends.is_empty() {
            self.array.push(b',');
        }
        write(&mut self.array)?;
        self.ends.push(self.array.len());
        Ok(())
    }

    /// Adds the text of a document.
    pub fn push(&mut self, text: &[u8]) {
        if !self.ends.is_empty() {
            self.array.push(b',');
        }
        self.array.extend_from_slice(text);
        self.ends.push(self.array.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all texts and what lies between them.
    pub fn bytes(&self) -> usize {
        self.array.len()
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(1).chain(self.ends.iter().map(|end| end + 1));
        starts.zip(&self.ends).map(|(start, end)| &self.array[start..*end])
    }

    /// All of them as a JSON array.
    pub fn into_array(mut self) -> Vec<u8> {
        self.array.push(b']');
        self.array
    }
}

/// A filter; without one everything matches.
///
/// # Errors
/// `invalid_query`.
pub fn parse_filter(filter: Option<&Value>) -> Result<Filter> {
    match filter {
        None => Ok(Filter::And(Vec::new())),
        Some(filter) => Filter::parse(filter, At::root("filter")),
    }
}

/// The index to use.
///
/// # Errors
/// `invalid_query`.
pub fn parse_hint(hint: Option<&Value>) -> Result<Option<Hint>> {
    hint.map(|hint| Hint::parse(hint, At::root("hint"))).transpose()
}

/// A request for documents that was checked.
struct Query {
    filter: Filter,
    sort: Option<Sort>,
    projection: Option<Projection>,
    skip: u64,
    limit: u64,
    /// How many this page and those after it give at most, when something bounds them together.
    left: Option<u64>,
    hint: Option<Hint>,
    /// After which document the page begins.
    after: Option<Position>,
    explain: Option<Explain>,
    whole: bool,
    /// What a cursor is bound to: filter and sort.
    fingerprint: u64,
}

impl Query {
    fn parse(request: Find) -> Result<Query> {
        let limit_max = request.limit_max.unwrap_or(u64::MAX);
        let limit = request.limit.unwrap_or(PAGE_DEFAULT.min(limit_max));
        if limit > limit_max {
            let message = format!("limit={limit} is out of range");
            return Err(Error::new(Kind::InvalidParameter, message)
                .hint(format!("use 0 to {limit_max}, and the cursor for what comes after")));
        }
        let sort = match &request.sort {
            None => None,
            Some(Value::String(names)) => Some(Sort::from_names(names, At::root("sort"))?),
            Some(sort) => Some(Sort::parse(sort, At::root("sort"))?),
        };
        let projection = match &request.projection {
            None => None,
            Some(Value::String(names)) => {
                Some(Projection::from_names(names, At::root("projection"))?)
            }
            Some(projection) => Some(Projection::parse(projection, At::root("projection"))?),
        };
        let hint = parse_hint(request.hint.as_ref());
        let filter = parse_filter(request.filter.as_ref())?;
        let sorted = sort.as_ref().map_or(Value::Null, Sort::to_value);
        let fingerprint =
            xxh3_64(format!("{}{}", filter.to_value().to_json(), sorted.to_json()).as_bytes());
        let cursor = request.cursor.map(|text| parse_cursor(&text, fingerprint)).transpose()?;
        let (after, left) = cursor.unzip();
        let left = if after.is_some() { left.flatten() } else { request.total };
        Ok(Query {
            filter,
            sort: sort.filter(|sort| !sort.keys.is_empty()),
            projection,
            skip: if after.is_some() { 0 } else { request.skip },
            limit: left.map_or(limit, |left| left.min(limit)),
            left,
            hint: hint?,
            after,
            explain: request.explain,
            whole: request.whole,
            fingerprint,
        })
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
            // One more, to know whether there is another page.
            limit: Some(self.skip.saturating_add(self.limit).saturating_add(1)),
            fields,
        }
    }

    /// Carries the query out.
    fn run(
        &self,
        read: &impl Read,
        collection: &Collection,
        (plan, rejected): &(Plan, Vec<Plan>),
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
        let mut page = Page::default();
        if self.explain != Some(Explain::Plan) {
            self.fill(&mut page, execution, plan)?;
        }
        if let Some(explain) = self.explain {
            let planned = ScanReport { plan, rejected, counters: &counters };
            let returned = page.documents.len() as u64;
            let explained =
                explained(&self.filter, &planned, collection, explain, returned, started);
            page.explained = Some(explained);
        }
        Ok(page)
    }

    /// Puts documents into the page until it is full.
    fn fill(
        &self,
        page: &mut Page,
        execution: Execution<'_, impl Read>,
        plan: &Plan,
    ) -> Result<()> {
        let ctx = execution.ctx;
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let mut found = execution.run(plan)?.skip(skip).peekable();
        let mut returned = 0;
        while returned < self.limit {
            let Some(next) = found.next() else { break };
            let next = next?;
            page.documents.push_with(|text| self.write(&next, text, ctx))?;
            returned += 1;
            let bytes = page.documents.bytes();
            if self.whole && bytes > WHOLE_BYTES_MAX {
                return Err(too_large());
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
        Ok(())
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

    /// Carries the query out on the present state if it is short, or even `brief`.
    fn run_at_once(
        &self,
        session: &Session,
        Namespace { database, collection }: &Namespace,
        brief: bool,
    ) -> Result<Option<Response<Page>>> {
        let group = session.group()?;
        let (read, index) = group.read_with_index()?;
        let (collection, cost_max, steps_max) = match brief {
            false => (Some(open(&read, database, collection)?), INLINE_COST, INLINE_STEPS),
            true => {
                let small = open_small(&read, database, collection, BRIEF_DEFINITIONS_MAX)?;
                let small = small.filter(|found| found.indexes.len() <= BRIEF_INDEXES_MAX);
                (small, BRIEF_COST, BRIEF_STEPS)
            }
        };
        let Some(collection) = collection else { return Ok(None) };
        let plans = self.plan(&read, &collection)?;
        if plans.0.cost_max > cost_max {
            return Ok(None);
        }
        let (interrupt, _waiting) = Interrupt::new(session);
        let check = || interrupt.check();
        let memory = session.config().query_memory_mb << 20;
        let ctx = Context::new(group.time_ms() as i64, memory, &check).steps_max(steps_max);
        match self.run(&read, &collection, &plans, &ctx) {
            // The plan knows nothing of the work that expressions do.
            Err(_) if ctx.is_worn_out() => Ok(None),
            page => page.map(|page| Some(Response::at(page, index))),
        }
    }
}

fn too_large() -> Error {
    Error::new(Kind::TooLarge, format!("the answer has more than {WHOLE_BYTES_MAX} bytes"))
        .hint("ask for fewer documents or fields, or read page by page with a cursor")
}

/// Finds documents if that is so short that it may be done where nodes are heard: a plain filter for
/// which an index leads to a few documents. None if it is not, or that is not known beforehand.
///
/// # Errors
/// Those of [`find`].
pub fn find_if_brief(
    session: &Session,
    namespace: &Namespace,
    request: &Find,
) -> Result<Option<Response<Page>>> {
    if !request.is_plain() || !State::of(session)?.is_now() {
        return Ok(None);
    }
    let query = Query::parse(request.clone())?;
    session.check_readable(namespace)?;
    query.run_at_once(session, namespace, true)
}

impl Find {
    /// Whether it is nothing but a filter of a few comparisons with single values: parsing it and
    /// choosing a plan are short, whatever the values are.
    fn is_plain(&self) -> bool {
        let Some(Value::Object(fields)) = &self.filter else { return false };
        let single =
            |value: &Value| !matches!(value, Value::Object(_) | Value::Array(_) | Value::Regex(_));
        let compares = |name: &str| matches!(name, "$eq" | "$gt" | "$gte" | "$lt" | "$lte");
        let mut tests = 0;
        let fields_only = fields.iter().all(|(name, value)| {
            let inner = value.as_object();
            tests += inner.map_or(1, |inner| inner.len());
            !name.starts_with('$')
                && match inner {
                    Some(inner) => {
                        inner.iter().all(|(name, value)| compares(name) && single(value))
                    }
                    None => single(value),
                }
        });
        let filter_only = self.sort.is_none()
            && self.projection.is_none()
            && self.cursor.is_none()
            && self.hint.is_none()
            && self.explain.is_none();
        fields_only && filter_only && tests <= BRIEF_TESTS_MAX
    }
}

/// Finds documents: at once when that is short, else on a thread for blocking work.
///
/// # Errors
/// `invalid_query` naming the part that cannot be; `invalid_parameter` for a limit that is too
/// large or a foreign cursor; `database_not_found`, `collection_not_found`, `forbidden`,
/// `query_too_large`, `time_limit`, `overloaded`.
pub async fn find(
    session: &Session,
    namespace: &Namespace,
    request: Find,
) -> Result<Response<Page>> {
    let query = Query::parse(request)?;
    session.check_readable(namespace)?;
    if State::of(session)?.is_now()
        && let Some(done) = query.run_at_once(session, namespace, false)?
    {
        return Ok(done);
    }
    let reading = reading(session, namespace, move |read, collection, ctx| {
        let plans = query.plan(read, collection)?;
        query.run(read, collection, &plans, ctx)
    });
    reading.await.map(|(page, index)| Response::at(page, index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::value::parse_stored;

    #[test]
    fn a_plain_request_is_a_filter_of_a_few_comparisons() {
        let find = |filter: &str| Find {
            filter: Some(parse_stored(filter.as_bytes()).unwrap()),
            ..Find::default()
        };
        for plain in [r#"{}"#, r#"{"a": 1, "b.c": {"$gte": "x", "$lt": "y"}}"#] {
            assert!(find(plain).is_plain(), "{plain}");
        }
        let many = r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":{"$gt":1,"$lt":3}}"#;
        for other in [
            r#"{"$expr": {"$eq": ["$a", 1]}}"#,
            r#"{"$or": [{"a": 1}]}"#,
            r#"{"a": {"$regex": "x"}}"#,
            r#"{"a": {"$regularExpression": {"pattern": "x", "options": ""}}}"#,
            r#"{"a": {"$in": [1, 2]}}"#,
            r#"{"a": {"$eq": {"b": 1}}}"#,
            r#"{"a": [1]}"#,
            many,
        ] {
            assert!(!find(other).is_plain(), "{other}");
        }
        let sort = Some(Value::from("a"));
        assert!(!Find { sort, ..find("{}") }.is_plain());
        assert!(!Find::default().is_plain());
    }

    #[test]
    fn documents_are_an_array_or_one_by_one() {
        let mut documents = Documents::default();
        assert_eq!((documents.len(), documents.clone().into_array()), (0, b"[]".to_vec()));
        documents.push(b"{}");
        documents.push(b"{\"a\":1}");
        let each: Vec<&[u8]> = documents.iter().collect();
        assert_eq!(each, [&b"{}"[..], b"{\"a\":1}"]);
        assert_eq!(documents.into_array(), b"[{},{\"a\":1}]");
    }
}
