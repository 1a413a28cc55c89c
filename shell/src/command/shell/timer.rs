//! `.timer`: shows or hides the time of each statement.

use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &[".timer"],
    arguments: &[Required(SWITCH)],
    help: "Show the time of each statement",
    parse: read,
    ..Command::READ
};

const SWITCH: Kind = Kind::Word(&["on", "off"]);

#[derive(Debug, PartialEq)]
struct SetTimer {
    on: bool,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    match words.required(&SWITCH.label())?.as_str() {
        "on" => action(SetTimer { on: true }),
        "off" => action(SetTimer { on: false }),
        other => Err(format!("{other:?} is not one of {}", SWITCH.label())),
    }
}

impl Action for SetTimer {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.settings.timer = self.on;
        Ok(Output::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn the_timer_is_on_or_off() {
        assert_eq!(parsed::<SetTimer>(".timer on"), SetTimer { on: true });
        assert_eq!(parsed::<SetTimer>(".timer off"), SetTimer { on: false });
        assert!(parse(".timer maybe").unwrap_err().contains("not one of on|off"));
    }
}
