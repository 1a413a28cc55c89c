//! Questions to the person at the terminal.

use rustyline::config::Configurer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::history::MemHistory;
use rustyline::{ColorMode, Completer, Config, DefaultEditor, Editor, Helper, Hinter, Validator};
use std::borrow::Cow;

/// Shows a star for each typed character.
#[derive(Completer, Helper, Hinter, Validator)]
struct Stars;

impl Highlighter for Stars {
    fn highlight<'l>(&self, line: &'l str, _pos: usize) -> Cow<'l, str> {
        Cow::Owned("*".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _line: &str, _pos: usize, _kind: CmdKind) -> bool {
        true
    }
}

/// Asks for a line; `None` when the person gives up with Ctrl-C or Ctrl-D.
pub(crate) fn line(prompt: &str) -> Option<String> {
    DefaultEditor::new().ok()?.readline(prompt).ok()
}

/// Asks for a secret, which is neither shown nor remembered.
pub(crate) fn secret(prompt: &str) -> Option<String> {
    let config = Config::builder().auto_add_history(false).build();
    let mut editor = Editor::<Stars, MemHistory>::with_history(config, MemHistory::new()).ok()?;
    editor.set_color_mode(ColorMode::Forced);
    editor.set_helper(Some(Stars));
    editor.readline(prompt).ok()
}

/// Columns and lines of the terminal.
pub(crate) fn size() -> Option<(usize, usize)> {
    let (columns, lines) = DefaultEditor::new().ok()?.dimensions()?;
    Some((columns.into(), lines.into()))
}
