//! Indexes, schema, statistics, and what changes did, for people.

use super::{Format, Output, cell, fields, printable, rows};
use jettra_driver::wire::{
    BulkReply, HashReply, IndexInfo, IndexStateName, SchemaMode, SchemaReply, StatsReply,
    UpdateReply, ValidateReply,
};
use serde_json::{Value, json};

/// The indexes as a table.
pub(crate) fn indexes(indexes: &[IndexInfo], format: Format) -> Output {
    let text = index_table(indexes, format);
    Output::Report { text, answer: json!(indexes) }
}

fn index_table(indexes: &[IndexInfo], format: Format) -> String {
    if indexes.is_empty() {
        return "No indexes beside the one on _id.\n".to_owned();
    }
    rows(&indexes.iter().map(index_row).collect::<Vec<_>>(), format)
}

fn index_row(index: &IndexInfo) -> Value {
    let keys = index.keys.iter().map(|(key, direction)| match direction.as_i64() {
        Some(-1) => format!("-{key}"),
        _ => key.clone(),
    });
    json!({
        "name": index.name, "fields": keys.collect::<Vec<_>>().join(","),
        "options": index_options(index), "state": index_state(index), "entries": index.entries,
    })
}

fn index_options(index: &IndexInfo) -> String {
    let flags =
        [(index.unique, "unique"), (index.sparse, "sparse"), (index.sequential, "sequential")];
    let mut options: Vec<String> =
        flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()).collect();
    options.extend(index.expire_after_seconds.map(|seconds| format!("expires after {seconds} s")));
    options.extend(index.partial_filter_expression.as_ref().map(|filter| format!("only {filter}")));
    options.join(", ")
}

fn index_state(index: &IndexInfo) -> String {
    match (index.state, index.done, &index.error) {
        (IndexStateName::Building, Some(done), _) => format!("building, {done} documents done"),
        (IndexStateName::Building, ..) => "building".to_owned(),
        (IndexStateName::Failed, _, Some(error)) => format!("failed: {error}"),
        (IndexStateName::Failed, ..) => "failed".to_owned(),
        (IndexStateName::Ready, ..) => "ready".to_owned(),
    }
}

/// The statistics of a collection, then its indexes.
pub(crate) fn stats(reply: &StatsReply, format: Format) -> Output {
    let record = json!({
        "documents": reply.documents, "bytes": reply.bytes,
        "average_bytes": reply.average_bytes, "schema": reply.schema,
    });
    let text = fields(&record) + &index_table(&reply.indexes, format);
    Output::Report { text, answer: json!(reply) }
}

/// The schema, and what happens to a document that breaks it.
pub(crate) fn schema(reply: &SchemaReply) -> Output {
    let text = match (&reply.schema, reply.mode) {
        (None, _) => "There is no schema.\n".to_owned(),
        (Some(schema), SchemaMode::Error) => format!("Refuses what breaks it:\n{schema:#}\n"),
        (Some(schema), SchemaMode::Warn) => format!("Warns of what breaks it:\n{schema:#}\n"),
    };
    Output::Report { text, answer: json!(reply) }
}

/// Which documents break something, and what.
pub(crate) fn validated(reply: &ValidateReply, format: Format) -> Output {
    let mut text = format!("{} checked, {} invalid.\n", reply.checked, reply.invalid_count);
    let violations: Vec<Value> = reply
        .invalid
        .iter()
        .flat_map(|invalid| invalid.violations.iter().map(move |one| (&invalid.document, one)))
        .map(|(document, violation)| {
            json!({
                "document": document, "path": violation["path"],
                "must be": violation["expected"], "found": violation["found"],
                "rule": violation["rule"],
            })
        })
        .collect();
    text += &rows(&violations, format);
    if (reply.invalid.len() as u64) < reply.invalid_count {
        text += &format!("\nThe first {} invalid documents are shown.\n", reply.invalid.len());
    }
    for reference in &reply.not_in_force {
        text += &format!("\nThe rule of {reference} waits for its indexes to be built.\n");
    }
    Output::Report { text, answer: json!(reply) }
}

/// The hashes of a database.
pub(crate) fn hashes(reply: &HashReply, format: Format) -> Output {
    let list: Vec<Value> = reply
        .collections
        .iter()
        .map(|(name, hash)| {
            json!({"collection": name, "documents": hash.documents, "indexes": hash.indexes})
        })
        .collect();
    let mut text = rows(&list, format);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text += &format!("At log index {}.\n", reply.index);
    Output::Report { text, answer: json!(reply) }
}

/// How many documents an update met.
pub(crate) fn update_summary(reply: &UpdateReply) -> String {
    let mut text = format!("{} matched, {} changed.", reply.matched, reply.modified);
    if let Some(id) = &reply.upserted_id {
        text += &format!(" Inserted {}.", printable(&id.to_string()));
    }
    with_warnings(text, &reply.warnings)
}

/// What a bulk write did.
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

/// The text, and below it what a schema in warn mode found.
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
    use crate::print::{Mode, render};
    use jettra_driver::DocumentId;

    fn format(mode: Mode) -> Format {
        Format { mode, width: None, quiet: false }
    }

    fn index() -> IndexInfo {
        serde_json::from_value(json!({
            "name": "by_city", "keys": {"city": 1, "age": -1}, "unique": true, "sparse": true,
            "partialFilterExpression": {"age": {"$gt": 3}}, "expireAfterSeconds": 60,
            "state": "ready", "entries": 5, "multikey": false,
        }))
        .unwrap()
    }

    #[test]
    fn an_index_is_one_row_for_people_and_whole_for_programs() {
        let expected = json!({
            "name": "by_city", "fields": "city,-age", "state": "ready", "entries": 5,
            "options": "unique, sparse, expires after 60 s, only {\"age\":{\"$gt\":3}}",
        });
        assert_eq!(index_row(&index()), expected);
        let lines = render(&indexes(&[index()], format(Mode::Ndjson)), format(Mode::Ndjson));
        assert_eq!(serde_json::from_str::<IndexInfo>(&lines).unwrap(), index());
        let building = IndexInfo { state: IndexStateName::Building, done: Some(30), ..index() };
        assert_eq!(index_state(&building), "building, 30 documents done");
    }

    #[test]
    fn a_change_tells_what_it_met() {
        let reply = UpdateReply {
            upserted_id: Some(DocumentId::Int(7)),
            warnings: vec![
                json!({"path": "age", "rule": "minimum", "expected": "at least 0", "found": "-1"}),
            ],
            ..UpdateReply::default()
        };
        let text = update_summary(&reply);
        let expected =
            "0 matched, 0 changed. Inserted 7.\nWarning: age must be at least 0, found -1";
        assert_eq!(text, expected);
        let bulk = BulkReply { inserted: 2, deleted: 1, ..BulkReply::default() };
        assert_eq!(bulk_summary(&bulk), "2 inserted, 1 deleted.");
        assert_eq!(bulk_summary(&BulkReply::default()), "Nothing was changed.");
    }

    #[test]
    fn violations_are_rows() {
        let reply: ValidateReply = serde_json::from_value(json!({
            "checked": 2, "invalidCount": 1,
            "invalid": [{"document": 0, "violations": [
                {"path": "age", "rule": "type", "expected": "of type integer", "found": "\"x\""},
            ]}],
        }))
        .unwrap();
        let format = format(Mode::Line);
        let text = render(&validated(&reply, format), format);
        assert!(text.starts_with("2 checked, 1 invalid.\ndocument = 0\n"), "{text}");
        assert!(text.contains("must be  = of type integer\n"), "{text}");
    }
}
