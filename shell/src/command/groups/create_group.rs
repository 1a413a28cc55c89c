//! `group create`: creates a group of replicas, and waits until it serves.

use super::number;
use crate::command::Argument::{Required, Valued};
use crate::command::{Action, BoxedAction, Command, Kind, action};
use crate::session::{Session, StatementResult, done};
use crate::words::{ParseResult, Words};
use jettra_driver::wire::NewGroup;

pub(super) static COMMAND: Command = Command {
    names: &["group create", "group add"],
    arguments: &[
        Required(Kind::Other("number")),
        Valued("--members", "n1,n2", Kind::Other("nodes")),
        Valued("--observers", "n4", Kind::Other("nodes")),
        Valued("--replication-factor", "N", Kind::Other("N")),
    ],
    help: "Create a group of replicas, by default on the nodes with the fewest",
    examples: &["group create 3", "group create 3 --members n1,n2,n3 --observers n4"],
    driver: &["create_group"],
    parse: read,
    ..Command::WRITE_OUTSIDE
};

#[derive(Debug, PartialEq)]
struct CreateGroup {
    group: NewGroup,
}

fn read(words: &mut Words<'_>) -> ParseResult<BoxedAction> {
    let mut group = NewGroup { id: number(words)?, ..NewGroup::default() };
    words.flags(|flag, words| {
        match flag {
            "--members" => group.members = Some(names(&words.required("the nodes")?)),
            "--observers" => group.observers = names(&words.required("the nodes")?),
            "--replication-factor" => {
                let number = words.number(flag)?;
                group.replication_factor = Some(u32::try_from(number).unwrap_or(u32::MAX));
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    action(CreateGroup { group })
}

fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl Action for CreateGroup {
    async fn run(self, session: &mut Session) -> StatementResult {
        let created = session.client.create_group(&self.group, true).await?;
        done(format!("Created group {} on {}.", created.id, created.members.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parsed;

    #[test]
    fn nodes_may_be_named() {
        let group = NewGroup {
            id: 3,
            members: Some(vec!["n1".into(), "n2".into()]),
            replication_factor: Some(3),
            observers: vec!["n4".into()],
        };
        let text = "group create 3 --members n1,n2 --replication-factor 3 --observers n4";
        assert_eq!(parsed::<CreateGroup>(text), CreateGroup { group });
        let group = NewGroup { id: 3, ..NewGroup::default() };
        assert_eq!(parsed::<CreateGroup>("group create 3"), CreateGroup { group });
    }
}
