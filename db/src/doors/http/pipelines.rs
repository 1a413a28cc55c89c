//! Pipelines over HTTP.

use super::call::Call;
use super::describe::{CHANGE_ERRORS, QUERIES, QUERY_ERRORS, SELECTION_ERRORS, describe};
use super::endpoint::Endpoint;
use super::endpoint::Prepared;
use super::find::{explain_level, optional, page_reply, value};
use super::reply::Reply;
use crate::error::{Kind, Result};
use crate::service::output::write_output;
use crate::service::pipelines::{self, Pipeline};
use crate::service::place::{Place, Wait};
use jettra_driver::wire::{AggregateBody, AggregateReply, ExplainReply};
use serde_json::json;
use std::rc::Rc;

/// `POST …/aggregate`: a pipeline that writes its result is carried out on the leader.
pub const AGGREGATE: Endpoint = Endpoint::by_body(aggregate, || {
    describe(QUERIES, "Run a pipeline")
        .query("confirm")
        .fails(&[Kind::NeedsConfirmation])
        .body::<AggregateBody>()
        .gives::<AggregateReply>(200)
        .gives::<ExplainReply>(200)
        .reads_or_writes()
        .fails(QUERY_ERRORS)
        .fails(CHANGE_ERRORS)
        .fails(SELECTION_ERRORS)
});

fn aggregate(call: &Call) -> Result<Prepared> {
    let body: AggregateBody = call.json()?;
    let (stages, hint) = (value(body.pipeline, "pipeline")?, optional(body.hint, "hint")?);
    let pipeline = Pipeline::parse(&stages, hint.as_ref(), body.explain.map(explain_level))?;
    Ok(match pipeline.output() {
        Some(_) => {
            Prepared::new(Place::Leader(Wait::Ready), move |call| write(call, pipeline.clone()))
        }
        None => Prepared::new(Place::Here(Wait::Level), move |call| read(call, pipeline.clone())),
    })
}

async fn read(call: Rc<Call>, pipeline: Pipeline) -> Result<Reply> {
    let page = pipelines::aggregate(&call.session, &call.namespace()?, pipeline).await?;
    Ok(Reply::of(page.map(page_reply)))
}

async fn write(call: Rc<Call>, pipeline: Pipeline) -> Result<Reply> {
    let written = write_output(&call.session, &call.namespace()?, pipeline).await?;
    Ok(Reply::of(written.map(written_reply)))
}

/// How many documents a pipeline has written, as the interface represents it.
pub fn written_reply(written: u64) -> Reply {
    Reply::json(&json!({"documents": [], "written": written}))
}
