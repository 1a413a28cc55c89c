//! `.mode`: chooses the form of the output.

use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::{Mode, Output};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &[".mode"],
    arguments: &[Required(MODE)],
    help: "Choose the form of the output",
    parse: read,
    ..Command::READ
};

const MODE: Kind = Kind::Word(&["table", "json", "ndjson", "line", "compact"]);

#[derive(Debug)]
struct SetMode {
    mode: Mode,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let name = words.required(&MODE.label())?;
    let mode = Mode::parse(&name);
    let mode = mode.ok_or_else(|| format!("{name:?} is not one of {}", MODE.label()))?;
    action(SetMode { mode })
}

impl Action for SetMode {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.settings.mode = self.mode;
        Ok(Output::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn every_mode_is_known() {
        let Kind::Word(names) = MODE else { unreachable!() };
        let modes: Vec<Mode> =
            names.iter().map(|name| parsed::<SetMode>(&format!(".mode {name}")).mode).collect();
        assert_eq!(modes, <Mode as clap::ValueEnum>::value_variants());
        assert!(parse(".mode xml").unwrap_err().contains("ndjson"));
    }
}
