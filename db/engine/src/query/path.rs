//! Paths such as `a.b.0.c` and how MongoDB follows them through objects and arrays.

use super::context::At;
use crate::error::Result;
use crate::value::{Object, Value};

/// Maximum number of steps of a path; more would only cost stack.
const STEPS_MAX: usize = 100;
/// Maximum number of numeric steps: each may mean an item of an array or a field of its items,
/// which doubles the number of ways to follow.
const NUMBERS_MAX: usize = 8;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    text: String,
    steps: Vec<PathStep>,
}

/// One step: a name, which may also be the number of an array's item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathStep {
    /// The name.
    pub name: String,
    /// The same as a number, if it is one.
    pub index: Option<usize>,
}

impl Path {
    /// Parses a path.
    ///
    /// # Errors
    /// `invalid_query` at `at` for an empty step, a name that begins with `$`, or one that has the
    /// character NUL, which MongoDB's names cannot have.
    pub fn parse(text: &str, at: At<'_>) -> Result<Path> {
        let path = Path::parse_update(text, at)?;
        match path.steps.iter().any(|step| step.name.starts_with('$')) {
            false => Ok(path),
            true => Err(at.invalid(format!("has {text:?} where the name of a field belongs"))),
        }
    }

    /// As [`Path::parse`], for updates: names inside objects may begin with `$`.
    ///
    /// # Errors
    /// Those of [`Path::parse`].
    pub fn parse_update(text: &str, at: At<'_>) -> Result<Path> {
        let path = Path::parse_filter(text, at)?;
        match path.steps.iter().any(|step| step.name.is_empty()) {
            false => Ok(path),
            true => Err(at.invalid(format!("has the path {text:?} with an empty part"))),
        }
    }

    /// As [`Path::parse`], for filters: names inside objects may begin with `$`, and names may be
    /// empty.
    ///
    /// # Errors
    /// Those of [`Path::parse`].
    pub fn parse_filter(text: &str, at: At<'_>) -> Result<Path> {
        let steps: Vec<PathStep> = text.split('.').map(PathStep::new).collect();
        if text.starts_with('$') {
            return Err(at.invalid(format!("has {text:?} where the name of a field belongs")));
        }
        if text.contains('\0') {
            return Err(at.invalid(format!("has the path {text:?} with the character NUL")));
        }
        if steps.len() > STEPS_MAX {
            return Err(at.invalid(format!("has a path of more than {STEPS_MAX} parts")));
        }
        if steps.iter().filter(|step| step.index.is_some()).count() > NUMBERS_MAX {
            return Err(at.invalid(format!("has a path with more than {NUMBERS_MAX} numbers")));
        }
        Ok(Path { text: text.to_owned(), steps })
    }

    /// The path of one field whose name is known to be plain.
    pub fn field(name: &str) -> Path {
        Path { text: name.to_owned(), steps: vec![PathStep::new(name)] }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its steps; at least one.
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// Name of the outermost field.
    pub fn first(&self) -> &str {
        &self.steps[0].name
    }

    /// Calls `visit` with every value at the path, as a filter sees them: arrays on the way are
    /// entered, an array at the end is passed as a whole. `None` is passed where the last step is
    /// missing. Ends early, with true, if `visit` returns true.
    pub fn any<'v>(
        &self,
        root: &'v Value,
        mut visit: impl FnMut(Option<&'v Value>) -> bool,
    ) -> bool {
        any(root, &self.steps, &mut |_| true, &mut visit)
    }

    /// As [`Path::any`]; `enter` gets the number of items of each array on the way, and ends
    /// everything, as true, if it returns false.
    pub fn any_counted<'v>(
        &self,
        root: &'v Value,
        mut enter: impl FnMut(usize) -> bool,
        mut visit: impl FnMut(Option<&'v Value>) -> bool,
    ) -> bool {
        any(root, &self.steps, &mut enter, &mut visit)
    }

    /// The value at the path through objects only.
    pub fn get<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(root, |value, step| value.as_object()?.get(&step.name))
    }

    /// As [`Path::get`], in an object.
    pub fn get_in<'v>(&self, root: &'v Object) -> Option<&'v Value> {
        let first = root.get(self.first())?;
        self.steps[1..].iter().try_fold(first, |value, step| value.as_object()?.get(&step.name))
    }
}

