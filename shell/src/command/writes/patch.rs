//! `patch`: changes some fields of one document.

use crate::command::Argument::Required;
use crate::command::arguments::{REVISION, collection, existing_in};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::DocumentId;
use serde_json::Value;

pub(super) static COMMAND: Command = Command {
    names: &["patch"],
    arguments: &[
        Required(Kind::Collection),
        Required(Kind::Other("id")),
        Required(Kind::Other("json|update")),
        REVISION,
    ],
    help: "Change fields of one document; null removes one",
    examples: &[
        r#"patch users 7 {"city": null, "age": 37}"#,
        r#"patch users 7 {"$inc": {"age": 1}}"#,
    ],
    driver: &["patch"],
    parse: read,
    ..Command::WRITE
};

/// Fields of the document with an id, if it still has the revision given.
#[derive(Debug, PartialEq)]
pub(super) struct Patch {
    pub(super) collection: String,
    pub(super) id: DocumentId,
    pub(super) patch: Value,
    pub(super) revision: Option<u64>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let (collection, id) = (collection(words)?, words.id()?);
    let before = words.revision()?;
    let patch = words.object("the patch, such as {\"age\": 36},")?;
    let revision = before.or(words.revision()?);
    action(Patch { collection, id, patch, revision })
}

impl Action for Patch {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (collection, id) = existing_in(session, &self.collection, self.id).await?;
        Ok(session.document(collection.patch(&id, &self.patch, self.revision).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;
    use serde_json::json;

    #[test]
    fn a_patch_may_name_the_revision() {
        let (collection, patch) = ("users".to_owned(), json!({"a": null}));
        assert_eq!(
            parsed::<Patch>(r#"patch users 7 {"a": null} --revision 3"#),
            Patch { collection, id: 7.into(), patch, revision: Some(3) }
        );
    }
}
