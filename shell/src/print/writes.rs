//! The outcomes of writes, for people.

use super::{Output, cell, printable};
use jettra_driver::wire::{BulkReply, UpdateReply};
use serde_json::{Value, json};

/// The outcome of an update.
pub(crate) fn update_output(reply: &UpdateReply) -> Output {
    Output::Changed { text: update_summary(reply), answer: json!(reply) }
}

/// The outcome of a bulk write.
pub(crate) fn bulk_output(reply: &BulkReply) -> Output {
    Output::Changed { text: bulk_summary(reply), answer: json!(reply) }
}

/// A pipeline wrote its result into a collection.
pub(crate) fn written_output(written: u64) -> Output {
    Output::Changed { text: format!("{written} written."), answer: json!({"written": written}) }
}

fn update_summary(reply: &UpdateReply) -> String {
    let mut text = format!("{} matched, {} changed.", reply.matched, reply.modified);
    if let Some(id) = &reply.upserted_id {
        text += &format!(" Inserted {}.", printable(&id.to_string()));
    }
    with_warnings(text, &reply.warnings)
}

/// The outcome of a bulk write, in one sentence.
pub(crate) fn bulk_summary(reply: &BulkReply) -> String {
    let upserted = reply.upserted_ids.len() as u64;
    let parts = [
        (reply.inserted, "inserted"),
        (upserted, "upserted"),
        (reply.matched, "matched"),
        (reply.modified, "changed"),
        (reply.deleted, "deleted"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let text = if parts.is_empty() { "Nothing was changed".to_owned() } else { parts.join(", ") };
    with_warnings(text + ".", &reply.warnings)
}

/// The text, and below it the findings of a schema in warn mode.
pub(crate) fn with_warnings(mut text: String, warnings: &[Value]) -> String {
    for warning in warnings {
        text += &format!("\nWarning: {}", violation(warning));
    }
    text
}

/// `age must be at least 0, found -1`.
pub(crate) fn violation(violation: &Value) -> String {
    let path = match violation["path"].as_str() {
        None | Some("") => "the document",
        Some(path) => path,
    };
    let (expected, found) = (cell(&violation["expected"]), cell(&violation["found"]));
    format!("{} must be {expected}, found {found}", printable(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jettra_driver::DocumentId;

    #[test]
    fn a_summary_counts_the_documents() {
        let reply = UpdateReply {
            upserted_id: Some(DocumentId::Int(7)),
            warnings: vec![
                json!({"path": "age", "rule": "minimum", "expected": "at least 0", "found": "-1"}),
            ],
            ..UpdateReply::default()
        };
        let expected =
            "0 matched, 0 changed. Inserted 7.\nWarning: age must be at least 0, found -1";
        assert_eq!(update_summary(&reply), expected);
        let bulk = BulkReply { inserted: 2, deleted: 1, ..BulkReply::default() };
        assert_eq!(bulk_summary(&bulk), "2 inserted, 1 deleted.");
        assert_eq!(bulk_summary(&BulkReply::default()), "Nothing was changed.");
    }
}
