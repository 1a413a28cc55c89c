//! `rename col`: renames a collection.

use crate::command::Argument::Required;
use crate::command::{Action, Command, Kind, action, arguments};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["rename col", "rename collection"],
    arguments: &[Required(Kind::Collection), Required(Kind::Other("new-name"))],
    help: "Rename a collection",
    driver: &["rename_collection"],
    parse: |words| {
        let from = arguments::collection(words)?;
        action(RenameCollection { from, to: words.required("the new name")? })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct RenameCollection {
    from: String,
    to: String,
}

impl Action for RenameCollection {
    async fn run(self, session: &mut Session) -> StatementResult {
        let (database, from) = session.namespace(&self.from).await?;
        let to = self.to.strip_prefix(&format!("{database}.")).unwrap_or(&self.to);
        session.client.rename_collection(&database, &from, to).await?;
        done(format!("Renamed collection {from} to {to}."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn both_names_must_be_there() {
        let expected = RenameCollection { from: "a".into(), to: "b".into() };
        assert_eq!(parsed::<RenameCollection>("rename col a b"), expected);
        assert!(parse("rename col a").unwrap_err().contains("new name"));
    }
}
