//! Shows an output that does not fit on the screen in the person's pager, as `psql` and `git` do.

use crate::print::{say, text_width};
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// The pager when `PAGER` names none.
const DEFAULT: &str = "less";
/// Options of `less` unless `LESS` has others: end at once when all of the text fits, pass colours
/// through, and leave the text on the screen.
const LESS: &str = "FRX";

/// Prints a text, through the pager when it has more lines than the screen.
pub(crate) fn show(text: &str, width: Option<usize>, height: Option<usize>) {
    let (Some(width), Some(height)) = (width, height) else {
        return say(text);
    };
    // The last line is the prompt's.
    if lines(text, width) < height {
        return say(text);
    }
    match command(std::env::var("PAGER").ok()).and_then(|pager| start(&pager)) {
        Some(child) => page(child, text),
        None => say(text),
    }
}

/// The pager to use; none when `PAGER` is empty or only copies.
fn command(variable: Option<String>) -> Option<String> {
    match variable {
        None => Some(DEFAULT.to_owned()),
        Some(pager) if matches!(pager.trim(), "" | "cat") => None,
        Some(pager) => Some(pager),
    }
}

fn start(pager: &str) -> Option<Child> {
    // The status of a shell that finds no program; then the text is printed without.
    let program = pager.split_whitespace().next()?;
    let mut find = Command::new("sh");
    find.args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null());
    if !find.status().is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = Command::new("sh");
    command.args(["-c", pager]).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", LESS);
    }
    command.spawn().ok()
}

fn page(mut child: Child, text: &str) {
    if let Some(mut input) = child.stdin.take() {
        // A person that leaves before the end closes the pipe.
        let _ = input.write_all(text.as_bytes());
    }
    let _ = child.wait();
}

/// Lines that a text takes on a screen of this width.
fn lines(text: &str, width: usize) -> usize {
    let rows = |line: &str| match line.len() <= width {
        true => 1,
        false => text_width(line).div_ceil(width.max(1)).max(1),
    };
    text.lines().map(rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_count_as_the_rows_they_take() {
        assert_eq!(lines("a\nb\n", 80), 2);
        assert_eq!(lines(&"x".repeat(161), 80), 3);
        assert_eq!(lines("", 80), 0);
    }

    #[test]
    fn an_empty_pager_is_none() {
        assert_eq!(command(None).as_deref(), Some("less"));
        assert_eq!(command(Some(String::new())), None);
        assert_eq!(command(Some("cat".into())), None);
        assert_eq!(command(Some("less -S".into())).as_deref(), Some("less -S"));
    }
}
