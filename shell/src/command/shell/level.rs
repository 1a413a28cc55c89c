//! `.level`: chooses how fresh reads are.

use crate::command::Argument::{Optional, Required};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::options;
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::ReadLevel;

pub(super) static COMMAND: Command = Command {
    names: &[".level"],
    arguments: &[Required(LEVEL), Optional(Kind::Other("time|index"))],
    help: "Choose how fresh reads are",
    examples: &[".level bounded 2s", ".level session"],
    driver: &["with_level"],
    parse: read,
    ..Command::READ
};

const LEVEL: Kind = Kind::Word(&ReadLevel::NAMES);

#[derive(Debug)]
struct SetLevel {
    level: ReadLevel,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let name = words.required(&LEVEL.label())?;
    let value = words.optional()?;
    action(SetLevel { level: options::level(&name, value.as_deref())? })
}

impl Action for SetLevel {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.settings.level = self.level;
        Ok(Output::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};
    use std::time::Duration;

    #[test]
    fn a_level_has_the_value_that_it_needs() {
        let table = [
            ("strong", ReadLevel::Linearizable),
            ("session", ReadLevel::Session(0)),
            ("bounded 500ms", ReadLevel::Bounded(Duration::from_millis(500))),
        ];
        for (text, level) in table {
            assert_eq!(parsed::<SetLevel>(&format!(".level {text}")).level, level, "{text}");
        }
        let table = [
            (".level quick", "linearizable|leader"),
            (".level bounded", "needs a time"),
            (".level session x", "needs a log index"),
        ];
        for (text, expected) in table {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
