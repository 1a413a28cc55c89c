//! `cluster max-level`: holds the feature level back, or lets it rise.

use crate::command::Argument::Required;
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};

pub(super) static COMMAND: Command = Command {
    names: &["cluster max-level", "federated max-level"],
    arguments: &[Required(LEVEL)],
    help: "Hold the feature level at a maximum, or let it rise (none)",
    examples: &["cluster max-level 1", "cluster max-level none"],
    driver: &["set_max_feature_level"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

const LEVEL: Kind = Kind::Other("level|none");

#[derive(Debug, PartialEq)]
struct SetMaxLevel {
    /// None: the level rises with the members.
    max: Option<u32>,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let level = words.required("the level")?;
    match level.as_str() {
        "none" => action(SetMaxLevel { max: None }),
        number => match number.parse() {
            Ok(max) => action(SetMaxLevel { max: Some(max) }),
            Err(_) => Err(format!("{number:?} is neither a level nor none")),
        },
    }
}

impl Action for SetMaxLevel {
    async fn run(self, session: &mut Session) -> StatementResult {
        session.client.set_max_feature_level(self.max).await?;
        done(match self.max {
            Some(max) => format!("The feature level will not exceed {max}."),
            None => "The feature level rises once all members support the next one.".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{parse, parsed};

    #[test]
    fn a_maximum_is_a_number_or_none() {
        let max = |text: &str| parsed::<SetMaxLevel>(text).max;
        assert_eq!(max("cluster max-level 2"), Some(2));
        assert_eq!(max("federated max-level none"), None);
        assert!(parse("cluster max-level -1").unwrap_err().contains("neither a level nor none"));
    }
}
