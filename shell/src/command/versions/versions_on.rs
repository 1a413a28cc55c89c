//! `versions on`: keeps versions of a collection from now on.

use super::{DAY_SECONDS, summary};
use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action, arguments};
use crate::print::Output;
use crate::session::{Session, StatementResult};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::VersionsBody;
use serde_json::json;

pub(super) static COMMAND: Command = Command {
    names: &["versions on"],
    arguments: &[
        Required(Kind::Collection),
        Valued("--keep", "N", Kind::Other("N")),
        Valued("--days", "N", Kind::Other("N")),
    ],
    help: "Keep versions; --keep and --days limit their number and age",
    examples: &["versions on users --keep 20", "versions on users --days 30"],
    driver: &["keep_versions"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct KeepVersions {
    collection: String,
    limits: VersionsBody,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let collection = arguments::collection(words)?;
    let mut limits = VersionsBody::default();
    words.flags(|name, words| {
        match name {
            "--keep" => limits.keep = Some(words.number(name)?),
            "--days" => {
                let days = words.number(name)?.checked_mul(DAY_SECONDS);
                limits.keep_seconds = Some(days.ok_or("the number of days is too large")?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(KeepVersions { collection, limits })
}

impl Action for KeepVersions {
    async fn run(self, session: &mut Session) -> StatementResult {
        let collection = session.collection_outside(&self.collection).await?;
        let reply = collection.keep_versions(&self.limits).await?;
        Ok(Output::Changed { text: summary(&self.collection, &reply), answer: json!(reply) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn limits_are_a_number_and_days() {
        let limits = |text: &str| parsed::<KeepVersions>(text).limits;
        assert_eq!(limits("versions on u"), VersionsBody::default());
        assert_eq!(
            limits("versions on u --keep 20 --days 30"),
            VersionsBody { keep: Some(20), keep_seconds: Some(2_592_000) }
        );
    }
}
