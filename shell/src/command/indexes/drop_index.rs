//! `drop index`: drops an index.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["drop index"],
    arguments: &[Required(Kind::Collection), Required(Kind::Index)],
    help: "Drop an index",
    driver: &["drop_index"],
    parse: |words| {
        let collection = arguments::collection(words)?;
        action(DropIndex { collection, index: words.required("the index")? })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct DropIndex {
    collection: String,
    index: String,
}

impl Action for DropIndex {
    async fn run(self, session: &mut Session) -> StatementResult {
        let DropIndex { collection: name, index } = self;
        session.collection_outside(&name).await?.drop_index(&index).await?;
        done(format!("Dropped index {index} of {name}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn an_index_has_a_collection_and_a_name() {
        let expected = DropIndex { collection: "u".into(), index: "x".into() };
        assert_eq!(parsed::<DropIndex>("drop index u x"), expected);
    }
}
