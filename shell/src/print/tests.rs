//! Tests of the output forms.

use super::*;
use jettra_driver::DocumentId;

fn format(mode: Mode) -> Format {
    Format::plain(mode)
}

fn people() -> Output {
    Output::Rows(vec![
        json!({"_id": 1, "name": "Ada", "tags": ["a", "b"]}),
        json!({"_id": "x", "age": 36}),
    ])
}

#[test]
fn a_table_has_the_fields_of_all_rows() {
    let text = render(&people(), format(Mode::Table));
    let header = text.lines().nth(1).unwrap();
    for column in ["_id", "name", "tags", "age"] {
        assert!(header.contains(column), "{text}");
    }
    assert!(text.contains(r#"["a","b"]"#), "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn a_table_that_is_too_wide_becomes_lines() {
    let width = |width| Format { width: Some(width), ..format(Mode::Table) };
    assert!(render(&people(), width(80)).starts_with('┌'));
    let narrow = render(&people(), width(20));
    assert!(narrow.starts_with("_id  = 1\nname = Ada\n"), "{narrow}");
}

#[test]
fn a_table_is_exactly_as_wide_as_it_is_measured() {
    let table = render(&people(), format(Mode::Table));
    let needed = table.lines().next().unwrap().chars().count();
    let at = |width| {
        let format = Format { width: Some(width), ..format(Mode::Table) };
        render(&people(), format)
    };
    assert_eq!(at(needed), table);
    assert_ne!(at(needed - 1), table);
}

#[test]
fn json_modes_can_be_read_back() {
    let Output::Rows(rows) = people() else {
        unreachable!();
    };
    let array: Value = serde_json::from_str(&render(&people(), format(Mode::Json))).unwrap();
    assert_eq!(array, Value::from(rows.clone()));
    let lines = render(&people(), format(Mode::Ndjson));
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, rows);
}

#[test]
fn no_rows_are_an_empty_array_or_nothing() {
    let empty = Output::Rows(Vec::new());
    assert_eq!(render(&empty, format(Mode::Json)), "[]\n");
    for mode in [Mode::Table, Mode::Ndjson, Mode::Line, Mode::Compact] {
        assert_eq!(render(&empty, format(mode)), "", "{mode:?}");
    }
}

#[test]
fn compact_has_no_lines() {
    let text = render(&people(), format(Mode::Compact));
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains('│'), "{text}");
}

#[test]
fn a_write_shows_the_id() {
    let output = Output::Written {
        verb: "Inserted",
        written: WriteResult { id: DocumentId::Int(7), revision: 12, warnings: Vec::new() },
    };
    let quiet = Format { quiet: true, ..format(Mode::Table) };
    assert_eq!(render(&output, format(Mode::Table)), "Inserted 7 (revision 12)\n");
    assert_eq!(render(&output, quiet), "7\n");
    assert_eq!(render(&output, format(Mode::Ndjson)), "{\"id\":7,\"revision\":12}\n");
}

#[test]
fn quiet_leaves_out_what_only_says_done() {
    let quiet = Format { quiet: true, ..format(Mode::Table) };
    let done = Output::Done("Created database shop.".into());
    assert_eq!(render(&done, quiet), "");
    assert_eq!(render(&Output::Count(3), quiet), "3\n");
    assert_eq!(render(&Output::Count(3), format(Mode::Table)), "Count: 3\n");
}

#[test]
fn a_document_cannot_control_the_terminal() {
    let rows = Output::Rows(vec![json!({"a": "\u{1b}[2J", "b": "x\ny\u{9b}"})]);
    for mode in [Mode::Table, Mode::Line, Mode::Compact] {
        let text = render(&rows, format(mode));
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}'), "{text}");
        assert!(text.contains("x\\ny"), "{text}");
    }
}
