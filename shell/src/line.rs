//! The command line as it is typed: the options of the program may stand after an operators' command too,
//! as in `jettra status --format json`.

use crate::command::is_operation;
use crate::options::{Options, Task};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory, Error, FromArgMatches, Parser};
use std::ffi::OsString;

/// Understands a command line, which begins with the name of the program.
///
/// # Errors
/// When it is wrong, or asks for help.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Options, Error> {
    let line: Vec<OsString> = line.into_iter().collect();
    let line = match Options::try_parse_from(&line)?.task {
        Some(Task::Statement(words)) if is_operation(&words) => {
            let before = &line[..line.len() - words.len()];
            with_options_first(before, words)
        }
        _ => line,
    };
    let mut command = Options::command();
    let matches = command.try_get_matches_from_mut(line)?;
    let typed = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if typed("url") && (typed("host") || typed("port")) {
        let text = "only one of --url, and --host with --port, says where the node is";
        return Err(command.error(ErrorKind::ArgumentConflict, text));
    }
    Options::from_arg_matches(&matches)
}

/// The line with the options of the program before the command; its own flags stay behind it.
fn with_options_first(before: &[OsString], words: Vec<String>) -> Vec<OsString> {
    let mut line = before.to_vec();
    let mut own: Vec<OsString> = Vec::new();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        own.push("help".into());
        own.extend(words.into_iter().next().map(OsString::from));
        line.extend(own);
        return line;
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let takes_value = option_takes_value(&word);
        let place = if takes_value.is_some() { &mut line } else { &mut own };
        let needs_value = takes_value == Some(true) && !word.contains('=');
        place.push(word.into());
        if needs_value {
            let Some(value) = words.next() else {
                // Nothing may follow that would be taken for the value.
                return line;
            };
            place.push(value.into());
        }
    }
    line.extend(own);
    line
}

/// Whether a value follows the option of the program that a word is; none for any other word.
fn option_takes_value(word: &str) -> Option<bool> {
    let command = Options::command();
    let name = word.split('=').next().unwrap_or_default();
    let found = command.get_arguments().find(|known| match name.strip_prefix("--") {
        Some(long) => {
            let others = known.get_all_aliases().unwrap_or_default();
            known.get_long() == Some(long) || others.contains(&long)
        }
        None => known.get_short().is_some_and(|short| name == format!("-{short}")),
    });
    found.map(|known| known.get_action().takes_values())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::Mode;

    fn parsed(line: &str) -> Result<Options, Error> {
        parse(line.split(' ').map(OsString::from))
    }

    fn words(options: &Options) -> &[String] {
        match &options.task {
            Some(Task::Statement(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_may_stand_on_either_side_of_an_operators_command() {
        for line in [
            "jettra --host db1 --port 81 --format json -q node-health --node-id n1",
            "jettra node-health --host db1 --port 81 --format json -q --node-id n1",
            "jettra --host db1 node-health --node-id n1 -q --port=81 --mode=json",
        ] {
            let options = parsed(line).unwrap();
            assert_eq!(words(&options), ["node-health", "--node-id", "n1"], "{line}");
            let seen = (options.host.as_deref(), options.port, options.mode, options.quiet);
            assert_eq!(seen, (Some("db1"), Some(81), Some(Mode::Json), true), "{line}");
        }
        let options = parsed("jettra status --help").unwrap();
        assert_eq!(words(&options), ["help", "status"]);
    }

    #[test]
    fn other_statements_keep_their_flags() {
        let options = parsed("jettra find people --timeout 5 -q").unwrap();
        assert_eq!(words(&options), ["find", "people", "--timeout", "5", "-q"]);
    }

    #[test]
    fn a_wrong_line_is_refused() {
        for (line, expected) in [
            ("jettra --url http://a --host b status", "only one of"),
            ("jettra status --port 80 --url http://a", "only one of"),
            ("jettra status --format xml", "possible values"),
            ("jettra status --port", "a value is required"),
        ] {
            let text = parsed(line).unwrap_err().to_string();
            assert!(text.contains(expected), "{line}: {text}");
        }
    }
}
