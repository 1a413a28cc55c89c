//! The plan of a query as a tree that people can read.

use super::{Output, printable};
use serde_json::Value;

/// The answer of `explain`: the winning plan, the others, the filter, and the work that was done.
pub(crate) fn plan(answer: Value) -> Output {
    let planner = &answer["queryPlanner"];
    let mut text = String::from("Plan\n");
    stage(&planner["winningPlan"], "  ", "  ", &mut text);
    for other in planner["rejectedPlans"].as_array().into_iter().flatten() {
        text += "Not chosen\n";
        stage(other, "  ", "  ", &mut text);
    }
    if let Some(filter) = planner.get("parsedQuery") {
        text += &format!("Filter\n  {}\n", printable(&filter.to_string()));
    }
    text += &executed(&answer["executionStats"]).unwrap_or_default();
    Output::Report { text, answer }
}

fn executed(stats: &Value) -> Option<String> {
    let number = |name: &str| stats.get(name)?.as_f64();
    Some(format!(
        "Carried out\n  {} returned, {} index entries and {} documents read, {:.1} ms\n",
        number("nReturned")?,
        number("totalKeysExamined")?,
        number("totalDocsExamined")?,
        number("executionTimeMillis")?
    ))
}

/// Writes a stage after `first`, and its inputs below it after `rest`.
fn stage(stage: &Value, first: &str, rest: &str, out: &mut String) {
    let name = stage["stage"].as_str().unwrap_or("?");
    let details: Vec<String> = stage
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| detail(name, value))
        .collect();
    let details =
        if details.is_empty() { String::new() } else { format!("  {}", details.join(", ")) };
    *out += &format!("{first}{}{}\n", printable(name), printable(&details));
    let inputs: Vec<&Value> = stage
        .get("inputStage")
        .into_iter()
        .chain(stage["inputStages"].as_array().into_iter().flatten())
        .collect();
    for (at, input) in inputs.iter().enumerate() {
        let (branch, below) = match at + 1 == inputs.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        self::stage(input, &format!("{rest}{branch}"), &format!("{rest}{below}"), out);
    }
}

/// One property of a stage; none for what the tree shows by itself.
fn detail(name: &str, value: &Value) -> Option<String> {
    Some(match (name, value) {
        ("stage" | "inputStage" | "inputStages", _) => return None,
        ("isMultiKey" | "covered", Value::Bool(false)) => return None,
        ("isMultiKey", _) => "holds arrays".to_owned(),
        ("covered", _) => "answered by the index alone".to_owned(),
        ("indexName", Value::String(index)) => format!("index {index}"),
        ("direction", Value::String(direction)) => direction.clone(),
        ("keyPattern", Value::Object(keys)) => {
            let keys = keys.iter().map(|(key, direction)| match direction.as_i64() {
                Some(-1) => format!("-{key}"),
                _ => key.clone(),
            });
            format!("on {}", keys.collect::<Vec<_>>().join(","))
        }
        ("indexBounds", Value::Object(bounds)) if bounds.is_empty() => "all of it".to_owned(),
        ("indexBounds", Value::Object(bounds)) => {
            let bounds = bounds.iter().map(|(key, intervals)| {
                let intervals: Vec<String> = intervals.as_array().map_or_else(
                    || vec![plain(intervals)],
                    |intervals| intervals.iter().map(plain).collect(),
                );
                format!("{key} in {}", intervals.join(" "))
            });
            bounds.collect::<Vec<_>>().join(", ")
        }
        ("estimatedReads", reads) => format!("reads about {}", plain_number(reads)),
        ("estimatedCost", cost) => format!("cost {}", plain_number(cost)),
        (name, value) => format!("{name} {}", plain(value)),
    })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `3` for `3.0`.
fn plain_number(value: &Value) -> String {
    value.as_f64().map_or_else(|| plain(value), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_a_tree() {
        let scan = |name: &str| {
            json!({
                "stage": "IXSCAN", "indexName": name, "keyPattern": {"city": 1, "age": -1},
                "isMultiKey": false, "direction": "forward",
                "indexBounds": {"city": ["[\"Lima\", \"Lima\"]"]},
            })
        };
        let answer = json!({
            "queryPlanner": {
                "parsedQuery": {"city": "Lima"},
                "winningPlan": {
                    "stage": "SORT", "covered": false, "estimatedReads": 12.0,
                    "estimatedCost": 40.5,
                    "inputStage": {
                        "stage": "FETCH",
                        "inputStage": {"stage": "OR", "inputStages": [scan("a"), scan("b")]},
                    },
                },
                "rejectedPlans": [{"stage": "COLLSCAN", "direction": "forward"}],
            },
            "executionStats": {
                "nReturned": 2, "totalKeysExamined": 3, "totalDocsExamined": 2,
                "executionTimeMillis": 0.25,
            },
        });
        let Output::Report { text, .. } = plan(answer) else {
            panic!("no report");
        };
        let expected = "\
Plan
  SORT  reads about 12, cost 40.5
  └─ FETCH
     └─ OR
        ├─ IXSCAN  index a, on city,-age, forward, city in [\"Lima\", \"Lima\"]
        └─ IXSCAN  index b, on city,-age, forward, city in [\"Lima\", \"Lima\"]
Not chosen
  COLLSCAN  forward
Filter
  {\"city\":\"Lima\"}
Carried out
  2 returned, 3 index entries and 2 documents read, 0.2 ms
";
        assert_eq!(text, expected);
    }
}
