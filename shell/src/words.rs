//! Splits a statement into words, document ids and JSON.

use crate::lookup::nearest;
use crate::notation;
use jettra_driver::DocumentId;
use jettra_driver::wire::VALUE_CALLS;
use serde_json::Value;

/// The rest of a statement, taken word by word from the left.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    rest: &'a str,
    /// Flags that may stand among the words; an unknown one is compared with them.
    flags: Vec<&'static str>,
}

/// One word, and whether it stood in quotes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// The word without its quotes.
    pub(crate) text: String,
    /// `"42"` is a text where `42` is a number.
    pub(crate) quoted: bool,
}

/// A value, or the reason why a statement cannot be understood, in one sentence.
pub(crate) type ParseResult<T> = Result<T, String>;

impl<'a> Words<'a> {
    /// Starts at the beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Words { rest: text.trim(), flags: Vec::new() }
    }

    /// The same words, among which these flags may stand.
    pub(crate) fn with_flags(self, flags: Vec<&'static str>) -> Self {
        Words { flags, ..self }
    }

    /// The text that has not been taken yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Takes everything that is left; `None` when nothing is.
    pub(crate) fn take_rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    /// Takes the next word; `None` at the end.
    pub(crate) fn word(&mut self) -> ParseResult<Option<Word>> {
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let word = match first {
            '"' => self.double_quoted()?,
            '\'' => self.single_quoted()?,
            _ => self.bare(),
        };
        self.rest = self.rest.trim_start();
        Ok(Some(word))
    }

    fn bare(&mut self) -> Word {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Word { text: text.to_owned(), quoted: false }
    }

    /// A word in double quotes has the escapes of a JSON text.
    fn double_quoted(&mut self) -> ParseResult<Word> {
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = match stream.next() {
            Some(Ok(text)) => text,
            _ => return Err(format!("the quote in {} is not closed", self.rest)),
        };
        self.rest = &self.rest[stream.byte_offset()..];
        Ok(Word { text, quoted: true })
    }

    fn single_quoted(&mut self) -> ParseResult<Word> {
        let inside = &self.rest[1..];
        let end =
            inside.find('\'').ok_or_else(|| format!("the quote in {} is not closed", self.rest))?;
        self.rest = &inside[end + 1..];
        Ok(Word { text: inside[..end].to_owned(), quoted: true })
    }

    /// Takes a word that must be there; `what` names it in the error.
    pub(crate) fn required(&mut self, what: &str) -> ParseResult<String> {
        self.optional()?.ok_or_else(|| format!("{what} is missing"))
    }

    /// Takes a word that may be left out.
    pub(crate) fn optional(&mut self) -> ParseResult<Option<String>> {
        Ok(self.word()?.map(|word| word.text))
    }

    /// Takes a document id: a bare integer is a number, a call such as `ObjectId("…")` its value, and
    /// everything else is a text.
    pub(crate) fn id(&mut self) -> ParseResult<DocumentId> {
        let called = self.rest.split_once('(').map(|(name, _)| name);
        if called.is_some_and(|called| VALUE_CALLS.iter().any(|(name, _)| *name == called)) {
            let (value, length) = notation::read(self.rest)?;
            self.rest = self.rest[length..].trim_start();
            return Ok(DocumentId::from_value(value));
        }
        let word = self.word()?.ok_or("the document id is missing")?;
        Ok(document_id(&word))
    }

    /// Whether a JSON object comes next.
    pub(crate) fn at_object(&self) -> bool {
        self.rest.starts_with('{')
    }

    /// Takes one value, as JSON or as [`notation`] has it, that must be there; `what` names it in
    /// the error.
    pub(crate) fn json(&mut self, what: &str) -> ParseResult<Value> {
        if self.rest.is_empty() {
            return Err(format!("{what} is missing"));
        }
        let what = what.trim_end_matches(',');
        let read = notation::read(self.rest);
        let (value, length) = read.map_err(|error| format!("{what} cannot be read: {error}"))?;
        self.rest = self.rest[length..].trim_start();
        Ok(value)
    }

    /// As [`Words::json`]; it must be an object.
    pub(crate) fn object(&mut self, what: &str) -> ParseResult<Value> {
        match self.json(what)? {
            object @ Value::Object(_) => Ok(object),
            _ => Err(format!("{} must be an object, in braces", what.trim_end_matches(','))),
        }
    }

    /// As [`Words::json`]; it must be an array.
    pub(crate) fn array(&mut self, what: &str) -> ParseResult<Vec<Value>> {
        match self.json(what)? {
            Value::Array(items) => Ok(items),
            _ => Err(format!("{} must be a list, in brackets", what.trim_end_matches(','))),
        }
    }

    /// Takes a word, or a JSON object where one comes next; `flag` stands before it.
    pub(crate) fn json_or_word(&mut self, flag: &str) -> ParseResult<Value> {
        if self.at_object() {
            return self.json(flag);
        }
        self.required(&format!("the value after {flag}")).map(Value::String)
    }

    /// Takes a whole number; `flag` stands before it.
    pub(crate) fn number(&mut self, flag: &str) -> ParseResult<u64> {
        let text = self.required(&format!("the number after {flag}"))?;
        text.parse().map_err(|_| format!("{text:?} after {flag} is not a whole number"))
    }

    /// Takes the flags that come next. `take` receives the name of each, takes its value, and
    /// returns whether it knows the name.
    pub(crate) fn flags(
        &mut self,
        mut take: impl FnMut(&str, &mut Words<'a>) -> ParseResult<bool>,
    ) -> ParseResult<()> {
        while self.rest.starts_with("--") {
            let name = self.bare().text;
            self.rest = self.rest.trim_start();
            if !take(&name, self)? {
                return Err(match nearest(&name, self.flags.iter().copied()) {
                    Some(meant) => format!("{name} is unknown here, perhaps {meant} is meant"),
                    None => format!("{name} is unknown here"),
                });
            }
        }
        Ok(())
    }

    /// Takes `name` if it is the next word.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let mut ahead = self.clone();
        let found = matches!(ahead.word(), Ok(Some(word)) if !word.quoted && word.text == name);
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes `word`, in capitals or not, if it comes next.
    pub(crate) fn keyword(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let next = ahead.word();
        let found =
            matches!(next, Ok(Some(next)) if !next.quoted && next.text.eq_ignore_ascii_case(word));
        if found {
            *self = ahead;
        }
        found
    }

    /// Takes `--revision N` if it comes next.
    pub(crate) fn revision(&mut self) -> ParseResult<Option<u64>> {
        if !self.flag("--revision") {
            return Ok(None);
        }
        self.number("--revision").map(Some)
    }
}

