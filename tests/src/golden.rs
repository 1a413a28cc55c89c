//! Golden scripts: calls and their expected responses, in a form that people read.
//!
//! ```text
//! # A comment.
//! > PUT /api/doc?db=shop&col=users&id=1
//! If-Match: $revision
//! {"name": "Ada"}
//! < 200
//! ETag: $revision
//! {"status": "ok"}
//! ```
//!
//! `> method target` begins a call and `< status` its response; headers and a body may follow
//! either. An error is written `< 404 document_not_found`, and must have a message and a hint.
//! The first `$name` in a response stores a value, and later ones must equal it; in a call it
//! stands for that value. `"*"` in a response matches any value.
//!
//! With `UPDATE_GOLDEN` in the environment (`tests/check.sh golden`) a response that differs is written
//! into the script instead; its `$name` and `"*"` stay where the response still has a value.

use crate::http::{Answer, Http, send};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// One call and its expected response.
#[derive(Debug, Default)]
struct Step {
    line: usize,
    call: Message,
    answer: Message,
    /// The lines of the expected response, without blank lines and comments at its end.
    answer_lines: Range<usize>,
}

/// The first line without its marker, the headers, and the body.
#[derive(Debug, Default)]
struct Message {
    head: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn add(&mut self, line: &str) {
        let header = line.split_once(": ").filter(|(name, _)| {
            let mut letters = name.chars();
            letters.next().is_some_and(|first| first.is_ascii_uppercase())
                && letters.all(|letter| letter.is_ascii_alphabetic() || letter == '-')
        });
        match header {
            Some((name, value)) => self.headers.push((name.to_owned(), value.to_owned())),
            None => self.body.push_str(line.trim_end()),
        }
    }

    /// The lines of an expected response.
    fn lines(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let body = Some(self.body.clone()).filter(|body| !body.is_empty());
        [format!("< {}", self.head)].into_iter().chain(headers).chain(body).collect()
    }
}

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut answering = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("> ") {
            let call = Message { head: head.to_owned(), ..Message::default() };
            steps.push(Step { line: at + 1, call, ..Step::default() });
            answering = false;
        } else if let (Some(head), Some(step)) = (line.strip_prefix("< "), steps.last_mut()) {
            step.answer.head = head.to_owned();
            step.answer_lines = at..at + 1;
            answering = true;
        } else if !line.starts_with('#')
            && let Some(step) = steps.last_mut()
        {
            let message = if answering { &mut step.answer } else { &mut step.call };
            message.add(line);
            if answering && !line.trim().is_empty() {
                step.answer_lines.end = at + 1;
            }
        }
    }
    steps
}

/// Runs a script, each call on the next of `nodes`; returns the calls as `method target`.
///
/// # Panics
/// If a response differs from the script; the message names the line.
pub async fn run(path: &Path, nodes: &[Http]) -> Vec<String> {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut variables = BTreeMap::new();
    let (mut calls, mut updates) = (Vec::new(), Vec::new());
    for (number, step) in parse(&text).into_iter().enumerate() {
        let node = &nodes[number % nodes.len()];
        let answer = call(node, &step.call, &variables).await;
        let mut result = compare(&step.answer, &answer, &mut variables);
        if result.is_err() && update {
            let new = updated(&step.answer, &answer, &variables);
            result = compare(&new, &answer, &mut variables);
            updates.push((step.answer_lines.clone(), new.lines()));
        }
        if let Err(reason) = result {
            let Step { line, call, .. } = step;
            panic!(
                "{}:{line}: {}\n{reason}\ngot: {} {:?}\n{}",
                path.display(),
                call.head,
                answer.status,
                answer.headers,
                answer.text
            );
        }
        calls.push(step.call.head);
    }
    assert!(!calls.is_empty(), "{} holds no calls", path.display());
    if !updates.is_empty() {
        std::fs::write(path, replace_lines(&text, updates)).expect("the script can be written");
    }
    calls
}

/// `text` with ranges of its lines replaced.
fn replace_lines(text: &str, updates: Vec<(Range<usize>, Vec<String>)>) -> String {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for (range, new) in updates.into_iter().rev() {
        lines.splice(range, new);
    }
    lines.join("\n") + "\n"
}

/// The expectation that a response meets, as close to the old one as possible.
fn updated(old: &Message, answer: &Answer, variables: &Variables) -> Message {
    let code = answer.code();
    let head = match code.is_empty() {
        true => answer.status.to_string(),
        false => format!("{} {code}", answer.status),
    };
    let headers = old.headers.iter().map(|(name, old)| {
        let found = Value::from(answer.header(&name.to_lowercase()));
        let new = updated_value(&Value::from(old.as_str()), &found, variables);
        (name.clone(), new.as_str().unwrap_or_default().to_owned())
    });
    let headers = headers.collect();
    let body = match (serde_json::from_str(&old.body), serde_json::from_str(&answer.text)) {
        (Ok(old), Ok(found)) => updated_value(&old, &found, variables).to_string(),
        _ if !code.is_empty() && old.body.is_empty() => String::new(),
        _ => answer.text.clone(),
    };
    Message { head, headers, body }
}

