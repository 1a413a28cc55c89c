//! Turns results into text: tables, JSON, lines.

mod indexes;
mod plan;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod writes;

pub(crate) use indexes::{index_table, indexes};
pub(crate) use plan::plan;
pub(crate) use stream::RowStream;
pub(crate) use time::time;
pub(crate) use writes::{
    bulk_output, bulk_summary, update_output, violation, with_warnings, written_output,
};

use comfy_table::{ContentLineStyle, LineStyle, Table, TableStyle, presets};
use jettra_driver::WriteResult;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// A table with lines; one `field = value` per line when it would be too wide.
    Table,
    /// Indented JSON; a list is one array.
    Json,
    /// One JSON value a line.
    Ndjson,
    /// One `field = value` a line.
    Line,
    /// A table without lines.
    Compact,
}

impl Mode {
    /// Parses the name of a mode.
    pub(crate) fn parse(name: &str) -> Option<Mode> {
        <Mode as clap::ValueEnum>::from_str(name, true).ok()
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Mode::Json | Mode::Ndjson)
    }
}

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    /// The form.
    pub(crate) mode: Mode,
    /// Columns of the terminal; `None` when the output is not a terminal.
    pub(crate) width: Option<usize>,
    /// Leave out messages that only confirm a change.
    pub(crate) quiet: bool,
}

impl Format {
    /// This form, with nothing left out, for an output that is no terminal.
    pub(crate) fn plain(mode: Mode) -> Format {
        Format { mode, width: None, quiet: false }
    }
}

/// The result of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// Nothing to show.
    Nothing,
    /// A text for people, the same in every mode.
    Text(String),
    /// A change was made.
    Done(String),
    /// A document was written.
    Written {
        /// `Inserted`, for example.
        verb: &'static str,
        /// The `_id` and the new revision.
        written: WriteResult,
    },
    /// The outcome of a change: a sentence for people, the cluster's answer for programs.
    Changed {
        /// The sentence.
        text: String,
        /// The answer.
        answer: Value,
    },
    /// Something with a form of its own for people, and the cluster's answer for programs.
    Report {
        /// The form.
        text: String,
        /// The answer.
        answer: Value,
    },
    /// Number of documents.
    Count(u64),
    /// One object.
    Record(Value),
    /// Something that is shown, and the exit code of the statement: it has found that something is wrong.
    WithCode {
        /// What is shown.
        output: Box<Output>,
        /// The exit code.
        code: u8,
    },
    /// Objects.
    Rows(Vec<Value>),
    /// The first of more objects.
    Page(Vec<Value>),
    /// Something changed in the shell only, which no program waits for.
    Local(String),
    /// The statements of this file are the result.
    Script(String),
    /// The shell is to end.
    Exit,
}

