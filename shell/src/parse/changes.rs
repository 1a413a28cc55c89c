//! Reads what follows the names of commands about transactions, versions and change feeds.

use super::documents::A_FILTER;
use crate::statement::{Moment, Statement, TransactionAction, VersionAction, WatchAction};
use crate::words::{Parsed, Words};
use jettra_driver::WatchOptions;
use jettra_driver::wire::{ChangeContent, VersionsBody};

const DAY_SECONDS: u64 = 86_400;
const A_VERSION: &str = "the version, such as 42 or 42.1,";

pub(super) fn transaction(action: TransactionAction) -> Parsed<Statement> {
    Ok(Statement::Transaction(action))
}

pub(super) fn batch(words: &mut Words<'_>) -> Parsed<Statement> {
    let batch = words.object("the batch, such as {\"then\": […]},")?;
    let batch = serde_json::from_value(batch).map_err(|error| {
        format!(
            "the batch cannot be understood: {error}; an operation is, for example, \
             {{\"get\": {{\"database\": \"shop\", \"collection\": \"users\", \"id\": 7}}}}"
        )
    })?;
    Ok(Statement::Batch(batch))
}

/// Reads the collection, then what is wanted of its versions.
pub(super) fn versions(
    words: &mut Words<'_>,
    action: fn(&mut Words<'_>) -> Parsed<VersionAction>,
) -> Parsed<Statement> {
    let collection = words.required("the collection")?;
    Ok(Statement::Versions { collection, action: action(words)? })
}

pub(super) fn show(words: &mut Words<'_>) -> Parsed<VersionAction> {
    Ok(VersionAction::Show { id: words.id()?, version: words.required(A_VERSION)? })
}

pub(super) fn diff(words: &mut Words<'_>) -> Parsed<VersionAction> {
    let (id, from) = (words.id()?, words.required(A_VERSION)?);
    Ok(VersionAction::Diff { id, from, to: words.optional()? })
}

pub(super) fn revert(words: &mut Words<'_>) -> Parsed<VersionAction> {
    Ok(VersionAction::Revert { id: words.id()?, version: words.required(A_VERSION)? })
}

pub(super) fn keep(words: &mut Words<'_>) -> Parsed<VersionAction> {
    let mut limits = VersionsBody::default();
    words.flags(|name, words| {
        match name {
            "--keep" => limits.keep = Some(words.number(name)?),
            "--days" => {
                let days = words.number(name)?.checked_mul(DAY_SECONDS);
                limits.keep_seconds = Some(days.ok_or("there are not so many days")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(VersionAction::Keep(limits))
}

/// `[collection] [filter]` with flags on either side of the filter.
pub(super) fn watch(words: &mut Words<'_>) -> Parsed<Statement> {
    let named = !words.rest().is_empty() && !words.rest().starts_with(['-', '{']);
    let collection = if named { words.optional()? } else { None };
    let (mut watch, mut count) = (WatchOptions::new(), None);
    watch_flags(words, &mut watch, &mut count)?;
    if words.at_object() {
        watch = watch.filter(words.object(A_FILTER)?);
        watch_flags(words, &mut watch, &mut count)?;
    }
    Ok(Statement::Watch(WatchAction { collection, watch, count }))
}

fn watch_flags(
    words: &mut Words<'_>,
    watch: &mut WatchOptions,
    count: &mut Option<u64>,
) -> Parsed<()> {
    words.flags(|name, words| {
        let next = std::mem::take(watch);
        *watch = match name {
            "--content" => next.content(content(&words.required("document, delta or both")?)?),
            "--after" => next.after(words.required("the token after --after")?),
            "--count" => {
                *count = Some(words.number(name)?);
                next
            }
            _ => return Ok(false),
        };
        Ok(true)
    })
}

fn content(name: &str) -> Parsed<ChangeContent> {
    match name {
        "document" => Ok(ChangeContent::Document),
        "delta" => Ok(ChangeContent::Delta),
        "both" => Ok(ChangeContent::Both),
        other => Err(format!("{other:?} is not one of document, delta, both")),
    }
}

/// Takes `--at` and `--as-of`; whether it was one of them.
pub(super) fn moment_flag(
    name: &str,
    words: &mut Words<'_>,
    moment: &mut Option<Moment>,
) -> Parsed<bool> {
    let next = match name {
        "--at" => Moment::Index(words.number(name)?),
        "--as-of" => Moment::Time(words.required("the time, such as 2026-03-01T12:00:00Z,")?),
        _ => return Ok(false),
    };
    match moment.replace(next) {
        Some(_) => Err("only one of --at and --as-of says what is read".into()),
        None => Ok(true),
    }
}
