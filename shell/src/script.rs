//! Runs the statements of a text, a file or the standard input.

use crate::failure::{Failure, exit};
use crate::shell::{Flow, Shell, complain};
use crate::text::is_complete;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

/// A statement and the line it begins in, counted from 1.
#[derive(Debug, PartialEq)]
struct Piece {
    line: usize,
    text: String,
}

/// Cuts lines into statements as they arrive. A statement ends with its line, unless it goes
/// on as [`is_complete`] says; empty lines and lines that begin with `#` or `--` say nothing.
struct Pieces<R> {
    lines: io::Lines<R>,
    line: usize,
}

impl<R: BufRead> Pieces<R> {
    fn new(reader: R) -> Self {
        Pieces { lines: reader.lines(), line: 0 }
    }

    fn line(&mut self) -> Option<io::Result<String>> {
        self.line += 1;
        self.lines.next()
    }
}

impl<R: BufRead> Iterator for Pieces<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = Piece { line: 0, text: String::new() };
        while let Some(line) = self.line() {
            let line = match line {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if piece.text.is_empty() {
                if says_nothing(&line) {
                    continue;
                }
                piece.line = self.line;
            }
            piece.text += &line;
            if is_complete(&piece.text) {
                return Some(Ok(piece));
            }
            piece.text.push('\n');
        }
        (!piece.text.is_empty()).then_some(Ok(piece))
    }
}

fn says_nothing(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with("--")
}

/// Runs all statements of `reader`; `name` stands before the line in errors, unless it is
/// empty.
///
/// The exit code is that of the first error.
pub(crate) fn run(shell: &mut Shell, reader: impl BufRead, name: &str) -> Flow {
    let mut worst = exit::OK;
    for piece in Pieces::new(reader) {
        let flow = match piece {
            Ok(piece) => shell.execute(&piece.text, &origin(name, piece.line)),
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
/// A node that cannot be reached always ends it, since every statement behind would wait
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

    fn pieces(text: &str) -> Vec<(usize, String)> {
        Pieces::new(text.as_bytes())
            .map(|piece| piece.unwrap())
            .map(|piece| (piece.line, piece.text))
            .collect()
    }

    #[test]
    fn a_statement_is_a_line() {
        assert_eq!(
            pieces("use shop\n\n# note\n-- note\nfind users"),
            [(1, "use shop".into()), (5, "find users".into())]
        );
    }

    #[test]
    fn a_document_may_span_lines() {
        let text = "insert u {\n  \"a\": 1,\n\n  \"b\": \"# }\"\n}\ncount u\n";
        let found = pieces(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, "insert u {\n  \"a\": 1,\n\n  \"b\": \"# }\"\n}");
        assert_eq!(found[1], (6, "count u".into()));
    }

    #[test]
    fn a_statement_of_a_query_language_ends_with_its_line_or_a_semicolon() {
        let text = "SELECT * FROM a\nDELETE FROM a\n-- why\nWHERE b = 1;\ndb.a.find({\n})\ncount a";
        let lines: Vec<usize> = pieces(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5, 7]);
    }

    #[test]
    fn an_open_bracket_ends_with_the_text() {
        assert_eq!(pieces("insert u {\n"), [(1, "insert u {\n".into())]);
    }
}
