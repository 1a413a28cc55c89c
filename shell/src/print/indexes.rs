//! Indexes for people.

use super::{Format, Output, rows};
use jettra_driver::wire::{IndexInfo, IndexStateName};
use serde_json::{Value, json};

/// The indexes as a table.
pub(crate) fn indexes(indexes: &[IndexInfo], format: Format) -> Output {
    let text = index_table(indexes, format);
    Output::Report { text, answer: json!(indexes) }
}

/// As [`indexes`], only the text.
pub(crate) fn index_table(indexes: &[IndexInfo], format: Format) -> String {
    if indexes.is_empty() {
        return "No indexes beside the one on _id.\n".to_owned();
    }
    rows(&indexes.iter().map(row).collect::<Vec<_>>(), format)
}

fn row(index: &IndexInfo) -> Value {
    let keys = index.keys.iter().map(|(key, direction)| match direction.as_i64() {
        Some(-1) => format!("-{key}"),
        _ => key.clone(),
    });
    json!({
        "name": index.name, "fields": keys.collect::<Vec<_>>().join(","),
        "options": options(index), "state": state(index), "entries": index.entries,
    })
}

fn options(index: &IndexInfo) -> String {
    let flags =
        [(index.unique, "unique"), (index.sparse, "sparse"), (index.sequential, "sequential")];
    let mut options: Vec<String> =
        flags.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()).collect();
    options.extend(index.expire_after_seconds.map(|seconds| format!("expires after {seconds} s")));
    options.extend(index.partial_filter_expression.as_ref().map(|filter| format!("only {filter}")));
    options.join(", ")
}

fn state(index: &IndexInfo) -> String {
    match (index.state, index.done, &index.error) {
        (IndexStateName::Building, Some(done), _) => format!("building, {done} documents done"),
        (IndexStateName::Building, ..) => "building".to_owned(),
        (IndexStateName::Failed, _, Some(error)) => format!("failed: {error}"),
        (IndexStateName::Failed, ..) => "failed".to_owned(),
        (IndexStateName::Ready, ..) => "ready".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::{Mode, render};

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
        assert_eq!(row(&index()), expected);
        let format = Format::plain(Mode::Ndjson);
        let lines = render(&indexes(&[index()], format), format);
        assert_eq!(serde_json::from_str::<IndexInfo>(&lines).unwrap(), index());
        let building = IndexInfo { state: IndexStateName::Building, done: Some(30), ..index() };
        assert_eq!(state(&building), "building, 30 documents done");
    }
}
