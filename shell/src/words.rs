//! Splits a statement into words, document ids and JSON.

use jettra_driver::DocumentId;
use serde_json::Value;

/// What is left of a statement, taken word by word from the left.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    rest: &'a str,
}

/// One word, and whether it stood in quotes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// The word without its quotes.
    pub(crate) text: String,
    /// `"42"` is a text where `42` is a number.
    pub(crate) quoted: bool,
}

/// A statement that cannot be understood: one sentence for the person who wrote it.
pub(crate) type Parsed<T> = Result<T, String>;

impl<'a> Words<'a> {
    /// Starts at the beginning of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Words { rest: text.trim() }
    }

    /// What has not been taken yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Takes everything that is left; `None` when nothing is.
    pub(crate) fn take_rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    /// Takes the next word; `None` at the end.
    pub(crate) fn word(&mut self) -> Parsed<Option<Word>> {
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
    fn double_quoted(&mut self) -> Parsed<Word> {
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = match stream.next() {
            Some(Ok(text)) => text,
            _ => return Err(format!("the quote in {} is not closed", self.rest)),
        };
        self.rest = &self.rest[stream.byte_offset()..];
        Ok(Word { text, quoted: true })
    }

    fn single_quoted(&mut self) -> Parsed<Word> {
        let inside = &self.rest[1..];
        let end =
            inside.find('\'').ok_or_else(|| format!("the quote in {} is not closed", self.rest))?;
        self.rest = &inside[end + 1..];
        Ok(Word { text: inside[..end].to_owned(), quoted: true })
    }

    /// Takes a word that must be there; `what` names it in the error.
    pub(crate) fn required(&mut self, what: &str) -> Parsed<String> {
        self.optional()?.ok_or_else(|| format!("{what} is missing"))
    }

    /// Takes a word that may be left out.
    pub(crate) fn optional(&mut self) -> Parsed<Option<String>> {
        Ok(self.word()?.map(|word| word.text))
    }

    /// Takes a document id: a bare integer is a number, everything else is a text.
    pub(crate) fn id(&mut self) -> Parsed<DocumentId> {
        let word = self.word()?.ok_or("the document id is missing")?;
        Ok(document_id(&word))
    }

    /// Takes one JSON object.
    pub(crate) fn document(&mut self) -> Parsed<Value> {
        if self.rest.is_empty() {
            return Err("the document is missing; write it as JSON: {\"name\": \"Ada\"}".into());
        }
        let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(format!("the document is not JSON: {error}")),
            None => return Err("the document is missing".into()),
        };
        if !value.is_object() {
            return Err("a document must be a JSON object, in braces".into());
        }
        self.rest = self.rest[stream.byte_offset()..].trim_start();
        Ok(value)
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

    /// Takes `--revision N` if it comes next.
    pub(crate) fn revision(&mut self) -> Parsed<Option<u64>> {
        if !self.flag("--revision") {
            return Ok(None);
        }
        let text = self.required("the number after --revision")?;
        match text.parse() {
            Ok(revision) => Ok(Some(revision)),
            Err(_) => Err(format!("{text:?} is not a revision; it is a whole number")),
        }
    }
}

fn document_id(word: &Word) -> DocumentId {
    match word.text.parse::<i64>() {
        Ok(number) if !word.quoted && number.to_string() == word.text => DocumentId::Int(number),
        _ => DocumentId::String(word.text.clone()),
    }
}

/// Whether every bracket and every quote inside brackets is closed, so that a statement
/// does not go on in the next line.
pub(crate) fn is_complete(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' if depth > 0 => in_text = !in_text,
            _ if in_text => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth == 0
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
        ];
        for (text, id) in table {
            assert_eq!(Words::new(text).id().unwrap(), id, "{text}");
        }
    }

    #[test]
    fn a_document_may_be_followed_by_a_flag() {
        let mut words = Words::new(r#"{"a": "} {"} --revision 12"#);
        assert_eq!(words.document().unwrap(), json!({"a": "} {"}));
        assert_eq!(words.revision().unwrap(), Some(12));
        assert_eq!(words.rest(), "");
    }

    #[test]
    fn a_document_must_be_an_object() {
        for bad in ["", "[1]", "1", "{a: 1}", "{\"a\": }"] {
            assert!(Words::new(bad).document().is_err(), "{bad}");
        }
        assert!(Words::new("--revision x").revision().is_err());
    }

    #[test]
    fn a_statement_goes_on_while_a_bracket_is_open() {
        for complete in ["", "find users", r#"insert u {"a": "{["}"#, r#"get u it"s"#, "x }"] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in ["insert u {", r#"insert u {"a": [1, 2}"#, r#"insert u {"a": "\"}"#] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
