//! Finding and counting documents over HTTP.

use super::call::Call;
use super::describe::{DOCUMENTS, NAMESPACE_ERRORS, QUERIES, QUERY_ERRORS, describe};
use super::endpoint::Endpoint;
use super::reply::{Reply, Values};
use crate::config::PAGE_DEFAULT;
use crate::engine::Namespace;
use crate::engine::document::parse_json;
use crate::engine::query::context::At;
use crate::engine::value::{Value, from_json};
use crate::error::{Error, Kind, Result};
use crate::service::count::{self, Count, Distinct};
use crate::service::explain::{self, Explain, Explained};
use crate::service::find::{self, Find, Page};
use jettra_driver::wire::{
    CountBody, CountReply, DistinctBody, DistinctReply, ExplainLevel, ExplainReply, FindBody,
    ListReply,
};
use serde_json::{Value as Json, json};
use std::rc::Rc;

/// A value of a body as the engine sees it.
///
/// # Errors
/// `invalid_query` for what only looks like Extended JSON.
pub fn value(json: Json, name: &str) -> Result<Value> {
    from_json(json, At::root(name))
}

/// The same of a value that may be left out.
///
/// # Errors
/// Those of [`value`].
pub fn optional(json: Option<Json>, name: &str) -> Result<Option<Value>> {
    json.map(|json| value(json, name)).transpose()
}

/// How much an explanation says.
pub fn explain_level(level: ExplainLevel) -> Explain {
    match level {
        ExplainLevel::QueryPlanner => Explain::Plan,
        ExplainLevel::ExecutionStats => Explain::Execution,
    }
}

/// A page as the REST interface answers.
pub fn page_reply(page: Page) -> Reply {
    if let Some(explained) = page.explained {
        return Reply::json(&json!({"explain": explained}));
    }
    let documents = page.documents.into_array();
    let mut body = Vec::with_capacity(documents.len() + 64);
    body.extend_from_slice(b"{\"documents\":");
    body.extend_from_slice(&documents);
    if let Some(cursor) = page.cursor {
        body.extend_from_slice(format!(",\"cursor\":\"{cursor}\"").as_bytes());
    }
    body.push(b'}');
    Reply::bytes(body).values(Values::In(&["documents"]))
}

/// Answers how something finds its documents.
///
/// # Errors
/// Those of [`explain::explain`].
pub async fn explain_reply(
    call: &Call,
    namespace: &Namespace,
    explained: Explained,
    explain: Explain,
) -> Result<Reply> {
    let explained = explain::explain(&call.session, namespace, explained, explain).await?;
    Ok(Reply::of(explained.map(|explained| Reply::json(&json!({"explain": explained})))))
}

