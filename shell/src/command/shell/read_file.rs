//! `.read`: runs the statements of a file.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &[".read"],
    arguments: &[Required(Kind::File)],
    help: "Run the statements of a file",
    parse: |words| action(ReadFile { path: words.required("the file")? }),
    ..Command::READ
};

#[derive(Debug)]
struct ReadFile {
    path: String,
}

impl Action for ReadFile {
    async fn run(self, _session: &mut Session) -> StatementResult {
        Ok(Output::Script(self.path))
    }
}
