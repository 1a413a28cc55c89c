//! `revert`: restores a version of a document.

use super::{VERSION, version, versioned};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;

pub(super) static COMMAND: Command = Command {
    names: &["revert"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("id")), Required(VERSION)],
    help: "Restore a version of a document",
    driver: &["restore"],
    parse: |words| {
        let (collection, id) = (arguments::collection(words)?, words.id()?);
        action(Revert { collection, id, version: version(words)? })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct Revert {
    collection: String,
    id: DocumentId,
    version: String,
}

impl Action for Revert {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = versioned(session, &self.collection, self.id).await?;
        let written = collection.restore(&id, &self.version).await?;
        Ok(Output::Written { verb: "Restored", written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn the_version_must_be_there() {
        let (collection, id) = ("u".to_owned(), 7.into());
        assert_eq!(
            parsed::<Revert>("revert u 7 42"),
            Revert { collection, id, version: "42".into() }
        );
        assert!(parse("revert u 7").unwrap_err().contains("the version, such as 42"));
    }
}
