//! Values as MongoDB's shell writes them: JSON, and besides it keys without quotes, single quotes,
//! commas after the last item, regular expressions, and calls such as `ISODate("…")`. They become
//! Extended JSON, which the cluster accepts.
//!
//! Statements of the query languages go to the cluster as they are; it reads the same notation
//! there.

use jettra_driver::wire::VALUE_CALLS;
use serde_json::{Map, Number, Value, json};

/// Levels of objects and arrays inside each other.
const DEPTH_MAX: usize = 100;

/// Reads the value that a text begins with; the value and its bytes.
///
/// # Errors
/// The expected text, and where it was expected.
pub(crate) fn read(text: &str) -> Result<(Value, usize), String> {
    // JSON keeps its exact meaning, and is parsed fast.
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = stream.next() {
        return Ok((value, stream.byte_offset()));
    }
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(1)?;
    Ok((value, reader.at))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|next| !wanted(next)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn expected(&mut self, what: &str) -> String {
        let found = match self.peek() {
            None => return format!("expected {what} at the end"),
            Some(next) if is_word(next) => {
                let rest = self.rest();
                rest.split(|next| !is_word(next)).next().unwrap_or_default().to_owned()
            }
            Some(next) => next.to_string(),
        };
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let line = if line > 1 { format!("line {line}, ") } else { String::new() };
        format!("expected {what}, found {found:?} at {line}character {column}")
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err(format!("nested more than {DEPTH_MAX} levels"));
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"' | '\'') => self.string().map(Value::String),
            Some('/') => self.regex(),
            Some(next) if next.is_ascii_digit() || matches!(next, '-' | '+' | '.') => self.number(),
            _ => self.named(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.eat('{');
        let mut fields = Map::new();
        while !self.eat('}') {
            let key = match self.peek() {
                Some('"' | '\'') => self.string()?,
                Some(next) if is_word(next) => self.take_while(is_word).to_owned(),
                _ => return Err(self.expected("a field's name or \"}\"")),
            };
            if !self.eat(':') {
                return Err(match self.take_while(|next| is_word(next) || next == '.') {
                    more if more.starts_with('.') => {
                        format!("a path stands in quotes: \"{key}{more}\"")
                    }
                    more => {
                        self.at -= more.len();
                        self.expected(&format!("\":\" after {key:?}"))
                    }
                });
            }
            let value = self.value(depth + 1)?;
            fields.insert(key, value);
            if !self.eat(',') && self.peek() != Some('}') {
                return Err(self.expected("\",\" or \"}\""));
            }
        }
        Ok(Value::Object(fields))
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.eat('[');
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.value(depth + 1)?);
            if !self.eat(',') && self.peek() != Some(']') {
                return Err(self.expected("\",\" or \"]\""));
            }
        }
        Ok(Value::Array(items))
    }

    /// A text in single or double quotes, with the escapes of JSON.
    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        let quote = self.rest().chars().next().unwrap_or_default();
        let mut inside = String::from("\"");
        let mut escaped = false;
        for (at, next) in self.rest().char_indices().skip(1) {
            match next {
                _ if escaped => {
                    escaped = false;
                    // JSON knows no such escape; the quote needs none there.
                    if next == '\'' {
                        inside.pop();
                    }
                    inside.push(next);
                }
                '\\' => {
                    escaped = true;
                    inside.push(next);
                }
                _ if next == quote => {
                    self.at = start + at + 1;
                    inside.push('"');
                    let wrong = |_| format!("{} has a wrong escape", &self.text[start..self.at]);
                    return serde_json::from_str(&inside).map_err(wrong);
                }
                '"' => inside.push_str("\\\""),
                '\n' => break,
                other => inside.push(other),
            }
        }
        Err(format!("the quote in {} is not closed", first_line(&self.text[start..])))
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let text = self.take_while(|next| next.is_alphanumeric() || "+-.".contains(next));
        let (minus, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if digits == "Infinity" {
            return Ok(json!({"$numberDouble": format!("{minus}Infinity")}));
        }
        let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
        let number = match hexadecimal {
            Some(hex) => i64::from_str_radix(&format!("{minus}{hex}"), 16).ok().map(Number::from),
            // `.5` and `5.` are numbers here, and none in JSON.
            None => {
                let zero = if digits.starts_with('.') { "0" } else { "" };
                let fraction = if digits.ends_with('.') && digits.len() > 1 { "0" } else { "" };
                serde_json::from_str(&format!("{minus}{zero}{digits}{fraction}")).ok()
            }
        };
        number.map(Value::Number).ok_or_else(|| {
            self.at = start;
            format!("{text:?} is no number; a text stands in quotes")
        })
    }

    fn regex(&mut self) -> Result<Value, String> {
        let start = self.at;
        let (mut pattern, mut in_class, mut escaped) = (String::new(), false, false);
        for (at, next) in self.rest().char_indices().skip(1) {
            match next {
                '\n' => break,
                _ if escaped => {
                    escaped = false;
                    // Only the delimiter's escape is JavaScript's; the others are the pattern's.
                    if next != '/' {
                        pattern.push('\\');
                    }
                    pattern.push(next);
                }
                '\\' => escaped = true,
                '/' if !in_class => {
                    self.at = start + at + 1;
                    let options = self.take_while(is_word);
                    return Ok(regex(&pattern, options));
                }
                other => {
                    in_class = other == '[' || in_class && other != ']';
                    pattern.push(other);
                }
            }
        }
        Err(format!("the regular expression {} has no closing \"/\"", first_line(self.rest())))
    }

    fn named(&mut self) -> Result<Value, String> {
        let start = self.at;
        let mut word = self.take_while(is_word);
        if word == "new" {
            self.peek();
            word = self.take_while(is_word);
        }
        match word {
            "true" => Ok(json!(true)),
            "false" => Ok(json!(false)),
            "null" => Ok(Value::Null),
            "Infinity" | "NaN" => Ok(json!({"$numberDouble": word})),
            "MinKey" if self.peek() != Some('(') => Ok(json!({"$minKey": 1})),
            "MaxKey" if self.peek() != Some('(') => Ok(json!({"$maxKey": 1})),
            name if !name.is_empty() && self.eat('(') => self.call(name),
            name => {
                self.at = start;
                Err(match name {
                    "" => self.expected("a value"),
                    name => format!("{name} is no value; a text stands in quotes: \"{name}\""),
                })
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Value, String> {
        let mut arguments = Vec::new();
        while !self.eat(')') {
            arguments.push(self.value(DEPTH_MAX)?);
            if !self.eat(',') && self.peek() != Some(')') {
                return Err(self.expected("\",\" or \")\""));
            }
        }
        let key = VALUE_CALLS.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        match (name, key, arguments.as_slice()) {
            ("RegExp", _, [Value::String(pattern)]) => Ok(regex(pattern, "")),
            ("RegExp", _, [Value::String(pattern), Value::String(options)]) => {
                Ok(regex(pattern, options))
            }
            ("BinData", _, [Value::Number(kind), base64]) => {
                let kind = format!("{:02x}", kind.as_u64().unwrap_or(256));
                Ok(json!({"$binary": {"base64": base64, "subType": kind}}))
            }
            ("Timestamp", _, [seconds, number]) => {
                Ok(json!({"$timestamp": {"t": seconds, "i": number}}))
            }
            ("MinKey" | "MaxKey", Some(key), []) => Ok(json!({key: 1})),
            ("Code", _, [text, scope]) => Ok(json!({"$code": text, "$scope": scope})),
            ("BinData", ..) => Err("BinData takes a kind and the bytes in base64".to_owned()),
            // Extended JSON has the digits of these numbers in a text.
            (_, Some(key), [Value::Number(number)]) if key.starts_with("$number") => {
                Ok(json!({key: number.to_string()}))
            }
            (_, Some(key), [argument]) => Ok(json!({key: argument})),
            (_, Some(_), _) => Err(format!("{name} takes one value in its brackets")),
            _ => Err(format!(
                "{name}(…) is unknown; there are {} and RegExp",
                VALUE_CALLS.map(|(known, _)| known).join(", ")
            )),
        }
    }
}

fn regex(pattern: &str, options: &str) -> Value {
    json!({"$regularExpression": {"pattern": pattern, "options": options}})
}

fn is_word(next: char) -> bool {
    next.is_alphanumeric() || matches!(next, '_' | '$')
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_mongos_shell_writes_it() {
        let table = [
            (r#"{"age": {"$gt": 90}}"#, json!({"age": {"$gt": 90}})),
            ("{age: {$gt: 90}}", json!({"age": {"$gt": 90}})),
            ("{'a.b': 'it\\'s \"so\"', _x1: [1, -2.5, .5, 5., +1,],}", {
                json!({"a.b": "it's \"so\"", "_x1": [1, -2.5, 0.5, 5.0, 1]})
            }),
            ("{a: 0x1F, b: true, c: null}", json!({"a": 31, "b": true, "c": null})),
            ("{a: /^x[/]\\/y\\d/i}", {
                json!({"a": {"$regularExpression": {"pattern": "^x[/]/y\\d", "options": "i"}}})
            }),
            ("{at: ISODate('2026-01-02')}", json!({"at": {"$date": "2026-01-02"}})),
            ("{at: new Date(\"2026-01-02\")}", json!({"at": {"$date": "2026-01-02"}})),
            ("[ObjectId('0123456789abcdef01234567')]", {
                json!([{"$oid": "0123456789abcdef01234567"}])
            }),
            ("{n: NumberLong(5), d: NumberDecimal('1.10')}", {
                json!({"n": {"$numberLong": "5"}, "d": {"$numberDecimal": "1.10"}})
            }),
            ("{r: RegExp('a', 'i')}", {
                json!({"r": {"$regularExpression": {"pattern": "a", "options": "i"}}})
            }),
            ("[Timestamp(1, 2), MinKey, MaxKey(), Code('f()'), Int64('5')]", {
                json!([
                    {"$timestamp": {"t": 1, "i": 2}}, {"$minKey": 1}, {"$maxKey": 1},
                    {"$code": "f()"}, {"$numberLong": "5"}
                ])
            }),
            ("{b: BinData(0, 'AA==')}", {
                json!({"b": {"$binary": {"base64": "AA==", "subType": "00"}}})
            }),
            ("{größe: \"\\u00e9\"}", json!({"größe": "é"})),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Ok((expected, text.len())), "{text}");
        }
    }

    #[test]
    fn what_follows_a_value_is_left() {
        for text in ["{a: '}'} --limit 3", "{\"a\": \"}\"} --limit 3"] {
            let (_, length) = read(text).unwrap();
            assert_eq!(text[length..].trim(), "--limit 3", "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("{a: }", "expected a value, found \"}\" at character 5"),
            ("{a 1}", "expected \":\" after \"a\", found \"1\" at character 4"),
            ("{a.b: 1}", "a path stands in quotes: \"a.b\""),
            ("{a: Lima}", "Lima is no value; a text stands in quotes: \"Lima\""),
            ("{a: 1 b: 2}", "expected \",\" or \"}\", found \"b\" at character 7"),
            ("{\n a: 'x}", "the quote in 'x} is not closed"),
            ("{a: 12x}", "\"12x\" is no number; a text stands in quotes"),
            ("{a: ISODate()}", "ISODate takes one value in its brackets"),
            ("{a: BinData('AA==')}", "BinData takes a kind and the bytes in base64"),
            ("{a: 1", "expected \",\" or \"}\" at the end"),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
        assert!(read(&"[".repeat(5_000)).unwrap_err().contains("nested"));
        assert!(read("{a: Frob(1)}").unwrap_err().contains("unknown"));
    }
}
