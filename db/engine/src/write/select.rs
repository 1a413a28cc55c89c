//! Which documents an operation is for.

use super::{check_revision, command_value};
use crate::apply::{ApplyResult, document_not_found};
use crate::catalog::Collection;
use crate::command::{Select, Target, WriteLimits};
use crate::document::{self, Revision};
use crate::error::{self, Error, Kind};
use crate::id::DocumentId;
use crate::index::id_value;
use crate::query::context::{At, Context, Fields};
use crate::query::filter::{Filter, Test};
use crate::query::path::Path;
use crate::query::plan::{Hint, QuerySpec};
use crate::query::sort::Sort;
use crate::query::source::{ScanRequest, scan};
use crate::storage::env::Result;
use crate::storage::keys::{self, CollectionId};
use crate::storage::{Read, Table, WriteTxn};

/// A document as it is stored.
pub(crate) struct Stored {
    pub(crate) id: DocumentId,
    pub(crate) revision: Revision,
    pub(crate) json: Vec<u8>,
    /// Whether it is in the indexes.
    pub(crate) indexed: bool,
}

impl Stored {
    /// As it lies in the table.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.revision.to_be_bytes()[..], &self.json].concat()
    }

    /// Its text, as far as the indexes have it.
    pub(super) fn in_indexes(&self) -> Option<&[u8]> {
        self.indexed.then_some(&self.json)
    }
}

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
            let filter = Filter::Field(Path::field("_id"), Test::Eq(id_value(&id)));
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

pub(crate) fn parse_filter(text: &str) -> ApplyResult<Filter> {
    Ok(Filter::parse(&command_value(text, "filter")?, At::root("filter"))?)
}

pub(crate) fn parse_sort_and_hint(
    sort: Option<&String>,
    hint: Option<&String>,
) -> ApplyResult<(Option<Sort>, Option<Hint>)> {
    let sort = sort.map(|text| Sort::parse(&command_value(text, "sort")?, At::root("sort")));
    let hint = hint.map(|text| Hint::parse(&command_value(text, "hint")?, At::root("hint")));
    Ok((sort.transpose()?, hint.transpose()?))
}

pub(crate) fn find(
    read: &impl Read,
    collection: CollectionId,
    id: &DocumentId,
) -> Result<Option<Stored>> {
    let key = keys::document_key(collection, id);
    if key.len() > keys::KEY_BYTES_MAX {
        // Nothing was ever stored under it.
        return Ok(None);
    }
    let stored = read.get(Table::Documents, &key)?;
    Ok(stored.and_then(document::decode).map(|(revision, json)| Stored {
        id: id.clone(),
        revision,
        json: json.to_vec(),
        indexed: true,
    }))
}

/// Which document a target means, and what is stored of it.
pub(crate) fn find_target(
    read: &impl Read,
    collection: CollectionId,
    target: Target,
) -> Result<(DocumentId, Option<Stored>)> {
    let current = find(read, collection, &target.id)?;
    if current.is_none()
        && let Some(other) = target.or
        && let Some(found) = find(read, collection, &other)?
    {
        return Ok((other, Some(found)));
    }
    Ok((target.id, current))
}
