//! Rows that are printed while further ones arrive.

use super::{Format, Mode};
use serde_json::Value;

/// Prints rows as they arrive, in the modes that do not depend on all of them.
pub(crate) struct RowStream {
    format: Format,
    any: bool,
}

impl RowStream {
    /// Begins.
    pub(crate) fn new(format: Format) -> RowStream {
        RowStream { format, any: false }
    }

    /// The text of the next rows.
    pub(crate) fn push(&mut self, rows: &[Value]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let first = !std::mem::replace(&mut self.any, true);
        match self.format.mode {
            Mode::Json => {
                let item = |row: &Value| format!("  {}", format!("{row:#}").replace('\n', "\n  "));
                let items: Vec<String> = rows.iter().map(item).collect();
                format!("{}{}", if first { "[\n" } else { ",\n" }, items.join(",\n"))
            }
            // An empty line stands between records in lines.
            Mode::Line if !first => format!("\n{}", super::rows(rows, self.format)),
            _ => super::rows(rows, self.format),
        }
    }

    /// The end of the text.
    pub(crate) fn end(&self) -> &'static str {
        match (self.format.mode, self.any) {
            (Mode::Json, true) => "\n]\n",
            (Mode::Json, false) => "[]\n",
            _ => "",
        }
    }

    /// The end of the text after an error: a list stays open, so that no program takes it for
    /// complete.
    pub(crate) fn broken(&self) -> &'static str {
        match (self.format.mode, self.any) {
            (Mode::Json, true) => "\n",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::super::render;
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_together_are_what_one_text_would_be() {
        let all: Vec<Value> = (1..=5).map(|id| json!({"_id": id, "a": {"b": "x\ny"}})).collect();
        for mode in [Mode::Json, Mode::Ndjson, Mode::Line] {
            for cut in 0..=5 {
                let format = Format::plain(mode);
                let mut stream = RowStream::new(format);
                let mut text = stream.push(&all[..cut]);
                text += &stream.push(&all[cut..]);
                text += stream.end();
                assert_eq!(text, render(&Output::Rows(all.clone()), format), "{mode:?} {cut}");
            }
            let format = Format::plain(mode);
            let empty = RowStream::new(format).end();
            assert_eq!(empty, render(&Output::Rows(Vec::new()), format), "{mode:?}");
        }
    }
}
