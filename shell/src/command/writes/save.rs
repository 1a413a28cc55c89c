//! `save`: writes a document at its `_id`, whether or not there was one.

use crate::command::Argument::Required;
use crate::command::arguments::{A_DOCUMENT, collection, existing_in};
use crate::command::{Action, Command, Kind, action};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["save"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id")),
        Required(Kind::Other("json")),
    ],
    help: "Write a document, whether or not it exists",
    driver: &["save"],
    parse: |words| {
        let (collection, id) = (collection(words)?, words.id()?);
        action(Save { collection, id, document: words.object(A_DOCUMENT)? })
    },
    ..Command::WRITE
};

#[derive(Debug)]
struct Save {
    collection: String,
    id: DocumentId,
    document: Value,
}

impl Action for Save {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = existing_in(session, &self.collection, self.id).await?;
        let written = collection.save(&id, &self.document).await?;
        Ok(Output::Written { verb: "Saved", written })
    }
}
