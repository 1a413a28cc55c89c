//! Texts inside a command, as the leader checks them and as apply reads them: filters, sorts, hints and
//! mutations.

use crate::command::Mutation;
use crate::document::check_id_bytes;
use crate::error::{Error, Kind, Result};
use crate::id::{DocumentId, ID_BYTES_MOST};
use crate::query::context::{At, Context};
use crate::query::filter::Filter;
use crate::query::merge_patch::merge_patch;
use crate::query::plan::Hint;
use crate::query::sort::Sort;
use crate::query::update::Update;
use crate::value::{Object, Value, parse_stored};

/// A mutation, parsed once for all documents.
pub(crate) enum ParsedMutation {
    Update(Box<Update>),
    Merge(Object),
    Replace(Object),
}

impl ParsedMutation {
    pub(crate) fn parse(mutation: &Mutation) -> Result<ParsedMutation> {
        let object = |text: &String, name| match command_value(text, name)? {
            Value::Object(fields) => Ok(fields),
            _ => Err(At::root(name).invalid("must be an object")),
        };
        Ok(match mutation {
            Mutation::Update { update, array_filters } => {
                let filters = array_filters.as_ref();
                let filters =
                    filters.map(|text| command_value(text, "arrayFilters")).transpose()?;
                let update = command_value(update, "update")?;
                let update = Update::parse(&update, filters.as_ref(), At::root("update"))?;
                ParsedMutation::Update(Box::new(update))
            }
            Mutation::Merge(patch) => ParsedMutation::Merge(object(patch, "patch")?),
            Mutation::Replace(body) => ParsedMutation::Replace(object(body, "replacement")?),
        })
    }

    /// The steps of work that parsing it took, beside reading its text.
    pub(crate) fn steps(&self) -> u64 {
        match self {
            ParsedMutation::Update(update) => update.parse_steps(),
            ParsedMutation::Merge(_) | ParsedMutation::Replace(_) => 0,
        }
    }

    /// Changes the document; returns whether it differs now.
    pub(crate) fn apply(
        &self,
        document: &mut Value,
        filter: Option<&Filter>,
        inserting: bool,
        ctx: &Context<'_>,
    ) -> Result<bool> {
        match (self, document) {
            (ParsedMutation::Update(update), document) => {
                Ok(update.apply(document, filter, inserting, ctx)?)
            }
            (ParsedMutation::Merge(patch), Value::Object(fields)) => {
                Ok(merge_patch(fields, patch)?)
            }
            (ParsedMutation::Replace(body), Value::Object(fields)) => {
                check_same_id(fields.get("_id"), body.get("_id"))?;
                let mut replaced: Object = fields
                    .get_key_value("_id")
                    .into_iter()
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                replaced.extend(body.iter().map(|(name, value)| (name.clone(), value.clone())));
                // Whatever the values are equal to: their texts may differ.
                let before = Value::Object(std::mem::take(fields)).to_json();
                *fields = replaced;
                Ok(inserting || before != serde_json::to_string(&*fields).unwrap_or_default())
            }
            _ => Err(Error::new(Kind::Internal, "a stored document cannot be read")),
        }
    }
}

/// The value of a text in a command. One that cannot be read is refused, as on every replica.
pub(crate) fn command_value(text: &str, name: &str) -> Result<Value> {
    parse_stored(text.as_bytes())
        .ok_or_else(|| At::root(name).invalid("cannot be read: it is not JSON, or nested too deep"))
}

/// Refuses a replacement whose `_id` is not that of the document.
fn check_same_id(known: Option<&Value>, given: Option<&Value>) -> Result<()> {
    let (Some(known), Some(given)) = (known, given) else { return Ok(()) };
    if known == given {
        return Ok(());
    }
    let (known, given) = (known.to_json(), given.to_json());
    let message = format!("has the _id {given}, and the document has {known}");
    Err(At::root("replacement")
        .error(Kind::InvalidId, message)
        .hint("an _id cannot be changed: leave it out, or let the filter find the document by it"))
}

/// Refuses an `_id` that makes a key, of the document or of its versions, which the storage does
/// not take.
pub(crate) fn check_key(id: &DocumentId) -> Result<()> {
    check_id_bytes(id, ID_BYTES_MOST)
}

pub(crate) fn parse_filter(text: &str) -> Result<Filter> {
    Filter::parse(&command_value(text, "filter")?, At::root("filter"))
}

pub(crate) fn parse_sort_and_hint(
    sort: Option<&String>,
    hint: Option<&String>,
) -> Result<(Option<Sort>, Option<Hint>)> {
    let sort = sort.map(|text| Sort::parse(&command_value(text, "sort")?, At::root("sort")));
    let hint = hint.map(|text| Hint::parse(&command_value(text, "hint")?, At::root("hint")));
    Ok((sort.transpose()?, hint.transpose()?))
}
