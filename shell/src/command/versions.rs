//! Commands about the versions of documents, and change feeds.

mod diff;
mod history;
mod revert;
mod show_version;
mod show_versions;
mod undelete;
mod versions_off;
mod versions_on;
mod watch;

use super::Group;
use super::arguments::as_text;
use crate::command::Kind;
use crate::failure::Failure;
use crate::print::printable;
use crate::session::Session;
use crate::words::{ParseResult, Words};
use jettra_driver::wire::{ChangeKind, VersionsReply};
use jettra_driver::{Collection, DocumentId};
use serde_json::Value;

pub(super) static GROUP: Group = Group {
    title: "Versions and changes",
    commands: &[
        &history::COMMAND,
        &show_version::COMMAND,
        &diff::COMMAND,
        &revert::COMMAND,
        &undelete::COMMAND,
        &show_versions::COMMAND,
        &versions_on::COMMAND,
        &versions_off::COMMAND,
        &watch::COMMAND,
    ],
};

const VERSION: Kind = Kind::Other("version");
const DAY_SECONDS: u64 = 86_400;

/// Takes a version.
fn version(words: &mut Words<'_>) -> ParseResult<String> {
    words.required("the version, such as 42 or 42.1,")
}

/// A collection, and the id of its document that has versions: `1`, else `"1"` where that one has
/// some.
async fn versioned(
    session: &Session,
    collection: &str,
    id: DocumentId,
) -> Result<(Collection<Value>, DocumentId), Failure> {
    let collection = session.collection_outside(collection).await?;
    let Some(text) = as_text(&id) else {
        return Ok((collection, id));
    };
    // Where there is no history, the statement itself says why.
    let has = async |id: &DocumentId| {
        collection.history(id).await.is_ok_and(|history| !history.is_empty())
    };
    let id = if !has(&id).await && has(&text).await { text } else { id };
    Ok((collection, id))
}

/// The word for what was done to a document.
fn operation(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
        ChangeKind::Drop => "drop",
        ChangeKind::Rename => "rename",
    }
}

/// Whether a collection keeps versions, and how much there is, in one sentence.
fn summary(collection: &str, reply: &VersionsReply) -> String {
    let collection = printable(collection);
    if !reply.enabled {
        let next = format!("turn them on with: versions on {collection}");
        return format!("{collection} keeps no versions; {next}");
    }
    let many = match reply.keep {
        Some(keep) => format!("the last {keep} changes of each document"),
        None => "all changes".to_owned(),
    };
    let long = match reply.keep_seconds {
        None => String::new(),
        Some(seconds) if seconds % DAY_SECONDS == 0 => {
            format!(" for {} days", seconds / DAY_SECONDS)
        }
        Some(seconds) => format!(" for {seconds} s"),
    };
    let back = match reply.oldest_index {
        Some(index) => format!(", and the collection can be read back to log index {index}"),
        None => String::new(),
    };
    let (changes, bytes) = (reply.changes, reply.bytes);
    format!("{collection} keeps {many}{long}. There are {changes} ({bytes} bytes){back}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_versions_are_sentences() {
        let on = VersionsReply { enabled: true, changes: 3, bytes: 90, ..Default::default() };
        let table = [
            (VersionsReply::default(), "c keeps no versions; turn them on with: versions on c"),
            (on.clone(), "c keeps all changes. There are 3 (90 bytes)."),
            (
                VersionsReply {
                    keep: Some(10),
                    keep_seconds: Some(30 * DAY_SECONDS),
                    oldest_index: Some(8),
                    ..on.clone()
                },
                "c keeps the last 10 changes of each document for 30 days. There are 3 (90 bytes), \
                 and the collection can be read back to log index 8.",
            ),
            (
                VersionsReply { keep_seconds: Some(90), ..on },
                "c keeps all changes for 90 s. There are 3 (90 bytes).",
            ),
        ];
        for (reply, expected) in table {
            assert_eq!(summary("c", &reply), expected);
        }
    }
}