/// The text of a result, with a line break at its end unless it is empty.
pub(crate) fn render(output: &Output, format: Format) -> String {
    let mut text = match output {
        Output::Nothing | Output::Script(_) | Output::Exit => String::new(),
        Output::WithCode { output, .. } => render(output, format),
        Output::Text(text) => text.clone(),
        Output::Done(text) => done(text, format),
        Output::Written { verb, written } => write_result(verb, written, format),
        Output::Changed { answer, .. } if format.mode.is_json() => value(answer, format),
        Output::Changed { .. } if format.quiet => String::new(),
        Output::Report { answer: Value::Array(list), .. } if format.mode.is_json() => {
            rows(list, format)
        }
        Output::Report { answer, .. } if format.mode.is_json() => value(answer, format),
        Output::Changed { text, .. } | Output::Report { text, .. } => text.clone(),
        Output::Count(count) if format.mode.is_json() => value(&json!({"count": count}), format),
        Output::Count(count) if format.quiet => count.to_string(),
        Output::Count(count) => format!("Count: {count}"),
        Output::Record(record) if format.mode.is_json() => value(record, format),
        Output::Record(record) => fields(record),
        Output::Rows(list) | Output::Page(list) => rows(list, format),
        Output::Local(_) if format.mode.is_json() || format.quiet => String::new(),
        Output::Local(text) => text.clone(),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn done(text: &str, format: Format) -> String {
    match format.mode {
        _ if format.quiet => String::new(),
        mode if mode.is_json() => value(&json!({"status": text}), format),
        _ => text.to_owned(),
    }
}

fn write_result(verb: &str, written: &WriteResult, format: Format) -> String {
    match format.mode {
        mode if mode.is_json() => value(&json!(written), format),
        _ if format.quiet => written.id.to_string(),
        _ => {
            let text = format!("{verb} {} (revision {})", written.id, written.revision);
            with_warnings(text, &written.warnings)
        }
    }
}

fn value(value: &Value, format: Format) -> String {
    if format.mode == Mode::Ndjson { value.to_string() } else { format!("{value:#}") }
}

/// Objects in a form, or other values in one column.
pub(crate) fn rows(rows: &[Value], format: Format) -> String {
    match format.mode {
        Mode::Json => format!("{:#}", Value::from(rows.to_vec())),
        Mode::Ndjson => rows.iter().map(|row| format!("{row}\n")).collect(),
        _ if rows.is_empty() => String::new(),
        _ if rows.iter().any(|row| !row.is_object()) => self::rows(&named(rows), format),
        Mode::Line => lines(rows),
        Mode::Table => fitting_table(rows, presets::UTF8_FULL_CONDENSED, format.width),
        Mode::Compact => table(rows, presets::NOTHING).trim_fmt(),
    }
}

/// Values that are no objects, as rows of one field.
fn named(values: &[Value]) -> Vec<Value> {
    values.iter().map(|value| json!({"value": value})).collect()
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(fields).collect::<Vec<_>>().join("\n")
}

/// One `field = value` a line, the values below each other.
pub(crate) fn fields(record: &Value) -> String {
    let Some(object) = record.as_object() else {
        return format!("{}\n", cell(record));
    };
    let width = object.keys().map(|key| key.chars().count()).max();
    let width = width.unwrap_or(0);
    object
        .iter()
        .map(|(key, value)| format!("{:width$} = {}\n", printable(key), cell(value)))
        .collect()
}

/// A table with plain lines around its cells, as JadeVectorDB's cluster program draws it; in the modes that are
/// not tables as [`rows`].
pub(crate) fn boxed(rows: &[Value], format: Format) -> String {
    const CELLS: ContentLineStyle = ContentLineStyle::new('│', '│', '│');
    const PLAIN: TableStyle = TableStyle::new()
        .top_border(LineStyle::new('┌', '─', '┬', '┐'))
        .header_lines(CELLS)
        .header_separator(LineStyle::new('├', '─', '┼', '┤'))
        .content_lines(CELLS)
        .bottom_border(LineStyle::new('└', '─', '┴', '┘'));
    match format.mode {
        Mode::Table => fitting_table(rows, PLAIN, format.width),
        _ => self::rows(rows, format),
    }
}

/// A table, or [`lines`] when it has more columns than the terminal.
fn fitting_table(rows: &[Value], style: TableStyle, width: Option<usize>) -> String {
    let table = table(rows, style);
    let widths = table.column_max_content_widths();
    let needed = widths.iter().map(|width| usize::from(*width) + 3).sum::<usize>() + 1;
    match width {
        Some(width) if needed > width => lines(rows),
        _ => table.to_string(),
    }
}

fn table(rows: &[Value], style: TableStyle) -> Table {
    let columns = columns(rows);
    let mut table = Table::new();
    table.load_style(style).set_header(columns.iter().map(|name| printable(name)));
    for row in rows {
        table.add_row(columns.iter().map(|column| row.get(column).map(cell).unwrap_or_default()));
    }
    table
}

/// The fields of all rows, in the order in which they are first seen.
fn columns(rows: &[Value]) -> Vec<String> {
    let mut columns = serde_json::Map::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        columns.entry(key).or_insert(Value::Null);
    }
    columns.into_iter().map(|(key, _)| key).collect()
}

/// A value in a table or a line.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// Columns that a text takes on a terminal.
pub(crate) fn text_width(text: &str) -> usize {
    if text.is_empty() {
        return 0;
    }
    let mut table = Table::new();
    table.add_row([text]);
    table.column_max_content_widths().iter().map(|width| usize::from(*width)).sum()
}

/// Writes control characters as escapes, so that no document can control the terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::io::stdout().is_terminal()
}

/// Writes to the standard output; ends the program when its reader is gone.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// The text of a result for people, without a terminal.
#[cfg(test)]
pub(crate) fn rendered(output: &Output) -> String {
    render(output, Format::plain(Mode::Line))
}
