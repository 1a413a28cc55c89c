//! `show version`: shows a version of a document.

use super::{VERSION, version, versioned};
use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::failure::Failure;
use crate::session::{Session, StatementResult};
use jettra_driver::DocumentId;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["show version"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("id")), Required(VERSION)],
    help: "Show a version of a document",
    driver: &["version"],
    parse: |words| {
        let (collection, id) = (arguments::collection(words)?, words.id()?);
        action(ShowVersion { collection, id, version: version(words)? })
    },
    ..Command::READ
};

#[derive(Debug, PartialEq)]
struct ShowVersion {
    collection: String,
    id: DocumentId,
    version: String,
}

impl Action for ShowVersion {
    async fn run(self, session: &mut Session) -> StatementResult {
        let ShowVersion { collection: name, id, version } = self;
        let (collection, id) = versioned(session, &name, id).await?;
        let document = collection.version(&id, &version).await?;
        let document = document.ok_or_else(|| {
            let next = format!("see them with: history {name} {id}");
            let id = json!(id);
            Failure::Refused(format!("document {id} has no version {version}; {next}"))
        })?;
        Ok(session.document(document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn a_version_may_have_a_step() {
        let (collection, id) = ("u".to_owned(), 7.into());
        assert_eq!(
            parsed::<ShowVersion>("show version u 7 42.1"),
            ShowVersion { collection, id, version: "42.1".into() }
        );
    }
}
