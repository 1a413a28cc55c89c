//! Which documents an operation is for.

use crate::apply::documents::check_revision;
use crate::apply::result::ApplyResult;
use crate::apply::stored::find_target;
use crate::catalog::Collection;
use crate::command::texts::{parse_filter, parse_sort_and_hint};
use crate::command::{Select, WriteLimits};
use crate::error::{self, Error, Kind, document_not_found};
use crate::id::DocumentId;
use crate::query::context::{Context, Fields};
use crate::query::filter::{Filter, Test};
use crate::query::path::Path;
use crate::query::plan::{Hint, QuerySpec};
use crate::query::sort::Sort;
use crate::query::source::{ScanRequest, scan};
use crate::storage::{Read, WriteTxn};

/// The `_id`s of the first `limit` documents that match, in the order of the sort.
pub(crate) fn matching(
    read: &impl Read,
    collection: &Collection,
    filter: &Filter,
    sort: Option<&Sort>,
    hint: Option<&Hint>,
    limit: u64,
    ctx: &Context<'_>,
) -> error::Result<Vec<DocumentId>> {
    let wanted = QuerySpec { sort, limit: Some(limit), ..QuerySpec::all(filter) };
    let request = ScanRequest { wanted, fields: Fields::default(), hint };
    scan(read, collection, request, ctx, |found, _| {
        let mut ids = Vec::new();
        for document in found.take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            if let Some(id) = document?.id() {
                ctx.charge(id.to_string().len() + 32, "the set of documents to change")?;
                ids.push(id);
            }
        }
        Ok(ids)
    })
}

/// The `_id`s of the documents an operation is for, and the filter that chose them.
pub(super) fn select_documents(
    txn: &WriteTxn<'_>,
    collection: &Collection,
    select: &Select,
    multi: bool,
    limits: &WriteLimits,
    ctx: &Context<'_>,
) -> ApplyResult<(Vec<DocumentId>, Option<Filter>)> {
    let (filter, sort, hint) = match select {
        Select::Id { target, if_match } => {
            let (id, current) = find_target(txn, collection.id, target.clone())?;
            check_revision(&id, *if_match, current.as_ref().map(|stored| stored.revision))?;
            current.ok_or_else(|| document_not_found(&id))?;
            let filter = Filter::Field(Path::field("_id"), Test::Eq(id.value().clone()));
            return Ok((vec![id], Some(filter)));
        }
        Select::Filter { filter, sort, hint } => (filter, sort, hint),
    };
    let filter = parse_filter(filter)?;
    ctx.work(filter.parse_steps())?;
    let (sort, hint) = parse_sort_and_hint(sort.as_ref(), hint.as_ref())?;
    let limit = if multi { limits.documents_max.saturating_add(1) } else { 1 };
    let found = matching(txn, collection, &filter, sort.as_ref(), hint.as_ref(), limit, ctx)?;
    if found.len() as u64 > limits.documents_max {
        let message = format!("the operation is for more than {} documents", limits.documents_max);
        return Err(Error::new(Kind::QueryTooLarge, message)
            .hint("do it in parts, with a narrower filter")
            .into());
    }
    Ok((found, Some(filter)))
}