/// `POST …/find`
pub const FIND: Endpoint = Endpoint::new(
    |call| Box::pin(find(call)),
    || {
        describe(QUERIES, "Find documents, page by page")
            .optional_body::<FindBody>()
            .gives::<ListReply>(200)
            .gives::<ExplainReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn find(call: Rc<Call>) -> Result<Reply> {
    if call.is_where_it_came() {
        let brief = find::find_if_brief(&call.session, &call.namespace()?, &find_request(&call)?)?;
        return match brief {
            Some(page) => Ok(Reply::of(page.map(page_reply))),
            None => call.on_threads(|call| Box::pin(find(call))).await,
        };
    }
    let page = find::find(&call.session, &call.namespace()?, find_request(&call)?).await?;
    Ok(Reply::of(page.map(page_reply)))
}

fn find_request(call: &Call) -> Result<Find> {
    let body: FindBody = call.json_or_empty()?;
    Ok(Find {
        filter: optional(body.filter, "filter")?,
        sort: optional(body.sort, "sort")?,
        projection: optional(body.projection, "projection")?,
        skip: body.skip.unwrap_or(0),
        limit: body.limit,
        limit_max: Some(call.session.config().page_max as u64),
        cursor: body.cursor,
        hint: optional(body.hint, "hint")?,
        explain: body.explain.map(explain_level),
        ..Find::default()
    })
}

/// A parameter with JSON text in it; with `plain` other text stands for itself.
///
/// # Errors
/// `invalid_parameter` for text that is not JSON where JSON is due.
pub fn json_parameter(call: &Call, name: &str, plain: bool) -> Result<Option<Value>> {
    let Some(text) = call.parameter(&[name]) else { return Ok(None) };
    if plain && !text.trim_start().starts_with('{') {
        return Ok(Some(Value::String(text.to_owned())));
    }
    let json = parse_json(text.as_bytes(), &call.session.limits()).map_err(|error| {
        let message = format!("the parameter {name} cannot be read: {}", error.message);
        Error::new(Kind::InvalidParameter, message)
            .hint("encode the JSON text for an address, or send it as the body of a POST")
    })?;
    value(json, name).map(Some)
}

/// The query in the parameters of an address: `filter`, `sort`, `fields` (or `projection`),
/// `skip` (or `offset`), `limit`, `cursor`, `hint`, `explain`.
///
/// The caller has read `limit`, which must not be above `limit_max`.
///
/// # Errors
/// `invalid_parameter` for text that is not JSON where JSON is due.
pub fn find_from_parameters(call: &Call, limit: u64, limit_max: Option<u64>) -> Result<Find> {
    let json = |name, plain| json_parameter(call, name, plain);
    let explain = match call.parameter(&["explain"]) {
        None => None,
        Some(text) => {
            let level: ExplainLevel = serde_json::from_value(text.into()).map_err(|_| {
                Error::new(Kind::InvalidParameter, format!("explain={text} is unknown"))
                    .hint("use queryPlanner or executionStats")
            })?;
            Some(explain_level(level))
        }
    };
    let projection = match json("fields", true)? {
        None => json("projection", true)?,
        some => some,
    };
    let skip = call.number("skip", call.number("offset", 0, u64::MAX)?, u64::MAX)?;
    Ok(Find {
        filter: json("filter", false)?,
        sort: json("sort", true)?,
        projection,
        skip,
        limit: Some(limit),
        limit_max,
        cursor: call.parameter(&["cursor"]).map(str::to_owned),
        hint: json("hint", true)?,
        explain,
        // A caller that counts documents itself would miss those that were cut off.
        whole: call.parameter(&["offset"]).is_some(),
        ..Find::default()
    })
}

/// `GET …/documents`
pub const LIST: Endpoint = Endpoint::new(
    |call| Box::pin(list(call)),
    || {
        describe(DOCUMENTS, "Read documents, page by page")
            .query("filter sort fields skip limit cursor hint explain")
            .gives::<ListReply>(200)
            .gives::<ExplainReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn list(call: Rc<Call>) -> Result<Reply> {
    let max = call.session.config().page_max as u64;
    let limit = call.number("limit", PAGE_DEFAULT.min(max), max)?;
    let request = find_from_parameters(&call, limit, Some(max))?;
    let page = find::find(&call.session, &call.namespace()?, request).await?;
    Ok(Reply::of(page.map(page_reply)))
}

/// `GET …/count`, `POST …/count`
pub const COUNT: Endpoint = Endpoint::new(
    |call| Box::pin(count(call)),
    || {
        describe(QUERIES, "Count documents")
            .query("filter")
            .gives::<CountReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

/// `POST …/count`
pub const COUNT_MATCHING: Endpoint = Endpoint::new(
    |call| Box::pin(count(call)),
    || {
        describe(QUERIES, "Count documents")
            .query("filter")
            .optional_body::<CountBody>()
            .gives::<CountReply>(200)
            .gives::<ExplainReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

/// `GET …/count`, `POST …/count`
pub async fn count(call: Rc<Call>) -> Result<Reply> {
    let (request, explain) = match json_parameter(&call, "filter", false)? {
        Some(filter) => (Count { filter: Some(filter), hint: None }, None),
        None => {
            let CountBody { filter, hint, explain } = call.json_or_empty()?;
            let filter = optional(filter, "filter")?;
            (Count { filter, hint: optional(hint, "hint")? }, explain.map(explain_level))
        }
    };
    let namespace = call.namespace()?;
    if let Some(explain) = explain {
        return explain_reply(&call, &namespace, Explained::Count(request), explain).await;
    }
    let count = count::count(&call.session, &namespace, request).await?;
    Ok(Reply::of(count.map(|count| Reply::json(&CountReply { count }))))
}

/// `POST …/distinct`
pub const DISTINCT: Endpoint = Endpoint::new(
    |call| Box::pin(distinct(call)),
    || {
        describe(QUERIES, "List the different values of a field")
            .body::<DistinctBody>()
            .gives::<DistinctReply>(200)
            .gives::<ExplainReply>(200)
            .reads()
            .fails(NAMESPACE_ERRORS)
            .fails(QUERY_ERRORS)
    },
);

async fn distinct(call: Rc<Call>) -> Result<Reply> {
    let DistinctBody { field, filter, explain } = call.json()?;
    let request = Distinct { field, filter: optional(filter, "filter")? };
    let namespace = call.namespace()?;
    if let Some(explain) = explain.map(explain_level) {
        return explain_reply(&call, &namespace, Explained::Distinct(request), explain).await;
    }
    let values = count::distinct(&call.session, &namespace, request).await?;
    Ok(Reply::of(
        values
            .map(|values| Reply::json(&json!({"values": values})).values(Values::In(&["values"]))),
    ))
}