/// `found` with those placeholders of `old` that still match.
fn updated_value(old: &Value, found: &Value, variables: &Variables) -> Value {
    if compare_value(old, found, &mut variables.clone()).is_ok() {
        return old.clone();
    }
    match (old, found) {
        (Value::Array(old), Value::Array(found)) => {
            let old = old.iter().chain(std::iter::repeat(&Value::Null));
            found.iter().zip(old).map(|(found, old)| updated_value(old, found, variables)).collect()
        }
        (Value::Object(old), Value::Object(found)) => {
            let new = |(key, found): (&String, &Value)| {
                let old = old.get(key).unwrap_or(&Value::Null);
                (key.clone(), updated_value(old, found, variables))
            };
            found.iter().map(new).collect()
        }
        _ => found.clone(),
    }
}

type Variables = BTreeMap<String, Value>;

/// `text` with the names of variables replaced by their values.
fn fill(text: &str, variables: &Variables) -> String {
    let mut filled = text.to_owned();
    for (name, value) in variables {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        filled = filled.replace(name, &value);
    }
    filled
}

async fn call(node: &Http, call: &Message, variables: &Variables) -> Answer {
    let head = fill(&call.head, variables);
    let (method, target) = head.split_once(' ').expect("a call is written: > METHOD /target");
    let mut request = node.request(method, target);
    for (name, value) in &call.headers {
        request = request.header(name, fill(value, variables));
    }
    send(request.body(fill(&call.body, variables))).await
}

fn compare(expected: &Message, answer: &Answer, variables: &mut Variables) -> Result<(), String> {
    let (status, code) = expected.head.split_once(' ').unwrap_or((&expected.head, ""));
    if answer.status.to_string() != status {
        return Err(format!("expected status {status}"));
    }
    if !code.is_empty()
        && let Some(fault) = answer.fault(answer.status, code)
    {
        return Err(fault);
    }
    for (name, value) in &expected.headers {
        let found = Value::from(answer.header(&name.to_lowercase()));
        compare_value(&Value::from(fill(value, variables)), &found, variables)
            .map_err(|reason| format!("header {name}: {reason}"))?;
    }
    match serde_json::from_str(&expected.body) {
        Ok(body) => compare_value(&body, &answer.json(), variables),
        Err(_) if expected.body == answer.text || !code.is_empty() => Ok(()),
        Err(_) => Err(format!("expected {:?}", expected.body)),
    }
}

fn compare_value(expected: &Value, found: &Value, variables: &mut Variables) -> Result<(), String> {
    let differs = || Err(format!("expected {expected}, found {found}"));
    match (expected, found) {
        (Value::String(name), _) if name == "*" => Ok(()),
        (Value::String(name), _) if name.starts_with('$') => match variables.get(name) {
            Some(value) if value == found => Ok(()),
            Some(value) => Err(format!("{name} was {value}, found {found}")),
            None => {
                variables.insert(name.clone(), found.clone());
                Ok(())
            }
        },
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            expected.iter().zip(found).try_for_each(|(a, b)| compare_value(a, b, variables))
        }
        (Value::Object(expected), Value::Object(found)) if expected.keys().eq(found.keys()) => {
            expected
                .iter()
                .try_for_each(|(key, value)| compare_value(value, &found[key], variables))
        }
        _ if expected == found => Ok(()),
        _ => differs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_script_is_read_into_calls_and_answers() {
        let steps = parse(
            "# x\n> GET /a\n< 200\nETag: $r\n{\"a\":\n 1}\n\n> DELETE /b\nIf-Match: $r\n{}\n< 404 gone\n",
        );
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].call.head.as_str(), steps[0].line), ("GET /a", 2));
        assert_eq!(steps[0].answer.headers, [("ETag".to_owned(), "$r".to_owned())]);
        assert_eq!(steps[0].answer.body, "{\"a\": 1}");
        assert_eq!(
            (steps[1].call.body.as_str(), steps[1].answer.head.as_str()),
            ("{}", "404 gone")
        );
    }

    #[test]
    fn a_difference_is_found_and_a_variable_keeps_its_value() {
        let mut variables = Variables::new();
        let mut same = |a, b| compare_value(&a, &b, &mut variables).is_ok();
        assert!(same(json!({"a": "$x", "b": ["*"]}), json!({"a": 7, "b": [null]})));
        assert!(same(json!("$x"), json!(7)));
        for (expected, found) in [
            (json!("$x"), json!(8)),
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!([1]), json!([1, 2])),
            (json!(1), json!("1")),
        ] {
            assert!(!same(expected.clone(), found.clone()), "{expected} is not {found}");
        }
        assert_eq!(fill("/x/$x", &variables), "/x/7");
    }

    #[test]
    fn an_update_changes_only_what_differs() {
        let text = "> GET /a\n< 200\nETag: $r\n{\"a\":\"*\",\"b\":[1,\"$x\"],\"c\":2}\n\n# x\n> GET /b\n< 200\n";
        let steps = parse(text);
        assert_eq!((steps[0].answer_lines.clone(), steps[1].answer_lines.clone()), (1..4, 7..8));
        let headers = [("etag".to_owned(), "\"7\"".to_owned())].into();
        let body = r#"{"a":5,"b":[2,8,9],"d":null}"#.to_owned();
        let answer = Answer { status: 201, headers, text: body };
        let new = updated(&steps[0].answer, &answer, &Variables::new());
        assert!(compare(&new, &answer, &mut Variables::new()).is_ok());
        let text = replace_lines(text, vec![(steps[0].answer_lines.clone(), new.lines())]);
        assert_eq!(
            text,
            "> GET /a\n< 201\nETag: $r\n{\"a\":\"*\",\"b\":[2,\"$x\",9],\"d\":null}\n\n# x\n> GET /b\n< 200\n"
        );
    }
}