fn document_id(word: &Word) -> DocumentId {
    match word.text.parse::<i64>() {
        Ok(number) if !word.quoted && number.to_string() == word.text => DocumentId::Int(number),
        _ => DocumentId::String(word.text.clone()),
    }
}

/// The brackets and quotes of a command, read part by part: it goes on in the next line while
/// one is open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brackets {
    depth: usize,
    quote: Option<char>,
    escaped: bool,
}

impl Brackets {
    /// Reads on.
    pub(crate) fn push(&mut self, text: &str) {
        for character in text.chars() {
            match (character, self.quote) {
                _ if self.escaped => self.escaped = false,
                ('\\', Some(_)) => self.escaped = true,
                (_, Some(quote)) if character == quote => self.quote = None,
                // JSON has no line breaks in texts, so that a quote ends with its line.
                ('\n', Some('\'')) => self.quote = None,
                (_, Some(_)) => {}
                ('"' | '\'', None) if self.depth > 0 => self.quote = Some(character),
                ('{' | '[', None) => self.depth += 1,
                ('}' | ']', None) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Whether all of them are closed.
    pub(crate) fn are_closed(&self) -> bool {
        self.depth == 0
    }
}

/// The semicolon that ends the first command of a text, with more after it or nothing.
pub(crate) fn end(text: &str) -> Option<usize> {
    let (mut brackets, mut quote, mut before) = (Brackets::default(), None, ' ');
    let mut characters = text.char_indices().peekable();
    while let Some((at, next)) = characters.next() {
        let last = characters.peek().is_none_or(|(_, next)| next.is_whitespace());
        match (next, quote) {
            (_, Some(end)) if next == end => quote = None,
            (_, Some(_)) => {}
            (';', None) if last && brackets.are_closed() => return Some(at),
            // In a word a quote is a letter.
            ('"' | '\'', None) if before.is_whitespace() && brackets.are_closed() => {
                quote = Some(next);
            }
            _ => brackets.push(next.encode_utf8(&mut [0; 4])),
        }
        before = next;
    }
    None
}

/// Whether every bracket and every quote inside brackets is closed, so that a statement
/// does not go on in the next line.
pub(crate) fn is_complete(text: &str) -> bool {
    let mut brackets = Brackets::default();
    brackets.push(text);
    brackets.are_closed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_keep_what_stands_in_quotes_together() {
        let mut words = Words::new(r#" insert "two words"  'it is "so"' end "#);
        let texts: Vec<String> =
            std::iter::from_fn(|| words.word().unwrap().map(|word| word.text)).collect();
        assert_eq!(texts, ["insert", "two words", "it is \"so\"", "end"]);
    }

    #[test]
    fn an_open_quote_is_an_error() {
        assert!(Words::new("\"open").word().is_err());
        assert!(Words::new("'open").word().is_err());
    }

    #[test]
    fn only_a_bare_whole_number_is_a_number_id() {
        let table = [
            ("42", DocumentId::Int(42)),
            ("-7", DocumentId::Int(-7)),
            ("\"42\"", DocumentId::from("42")),
            ("042", DocumentId::from("042")),
            ("4.2", DocumentId::from("4.2")),
            ("99999999999999999999", DocumentId::from("99999999999999999999")),
            ("abc", DocumentId::from("abc")),
            ("ObjectId", DocumentId::from("ObjectId")),
            ("Frob(1)", DocumentId::from("Frob(1)")),
            ("ObjectId(\"65a000000000000000000001\")", {
                DocumentId::object_id("65a000000000000000000001")
            }),
            ("Timestamp(1, 2)", DocumentId::from_value(json!({"$timestamp": {"t": 1, "i": 2}}))),
        ];
        for (text, id) in table {
            assert_eq!(Words::new(text).id().unwrap(), id, "{text}");
        }
    }

    #[test]
    fn a_document_may_be_followed_by_a_flag() {
        let mut words = Words::new(r#"{"a": "} {"} --revision 12"#);
        assert_eq!(words.object("it").unwrap(), json!({"a": "} {"}));
        assert_eq!(words.revision().unwrap(), Some(12));
        assert_eq!(words.rest(), "");
    }

    #[test]
    fn a_document_must_be_an_object() {
        for bad in ["", "[1]", "1", "{a: x}", "{\"a\": }"] {
            assert!(Words::new(bad).object("it").is_err(), "{bad}");
        }
        assert!(Words::new("--revision x").revision().is_err());
    }

    #[test]
    fn flags_come_in_any_order_and_must_be_known() {
        let read = |text: &str| {
            let (mut limit, mut sort) = (None, None);
            let mut words = Words::new(text);
            words.flags(|name, words| {
                match name {
                    "--limit" => limit = Some(words.number(name)?),
                    "--sort" => sort = Some(words.json_or_word(name)?),
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
            ParseResult::Ok((limit, sort, words.rest().to_owned()))
        };
        let expected = (Some(3), Some(json!("-a")), "rest".to_owned());
        assert_eq!(read("--limit 3 --sort -a rest"), Ok(expected.clone()));
        assert_eq!(read("--sort -a --limit 3 rest"), Ok(expected));
        assert_eq!(read("--sort {\"a\": -1}"), Ok((None, Some(json!({"a": -1})), String::new())));
        assert_eq!(read("--other"), Err("--other is unknown here".into()));
        assert!(read("--limit many").unwrap_err().contains("whole number"));
        assert!(read("--sort").unwrap_err().contains("missing"));
    }

    #[test]
    fn a_statement_goes_on_while_a_bracket_is_open() {
        let table = ["", "find users", r#"insert u {"a": "{["}"#, r#"get u it"s"#, "x }"];
        for complete in table.into_iter().chain(["insert u {a: '{['}", "insert u {a: \"it's\"}"]) {
            assert!(is_complete(complete), "{complete}");
        }
        for open in ["insert u {", r#"insert u {"a": [1, 2}"#, r#"insert u {"a": "\"}"#] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
