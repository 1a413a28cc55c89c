//! `more`: shows the rest of the last listing.

use crate::command::Argument::Optional;
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult};

pub(super) static COMMAND: Command = Command {
    names: &["more", "it"],
    arguments: &[Optional(Kind::Word(&["all"]))],
    help: "Show the next page of the last listing, or the rest of it",
    driver: &["find_pages"],
    parse: |words| action(More { all: words.keyword("all") }),
    ..Command::READ
};

#[derive(Debug)]
struct More {
    all: bool,
}

impl Action for More {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.list_more(self.all).await
    }
}