impl PathStep {
    fn new(name: &str) -> Self {
        let index = match name.bytes().all(|byte| byte.is_ascii_digit()) {
            // A leading zero makes a name, not a number, as in MongoDB.
            true if name.len() == 1 || !name.starts_with('0') => name.parse().ok(),
            _ => None,
        };
        PathStep { name: name.to_owned(), index }
    }
}

fn any<'v>(
    value: &'v Value,
    steps: &[PathStep],
    enter: &mut dyn FnMut(usize) -> bool,
    visit: &mut dyn FnMut(Option<&'v Value>) -> bool,
) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return visit(Some(value));
    };
    match value {
        Value::Object(fields) => match fields.get(&step.name) {
            Some(inner) => any(inner, rest, enter, visit),
            None => visit(None),
        },
        Value::Array(items) => {
            // An item that is neither array nor object has nothing inside.
            let leads = |item: &&Value| {
                rest.is_empty() || matches!(item, Value::Object(_) | Value::Array(_))
            };
            if let Some(item) = step.index.and_then(|index| items.get(index)).filter(leads)
                && any(item, rest, enter, visit)
            {
                return true;
            }
            if !enter(items.len()) {
                return true;
            }
            // Only objects inside the array can have the field; other items have none.
            let mut objects = items.iter().filter(|item| matches!(item, Value::Object(_)));
            objects.any(|item| any(item, steps, enter, visit))
        }
        _ => visit(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::parse_stored;

    fn found(document: &str, path: &str) -> String {
        let root = parse_stored(document.as_bytes()).unwrap();
        let path = Path::parse(path, At::root("filter")).unwrap();
        let mut all = Vec::new();
        path.any(&root, |value| {
            all.push(value.map_or("missing".to_owned(), Value::to_json));
            false
        });
        all.join(" ")
    }

    #[test]
    fn paths_go_through_objects_and_arrays() {
        for (document, path, expected) in [
            (r#"{"a":1}"#, "a", "1"),
            (r#"{"a":1}"#, "b", "missing"),
            (r#"{"a":1}"#, "a.b", "missing"),
            (r#"{"a":{"b":[1,2]}}"#, "a.b", "[1,2]"),
            (r#"{"a":[{"b":1},{"c":2},3]}"#, "a.b", "1 missing"),
            (r#"{"a":[5,[6]]}"#, "a.0", "5"),
            (r#"{"a":[5,[6]]}"#, "a.1.0", "6"),
            (r#"{"a":[5,{"x":6}]}"#, "a.0.x", "missing"),
            (r#"{"a":[5]}"#, "a.0.x", ""),
            (r#"{"a":[{"y":5}]}"#, "a.0.x", "missing missing"),
            (r#"{"a":[{"0":7}]}"#, "a.0", r#"{"0":7} 7"#),
            (r#"{"a":[]}"#, "a.b", ""),
            (r#"{"a":[[{"b":1}]]}"#, "a.b", ""),
        ] {
            assert_eq!(found(document, path), expected, "{path} of {document}");
        }
    }

    #[test]
    fn bad_paths_are_refused() {
        let at = At::root("filter");
        for text in ["$a", "$a.b", "a\0", "a.\0b", "a.0.0.0.0.0.0.0.0.0"] {
            for parse in [Path::parse, Path::parse_update, Path::parse_filter] {
                let error = parse(text, at).unwrap_err();
                assert!(error.message.starts_with("filter "), "{error}");
            }
        }
        for (text, update) in
            [("a.$b", true), ("", false), ("a.", false), (".a", false), ("a..b", false)]
        {
            assert!(Path::parse(text, at).is_err(), "{text}");
            assert_eq!(Path::parse_update(text, at).is_ok(), update, "{text}");
            assert!(Path::parse_filter(text, at).is_ok(), "{text}");
        }
    }

    #[test]
    fn names_of_filters_may_be_empty_or_begin_with_a_dollar() {
        let root = parse_stored(br#"{"":{"":1},"a":{"$x":2,"":3}}"#).unwrap();
        for (path, expected) in [(".", "1"), ("a.$x", "2"), ("a.", "3"), ("a.$y", "missing")] {
            let path = Path::parse_filter(path, At::root("filter")).unwrap();
            let mut found = String::new();
            path.any(&root, |value| {
                found = value.map_or("missing".to_owned(), Value::to_json);
                false
            });
            assert_eq!(found, expected);
        }
    }
}
