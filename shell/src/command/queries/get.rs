//! `get`: reads one document by its `_id`.

use crate::command::Argument::Required;
use crate::command::arguments::{AS_OF, AT, Moment, as_text, collection, missing, moment_flag};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::DocumentId;

pub(super) static COMMAND: Command = Command {
    names: &["get"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("id")), AT, AS_OF],
    help: "Read one document",
    driver: &["get", "with_level", "at", "as_of"],
    parse: |words| {
        let collection = collection(words)?;
        read(collection, None, words)
    },
    ..Command::READ
};

#[derive(Debug, PartialEq)]
pub(super) struct Get {
    pub(super) collection: String,
    pub(super) moment: Option<Moment>,
    pub(super) id: DocumentId,
}

/// `<id>` with flags on either side of it.
pub(super) fn read(
    collection: String,
    mut moment: Option<Moment>,
    words: &mut Words<'_>,
) -> ParseResult<BoxedAction> {
    let mut flags =
        |words: &mut Words<'_>| words.flags(|name, words| moment_flag(name, words, &mut moment));
    flags(words)?;
    let id = words.id()?;
    flags(words)?;
    action(Get { collection, moment, id })
}

impl Action for Get {
    async fn run(self, session: &mut Session) -> StatementResult {
        let Get { collection, moment, id } = self;
        let collection = Moment::of(moment, session.collection(&collection).await?);
        let found = match (collection.get(&id).await?, as_text(&id)) {
            (None, Some(text)) => collection.get(&text).await?,
            (found, _) => found,
        };
        Ok(session.document(found.ok_or_else(|| missing(&id))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn the_moment_stands_on_either_side_of_the_id() {
        let get = |moment| Get { collection: "u".into(), moment, id: 7.into() };
        assert_eq!(parsed::<Get>("get u 7"), get(None));
        let time = Moment::Time("2026-03-01T12:00:00Z".into());
        assert_eq!(parsed::<Get>("get u --as-of 2026-03-01T12:00:00Z 7"), get(Some(time)));
        assert!(parse("get u 7 --at now").unwrap_err().contains("whole number"));
    }
}
