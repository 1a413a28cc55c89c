//! Runs the statements of a text, a file or the standard input.

use crate::failure::{Failure, exit};
use crate::lookup::lookup;
use crate::shell::{Flow, Shell, complain};
use crate::text::{Input, split_first, statement, without_comments};
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// Editors of some systems write it before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A statement and the line it begins in, counted from 1.
#[derive(Debug, PartialEq)]
pub(crate) struct StatementText {
    line: usize,
    /// The statement.
    pub(crate) text: String,
}

/// Splits lines into statements as they arrive. A statement ends with its line, unless it goes
/// on as [`Input::is_complete`] says, or with a semicolon; empty lines and comments say nothing.
struct StatementTexts<R> {
    lines: io::Lines<R>,
    line: usize,
    /// The text after the first statement of lines with several.
    rest: Option<StatementText>,
}

impl<R: BufRead> StatementTexts<R> {
    fn new(reader: R) -> Self {
        StatementTexts { lines: reader.lines(), line: 0, rest: None }
    }

    fn line(&mut self) -> Option<io::Result<String>> {
        self.line += 1;
        let line = self.lines.next()?;
        Some(line.map(|line| match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if self.line == 1 => rest.to_owned(),
            _ => line,
        }))
    }

    /// Lines up to the end of a statement.
    fn next_text(&mut self) -> Option<io::Result<StatementText>> {
        let (mut begin, mut input) = (0, Input::default());
        while let Some(line) = self.line() {
            let line = match line {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if input.text().is_empty() {
                begin = self.line;
            }
            input.push(&line);
            match without_comments(input.text()) {
                Some("") => input = Input::default(),
                Some(_) if input.is_complete() => break,
                _ => {}
            }
        }
        let text = input.text().to_owned();
        (!text.is_empty()).then_some(Ok(StatementText { line: begin, text }))
    }
}

impl<R: BufRead> Iterator for StatementTexts<R> {
    type Item = io::Result<StatementText>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.rest.take() {
            Some(rest) => rest,
            None => match self.next_text()? {
                Ok(next) => next,
                Err(error) => return Some(Err(error)),
            },
        };
        let (first, others) = split_first(&next.text);
        if without_comments(others) != Some("") {
            self.rest =
                Some(StatementText { line: next.line, text: others.trim_start().to_owned() });
        }
        Some(Ok(StatementText { line: next.line, text: first.to_owned() }))
    }
}

/// Splits a text that was pasted or typed into statements. A line that begins no statement goes
/// on with the one of a query language before it.
pub(crate) fn split_statements(text: &str) -> Vec<StatementText> {
    let mut all: Vec<StatementText> = Vec::new();
    for next in StatementTexts::new(text.as_bytes()).flatten() {
        let begins = lookup(&next.text).is_some() || statement(&next.text).is_some();
        match all.last_mut() {
            Some(last) if !begins && statement(&last.text).is_some_and(|it| !it.ends_with(';')) => {
                last.text.push('\n');
                last.text += &next.text;
            }
            _ => all.push(next),
        }
    }
    all
}

/// Runs all statements of `reader`; errors have `name` and the line, unless it is empty.
///
/// The exit code is that of the first error.
pub(crate) fn run(shell: &mut Shell, reader: impl BufRead, name: &str) -> Flow {
    let mut worst = exit::OK;
    for next in StatementTexts::new(reader) {
        let flow = match next {
            Ok(next) => shell.execute(&next.text, &origin(name, next.line)),
            Err(error) => unreadable(name, &error),
        };
        let Flow::Next(code) = flow else {
            return leave(worst);
        };
        if worst == exit::OK {
            worst = code;
        }
        if ends_with(shell, code) {
            break;
        }
    }
    Flow::Next(worst)
}

/// Whether a script ends with this exit code of a statement.
///
/// A node that cannot be reached always ends it, since every statement after it would wait
/// as long for the same answer.
pub(crate) fn ends_with(shell: &Shell, code: u8) -> bool {
    code == exit::CONNECT || (code != exit::OK && shell.stop_on_error)
}

fn origin(name: &str, line: usize) -> String {
    match name {
        "" => String::new(),
        name => format!("{name}:{line}"),
    }
}

/// `exit` after an error must not hide the error from the caller.
fn leave(worst: u8) -> Flow {
    match worst {
        exit::OK => Flow::Leave,
        code => Flow::Next(code),
    }
}

/// Runs the statements of a file.
pub(crate) fn run_file(shell: &mut Shell, path: &str) -> Flow {
    match File::open(path) {
        Ok(file) => run(shell, BufReader::new(file), path),
        Err(error) => unreadable(path, &error),
    }
}

fn unreadable(name: &str, error: &io::Error) -> Flow {
    let failure = Failure::Usage(format!("cannot read {name}: {error}"));
    complain(&failure, "");
    Flow::Next(failure.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts_of(text: &str) -> Vec<(usize, String)> {
        StatementTexts::new(text.as_bytes())
            .map(|next| next.unwrap())
            .map(|next| (next.line, next.text))
            .collect()
    }

    #[test]
    fn a_statement_is_a_line() {
        assert_eq!(
            texts_of("use shop\n\n# note\n-- note\nfind users"),
            [(1, "use shop".into()), (5, "find users".into())]
        );
    }

    #[test]
    fn a_document_may_span_lines() {
        let text = "insert u {\n  \"a\": 1,\n\n  \"b\": \"# }\"\n}\ncount u\n";
        let found = texts_of(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, "insert u {\n  \"a\": 1,\n\n  \"b\": \"# }\"\n}");
        assert_eq!(found[1], (6, "count u".into()));
    }

    #[test]
    fn a_statement_of_a_query_language_ends_with_its_line_or_a_semicolon() {
        let text = "SELECT * FROM a\nDELETE FROM a\n-- why\nWHERE b = 1;\ndb.a.find({\n})\ncount a";
        let lines: Vec<usize> = texts_of(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5, 7]);
    }

    #[test]
    fn an_open_bracket_ends_with_the_text() {
        assert_eq!(texts_of("insert u {\n"), [(1, "insert u {".into())]);
    }

    #[test]
    fn a_mark_of_the_byte_order_and_comments_are_no_statements() {
        let text = "\u{feff}use shop\n// a\n/* b\nc */\n/* d */ count c\n";
        let expected = [(1, "use shop".to_owned()), (5, "/* d */ count c".to_owned())];
        assert_eq!(texts_of(text), expected);
    }

    #[test]
    fn two_lines_that_were_pasted_are_two_statements() {
        let cut = |text: &str| -> Vec<String> {
            split_statements(text).into_iter().map(|next| next.text).collect()
        };
        assert_eq!(cut("count q1\ncount q2"), ["count q1", "count q2"]);
        assert_eq!(cut("count q1\nfoo"), ["count q1", "foo"]);
        let one = "SELECT * FROM q1\nWHERE a = 1\nORDER BY a";
        assert_eq!(cut(&format!("{one}\nSELECT 1")), [one, "SELECT 1"]);
        assert_eq!(cut("db.q1.find()\n.limit(5)"), ["db.q1.find()\n.limit(5)"]);
        assert_eq!(cut("DELETE FROM q1;\nWHERE a = 1").len(), 2);
        assert_eq!(cut("\n"), Vec::<String>::new());
    }
}
