//! `versions off`: drops the versions of a collection and keeps none.

use crate::command::Argument::Required;
use crate::command::arguments::{self, FORCE};
use crate::command::{Action, Command, Kind, action};
use crate::session::{Session, StatementResult, done};

pub(super) static COMMAND: Command = Command {
    names: &["versions off"],
    arguments: &[Required(Kind::Collection), FORCE],
    help: "Drop all versions and keep none",
    driver: &["forget_versions"],
    parse: |words| {
        let collection = arguments::collection(words)?;
        action(ForgetVersions { collection, force: words.flag("--force") })
    },
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct ForgetVersions {
    collection: String,
    /// Do not ask.
    force: bool,
}

impl Action for ForgetVersions {
    async fn run(self, session: &mut Session) -> StatementResult {
        let name = &self.collection;
        let collection = session.collection_outside(name).await?;
        if !self.force {
            let warning = format!("Drops all versions of documents in {name}.");
            session.confirm_name(&warning, name)?;
        }
        collection.forget_versions().await?;
        done(format!("{name} keeps no versions."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn force_leaves_the_question_out() {
        let forget = |force| ForgetVersions { collection: "u".into(), force };
        assert_eq!(parsed::<ForgetVersions>("versions off u"), forget(false));
        assert_eq!(parsed::<ForgetVersions>("versions off u --force"), forget(true));
    }
}
