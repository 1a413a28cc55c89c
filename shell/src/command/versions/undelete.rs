//! `undelete`: restores a deleted document.

use super::versioned;
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;

pub(super) static COMMAND: Command = Command {
    names: &["undelete"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("id"))],
    help: "Restore a deleted document",
    driver: &["undelete"],
    parse: |words| {
        let collection = arguments::collection(words)?;
        action(Undelete { collection, id: words.id()? })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug)]
struct Undelete {
    collection: String,
    id: DocumentId,
}

impl Action for Undelete {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = versioned(session, &self.collection, self.id).await?;
        match collection.undelete(&id).await {
            Err(error) if error.code() == Some("document_not_found") => {
                Err(arguments::missing(&id))
            }
            written => Ok(Output::Written { verb: "Restored", written: written? }),
        }
    }
}
